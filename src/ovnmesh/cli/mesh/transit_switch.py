"""`ovnmesh transit-switch`: transit switches listed, added and removed without losing a packet."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm, SitesFile
from ovnmesh.cli.output import Output

if TYPE_CHECKING:
    from ovnmesh.operate.transit_switch import Occupied
    from ovnmesh.views.switch_members import SwitchMember

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show, add and remove the mesh's transit switches, without losing a packet.",
    epilog="Example: ovnmesh transit-switch add ts1",
)

SwitchName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the transit switch.")]
Timeout = Annotated[float, typer.Option(help="Wait for the sites for this many seconds at most.")]


@app.command("list", epilog="Example: ovnmesh transit-switch list -o json")
def list_(form: OutputForm = Output.TABLE, sites_file: SitesFile = None) -> None:
    """Show each transit switch: its subnet, the sites on it, and the state of each there.

    A site is connecting (no port yet), warming (its port carries nothing yet), in service, or
    draining.
    """
    from ovnmesh.access.mesh import open_mesh
    from ovnmesh.operate.transit_switch import list_switches

    with open_mesh(sites_file) as mesh:
        found = list_switches(mesh)
    if form is Output.JSON:
        output.emit_json({"transit_switches": [_to_json(each) for each in found]})
        return
    output.table(
        "Transit switches",
        ("SWITCH", "SUBNET", "AZ", "STATE", "ADDRESS", "GATEWAY"),
        (
            (
                each.switch.name,
                ",".join(each.switch.written_subnets) or "-",
                member.title,
                member.state,
                member.address or "-",
                member.gateway or "-",
            )
            for each in found
            for member in each.sites or (_nobody(each),)
        ),
    )


def _nobody(empty: "Occupied") -> "SwitchMember":
    from ovnmesh.views.switch_members import SwitchMember

    return SwitchMember("-", "draining" if empty.switch.draining else "unused")


def _to_json(each: "Occupied") -> dict[str, object]:
    return {
        "name": each.switch.name,
        "subnets": list(each.switch.written_subnets),
        "draining": each.switch.draining,
        "sites": [asdict(member) for member in each.sites],
    }


@app.command(epilog="Example: ovnmesh transit-switch add ts1 --cidr 169.254.101.0/24")
def add(
    name: SwitchName,
    cidr: Annotated[
        str | None,
        typer.Option(
            metavar="CIDR[,CIDR]",
            help="Subnet of the switch, one of each family at most; by default the next free one.",
        ),
    ] = None,
    timeout: Timeout = 60.0,
    sites_file: SitesFile = None,
) -> None:
    """Add a transit switch, and wait until every site uses it. No packet is lost.

    If it is interrupted, run it again: it goes on waiting. A switch that is being removed is put
    back into service.
    """
    from ovnmesh.access.mesh import open_mesh
    from ovnmesh.operate.transit_switch import add_switch

    with open_mesh(sites_file) as mesh, output.progress(f"transit-switch add {name}") as step:
        done = add_switch(mesh, name, cidr, timeout, step)
    where = f" ({','.join(done.written_subnets)})" if done else ""
    output.stderr().print(f"transit switch {name}{where} is in service at every site")


@app.command(epilog="Example: ovnmesh transit-switch remove ts1")
def remove(
    name: SwitchName,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Remove it even if sites do not answer within --timeout, or have no other switch.",
        ),
    ] = False,
    timeout: Timeout = 60.0,
    sites_file: SitesFile = None,
) -> None:
    """Take a transit switch out of service at every site, then remove it. No packet is lost.

    The command refuses if a site has no other switch in service. If it is interrupted, run it
    again, or put the switch back into service with `transit-switch add`.
    """
    from ovnmesh.access.mesh import open_mesh
    from ovnmesh.operate.transit_switch import remove_switch

    with open_mesh(sites_file) as mesh, output.progress(f"transit-switch remove {name}") as step:
        removal = remove_switch(mesh, name, force, timeout, step)
    if not removal.existed:
        output.stderr().print(f"there is no transit switch {name}; nothing to do")
        return
    if removal.unheard:
        output.stderr().print(f"{removal.unheard}. The switch was removed all the same")
    output.stderr().print(
        f"transit switch {name} is removed; if ovnmesh ic-db was told to make it, lower --ts-count"
    )
