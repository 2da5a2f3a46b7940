"""`ovnmesh status` and `ovnmesh routes`: what a site, or the mesh, looks like now.

Called by `cli.main`. Formats `checks.overview`; decides nothing.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.checks.overview import PortLine, SiteOverview, mesh_ports, overview, to_json
from ovnmesh.cli import output
from ovnmesh.cli.output import Output
from ovnmesh.cli.session import Session, connect_interconnect, read_interconnect
from ovnmesh.cli.sites import SiteAccess, complete_site, load_sites, pick_sites
from ovnmesh.errors import OvnmeshError
from ovnmesh.model.finding import Finding

SitesFile = Annotated[
    Path | None,
    typer.Option("--sites-file", envvar="OVNMESH_SITES", help="Where SITE names are looked up."),
]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]
SiteName = Annotated[
    str, typer.Argument(metavar="SITE", help="Name of a site.", autocompletion=complete_site)
]

NO_CONTROLLER = Finding(
    "controller-missing",
    "controller",
    "no ovnmesh controller runs for this site: what is shown may be out of date, and nothing is "
    "kept in order. Traffic is not affected. Start `ovnmesh controller`.",
)

#: Seconds between two looks of --wait.
POLL_S = 0.2


def status(
    sites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SITE]...", help="Sites; all by default.", autocompletion=complete_site
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every site is healthy and has peers.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 60.0,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show sites, gateways (the active one marked), transit ports, routes and findings.

    Exit status 1 if anything is unhealthy, in every format.

    Examples: ovnmesh status; ovnmesh status az1 -o json; ovnmesh status --wait --timeout 30
    """
    accesses = pick_sites(sites or [], sites_file)
    deadline = time.monotonic() + timeout
    seen = {access.name: _look(access) for access in accesses}
    if wait and not _all_connected(seen):
        with output.progress("status") as step:
            while not _all_connected(seen) and time.monotonic() < deadline:
                pending = [name for name, site in seen.items() if not _connected(site)]
                step(f"waiting for {', '.join(pending)}")
                time.sleep(POLL_S)
                seen = {access.name: _look(access) for access in accesses}
    ports = _mesh(accesses, seen)
    if form is Output.JSON:
        mesh = [to_json_port(port) for port in ports]
        output.emit_json({"sites": {n: to_json(s) for n, s in seen.items()}, "mesh": mesh})
    else:
        _print_sites(seen, ports)
    healthy = all(site.healthy for site in seen.values())
    raise typer.Exit(0 if healthy and (not wait or _all_connected(seen)) else 1)


def routes(
    site: SiteName,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show what a site advertises, has learned, was given by hand, refuses and withholds.

    The remote addresses on the transit switches, next hops for manual routes, come first.

    Example: ovnmesh routes az1
    """
    (access,) = pick_sites([site], sites_file)
    with Session(access) as session:
        seen = overview(session.observe())
    if form is Output.JSON:
        output.emit_json(to_json(seen))
        return
    _print_ports(port for port in seen.ports if port.az != seen.az)
    output.table(
        "Routes",
        ("PREFIX", "AZ", "NEXT HOP", "SWITCH", "STATE", "WHY"),
        ((r.prefix, r.az, r.nexthop, r.ts, r.state, r.why) for r in seen.routes),
    )


def _look(access: SiteAccess) -> SiteOverview:
    try:
        with Session(access) as session:
            seen = overview(session.observe())
            if seen.az and not session.has_controller():
                seen = _with(seen, NO_CONTROLLER)
            if session.ic_error:
                lost = Finding("ic-unreachable", "IC-NB, IC-SB", session.ic_error)
                return _with(seen, lost)
            return seen
    except OvnmeshError as exc:
        finding = Finding("site-unreachable", access.name, str(exc))
        return SiteOverview("", "unreachable", (), (), (), (finding,))


def _with(seen: SiteOverview, finding: Finding) -> SiteOverview:
    if any(known.code == finding.code for known in seen.findings):
        return seen
    return SiteOverview(
        seen.az, seen.state, seen.gateways, seen.ports, seen.routes, (*seen.findings, finding)
    )


def _connected(site: SiteOverview) -> bool:
    return site.healthy and site.state == "joined" and any(p.az != site.az for p in site.ports)


def _all_connected(seen: dict[str, SiteOverview]) -> bool:
    return all(_connected(site) for site in seen.values())


def _mesh(accesses: list[SiteAccess], seen: dict[str, SiteOverview]) -> tuple[PortLine, ...]:
    """Every port of the mesh, from any site that could read it, else straight from the IC."""
    for site in seen.values():
        if site.ports:
            return site.ports
    for access in accesses or load_sites(None).values():
        if access.ic_nb and access.ic_sb:
            try:
                databases = connect_interconnect(access.ic_nb, access.ic_sb)
            except OvnmeshError:
                continue
            try:
                return mesh_ports(read_interconnect(databases))
            finally:
                for database in databases:
                    database.close()
    return ()


def to_json_port(port: PortLine) -> dict[str, str]:
    """A port of the mesh as JSON data."""
    return {
        "transit_switch": port.ts,
        "port": port.port,
        "az": port.az,
        "address": port.address,
        "gateway": port.gateway,
    }


def _print_sites(seen: dict[str, SiteOverview], ports: tuple[PortLine, ...]) -> None:
    output.table(
        "Sites",
        ("SITE", "AZ", "STATE", "GATEWAYS (* active)", "ADVERTISED", "LEARNED", "REFUSED"),
        (
            (
                name,
                site.az or "-",
                site.state,
                ", ".join(g.node + ("*" if g.active else "") for g in site.gateways) or "-",
                site.count("advertised"),
                site.count("learned"),
                site.count("refused"),
            )
            for name, site in seen.items()
        ),
    )
    _print_ports(ports)
    refused = [
        (name, route.prefix, route.az, route.why)
        for name, site in seen.items()
        for route in site.routes
        if route.state == "refused"
    ]
    if refused:
        output.table("Refused routes", ("SITE", "PREFIX", "FROM", "WHY"), refused)
    findings = [
        (name, finding.severity, finding.code, finding.message)
        for name, site in seen.items()
        for finding in site.findings
    ]
    if findings:
        output.table("Findings", ("SITE", "SEVERITY", "CODE", "WHAT"), findings)


def _print_ports(ports: object) -> None:
    output.table(
        "Transit ports",
        ("SWITCH", "PORT", "AZ", "ADDRESS", "GATEWAY"),
        ((p.ts, p.port, p.az, p.address, p.gateway or "-") for p in ports),  # type: ignore[attr-defined]
    )
