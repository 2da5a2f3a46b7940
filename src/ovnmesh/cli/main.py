"""The `ovnmesh` command: finds the commands, turns errors into messages and exit codes.

Called by the console script and `python -m ovnmesh`. A command's module is imported only when it
is used: an agent must not carry the lab in memory, nor need its packages. Exit codes: 0 well, 1
unhealthy or failed, 2 wrong usage or input, or a package is missing.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ovnmesh import __version__
from ovnmesh.errors import ConfigError, OvnmeshError

#: Where each command lives: module and attribute, a function or a `typer.Typer`.
COMMANDS = {
    "status": ("ovnmesh.cli.mesh.status", "status"),
    "routes": ("ovnmesh.cli.mesh.status", "routes"),
    "route": ("ovnmesh.cli.mesh.route", "app"),
    "gateway": ("ovnmesh.cli.mesh.gateway", "app"),
    "leave": ("ovnmesh.cli.mesh.leave", "leave"),
    "forget": ("ovnmesh.cli.mesh.forget", "forget"),
    "transit-switch": ("ovnmesh.cli.mesh.transit_switch", "app"),
    "nbctl": ("ovnmesh.cli.mesh.passthrough", "nbctl"),
    "sbctl": ("ovnmesh.cli.mesh.passthrough", "sbctl"),
    "icnbctl": ("ovnmesh.cli.mesh.passthrough", "icnbctl"),
    "icsbctl": ("ovnmesh.cli.mesh.passthrough", "icsbctl"),
    "openstack": ("ovnmesh.cli.mesh.openstack", "app"),
    "diagnose": ("ovnmesh.cli.mesh.diagnose", "diagnose"),
    "site": ("ovnmesh.cli.mesh.validate", "app"),
    "ic-db": ("ovnmesh.cli.ic_db.commands", "app"),
    "controller": ("ovnmesh.cli.daemons", "controller"),
    "agent": ("ovnmesh.cli.daemons", "agent"),
    "lab": ("ovnmesh.cli.lab.commands", "app"),
}

#: The packages of each extra of pyproject.toml, by the names under which they are imported.
EXTRAS = {
    "kubernetes": ("httpx2", "lightkube"),
    "openstack": ("keystoneauth1", "openstack", "requests"),
    "web": ("prometheus_client",),
    "lab": ("pydantic", "pydantic_core", "pyroute2"),
}


class _Commands(TyperGroup):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        # A whole module of its own; the other commands need extras for some options at most.
        without_lab = any(find_spec(package) is None for package in EXTRAS["lab"])
        return [name for name in COMMANDS if name != "lab" or not without_lab]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: ovnmesh status; ovnmesh routes az1; ovnmesh gateway drain --help",
    pretty_exceptions_enable=False,
)


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
    """Connect the OVN networks of several clusters and clouds.

    Pods and VMs reach each other by their own addresses. SITE is the name of a cluster or cloud in
    the sites file. Without a sites file there is one site, "local": that of OVN_NB_DB and
    OVN_SB_DB, or of the databases on this machine.
    """


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="ovnmesh")
    except ConfigError as error:
        _fail(error, 2)
    except OvnmeshError as error:
        _fail(error, 1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
        if extra is None:
            raise
        words = " ".join(["ovnmesh", *sys.argv[1:2]])
        found = f"{words}: found no Python package {package}; expected those of the extra {extra}"
        _fail(OvnmeshError(f"{found}: pip install 'ovnmesh[{extra}]'"), 2)


def _fail(exc: OvnmeshError, code: int) -> None:
    from ovnmesh.cli import output

    output.error(exc)
    sys.exit(code)
