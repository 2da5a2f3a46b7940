"""`ovnmesh status` and `ovnmesh routes`: what a site, or the mesh, looks like now.

Formats views; decides nothing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.access.sites import complete_site, named_interconnect, pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm, SiteName, SitesFile
from ovnmesh.cli.output import Output
from ovnmesh.errors import ConfigError, Problem

if TYPE_CHECKING:
    from ovnmesh.views.mesh_overview import MeshOverview
    from ovnmesh.views.mesh_ports import PortLine
    from ovnmesh.views.site_overview import SiteOverview


def status(
    sites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SITE]...",
            help="Sites to show; all by default.",
            autocompletion=complete_site,
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every site is healthy and sees another site.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Wait for this many seconds at most.")] = 60.0,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show the sites: state, gateways, transit ports, refused routes, findings.

    Where the interconnection databases answer, also show all availability zones of the mesh. For
    sites that are named, also show the paths from their gateways to those of other sites.

    The exit status is 1 if any site is unhealthy, in every format.

    Examples: ovnmesh status; ovnmesh status az1 -o json; ovnmesh status --wait --timeout 30
    """
    addresses = pick_sites(sites or [], sites_file)
    if not addresses and not all(named_interconnect([])):
        raise _nothing_to_show()
    from ovnmesh.operate.look import all_connected, look_at_all, look_at_mesh, wait_connected
    from ovnmesh.views.mesh_overview import mesh_to_json
    from ovnmesh.views.site_overview import to_json

    seen = look_at_all(addresses)
    if wait and not all_connected(seen):
        with output.progress("status") as step:
            seen = wait_connected(addresses, timeout, step)
    mesh = look_at_mesh(addresses)
    if not seen and mesh is None:
        raise _nothing_to_show()
    if form is Output.JSON:
        output.emit_json({"sites": {n: to_json(s) for n, s in seen.items()}, **mesh_to_json(mesh)})
    else:
        _print(seen, mesh)
        if sites or len(seen) == 1:
            _print_paths(seen)
        _print_trouble(seen)
    healthy = all(site.healthy for site in seen.values())
    raise typer.Exit(0 if healthy and (not wait or all_connected(seen)) else 1)


def routes(
    site: SiteName,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show the routes of a site: advertised, learned, manual, refused and withheld, and why.

    The addresses of the other sites on the transit switches come first: they are the next hops for
    manual routes.

    Example: ovnmesh routes az1
    """
    from ovnmesh.operate.look import look_closely
    from ovnmesh.views.site_overview import to_json

    (address,) = pick_sites([site], sites_file)
    seen = look_closely(address)
    if form is Output.JSON:
        output.emit_json(to_json(seen))
        return
    _print_ports(port for port in seen.ports if port.az != seen.az)
    output.table(
        "Routes",
        ("PREFIX", "AZ", "NEXT HOP", "SWITCH", "STATE", "WHY"),
        ((r.prefix, r.az, r.nexthop, r.ts, r.state, r.why) for r in seen.routes),
    )


def _nothing_to_show() -> ConfigError:
    found = "no sites file, no database of a site, no interconnection database"
    expected = "--sites-file, or OVN_NB_DB and OVN_SB_DB, or OVN_IC_NB_DB and OVN_IC_SB_DB"
    return ConfigError([Problem("sites", found, expected)])


def _print(seen: "dict[str, SiteOverview]", mesh: "MeshOverview | None") -> None:
    if seen:
        _print_sites(seen)
    if mesh is not None:
        output.table(
            "Availability zones of the mesh",
            ("AZ", "RUN BY", "GATEWAYS", "ROUTES"),
            (
                (
                    zone.az,
                    "ovnmesh" if zone.managed else "others",
                    ", ".join(zone.gateways) or "-",
                    zone.routes,
                )
                for zone in mesh.zones
            ),
        )
        _print_ports(mesh.ports)


def _print_sites(seen: "dict[str, SiteOverview]") -> None:
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


def _print_paths(seen: "dict[str, SiteOverview]") -> None:
    output.table(
        "Paths",
        ("FROM (* active)", "TO", "AZ", "STATE", "RTT", "LOSS"),
        (
            (
                path.node + ("*" if path.active else ""),
                path.peer,
                path.az or "-",
                path.state,
                "-" if path.rtt_ms is None else f"{path.rtt_ms:.1f} ms",
                "-" if path.loss is None else f"{path.loss:.0%}",
            )
            for site in seen.values()
            for path in site.paths
        ),
    )


def _print_trouble(seen: "dict[str, SiteOverview]") -> None:
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


def _print_ports(ports: "Iterable[PortLine]") -> None:
    output.table(
        "Transit ports",
        ("SWITCH", "PORT", "AZ", "ADDRESS", "GATEWAY"),
        ((p.ts, p.port, p.az, p.address, p.gateway or "-") for p in ports),
    )
