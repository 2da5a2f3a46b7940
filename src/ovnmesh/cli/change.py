"""`ovnmesh leave` and `ovnmesh route`: the commands that change a site.

Called by `cli.main`. Plans come from `plan`; this shows and applies them.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.checks.overview import overview
from ovnmesh.cli import output
from ovnmesh.cli.mesh import open_mesh
from ovnmesh.cli.session import Session
from ovnmesh.cli.sites import SiteAccess, pick_sites
from ovnmesh.cli.status import SiteName, SitesFile
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.prefixes import Prefix, try_parse_prefix
from ovnmesh.plan.leave import joined, plan_forget, plan_leave
from ovnmesh.plan.manual import plan_route_add, plan_route_delete

route_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help='Manual routes, for sites whose auto-route is "false".',
)

#: Seconds given to a running controller to leave, and to agents to unmark their nodes.
CONTROLLER_S = 10.0
AGENTS_S = 5.0
_ENABLE = re.compile(r"""^(\s*enable-ic\s*:\s*)(["']?)true\2(\s*(?:\#.*)?)$""", re.MULTILINE)


def leave(
    site: SiteName,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Leave although the interconnection databases cannot be reached."
        ),
    ] = False,
    sites_file: SitesFile = None,
) -> None:
    """Take a site out of the mesh and put its databases back as they were before it joined.

    Where the site is configured by a folder of manifests, sets enable-ic to "false" there and lets
    the running controller do it; without a controller, does it itself. Traffic inside the site, and
    between the other sites, is not touched.

    Example: ovnmesh leave az1
    """
    (access,) = pick_sites([site], sites_file)
    with output.progress(f"leave {site}") as step:
        if access.config is not None and _disable(access.config):
            step('enable-ic set to "false"')
        clean = _leave(access, force, step)
    if clean:
        output.stderr().print(f"{site} has left; its databases are as before it joined")
    else:
        output.stderr().print(
            f"{site} has left without the interconnection databases: other sites still send to it. "
            "When they answer again, run on any site: ovnmesh forget AZ"
        )


def _leave(access: SiteAccess, force: bool, step: Callable[[str], None]) -> bool:
    """Leave; says whether the interconnection databases were cleaned too."""
    deadline = time.monotonic() + (CONTROLLER_S if access.config is not None else 0.0)
    with Session(access) as session:
        while joined(session.observe()) and time.monotonic() < deadline:
            step("waiting for the controller")
            time.sleep(0.1)
        if not joined(session.observe()):
            return True
        if session.has_controller():
            seen = overview(session.observe())
            if seen.state == "error":
                said = "; ".join(finding.message for finding in seen.findings)
                raise OvnmeshError(f"site {access.name}: its controller cannot leave: {said}")
            raise ConfigError(
                [
                    Problem(
                        f"site {access.name}",
                        "a running controller whose configuration does not say so",
                        'enable-ic: "false" in its ovn-ic-config; the controller then leaves',
                    )
                ]
            )
        if not session.has_ic and not force:
            raise ConfigError(
                [
                    Problem(
                        f"site {access.name}",
                        f"interconnection databases that do not answer ({session.ic_error})",
                        "them to answer, so that other sites withdraw their routes; or --force",
                    )
                ]
            )
        started = time.monotonic()
        while True:
            plan = plan_leave(session.observe(), time.monotonic() - started > AGENTS_S)
            if not plan.batches and not plan.findings:
                return session.has_ic
            for batch in plan.batches:
                step(batch.why)
                session.apply(batch)
            time.sleep(0.1)


def _disable(folder: Path) -> bool:
    """Set enable-ic to "false" in the folder's ovn-ic-config, keeping everything else.

    Returns:
        Whether a file was changed.
    """
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        text = path.read_text(encoding="utf-8")
        if "ovn-ic-config" not in text or not _ENABLE.search(text):
            continue
        changed = _ENABLE.sub(r'\1"false"\3', text)
        with tempfile.NamedTemporaryFile(
            "w", dir=folder, prefix=".", delete=False, encoding="utf-8"
        ) as new:
            new.write(changed)
        os.chmod(new.name, path.stat().st_mode & 0o777)
        os.replace(new.name, path)
        return True
    return False


def forget(
    az: Annotated[str, typer.Argument(metavar="AZ", help="AZ name of the site that is gone.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    sites_file: SitesFile = None,
) -> None:
    """Remove what a site that is gone for good has left in the interconnection databases.

    Other sites then withdraw its routes, and its name is free. A site that still runs comes back.

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


Prefix_ = Annotated[str, typer.Argument(metavar="PREFIX", help="e.g. 10.17.0.0/24")]
Via = Annotated[str, typer.Option(help="AZ name of the site that has the prefix.")]


@route_app.command("add", epilog="Example: ovnmesh route add az1 10.17.0.0/24 --via az2")
def route_add(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Add a static route to a remote prefix; the next hop is looked up by AZ."""
    _route(site, prefix, via, sites_file, add=True)


@route_app.command("del", epilog="Example: ovnmesh route del az1 10.17.0.0/24 --via az2")
def route_del(site: SiteName, prefix: Prefix_, via: Via, sites_file: SitesFile = None) -> None:
    """Remove a static route that was added by hand or by `route add`."""
    _route(site, prefix, via, sites_file, add=False)


def _route(site: str, text: str, via: str, sites_file: Path | None, *, add: bool) -> None:
    prefix = _parse(text)
    (access,) = pick_sites([site], sites_file)
    with Session(access) as session:
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
