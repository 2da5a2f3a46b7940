"""What a site, and the mesh, look like: the content of `ovnmesh status` and `ovnmesh routes`.

Called by the command line. Pure; says what is, in the words of the documents, and what is not
right as findings. Must not format.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Address, decode_endpoint
from ovnmesh.model.denied import Reasons, deny_list, recorded_reasons
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import IcRoute, Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix, is_link_local
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
    joined = bool(nb.transit_lrps())
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
        return (SiteState.JOINING if nb.transit_lrps() else SiteState.IDLE), ()
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
    for lrp in nb.transit_lrps():
        active = sb.active.get(lrp.name)
        for row in nb.gateway_rows(lrp):
            chassis = sb.by_name(row.chassis)
            known = lines.get(row.chassis)
            lines[row.chassis] = GatewayLine(
                chassis.hostname if chassis else row.chassis,
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
    owners = _next_hops(observed)
    denials = _read_denials(nb)
    lines = [
        RouteLine(str(r.prefix), r.az, _text(r.nexthop), r.ts, "advertised")
        for r in ic.routes
        if r.az == nb.name
    ]
    learned: set[tuple[Prefix, Address | None]] = set()
    for route in nb.static_routes:
        hop = owners.get(route.nexthop) if route.nexthop is not None else None
        if hop is None or route.prefix is None:
            continue
        learned.add((route.prefix, route.nexthop))
        state = "learned" if route.learned else "manual"
        lines.append(RouteLine(str(route.prefix), hop.az, _text(route.nexthop), hop.ts, state))
    lines += [
        RouteLine(str(r.prefix), r.az, _text(r.nexthop), r.ts, "refused", denials.why(r.prefix))
        for r in ic.routes
        if r.az != nb.name and (r.prefix, r.nexthop) not in learned
    ]
    lines += _withheld(nb, ic.routes, denials)
    return tuple(sorted(lines, key=lambda line: (line.state, line.az, line.prefix)))


@lru_cache(maxsize=4096)
def _text(address: Address | None) -> str:
    return "" if address is None else str(address)


@dataclass(frozen=True, slots=True)
class _Hop:
    az: str
    ts: str


def _next_hops(observed: Observed) -> Mapping[Address, _Hop]:
    """Remote sites' addresses on the transit switches.

    From the site's own northbound database, where ovn-ic keeps a port for each (so that they are
    known while the interconnection databases do not answer).
    """
    found: dict[Address, _Hop] = {}
    for port in observed.nb.switch_ports.values():
        endpoint = decode_endpoint(" ".join(port.addresses)) if port.type == "remote" else None
        for ts in observed.nb.switches if endpoint is not None else ():
            if endpoint is not None and port.name.startswith(f"{ts}-"):
                hop = _Hop(port.name.removeprefix(f"{ts}-"), ts)
                found |= dict.fromkeys(endpoint.addresses, hop)
    for known in observed.ic.ports:
        if known.az != observed.nb.name and known.endpoint is not None:
            found |= dict.fromkeys(known.endpoint.addresses, _Hop(known.az, known.ts))
    return found


def _withheld(nb: Northbound, routes: tuple[IcRoute, ...], denials: "_Denials") -> list[RouteLine]:
    """Our own prefixes that are not advertised."""
    advertised = {route.prefix for route in routes if route.az == nb.name}
    transit = {port.uuid for port in nb.transit_lrps()}
    own = {
        prefix
        for port in nb.router_ports
        if port.uuid not in transit
        for prefix in port.prefixes
        if not is_link_local(prefix)
    }
    return [
        RouteLine(str(prefix), nb.name, "", "", "withheld", denials.why(prefix))
        for prefix in sorted(own - advertised)
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
    reasons, listed = recorded_reasons(nb.external_ids), frozenset(deny_list(nb.options))
    lengths = {prefix.length for prefix in (*reasons, *listed)}
    auto_route = nb.options.get(keys.ROUTE_LEARN) == "true"
    return _Denials(auto_route, reasons, listed, tuple(sorted(lengths, reverse=True)))


def _live_findings(observed: Observed, gateways: tuple[GatewayLine, ...]) -> list[Finding]:
    findings: list[Finding] = []
    for lrp in observed.nb.transit_lrps():
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
