"""``ovnmesh lab fault``: things broken on purpose, and mended.

Called by `commands`, which adds it to the others. Reads arguments, calls `ovnmesh.lab`, prints.
"""

from enum import StrEnum
from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.lab.arguments import DIRECTORY, Directory
from ovnmesh.lab.runner import LabRunner

fault_app = typer.Typer(
    no_args_is_help=True,
    help="Break something on purpose. --heal mends it.",
    epilog="Example: ovnmesh lab fault link az1/az1-gw --heal",
)

Heal = Annotated[bool, typer.Option("--heal", help="Mend instead of breaking.")]


class IcDb(StrEnum):
    """An interconnection database."""

    NB = "nb"
    SB = "sb"


@fault_app.command("link", epilog="Example: ovnmesh lab fault link az1/az1-gw")
def fault_link(
    node: Annotated[
        str,
        typer.Argument(
            metavar="SITE/NODE",
            help="Node of a site, or of the interconnection databases: ic1.",
        ),
    ],
    heal: Heal = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Pull the underlay cable of a node."""
    LabRunner.load(directory).fault_link(node, heal=heal)


@fault_app.command("kill", epilog="Example: ovnmesh lab fault kill az1/az1-gw ovs-vswitchd")
def fault_kill(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SITE/NODE",
            help="Where: SITE/NODE, SITE (its control node), ic (all), or ic1, ...",
        ),
    ],
    daemon: Annotated[
        str,
        typer.Argument(
            help="Daemon of a node: ovs-vswitchd, ovsdb-server, ovn-controller, agent. Of a site: "
            "nb, sb, ovn-northd, controller, ovn-ic; with --kubernetes also etcd, kube-apiserver, "
            "forward; with --openstack also mariadb, neutron, keystone, forward. Of ic: ic-db."
        ),
    ],
    heal: Heal = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Kill a daemon with SIGKILL. --heal starts it again."""
    LabRunner.load(directory).fault_kill(target, daemon, heal=heal)


@fault_app.command("ic", epilog="Example: ovnmesh lab fault ic az1")
def fault_ic(
    site: Annotated[str, typer.Argument(metavar="SITE|all", help="Name of the site, or all.")],
    heal: Heal = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Cut a site, or all, off the interconnection databases. Traffic between nodes goes on."""
    LabRunner.load(directory).fault_ic(site, heal=heal)


@fault_app.command("ic-leader", epilog="Example: ovnmesh lab fault ic-leader --db nb")
def fault_ic_leader(
    db: Annotated[IcDb, typer.Option("--db", help="Database whose leader is killed.")] = IcDb.SB,
    heal: Heal = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Kill the node that leads an interconnection database. --heal starts all that are down."""
    killed = LabRunner.load(directory).fault_ic_leader(db.value, heal=heal)
    if killed:
        output.stdout().print(f"killed {killed}")


@fault_app.command("path", epilog="Example: ovnmesh lab fault path az1/az1-gw az2/az2-gw")
def fault_path(
    one: Annotated[
        str, typer.Argument(metavar="PLACE", help="One end: SITE/NODE, SITE/control or SITE.")
    ],
    other: Annotated[
        str, typer.Argument(metavar="PLACE", help="Other end: the same, or ic, ic1, ...")
    ],
    heal: Heal = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Drop all packets between two places, both ways and silently. Links stay up."""
    LabRunner.load(directory).fault_path(one, other, heal=heal)
