"""What becomes of each prefix: advertised, learned, manual, refused or withheld, and why.

Called by `site_overview`. Pure. Reasons are those that the controller has recorded, not found anew.
Must not format.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address
from ovnmesh.model.denied import Reasons, deny_list
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Hop, Observed
from ovnmesh.model.prefixes import Prefix


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A prefix and what becomes of it.

    Attributes:
        state: "advertised", "learned", "manual", "refused" or "withheld".
        why: for the last two, all reasons.
    """

    prefix: str
    az: str
    nexthop: str
    ts: str
    state: str
    why: str = ""


def site_routes(observed: Observed) -> tuple[RouteLine, ...]:
    """All prefixes of the site and of those it knows of, by state."""
    nb, ic = observed.nb, observed.ic
    denials = _read_denials(nb)
    lines = [
        RouteLine(str(r.prefix), r.az, _text(r.nexthop), r.ts, "advertised")
        for r in ic.routes
        if r.az == nb.name
    ]
    lines += [
        RouteLine(str(r.prefix), r.az, _text(r.hop), r.switch, "learned") for r in observed.learned
    ]
    lines += [
        RouteLine(str(prefix), there.az, _text(hop), there.switch, "manual")
        for prefix, hop, there in _manual(observed)
    ]
    # By next hop: there are few, and addresses are slow to look up.
    here: dict[Address | None, set[Prefix]] = defaultdict(set)
    for route in observed.learned:
        here[route.hop].add(route.prefix)
    for prefix, hop, _ in _manual(observed):
        here[hop].add(prefix)
    lines += [
        RouteLine(str(r.prefix), r.az, _text(r.nexthop), r.ts, "refused", denials.why(r.prefix))
        for r in ic.routes
        if r.az != nb.name and r.prefix not in here[r.nexthop]
    ]
    lines += _withheld(observed, denials)
    return tuple(sorted(lines, key=lambda line: (line.state, line.az, line.prefix)))


def _manual(observed: Observed) -> Iterator[tuple[Prefix, Address, Hop]]:
    """Routes to other sites that somebody wrote: prefix, next hop, and where that is."""
    for route in observed.nb.static_routes:
        if route.learned or route.prefix is None or route.nexthop is None:
            continue
        there = observed.hops.get(route.nexthop)
        if there is not None:
            yield route.prefix, route.nexthop, there


@lru_cache(maxsize=4096)
def _text(address: Address | None) -> str:
    return "" if address is None else str(address)


def _withheld(observed: Observed, denials: "_Denials") -> list[RouteLine]:
    """Our own prefixes that are not advertised."""
    az = observed.nb.name
    advertised = {route.prefix for route in observed.ic.routes if route.az == az}
    return [
        RouteLine(str(prefix), az, "", "", "withheld", denials.why(prefix))
        for prefix in sorted(observed.own_prefixes - advertised)
    ]


@dataclass(frozen=True, slots=True)
class _Denials:
    """What the site keeps out and why, read once for all routes.

    Attributes:
        auto_route: whether routes are exchanged at all.
        reasons: what the controller has recorded.
        listed: what stands on the deny list.
        lengths: lengths of all these prefixes, longest first.
    """

    auto_route: bool
    reasons: Reasons
    listed: frozenset[Prefix]
    lengths: tuple[int, ...]

    def why(self, prefix: Prefix) -> str:
        """All reasons why a prefix is not advertised or not learned, the nearest first."""
        found = [] if self.auto_route else ['auto-route is "false"']
        for length in self.lengths:
            if length > prefix.length:
                continue
            block = prefix.widened(length)
            where = "" if block == prefix else f"within {block}: "
            # Only an older controller, or a hand, leaves an entry without a reason.
            default = ("on the deny list of NB_Global",) if block in self.listed else ()
            found += [where + why for why in self.reasons.get(block, default)]
        return "; ".join(found) or "not there yet; is ovn-ic running?"


def _read_denials(nb: Northbound) -> _Denials:
    reasons, listed = nb.denied_reasons, frozenset(deny_list(nb.options))
    lengths = {prefix.length for prefix in (*reasons, *listed)}
    auto_route = nb.options.get(keys.ROUTE_LEARN) == "true"
    return _Denials(auto_route, reasons, listed, tuple(sorted(lengths, reverse=True)))
