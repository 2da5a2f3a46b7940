"""``ovnmesh lab snat`` and ``ovnmesh lab eip``: translation to a lab's outside world.

Called by `lab`, which adds both to its commands. Reads arguments, calls `ovnmesh.lab.nat`, prints.
"""

from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.lab.arguments import DIRECTORY, Directory, SiteName
from ovnmesh.lab import nat
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.topology import OVN_DEFAULT, Pod, Site, Subnet

snat_app = typer.Typer(
    no_args_is_help=True,
    help="Translate what a Subnet sends to the outside.",
    epilog="Example: ovnmesh lab snat add az1",
)
eip_app = typer.Typer(
    no_args_is_help=True,
    help="Give pods an address in the external network.",
    epilog="Example: ovnmesh lab eip add az1/pod1",
)

SubnetName = Annotated[str, typer.Option("--subnet", help="Name of the Subnet.")]
PodName = Annotated[str, typer.Argument(metavar="SITE/POD", help="The pod, for example az1/pod1.")]


@snat_app.command("add", epilog="Example: ovnmesh lab snat add az1")
def snat_add(
    site: SiteName, subnet: SubnetName = OVN_DEFAULT, directory: Directory = DIRECTORY
) -> None:
    """Give a Subnet's pods a common address in the external network."""
    addresses = nat.add_snat(*_find_subnet(site, subnet, directory))
    output.stdout().print(f"{site} {subnet} {' '.join(str(a.ip) for a in addresses)}")


@snat_app.command("delete", epilog="Example: ovnmesh lab snat delete az1")
def snat_delete(
    site: SiteName, subnet: SubnetName = OVN_DEFAULT, directory: Directory = DIRECTORY
) -> None:
    """Stop translating what a Subnet's pods send."""
    nat.delete_snat(*_find_subnet(site, subnet, directory))


def _find_subnet(site: str, name: str, directory: Path) -> tuple[Site, Subnet]:
    runner = LabRunner.load(directory)
    return runner.lab.site(site), runner.state.subnet(runner.lab, site, name)


@eip_app.command("add", epilog="Example: ovnmesh lab eip add az1/pod1")
def eip_add(
    pod: PodName,
    distributed: Annotated[
        bool,
        typer.Option("--distributed", help="Translate on the pod's own node, not on the gateway."),
    ] = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Give a pod an address of its own in the external network, for both directions."""
    addresses = nat.add_eip(*_find_pod(pod, directory), distributed=distributed)
    output.stdout().print(f"{pod} {' '.join(str(a.ip) for a in addresses)}")


@eip_app.command("delete", epilog="Example: ovnmesh lab eip delete az1/pod1")
def eip_delete(pod: PodName, directory: Directory = DIRECTORY) -> None:
    """Take a pod's EIP away."""
    nat.delete_eip(*_find_pod(pod, directory))


def _find_pod(target: str, directory: Path) -> tuple[Site, Pod]:
    site, _, name = target.partition("/")
    at = LabRunner.load(directory).lab.site(site)
    return at, at.pod(name)
