"""`ovnmesh leave` and `ovnmesh route`: the commands that change a site.

Called by `cli.main`. Plans come from `plan`; this shows and applies them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.access.mesh import open_mesh
from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress, pick_sites
from ovnmesh.cli import output
from ovnmesh.cli.arguments import LeaveAnyway, SiteName, SitesFile, Yes
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.prefixes import Prefix, try_parse_prefix
from ovnmesh.model.report import SiteState
from ovnmesh.operate.config_files import disable_manifest, replace_file, set_enabled
from ovnmesh.plan.ask.manual_route import plan_route_add, plan_route_delete
from ovnmesh.plan.leave import UNMARKED, joined, plan_forget, plan_leave
from ovnmesh.views.site import overview

route_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Add and remove manual routes to other sites.",
    epilog="Example: ovnmesh route add az1 10.17.0.0/24 --via az2",
)

#: Seconds given to a running controller to leave.
CONTROLLER_S = 10.0


def leave(
    site: SiteName,
    force: LeaveAnyway = False,
    sites_file: SitesFile = None,
) -> None:
    """Take a site out of the mesh, and put its databases back as they were before it joined.

    If the sites file names the site's folder of manifests or its site file, the command sets
    enable-ic to false there, and the running controller leaves. If no controller runs, the command
    leaves by itself. Traffic inside the site, and between the other sites, is not touched.

    Example: ovnmesh leave az1
    """
    (address,) = pick_sites([site], sites_file)
    with output.progress(f"leave {site}") as step:
        if (source := address.config or address.openstack) is not None and _disable(source):
            step("enable-ic set to false")
        clean = leave_site(address, force, step)
    tell_left(site, clean)


def tell_left(site: str, clean: bool) -> None:
    """Say that a site has left, and what is still to be done if its mesh was not cleaned."""
    if clean:
        output.stderr().print(f"{site} has left; its databases are as before it joined")
    else:
        output.stderr().print(
            f"{site} has left without the interconnection databases: other sites still send to it. "
            "When they answer again, run on any site: ovnmesh forget AZ"
        )


def leave_site(address: SiteAddress, force: bool, step: Callable[[str], None]) -> bool:
    """Wait for the controller to leave, or do it where there is none.

    Args:
        address: the site, whose configuration says to leave if it is known where that is.
        force: leave although the interconnection databases cannot be reached.
        step: told what is being done.

    Returns:
        Whether the interconnection databases were cleaned too.

    Raises:
        OvnmeshError: the site cannot leave.
    """
    told = address.config is not None or address.openstack is not None
    deadline = time.monotonic() + (CONTROLLER_S if told else 0.0)
    with Session(address) as session:
        while joined(session.northbound()) and time.monotonic() < deadline:
            step("waiting for the controller")
            time.sleep(0.1)
        if not joined(session.northbound()):
            return True
        if session.has_controller():
            seen = overview(session.observe())
            if seen.state is SiteState.ERROR:
                said = "; ".join(finding.message for finding in seen.findings)
                raise OvnmeshError(f"site {address.name}: its controller cannot leave: {said}")
            raise ConfigError(
                [
                    Problem(
                        f"site {address.name}",
                        "a running controller whose configuration does not say so",
                        "enable-ic: false in it; the controller then leaves",
                    )
                ]
            )
        if not session.has_ic and not force:
            raise ConfigError(
                [
                    Problem(
                        f"site {address.name}",
                        f"interconnection databases that do not answer ({session.ic_error})",
                        "them to answer, so that other sites withdraw their routes; or --force",
                    )
                ]
            )
        started = time.monotonic()
        while True:
            plan = plan_leave(session.observe(), {UNMARKED: time.monotonic() - started})
            if not plan.batches and not plan.findings:
                return session.has_ic
            for batch in plan.batches:
                step(batch.why)
                session.apply(batch)
            time.sleep(0.1)


def _disable(path: Path) -> bool:
    """Set enable-ic to false in a site file, or in the folder's ovn-ic-config.

    Returns:
        Whether a file was changed.
    """
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        changed = set_enabled(text, wanted=False)
        if changed != text:
            replace_file(path, changed)
        return changed != text
    for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]):
        text = file.read_text(encoding="utf-8")
        changed = disable_manifest(text)
        if "ovn-ic-config" in text and changed != text:
            replace_file(file, changed)
            return True
    return False


def forget(
    az: Annotated[
        str, typer.Argument(metavar="AZ", help="AZ name of the site that is gone for good.")
    ],
    yes: Yes = False,
    sites_file: SitesFile = None,
) -> None:
    """Remove what a site that is gone for good has left in the interconnection databases.

    The other sites then withdraw its routes, and its name is free. First make sure that no ovn-ic
    of that site runs: it would write its rows again.

    Example: ovnmesh forget az3
    """
    with open_mesh(sites_file) as mesh:
        batches = plan_forget(az, mesh.read())
        if not batches:
            output.stderr().print(f"nothing is left of {az}; nothing to do")
            return
        rows = sum(len(batch.operations) for batch in batches)
        if not yes:
            typer.confirm(f"Remove {rows} rows and claims of {az}?", abort=True, err=True)
        for batch in batches:
            mesh.apply(batch)
    output.stderr().print(f"{az} is forgotten")


Prefix_ = Annotated[
    str, typer.Argument(metavar="PREFIX", help="Remote prefix, for example 10.17.0.0/24.")
]
Via = Annotated[str, typer.Option(help="AZ name of the site that has the prefix.")]


@route_app.command("add", epilog="Example: ovnmesh route add az1 10.17.0.0/24 --via az2")
def route_add(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Add a static route to a prefix of another site, over each transit switch.

    The next hop is that site's address on the switch. Add a route back in the other site too. Use
    this where auto-route is "false"; with auto-route "true" the manual route replaces the learned
    one.
    """
    _route(site, prefix, via, sites_file, add=True)


@route_app.command("del", epilog="Example: ovnmesh route del az1 10.17.0.0/24 --via az2")
def route_del(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Remove a manual route, whether `route add` or a hand has added it."""
    _route(site, prefix, via, sites_file, add=False)


def _route(site: str, text: str, via: str, sites_file: Path | None, *, add: bool) -> None:
    prefix = _parse(text)
    (address,) = pick_sites([site], sites_file)
    with Session(address) as session:
        observed = session.observe()
        if not overview(observed).az:
            raise OvnmeshError(f'site {site} is not connected; expected enable-ic: "true" first')
        planner = plan_route_add if add else plan_route_delete
        batch = planner(observed, prefix, via)
        if batch is None:
            what = "is there already" if add else "does not exist"
            output.stderr().print(f"route {prefix} via {via} {what}; nothing to do")
            return
        session.apply(batch)
    output.stderr().print(f"{batch.why}: {prefix} via {via}")


def _parse(text: str) -> Prefix:
    prefix = try_parse_prefix(text)
    if prefix is None:
        raise ConfigError([Problem("PREFIX", f'"{text}"', "an IP prefix such as 10.17.0.0/24")])
    return prefix
