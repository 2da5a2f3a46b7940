"""A site as people see it: the content of `ovnmesh status` and `ovnmesh routes`.

Called by `operate`. Pure; says what is, in the words of the documents, and what is not right as
findings. Must not format.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ovnmesh import ovn_keys as keys
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.report import SiteState
from ovnmesh.model.status_record import decode_status
from ovnmesh.views.mesh_ports import PortLine, mesh_ports
from ovnmesh.views.site_paths import PathLine, check_paths, site_paths
from ovnmesh.views.site_routes import RouteLine, site_routes


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """A gateway node of a site; `active` where the traffic goes."""

    node: str
    chassis: str
    priority: int
    active: bool
    marked: bool


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


def site_overview(observed: Observed) -> SiteOverview:
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
        site_routes(observed) if joined else (),
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
