"""Static routes: those that ovn-ic learned and should not have, and those of operators.

Called by `plan.site`, `plan.leave` and `plan.ask.manual_route`. A route of an operator is one that
he could have typed: no tag of ours, and nothing but his own command removes it.
"""

from collections.abc import Mapping

from ovnmesh.model.addresses import Address
from ovnmesh.model.changes import Content, Delete, Insert, Operation, Parent, Uuid
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix
from ovnmesh.plan.decide.learned import surplus

TABLE = "Logical_Router_Static_Route"
OWNS = (TABLE,)
#: Rows deleted at once: a transaction of some thousand rows keeps northd busy for seconds.
MOST_AT_ONCE = 1000


def plan_surplus(connected: Mapping[str, str], observed: Observed) -> tuple[Operation, ...]:
    """Delete surplus learned routes, as far as they are replicated and some at a time.

    Args:
        connected: UUID of the router that is to be connected to a transit switch, by its name.
        observed: the site and the mesh.
    """
    return tuple(delete_route(route.uuid) for route in surplus(connected, observed)[:MOST_AT_ONCE])


def plan_learned_removal(observed: Observed) -> tuple[Operation, ...]:
    """Delete all learned routes."""
    return tuple(delete_route(route.uuid) for route in observed.nb.learned_routes)


def insert_route(router: str, prefix: Prefix, hop: Address, name: str) -> Operation:
    """A route of an operator.

    Args:
        router: UUID of the router.
        prefix: where to.
        hop: by way of which address.
        name: of the new row, unique in the transaction.
    """
    row: dict[str, Content] = {"ip_prefix": str(prefix), "nexthop": str(hop)}
    return Insert(TABLE, row, name, Parent("Logical_Router", Uuid(router), "static_routes"))


def delete_route(uuid: str) -> Operation:
    """Delete a route; which router has it is not replicated."""
    return Delete(TABLE, uuid, Parent("Logical_Router", None, "static_routes"))
