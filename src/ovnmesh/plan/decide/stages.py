"""The life of a transit switch at one site: warming, in service, draining.

Called by `plan.decisions`, and by the view of a transit switch. A router port that is there
but must not carry traffic is *parked*: its only network is one address that nobody routes to. Then
ovn-ic has no next hop to advertise for it that anybody can reach, and northd finds no way to next
hops on the switch, so that neither side sends by it; it still receives, which loses nothing
(docs/adr/0018). Everything else of the port is as in service: rows, binding, tunnels, flows.
Must not write anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ovnmesh.model.addresses import Address, Endpoint, Interface, make_interface
from ovnmesh.model.interconnect import IcPort
from ovnmesh.model.northbound import RouterPort
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages, Condition
from ovnmesh.model.prefixes import parse_prefix

#: What steps a site takes once they have been possible for a while.
SERVE, REMOVE = "serve", "remove"
#: How long a step must have been possible, in seconds: until every node has followed what the
#: databases say. A new route was in every southbound database of ten sites with a hundred routes
#: each after 0.39 s (measured); nodes need some more to make flows of it.
SETTLE_S = 1.0
#: Addresses that no network has (RFC 6666).
DISCARD = parse_prefix("100::/64")


@dataclass(frozen=True, slots=True)
class Stages:
    """Where each transit switch stands.

    Attributes:
        parked: switches whose port carries no traffic yet, or no longer.
        leaving: switches whose port is to go, with its claims.
        ripe: steps that wait for nothing but time, so that every node follows.
    """

    parked: frozenset[str]
    leaving: frozenset[str]
    ripe: frozenset[Condition]


def park(endpoint: Endpoint) -> Endpoint:
    """The endpoint of a parked port: same MAC, and no address but the one for parking."""
    return Endpoint(endpoint.mac, (parking_network(endpoint.mac),))


def parking_network(mac: str) -> Interface:
    """An address of the discard prefix (RFC 6666) with the MAC as its end; in nobody's network.

    Not a link-local one: IPv6 routes by way of it make ovn-ic churn, as those of a family that no
    switch carries do (`Quirk.UNCARRIED_FAMILY_CHURN`).
    """
    octets = bytes.fromhex(mac.replace(":", ""))
    return make_interface(DISCARD.version, DISCARD.first + int.from_bytes(octets, "big"), 128)


def is_parked(port: RouterPort | IcPort) -> bool:
    """Whether a port carries no traffic; one without a readable address counts as parked."""
    if isinstance(port, IcPort):
        endpoint = port.endpoint
        if endpoint is None:
            return True
    else:
        endpoint = Endpoint(port.mac.lower(), port.networks)
        if port.unreadable:
            return False
    return endpoint.networks == (parking_network(endpoint.mac),)


def decide_stages(observed: Observed, routers: Mapping[str, str], ages: Ages) -> Stages:
    """Decide what each transit switch may do here.

    A router's first port is in service at once: there is no traffic that could be lost.

    Args:
        observed: the site and the mesh.
        routers: UUID of the router that each transit switch is connected to.
        ages: seconds for which conditions reported as pending have held.
    """
    settled = {step for step, age_s in ages.items() if age_s >= SETTLE_S}
    switches = observed.ic.transit_switches
    ports = {ts: port for ts, port in observed.ports.items() if ts in switches}
    serving = {port.router for port in ports.values() if not is_parked(port)}
    parked: set[str] = set()
    leaving: set[str] = set()
    ripe: set[Condition] = set()
    for name, ts in switches.items():
        port = ports.get(name)
        step = (REMOVE if ts.draining else SERVE, name)
        if ts.draining and port is None:
            leaving.add(name)
        elif ts.draining:
            parked.add(name)
            if port is not None and is_parked(port) and _is_withdrawn(name, observed):
                ripe.add(step)
                if step in settled:
                    leaving.add(name)
        elif routers.get(name) in serving and (port is None or is_parked(port)):
            if port is not None and not awaited(name, observed) and _is_bound(port, observed):
                ripe.add(step)
            if step not in ripe & settled:
                parked.add(name)
    return Stages(frozenset(parked - leaving), frozenset(leaving), frozenset(ripe))


def _is_bound(port: RouterPort, observed: Observed) -> bool:
    return port.name in observed.sb.active


def awaited(ts: str, observed: Observed) -> tuple[str, ...]:
    """AZs that nobody can send to by way of a switch yet: no gateway has their port.

    Our own AZ is among them until ovn-ic has published where our port is bound. Those that are
    parked are not sent to.
    """
    return tuple(
        sorted(
            port.az
            for port in observed.ic.ports
            if port.ts == ts
            and (not is_parked(port) or port.az == observed.nb.name)
            and observed.sb.by_name(port.gateway) is None
        )
    )


def _is_withdrawn(ts: str, observed: Observed) -> bool:
    """Whether nothing that others could use is advertised by way of our port any more.

    IPv6 prefixes still are, with the parking address as next hop.
    """
    return not any(
        route.ts == ts and route.az == observed.nb.name and not _is_discarded(route.nexthop)
        for route in observed.ic.routes
    )


def _is_discarded(address: Address | None) -> bool:
    return address is not None and DISCARD.holds(address)
