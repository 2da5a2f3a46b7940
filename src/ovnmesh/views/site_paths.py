"""Paths from a site's gateways to those of other sites, as agents report them.

Called by `views.site_overview`. Pure. Must not format.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.observed import Observed


@dataclass(frozen=True, slots=True)
class PathLine:
    """A path.

    Attributes:
        node: the gateway from which it was measured.
        az: the other site; "" if the interconnection databases do not tell.
        peer: the gateway at the other end.
        state: "up", "down", or "unknown" where the other end runs no BFD.
        rtt_ms: median round-trip time in milliseconds; None if unknown.
        loss: lost share of the probes, 0 to 1; None if unknown.
        active: whether it is the path that traffic takes.
    """

    node: str
    az: str
    peer: str
    state: str
    rtt_ms: float | None
    loss: float | None
    active: bool


def site_paths(observed: Observed) -> tuple[PathLine, ...]:
    """All paths that lead out of the site, in order."""
    sb = observed.sb
    gateways = {gateway.name: gateway for gateway in observed.ic.gateways}
    used = frozenset(_used(observed))
    lines = []
    for name, report in sb.reports.items():
        for peer, path in report.paths.items():
            there, known = gateways.get(peer), sb.by_name(peer)
            if there is None and (known is None or not known.is_remote):
                continue  # inside the site
            lines.append(
                PathLine(
                    sb.gateway(name).node,
                    there.az if there else "",
                    (there.hostname if there else "") or sb.gateway(peer).node,
                    {True: "up", False: "down", None: "unknown"}[path.up],
                    path.rtt_ms,
                    path.loss,
                    (name, peer) in used,
                )
            )
    return tuple(sorted(lines, key=lambda line: (line.node, line.az, line.peer)))


def _used(observed: Observed) -> Iterable[tuple[str, str]]:
    """Active gateway here, active gateway there, for each transit switch and each other site."""
    nb = observed.nb
    for port in observed.ic.ports:
        if port.az != nb.name and (carrier := observed.carrier(port.ts)):
            yield carrier, port.gateway


def check_paths(paths: Iterable[PathLine]) -> Iterable[Finding]:
    """Paths that are down; an error where traffic takes them."""
    for path in paths:
        if path.state != "down":
            continue
        where = f"{path.peer} of {path.az}" if path.az else path.peer
        consequence = (
            "traffic between the two sites is lost"
            if path.active
            else "no traffic takes it now, but it is no reserve either"
        )
        yield Finding(
            Code.PATH_DOWN,
            f"{path.node} {path.peer}",
            f"the path from {path.node} to {where} is down: {consequence}. Expected: tunnel "
            "packets pass both ways (Geneve, UDP port 6081), and ovs-vswitchd runs at both ends. "
            f"Check routes and firewalls between the two, then ovs-vswitchd on {path.peer}.",
            Severity.ERROR if path.active else Severity.WARNING,
        )
