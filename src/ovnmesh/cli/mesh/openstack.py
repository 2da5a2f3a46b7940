"""`ovnmesh openstack`: the documents' eight steps as one command, and the way back.

Called by `cli.main`. What is to be done comes from `providers.openstack`, `plan.site` and
`providers.openstack.security_rules`; the running controller does what concerns OVN, this does the
rest.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.cli import output
from ovnmesh.cli.arguments import LeaveAnyway, OutputForm
from ovnmesh.cli.output import Output
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.report import SiteState
from ovnmesh.operate.config_files import replace_file, set_enabled
from ovnmesh.operate.leave import Left, leave_databases
from ovnmesh.providers.openstack.site_spec import SITE_FILE
from ovnmesh.views.site import overview

if TYPE_CHECKING:
    from ovnmesh.operate.openstack import Changes, Joining

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
DEFAULT_NB = "unix:/var/run/ovn/ovnnb_db.sock"
DEFAULT_SB = "unix:/var/run/ovn/ovnsb_db.sock"
#: Seconds between two looks at the site.
POLL_S = 0.2
START = (
    "start one on the host of Neutron's OVN databases: systemctl enable --now ovnmesh-controller"
)


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
    nb: Nb = DEFAULT_NB,
    sb: Sb = DEFAULT_SB,
    form: OutputForm = Output.TABLE,
) -> None:
    """Connect routers of an OpenStack cloud to the mesh, as a site file says.

    The command checks the file, asks Neutron for the routers, sets enable-ic to true, and waits
    until the running controller has joined. With --cloud, --router, --az-name and --ic-db-host it
    writes the file first.

    The exit status is 1 if the site has not joined.
    """
    from ovnmesh.operate.openstack import Joining, apply_changes

    flags = {
        "cloud": cloud,
        "routers": router,
        "az-name": az_name,
        "ic-db-host": ic_db_host,
        "gw-nodes": gateway,
    }
    joining = Joining(file, _content(file, {k: v for k, v in flags.items() if v}))
    with output.progress("join") as step:
        try:
            joining.ask(create_router, step)
            with Session(joining.address(nb, sb)) as session:
                changes = joining.plan(session, allow_from_mesh, dry_run, step)
                if not dry_run:
                    apply_changes(joining.api, changes, step)
                    if create_router:
                        joining.ask(False, step)
                    replace_if_new(file, joining.text)
                    _await_joined(session, joining, file, timeout, step)
        finally:
            joining.close()
    _show(changes, form, dry_run)
    if not dry_run:
        output.stderr().print(f"{joining.az_name} has joined; see: ovnmesh status")


@app.command(epilog="Example: ovnmesh openstack leave /etc/ovnmesh/openstack.yaml")
def leave(
    file: SiteFileArgument = Path(SITE_FILE),
    force: LeaveAnyway = False,
    dry_run: DryRun = False,
    nb: Nb = DEFAULT_NB,
    sb: Sb = DEFAULT_SB,
    form: OutputForm = Output.TABLE,
) -> None:
    """Take an OpenStack site out of the mesh, and remove everything that join has made.

    The command sets enable-ic to false, and the running controller leaves. If no controller runs,
    the command leaves by itself. Then it removes the security-group rules and the routers that join
    has made. A router with anything attached to it stays.
    """
    from ovnmesh.operate.openstack import Leaving, apply_changes

    leaving = Leaving(file)
    left, kept = Left(leaving.az_name, True), list[str]()
    with output.progress("leave") as step:
        address = SiteAddress(leaving.az_name, nb, sb, openstack=file)
        try:
            with Session(address) as session:
                changes = leaving.plan(session, dry_run)
            if not dry_run:
                replace_if_new(file, leaving.text)
                left = leave_databases(address, force, step)
            # Neutron comes last: that it does not answer must not keep a site in the mesh.
            changes = replace(changes, api=leaving.ask(step))
            if not dry_run:
                kept = apply_changes(leaving.api, changes, step)
        finally:
            leaving.close()
    _show(changes, form, dry_run)
    for said in kept:
        output.stderr().print(said)
    if not dry_run:
        output.stderr().print(str(left))


def replace_if_new(path: Path, text: str) -> None:
    """Write a file unless it says that already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        replace_file(path, text)


def _content(file: Path, flags: dict[str, str | list[str]]) -> str:
    """The site file's text, with enable-ic true; made of flags if there are any.

    Raises:
        ConfigError: flags and a file, or neither.
    """
    import yaml

    exists = file.is_file()
    if not flags:
        if not exists:
            expected = "a site file; or --cloud, --router, --az-name and --ic-db-host to write one"
            raise ConfigError([Problem(str(file), "no such file", expected)])
        return set_enabled(file.read_text(encoding="utf-8"), wanted=True)
    flags.setdefault("gw-nodes", "enable-chassis-as-gw")
    text = "# Written by `ovnmesh openstack join`; see docs/openstack.md.\n" + yaml.safe_dump(
        {"enable-ic": True, **flags}, sort_keys=False
    )
    if exists and set_enabled(file.read_text(encoding="utf-8"), wanted=True) != text:
        expected = "no flags that write it, or the name of another file"
        raise ConfigError([Problem(str(file), "a file with other content", expected)])
    return text


def _await_joined(
    session: Session, joining: "Joining", file: Path, timeout_s: float, step: Callable[[str], None]
) -> None:
    """Wait until the controller has done what the file says.

    Raises:
        OvnmeshError: there is no controller, or it does not.
    """
    if not session.has_controller():
        raise OvnmeshError(f"{file} is ready, but no controller runs for this site; {START}")
    deadline = time.monotonic() + timeout_s
    wish = joining.desired()
    while True:
        observed = session.observe(wish.routers)
        seen = overview(observed)
        record = observed.nb.record
        # What is denied, and which subnets there are, may have changed since.
        taken = record is not None and wish == replace(record, denied=wish.denied, local=wish.local)
        if taken and seen.state is SiteState.JOINED:
            return
        step(f"waiting for the controller ({seen.state if taken else 'reading the file'})")
        if time.monotonic() > deadline:
            said = "; ".join(finding.message for finding in seen.findings) or (
                f"state {seen.state}; expected `ovnmesh controller --openstack {file}`"
            )
            raise OvnmeshError(f"the controller has not joined within {timeout_s:g} s: {said}")
        time.sleep(POLL_S)


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
