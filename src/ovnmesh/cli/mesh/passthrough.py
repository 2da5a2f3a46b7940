"""`ovnmesh nbctl`, `sbctl`, `icnbctl`, `icsbctl`: OVN's own tools on a site's databases.

Finds the database, then becomes the tool. Must not read or change one of the
tool's arguments.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from ovnmesh.access.sites import SiteAddress, pick_sites
from ovnmesh.cli.arguments import SiteName, SitesFile
from ovnmesh.cli.handover import hand_over
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.host.programs import program
from ovnmesh.model.remote import Remote

#: The Debian package that holds all four tools.
PACKAGE = "ovn-common"

Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ARGS", help="Arguments of the tool; they are handed on as they are."),
]


def _ic_remotes(address: SiteAddress) -> tuple[Remote, Remote]:
    from ovnmesh.access.interconnect import read_interconnect_of

    remotes = read_interconnect_of(address)
    if not all(remotes):
        expected = (
            "ic_nb and ic_sb in the sites file, or OVN_IC_NB_DB and OVN_IC_SB_DB, or a site that "
            "has joined"
        )
        where = f"site {address.name}, interconnection databases"
        raise ConfigError([Problem(where, "none named", expected)])
    return remotes


def command_line(tool: str, remote: Remote, args: Sequence[str]) -> list[str]:
    """One of OVN's tools on a database, which it prefers to a daemon named by OVN_NB_DAEMON.

    Raises:
        ConfigError: the database is to be shown an identity.
    """
    return [program(tool), f"--db={','.join(remote.methods_in_clear())}", *args]


def _command(
    tool: str, database: str, remote: Callable[[SiteAddress], Remote], example: str
) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(
        # From SITE on, nothing is ours: options, `--` and what only looks like one.
        context_settings={"allow_interspersed_args": False},
        help=f"Run {tool} on a site's {database} database.\n\n"
        "Options of ovnmesh go before SITE; what follows SITE is the tool's.",
        epilog=f"Example: {example}",
    )
    def run(site: SiteName, args: Arguments = None, sites_file: SitesFile = None) -> None:
        (address,) = pick_sites([site], sites_file)
        hand_over(command_line(tool, remote(address), args or ()), f"apt-get install {PACKAGE}")

    return app


nbctl = _command(
    "ovn-nbctl",
    "northbound",
    lambda address: address.nb,
    "ovnmesh nbctl az1 --format=json list NB_Global",
)
sbctl = _command(
    "ovn-sbctl", "southbound", lambda address: address.sb, "ovnmesh sbctl az1 list Chassis"
)
icnbctl = _command(
    "ovn-ic-nbctl",
    "interconnection northbound",
    lambda address: _ic_remotes(address)[0],
    "ovnmesh icnbctl az1 ts-list",
)
icsbctl = _command(
    "ovn-ic-sbctl",
    "interconnection southbound",
    lambda address: _ic_remotes(address)[1],
    "ovnmesh icsbctl az1 show",
)
