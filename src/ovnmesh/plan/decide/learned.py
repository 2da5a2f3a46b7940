"""Learned routes that ovn-ic leaves, or makes, where nothing connects a router any more.

Called by `plan.site`, and by the controller, which replicates learned routes only while they have
to be looked at. ovn-ic adds the same routes again and again, thousands in a second, to a router
that is disabled or whose port on a transit switch is gone (`Quirk.ROUTE_STORM`), and never takes
them back. Must not look at routes that somebody wrote.
"""

from collections.abc import Iterable

from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.interconnect import TransitSwitch
from ovnmesh.model.northbound import StaticRoute
from ovnmesh.model.observed import Observed


def storming(observed: Observed) -> bool:
    """Whether ovn-ic may be adding routes without end: a port has lost its router.

    A switch port that never had a router port does no harm: it has no address in IC-SB.
    """
    if not observed.capabilities.has(Quirk.ROUTE_STORM):
        return False
    nb = observed.nb
    connected = {port.name for port in observed.ic.ports if port.written}
    disabled = {router.uuid for router in nb.routers if not router.enabled}
    return any(port.router in disabled for port in nb.tagged_ports) or any(
        lsp.name in connected for lsp in nb.waiting_lsps()
    )


def surplus(connected: Iterable[str], observed: Observed) -> tuple[StaticRoute, ...]:
    """Learned routes that are there twice, and all by way of switches without a port of ours.

    A transit switch serves one router, so that a route's next hop tells the router.
    """
    nb, switches = observed.nb, observed.ic.transit_switches
    used = {port.transit_switch for port in nb.tagged_ports} | set(connected)
    unused = [ts for name, ts in switches.items() if name not in used]
    seen: set[tuple[str, str]] = set()
    found = []
    for route in sorted(nb.learned_routes, key=lambda route: route.uuid):
        if route.written in seen or any(_leads_to(route, ts) for ts in unused):
            found.append(route)
        seen.add(route.written)
    return tuple(found)


def _leads_to(route: StaticRoute, ts: TransitSwitch) -> bool:
    hop = route.nexthop
    return hop is not None and any(subnet.holds(hop) for subnet in ts.subnets)
