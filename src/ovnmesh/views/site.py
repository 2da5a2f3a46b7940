"""What a site, and the mesh, look like: the content of `ovnmesh status` and `ovnmesh routes`.

Called by the command line. Pure; says what is, in the words of the documents, and what is not
right as findings. Must not format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address
from ovnmesh.model.denied import Reasons, deny_list
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Hop, Observed
from ovnmesh.model.prefixes import Prefix
from ovnmesh.model.report import SiteState
from ovnmesh.model.status_record import decode_status
from ovnmesh.views.paths import PathLine, check_paths, site_paths


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """A gateway node of a site; `active` where the traffic goes."""

    node: str
    chassis: str
    priority: int
    active: bool
    marked: bool


@dataclass(frozen=True, slots=True)
class PortLine:
    """A port on a transit switch, ours or a remote site's."""

    ts: str
    port: str
    az: str
    address: str
    gateway: str


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


@dataclass(frozen=True, slots=True)
class SiteOverview:
    """One site.

    Attributes:
        az: AZ name, "" if the site is not joined.
        state: the controller's word.
    """

    az: str
    state: SiteState
    gateways: tuple[GatewayLine, ...]
    ports: tuple[PortLine, ...]
    routes: tuple[RouteLine, ...]
    findings: tuple[Finding, ...]
    paths: tuple[PathLine, ...] = ()

    @property
    def healthy(self) -> bool:
        """Joined, or not meant to be, and without errors."""
        errors = any(finding.severity is Severity.ERROR for finding in self.findings)
        return not errors and self.state in (SiteState.JOINED, SiteState.IDLE)

    def count(self, state: str) -> int:
        """Number of routes in a state."""
        return sum(route.state == state for route in self.routes)


def overview(observed: Observed) -> SiteOverview:
    """Describe a site from its databases and the interconnection databases."""
    nb = observed.nb
    state, findings = _read_status(nb)
    gateways = _gateways(observed)
    joined = bool(nb.tagged_ports)
    paths = site_paths(observed) if joined else ()
    live = [] if not joined else _live_findings(observed, gateways)
    return SiteOverview(
        nb.name if joined else "",
        state,
        gateways,
        mesh_ports(observed.ic),
        _routes(observed) if joined else (),
        (*findings, *live, *check_paths(paths)),
        paths,
    )


def _read_status(nb: Northbound) -> tuple[SiteState, tuple[Finding, ...]]:
    raw = nb.external_ids.get(keys.STATUS, "")
    if not raw:
        return (SiteState.JOINING if nb.tagged_ports else SiteState.IDLE), ()
    unreadable = Finding(
        Code.STATUS_UNREADABLE,
        keys.STATUS,
        "NB_Global external_ids:ovnmesh-status cannot be read. A controller of another version may "
        "have written it: use the commands of that version.",
    )
    return decode_status(raw) or (SiteState.UNKNOWN, (unreadable,))


def _gateways(observed: Observed) -> tuple[GatewayLine, ...]:
    nb, sb = observed.nb, observed.sb
    lines: dict[str, GatewayLine] = {}
    for lrp in nb.tagged_ports:
        active = sb.active.get(lrp.name)
        for row in nb.gateway_rows(lrp):
            chassis = sb.by_name(row.chassis)
            known = lines.get(row.chassis)
            lines[row.chassis] = GatewayLine(
                sb.gateway(row.chassis).node,
                row.chassis,
                row.priority,
                row.chassis == active or (known is not None and known.active),
                chassis is not None and chassis.is_interconn,
            )
    return tuple(sorted(lines.values(), key=lambda line: (-line.priority, line.node)))


def mesh_ports(ic: Interconnect) -> tuple[PortLine, ...]:
    """Every port of the mesh, as the interconnection databases tell it."""
    hosts = {gateway.name: gateway.hostname for gateway in ic.gateways}
    return tuple(
        sorted(
            (
                PortLine(p.ts, p.name, p.az, p.written, hosts.get(p.gateway, p.gateway))
                for p in ic.ports
            ),
            key=lambda line: (line.ts, line.az),
        )
    )


def _routes(observed: Observed) -> tuple[RouteLine, ...]:
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
    here: set[tuple[Prefix, Address | None]] = {(r.prefix, r.hop) for r in observed.learned}
    here.update((prefix, hop) for prefix, hop, _ in _manual(observed))
    lines += [
        RouteLine(str(r.prefix), r.az, _text(r.nexthop), r.ts, "refused", denials.why(r.prefix))
        for r in ic.routes
        if r.az != nb.name and (r.prefix, r.nexthop) not in here
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


def _live_findings(observed: Observed, gateways: tuple[GatewayLine, ...]) -> list[Finding]:
    findings: list[Finding] = []
    for lrp in observed.nb.tagged_ports:
        if observed.sb.active.get(lrp.name) not in {line.chassis for line in gateways}:
            names = ", ".join(line.node for line in gateways) or "none"
            findings.append(
                Finding(
                    Code.NO_ACTIVE_GATEWAY,
                    lrp.name,
                    f"{lrp.name} is bound to no gateway, so it carries no traffic to other sites. "
                    f"Its gateways: {names}. Check ovn-controller and ovs-vswitchd on those nodes.",
                )
            )
    return findings


def to_json(site: SiteOverview) -> Mapping[str, object]:
    """The overview as JSON data; field names are stable."""

    def fields(line: object) -> dict[str, object]:
        names = type(line).__dataclass_fields__  # type: ignore[attr-defined]
        return {name: getattr(line, name) for name in names}

    return {
        "az": site.az,
        "state": str(site.state),
        "healthy": site.healthy,
        "gateways": [fields(line) for line in site.gateways],
        "ports": [fields(line) for line in site.ports],
        "routes": [fields(line) for line in site.routes],
        "paths": [fields(line) for line in site.paths],
        "findings": [finding.to_json() for finding in site.findings],
    }
