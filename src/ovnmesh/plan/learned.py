"""Learned routes that should not be there: removed, because ovn-ic leaves them.

Called by `plan.site`. ovn-ic 23.03 adds the same route again and again to a router that is disabled
or whose port on a transit switch is gone, and does not take such routes back (fixed in OVN 24.03.7,
25.03.2; measured: 12,491 routes). Learned routes are replicated only where `overfull` says so.
Must not touch routes that somebody wrote.
"""

from ovnmesh.model.observed import LogicalRouter, Observed
from ovnmesh.plan.operations import Delete, Operation, Parent, Uuid

TABLE = "Logical_Router_Static_Route"
#: Rows deleted at once: a transaction of some thousand rows keeps northd busy for seconds.
MOST_AT_ONCE = 1000


def overfull(observed: Observed) -> bool:
    """Whether a router has more learned routes than there are to learn.

    Known only where the routers' own routes are replicated (`ovsdb.schema.northbound`, shared).
    """
    return any(_surplus(router, observed) > 0 for router in observed.nb.routers if router.uuid)


def _surplus(router: LogicalRouter, observed: Observed) -> int:
    if router.routes is None:
        return 0
    nb, ic = observed.nb, observed.ic
    written = sum(not r.learned and r.uuid in router.routes for r in nb.static_routes)
    switches = {p.transit_switch for p in nb.transit_lrps() if p.router == router.uuid}
    to_learn = sum(route.ts in switches and route.az != nb.name for route in ic.routes)
    return len(router.routes) - written - to_learn


def plan_surplus(observed: Observed) -> tuple[Operation, ...]:
    """Delete learned routes that are there twice, and all of routers that nothing connects."""
    nb = observed.nb
    operations: list[Operation] = []
    for router in nb.routers:
        connected = any(port.router == router.uuid for port in nb.transit_lrps())
        seen: set[tuple[str, str]] = set()
        for route in sorted(nb.learned_routes, key=lambda route: route.uuid):
            if not router.uuid or route.router != router.uuid:
                continue
            what = (route.prefix, route.nexthop)
            if connected and what not in seen:
                seen.add(what)
                continue
            parent = Parent("Logical_Router", Uuid(router.uuid), "static_routes")
            operations.append(Delete(TABLE, route.uuid, parent))
    return tuple(operations[:MOST_AT_ONCE])
