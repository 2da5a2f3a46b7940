"""A site leaves the mesh: its controller does it, or this where no controller runs.

Plans come from `plan.leave`. Tells a callback what it does; must not print.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import ConfigError, OvnmeshError, Problem
from ovnmesh.model.report import SiteState
from ovnmesh.operate.config_files import disable_manifest, replace_file, set_enabled
from ovnmesh.operate.waiting import LOOK_AGAIN_S, Step, wait_until_done
from ovnmesh.plan.leave import UNMARKED, joined, plan_leave
from ovnmesh.views.site_overview import site_overview

#: Seconds given to a running controller to leave.
CONTROLLER_S = 10.0


@dataclass(frozen=True, slots=True)
class Left:
    """A site that has left.

    Attributes:
        site: its name.
        clean: whether the interconnection databases were cleaned too.
    """

    site: str
    clean: bool

    def __str__(self) -> str:
        if self.clean:
            return f"{self.site} has left; its databases are as before it joined"
        return (
            f"{self.site} has left without the interconnection databases: other sites still send "
            "to it. When they answer again, run on any site: ovnmesh forget AZ"
        )


def leave(address: SiteAddress, force: bool, step: Step) -> Left:
    """Have the site's configuration say that it leaves, if it is known where that is, and leave.

    Args:
        address: the site.
        force: leave although the interconnection databases cannot be reached.
        step: told what is being done.

    Raises:
        OvnmeshError: the site cannot leave.
    """
    source = address.config or address.openstack
    if source is not None and disable(source):
        step("enable-ic set to false")
    return leave_databases(address, force, step)


def leave_databases(address: SiteAddress, force: bool, step: Step) -> Left:
    """Wait for the controller to leave, or do it where there is none.

    Args:
        address: the site, whose configuration says to leave if it is known where that is.
        force: leave although the interconnection databases cannot be reached.
        step: told what is being done.

    Raises:
        OvnmeshError: the site cannot leave.
    """
    told = address.config is not None or address.openstack is not None
    with Session(address) as session:

        def pending() -> str:
            return "the controller" if joined(session.northbound()) else ""

        if not wait_until_done(pending, CONTROLLER_S if told else 0.0, step):
            return Left(address.name, True)
        if session.has_controller():
            raise _controller_stays(session)
        if not session.has_ic and not force:
            where = f"site {address.name}"
            found = f"interconnection databases that do not answer ({session.ic_error})"
            expected = "them to answer, so that other sites withdraw their routes; or --force"
            raise ConfigError([Problem(where, found, expected)])
        _clean(session, step)
        return Left(address.name, session.has_ic)


def _controller_stays(session: Session) -> OvnmeshError:
    """Why a running controller has not left."""
    name = session.address.name
    seen = site_overview(session.observe())
    if seen.state is SiteState.ERROR:
        said = "; ".join(finding.message for finding in seen.findings)
        return OvnmeshError(f"site {name}: its controller cannot leave: {said}")
    found = "a running controller that does not leave"
    expected = "enable-ic: false in its configuration; then it leaves"
    return ConfigError([Problem(f"site {name}", found, expected)])


def _clean(session: Session, step: Step) -> None:
    started = time.monotonic()
    while True:
        plan = plan_leave(session.observe(), {UNMARKED: time.monotonic() - started})
        if not plan.batches and not plan.findings:
            return
        for batch in plan.batches:
            step(batch.why)
            session.apply(batch)
        time.sleep(LOOK_AGAIN_S)


def disable(path: Path) -> bool:
    """Set enable-ic to false in a site file, or in the folder's ovn-ic-config.

    Returns:
        Whether a file was changed.

    Raises:
        ConfigError: it cannot be written.
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
