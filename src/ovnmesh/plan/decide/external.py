"""What joins a router to the outside world, and what that means for other sites.

Called by `plan.decisions`. A router port with gateway chassis that is not on a transit switch leads
to an external network: OVN advertises it like any connected network, though only this site's
gateway can answer there, so it is kept out of advertisements. With our own port the router has
several gateway ports, and OVN then wants to be told to which of them a NAT rule belongs (ovn-nb(5),
NAT, gateway_port); rows of others are never written here, a finding names the command. See
docs/nat.md.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import LogicalRouter, Nat, RouterPort
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix, is_link_local


@dataclass(frozen=True, slots=True)
class ExternalNetworks:
    """The decision for one site.

    Attributes:
        ports: ports to external networks, by name.
        denied: networks to keep out of advertisements, each with the reason.
        findings: networks that cannot be kept out, and NAT that does not work.
    """

    ports: tuple[RouterPort, ...]
    denied: Mapping[Prefix, str]
    findings: tuple[Finding, ...]


def decide_external(
    desired: Desired, observed: Observed, withheld: Collection[Prefix] = ()
) -> ExternalNetworks:
    """Find the external networks of a site, and the NAT that suffers from our port.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        withheld: networks that are denied anyway.
    """
    ports = _external_ports(observed)
    found = {
        prefix: f"external network of router port {port.name}"
        for port in ports
        for prefix in port.prefixes
        if not is_link_local(prefix) and prefix not in withheld
    }
    kept = _undeniable(found, desired, observed) if desired.auto_route else {}
    return ExternalNetworks(
        ports,
        {prefix: why for prefix, why in found.items() if prefix not in kept},
        (
            *(_check_advertised(prefix, found[prefix], kept[prefix]) for prefix in sorted(kept)),
            *(
                finding
                for router in observed.nb.routers
                if router.uuid
                for finding in _check_router(router, ports, observed)
            ),
        ),
    )


def _external_ports(observed: Observed) -> tuple[RouterPort, ...]:
    """Ports with gateway chassis that are on no transit switch, by name."""
    subnets = [subnet for ts in observed.ic.transit_switches.values() for subnet in ts.subnets]
    return tuple(
        port
        for port in observed.other_ports
        if port.is_gateway
        and not port.name.startswith(keys.NAT_GUARD)
        # Made by hand on a transit switch, under a name of its own.
        and not any(subnet.contains(p) for subnet in subnets for p in port.prefixes)
    )


def _undeniable(
    found: Iterable[Prefix], desired: Desired, observed: Observed
) -> Mapping[Prefix, str]:
    """External networks whose denial would deny others too, each with the reason."""
    found = set(found)
    inside = {route.prefix for route in observed.ic.routes}
    inside |= {prefix for port in observed.nb.router_ports for prefix in port.prefixes}
    inside = (inside | desired.local) - found
    reasons: dict[Prefix, str] = {}
    for prefix in found:
        if any(prefix.contains(other) for other in inside):
            reasons[prefix] = "denying it would deny networks of sites that lie within it"
        elif prefix.version == 6 and observed.capabilities.has(Quirk.DENY_LIST_BREAKS_IPV6):
            reasons[prefix] = (
                f"this OVN would deny every IPv6 prefix of length {prefix.length} or more with it "
                "(fixed in 23.03.3)"
            )
    return reasons


def _check_advertised(prefix: Prefix, what: str, why: str) -> Finding:
    return Finding(
        Code.EXTERNAL_NETWORK_ADVERTISED,
        str(prefix),
        f"{prefix}, the {what}, is advertised to other sites: {why}. What they send there comes by "
        "way of this site, and may find no way back. Expected: an external network that can be "
        "denied. Upgrade OVN, or renumber the network.",
        Severity.WARNING,
    )


def _check_router(
    router: LogicalRouter, external: tuple[RouterPort, ...], observed: Observed
) -> tuple[Finding, ...]:
    outer = tuple(p for p in external if p.router == router.uuid)
    inner = tuple(p for p in observed.transit_ports if p.router == router.uuid)
    nats = tuple(nat for nat in observed.nb.nats if nat.router == router.uuid)
    balanced = router.uuid in observed.nb.load_balanced
    return (
        *_check_nat(router, nats, outer, inner),
        *(_check_load_balancers(router, outer, inner, observed) if balanced else ()),
    )


def _check_nat(
    router: LogicalRouter,
    nats: tuple[Nat, ...],
    ports: tuple[RouterPort, ...],
    inner: tuple[RouterPort, ...],
) -> tuple[Finding, ...]:
    """NAT rules without a gateway port that OVN cannot, or wrongly would, give one.

    With one gateway port on the router OVN takes that one, with several the one whose network has
    the external address, else none (northd.c, "Unable to determine gateway_port").
    """
    if not nats or (not ports and len(inner) > 1):
        return ()
    if not ports:
        return (
            Finding(
                Code.NAT_WITHOUT_EXTERNAL_PORT,
                _title(nats),
                f"router {router.wish.name} has NAT rules ({_title(nats)}), but no gateway port to "
                "an external network. OVN would apply them to the traffic with other sites, and "
                f"lose it; the port {keys.NAT_GUARD} keeps OVN from that. Give the router a "
                "gateway port in the network of these addresses, or remove the rules.",
                Severity.WARNING,
            ),
        )
    networks = [prefix for port in ports for prefix in port.prefixes]
    lost = tuple(
        nat
        for nat in nats
        if nat.external_ip is not None
        and not any(network.contains(nat.external_ip) for network in networks)
    )
    if not lost:
        return ()
    port = ports[0]
    return (
        Finding(
            Code.NAT_WITHOUT_GATEWAY_PORT,
            _title(lost),
            f"OVN does not apply the NAT rules for {_title(lost)}: the router has several gateway "
            "ports since the site joined, the rules name none of them, and none has these "
            "addresses in its network. Name the port, once for each rule, for example "
            f"{port.name}: ovn-nbctl set NAT {lost[0].uuid} gateway_port={port.uuid}",
            Severity.WARNING,
        ),
    )


def _title(nats: tuple[Nat, ...]) -> str:
    addresses = sorted({nat.written for nat in nats})
    rest = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return ", ".join(addresses[:3]) + rest


def _check_load_balancers(
    router: LogicalRouter,
    ports: tuple[RouterPort, ...],
    inner: tuple[RouterPort, ...],
    observed: Observed,
) -> tuple[Finding, ...]:
    """Load balancers of the router, which OVN may bind to the wrong one of its gateway ports."""
    if not observed.capabilities.has(Quirk.LOAD_BALANCER_AT_ONE_PORT):
        return ()
    active = observed.sb.active
    carriers = {active[port.name] for port in (*ports, *inner) if port.name in active}
    if not ports or len(carriers) < 2:
        return ()
    return (
        Finding(
            Code.LOAD_BALANCER_GATEWAY,
            ports[0].name,
            f"router {router.wish.name} has load balancers, and its gateway ports are on different "
            "chassis. OVN serves load balancers at one of the ports only, which may be the "
            "wrong one. Expected: all gateway ports on one chassis. Name the gateway nodes of the "
            "external network first in gw-nodes, or run: ovnmesh gateway prefer",
            Severity.WARNING,
        ),
    )
