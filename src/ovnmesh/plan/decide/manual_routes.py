"""Static routes that somebody wrote by hand, and which of them lead to a transit switch.

Called by `plan.decisions`, which keeps the latter from being advertised. `plan.ask.manual_route`
writes such routes. Must not look at learned routes.
"""

from collections.abc import Iterable, Iterator, Mapping

from ovnmesh.model.addresses import Address
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix


def manual_routes(observed: Observed) -> Mapping[Prefix, str]:
    """Prefixes that static routes of the operator send to a transit switch.

    ovn-ic advertises every static route; these lead back to the sites that have the prefix, and
    advertising them would take those sites' own traffic.
    """
    subnets = [subnet for ts in observed.ic.transit_switches.values() for subnet in ts.subnets]
    hops: dict[Prefix, set[Address]] = {}
    for prefix, hop in written_routes(observed.nb):
        if any(subnet.holds(hop) for subnet in subnets):
            hops.setdefault(prefix, set()).add(hop)
    # Sorted: the reason is recorded, and an order that changes would be written again.
    return {prefix: f"manual route by way of {_addresses(hops[prefix])}" for prefix in hops}


def _addresses(hops: Iterable[Address]) -> str:
    return ", ".join(map(str, sorted(hops, key=lambda hop: (hop.version, int(hop)))))


def split_manual(
    observed: Observed, manual: Mapping[Prefix, str]
) -> tuple[Mapping[Prefix, str], tuple[Finding, ...]]:
    """Manual prefixes that can be denied, with the reasons, and findings for those too wide.

    Denying a prefix denies everything inside it, in both directions.
    """
    inside = {route.prefix for route in observed.ic.routes} - set(manual)
    inside |= {prefix for port in observed.nb.router_ports for prefix in port.prefixes}
    wide = {p for p in manual if any(p != other and p.contains(other) for other in inside)}
    findings = tuple(
        Finding(
            Code.MANUAL_ROUTE_WIDE,
            str(prefix),
            f"the {manual[prefix]} to {prefix} covers prefixes that sites advertise by themselves. "
            "So ovn-ic advertises it too, and other sites may send their traffic to this one. "
            "Expected: manual routes no wider than the remote subnet. Split the route, or set "
            'auto-route to "false".',
            Severity.WARNING,
        )
        for prefix in sorted(wide)
    )
    return {prefix: why for prefix, why in manual.items() if prefix not in wide}, findings


def written_routes(nb: Northbound) -> Iterator[tuple[Prefix, Address]]:
    """Prefix and next hop of every route that somebody wrote, default routes left out.

    They are those of all routers (which router has them is not replicated); one that is on the
    cluster's router is told by its next hop, which is on a network of that router. Not so where
    strangers' routers may have the same networks (`Desired.shared_database`).
    """
    for route in nb.static_routes:
        if route.learned or route.policy == "src-ip":
            continue
        if route.prefix is not None and route.prefix.length and route.nexthop is not None:
            yield route.prefix, route.nexthop
