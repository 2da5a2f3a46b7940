"""Chassis of other sites in the site's own southbound database, which ovn-ic never deletes.

Called by `plan.leave`. Must not touch chassis of the site.
"""

from ovnmesh.model.changes import Delete, Operation
from ovnmesh.model.southbound import Southbound

TABLE = "Chassis"
OWNS = (TABLE,)


def plan_remote_removal(sb: Southbound) -> tuple[Operation, ...]:
    """Delete all of them."""
    return tuple(Delete(TABLE, chassis.uuid) for chassis in sb.chassis if chassis.is_remote)
