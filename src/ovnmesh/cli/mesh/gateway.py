"""`ovnmesh gateway`: who carries a site's traffic, and planned switch-overs."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.access.sites import SiteAddress, pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import NodeName, OutputForm, SiteName, SitesFile
from ovnmesh.cli.output import Output

if TYPE_CHECKING:
    from ovnmesh.operate.gateway import SwitchOver
    from ovnmesh.operate.waiting import Step

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show a site's gateway nodes, and move traffic from one to another.",
    epilog="Example: ovnmesh gateway drain az1 az1-gw",
)


@app.command("list", epilog="Example: ovnmesh gateway list az1 -o json")
def list_(
    site: SiteName,
    form: OutputForm = Output.TABLE,
    sites_file: SitesFile = None,
) -> None:
    """Show the gateways of each transit switch, in the order in which they take over.

    The exit status is 1 if a transit switch has no active gateway, in every format.
    """
    from ovnmesh.operate import gateway

    (address,) = pick_sites([site], sites_file)
    lines = gateway.list_gateways(address)
    if form is Output.JSON:
        output.emit_json([asdict(line) for line in lines])
    else:
        rows = [(line.ts, line.priority, line.node, line.state) for line in lines]
        output.table("GATEWAYS", ("TS", "PRIORITY", "NODE", "STATE"), rows)
    raise typer.Exit(0 if gateway.all_served(lines) else 1)


@app.command(epilog="Example: ovnmesh gateway drain az1 az1-gw")
def drain(site: SiteName, node: NodeName, sites_file: SitesFile = None) -> None:
    """Move traffic off a gateway node, for example before its maintenance.

    The node stays last in line: it serves if all others fail. `undrain` makes it a reserve again.
    """
    from ovnmesh.operate import gateway

    _change(site, sites_file, lambda address, step: gateway.drain(address, node, step))


@app.command(epilog="Example: ovnmesh gateway undrain az1 az1-gw")
def undrain(site: SiteName, node: NodeName, sites_file: SitesFile = None) -> None:
    """Make a drained gateway node a reserve again; traffic stays where it is."""
    from ovnmesh.operate import gateway

    _change(site, sites_file, lambda address, step: gateway.undrain(address, node, step))


@app.command(epilog="Example: ovnmesh gateway prefer az1 az1-n1 --ts ts1")
def prefer(
    site: SiteName,
    node: NodeName,
    switch: Annotated[
        list[str] | None,
        typer.Option("--ts", metavar="TS", help="Only this transit switch; may be repeated."),
    ] = None,
    sites_file: SitesFile = None,
) -> None:
    """Move traffic to a gateway node. It stays there until that node fails.

    Undo it with `ovnmesh gateway reset`.
    """
    from ovnmesh.operate import gateway

    _change(
        site, sites_file, lambda address, step: gateway.prefer(address, node, switch or (), step)
    )


@app.command(epilog="Example: ovnmesh gateway reset az1")
def reset(site: SiteName, sites_file: SitesFile = None) -> None:
    """Move traffic back to the order of gw-nodes; forget failovers, preferences and drains."""
    from ovnmesh.operate import gateway

    _change(site, sites_file, gateway.reset)


def _change(
    site: str, sites_file: Path | None, move: "Callable[[SiteAddress, Step], SwitchOver | None]"
) -> None:
    (address,) = pick_sites([site], sites_file)
    with output.progress(f"gateway {site}") as step:
        done = move(address, step)
    if done is None:
        output.stderr().print(f"{site}: it is so already; nothing to do")
    else:
        output.stderr().print(f"{site}: {done.why}; active: {done.active or 'none'}")
