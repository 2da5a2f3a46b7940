"""`ovnmesh openstack`: the documents' eight steps as one command, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.access.sites import NB_SOCKET, SB_SOCKET
from ovnmesh.cli import output
from ovnmesh.cli.arguments import LeaveAnyway, OutputForm
from ovnmesh.cli.output import Output
from ovnmesh.model.remote import parse_remote
from ovnmesh.providers.openstack.site_spec import SITE_FILE

if TYPE_CHECKING:
    from ovnmesh.operate.openstack.changes import Changes

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Join the mesh with routers of an OpenStack cloud, and leave it.",
    epilog="Example: ovnmesh openstack join --dry-run",
)

SiteFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The site file of the cloud.")
]
Nb = Annotated[str, typer.Option(envvar="OVN_NB_DB", help="Northbound database of Neutron.")]
Sb = Annotated[str, typer.Option(envvar="OVN_SB_DB", help="Southbound database of Neutron.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show every change that would be made, but make none.")
]


@app.command(
    epilog="Example: ovnmesh openstack join --cloud mycloud --router router0 "
    "--az-name os1 --ic-db-host 192.168.65.3 --allow-from-mesh"
)
def join(
    file: SiteFileArgument = Path(SITE_FILE),
    cloud: Annotated[
        str, typer.Option(help="Write the file: name of the entry in clouds.yaml.")
    ] = "",
    router: Annotated[
        list[str] | None,
        typer.Option(help="Write the file: name or id of a router; may be repeated."),
    ] = None,
    az_name: Annotated[
        str, typer.Option(help="Write the file: name of the availability zone.")
    ] = "",
    ic_db_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Write the file: address of the interconnection databases; may be repeated."
        ),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            help="Write the file: host name of a gateway node; may be repeated, the preferred one "
            "first. By default every chassis with enable-chassis-as-gw."
        ),
    ] = None,
    create_router: Annotated[
        bool, typer.Option("--create-router", help="Create the routers that do not exist.")
    ] = False,
    allow_from_mesh: Annotated[
        bool,
        typer.Option(
            "--allow-from-mesh",
            help="Add security-group rules for the prefixes that other sites advertise. Run it "
            "again to bring the rules up to date.",
        ),
    ] = False,
    dry_run: DryRun = False,
    timeout: Annotated[
        float, typer.Option(help="Wait for the controller for this many seconds at most.")
    ] = 60.0,
    nb: Nb = NB_SOCKET,
    sb: Sb = SB_SOCKET,
    form: OutputForm = Output.TABLE,
) -> None:
    """Connect routers of an OpenStack cloud to the mesh, as a site file says.

    The command checks the file, asks Neutron for the routers, sets enable-ic to true, and waits
    until the running controller has joined. With --cloud, --router, --az-name and --ic-db-host it
    writes the file first.

    The exit status is 1 if the site has not joined.
    """
    from ovnmesh.operate.openstack.join import JoinWish, site_file_text
    from ovnmesh.operate.openstack.join import join as join_site

    flags = {
        "cloud": cloud,
        "routers": router,
        "az-name": az_name,
        "ic-db-host": ic_db_host,
        "gw-nodes": gateway,
    }
    text = site_file_text(file, {key: value for key, value in flags.items() if value})
    remotes = parse_remote(nb), parse_remote(sb)
    wish = JoinWish(*remotes, create_router, allow_from_mesh, dry_run, timeout)
    with output.progress("join") as step:
        joined = join_site(file, text, wish, step)
    _show(joined.changes, form, dry_run)
    if not dry_run:
        output.stderr().print(f"{joined.az_name} has joined; see: ovnmesh status")


@app.command(epilog="Example: ovnmesh openstack leave /etc/ovnmesh/openstack.yaml")
def leave(
    file: SiteFileArgument = Path(SITE_FILE),
    force: LeaveAnyway = False,
    dry_run: DryRun = False,
    nb: Nb = NB_SOCKET,
    sb: Sb = SB_SOCKET,
    form: OutputForm = Output.TABLE,
) -> None:
    """Take an OpenStack site out of the mesh, and remove everything that join has made.

    The command sets enable-ic to false, and the running controller leaves. If no controller runs,
    the command leaves by itself. Then it removes the security-group rules and the routers that join
    has made. A router with anything attached to it stays.
    """
    from ovnmesh.operate.openstack.leave import LeaveWish
    from ovnmesh.operate.openstack.leave import leave as leave_site

    with output.progress("leave") as step:
        wish = LeaveWish(parse_remote(nb), parse_remote(sb), force, dry_run)
        done = leave_site(file, wish, step)
    _show(done.changes, form, dry_run)
    for said in done.kept:
        output.stderr().print(said)
    if done.left is not None:
        output.stderr().print(str(done.left))


def _show(changes: "Changes", form: Output, dry_run: bool) -> None:
    if form is Output.JSON:
        output.emit_json(changes.to_json(dry_run))
        return
    title = "Changes (none made)" if dry_run else "Changes"
    lines = changes.lines()
    if not lines:
        output.stderr().print("nothing to change in Neutron and in the file")
    else:
        output.table(title, ("WHERE", "WHAT"), lines)
    for finding in changes.findings:
        output.stderr().print(f"{finding.severity}: {finding.code}: {finding.message}")
