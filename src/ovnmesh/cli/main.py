"""The `ovnmesh` command: registers the groups, turns errors into messages and exit codes.

Called by the console script and `python -m ovnmesh`. Exit codes: 0 well, 1 unhealthy or failed,
2 wrong usage or input.
"""

import sys
from typing import Annotated

import typer

from ovnmesh import __version__
from ovnmesh.cli import change, daemons, ic_db, lab, output, status
from ovnmesh.errors import ConfigError, OvnmeshError

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Connect OVN networks: pods and VMs of different clusters reach each other by their own "
    "addresses.",
    pretty_exceptions_enable=False,
)
app.command("ic-db")(ic_db.ic_db)
app.command("controller")(daemons.controller)
app.command("agent")(daemons.agent)
app.command("status")(status.status)
app.command("routes")(status.routes)
app.command("leave")(change.leave)
app.add_typer(change.route_app, name="route")
app.add_typer(lab.app, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"ovnmesh {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    try:
        app()
    except ConfigError as exc:
        output.error(exc)
        sys.exit(2)
    except OvnmeshError as exc:
        output.error(exc)
        sys.exit(1)
