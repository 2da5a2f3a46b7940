"""Learned routes that ovn-ic leaves, or makes, where nothing connects a router any more.

Called by `plan.site`, and by the controller, which replicates learned routes only while they have
to be looked at. ovn-ic adds the same routes again and again, thousands in a second, to a router
that is disabled or whose port on a transit switch is gone (`Quirk.ROUTE_STORM`), and never takes
them back. Must not look at routes that somebody wrote.
"""

from collections.abc import Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.interconnect import IcPort, Interconnect
from ovnmesh.model.northbound import StaticRoute
from ovnmesh.model.observed import Observed


def storming(observed: Observed) -> bool:
    """Whether ovn-ic may be adding routes without end: a port has lost its router."""
    if not observed.capabilities.has(Quirk.ROUTE_STORM):
        return False
    nb = observed.nb
    disabled = {router.uuid for router in nb.routers if not router.enabled}
    return bool(storming_ports(observed)) or any(
        port.router in disabled for port in nb.tagged_ports
    )


def storming_ports(observed: Observed) -> tuple[IcPort, ...]:
    """Our ports in IC-SB by way of which ovn-ic adds routes without end, or will in a moment.

    It writes routes to the router that such a row names, but reads which of them are there only
    while the row has an address (ovn-ic.c: advertise_lr_routes, sync_learned_routes). It takes the
    address away when the router port goes, and gives it back when northd has made the new one's
    binding. A port that never had a router port names no router, and does no harm.
    """
    nb = observed.nb
    if not observed.capabilities.has(Quirk.ROUTE_STORM):
        return ()
    waiting = {lsp.name for lsp in nb.waiting_lsps()}
    ours = {
        lsp.name
        for lsp in nb.switch_ports.values()
        if lsp.external_ids.get(keys.OWNER) == nb.site_id
    }
    return tuple(
        port
        for port in observed.ic.ports
        if port.router
        and port.az == nb.name
        and (port.name in waiting or (port.name in ours and not port.written))
    )


def surplus(connected: Mapping[str, str], observed: Observed) -> tuple[StaticRoute, ...]:
    """Learned routes that a router has twice, or by way of a transit switch where it has no port.

    Args:
        connected: UUID of the router that is to be connected to a transit switch, by its name.
        observed: the site and the mesh, with learned routes and their routers.
    """
    nb = observed.nb
    served = {(port.transit_switch, port.router) for port in nb.tagged_ports}
    served |= set(connected.items())
    seen: set[tuple[str, ...]] = set()
    found = []
    for route in sorted(nb.learned_routes, key=lambda route: route.uuid):
        written = (route.router, *route.written)
        ts = _leads_to(route, observed.ic)
        if written in seen or (ts is not None and (ts, route.router) not in served):
            found.append(route)
        seen.add(written)
    return tuple(found)


def _leads_to(route: StaticRoute, ic: Interconnect) -> str | None:
    """The transit switch of a route's next hop."""
    hop = route.nexthop
    for name, ts in ic.transit_switches.items():
        if hop is not None and any(subnet.holds(hop) for subnet in ts.subnets):
            return name
    return None
