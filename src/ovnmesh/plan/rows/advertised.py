"""Routes in IC-SB: which of ours count as held, and those that ovn-ic forgets to withdraw.

Called by `plan.site` and `plan.leave`. ovn-ic writes the rows; where it leaves some behind, see
`Quirk.STALE_ADVERTISEMENTS`.
"""

from collections.abc import Collection, Iterable

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.changes import Delete, MergeKeys, Operation
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix

TABLE = "Route"
OWNS = (TABLE,)


def plan_marks(az: str, contested: Collection[Prefix], observed: Observed) -> tuple[Operation, ...]:
    """Mark our own advertisements that nobody contests as held."""
    return tuple(
        MergeKeys(TABLE, route.uuid, "external_ids", {keys.HELD: observed.nb.site_id})
        for route in observed.ic.routes
        if route.az == az and not route.held and route.prefix not in contested
    )


def plan_withdrawals(connected: Iterable[str], observed: Observed) -> tuple[Operation, ...]:
    """Withdraw what we advertise by way of transit switches on which we have no port.

    Args:
        connected: transit switches that are to be connected.
        observed: the site and the mesh.
    """
    nb = observed.nb
    if not observed.capabilities.has(Quirk.STALE_ADVERTISEMENTS):
        return ()
    served = {port.transit_switch for port in nb.tagged_ports} | set(connected)
    return tuple(
        Delete(TABLE, route.uuid)
        for route in observed.ic.routes
        if nb.name and route.az == nb.name and route.ts not in served
    )


def plan_zone_routes_removal(az: str, ic: Interconnect) -> tuple[Operation, ...]:
    """Delete what an availability zone advertises, readable or not."""
    found = [route.uuid for route in ic.routes if route.az == az]
    found += [uuid for uuid, owner in ic.unreadable_routes.items() if owner == az]
    return tuple(Delete(TABLE, uuid) for uuid in found)
