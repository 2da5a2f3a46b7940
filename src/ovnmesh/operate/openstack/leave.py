"""An OpenStack site leaves the mesh, with everything in Neutron that joining has made.

Must not show anything.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.config import quote
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.remote import Remote
from ovnmesh.operate.config_files import replace_if_new, set_enabled
from ovnmesh.operate.leave import Left, leave_databases
from ovnmesh.operate.openstack.changes import ApiChange, Changes, apply_changes, removal
from ovnmesh.operate.waiting import Step
from ovnmesh.plan.leave import UNMARKED, UNMARKED_S, plan_leave
from ovnmesh.providers.openstack import objects
from ovnmesh.providers.openstack.api import Api
from ovnmesh.providers.openstack.security_rules import mark
from ovnmesh.providers.openstack.site_file import read_site_file


@dataclass(frozen=True, slots=True)
class LeftCloud:
    """A site that has left, or would.

    Attributes:
        changes: what was changed, or would be.
        kept: what could not be removed from Neutron, and why.
        left: how it has left; None if it only would.
    """

    changes: Changes
    kept: tuple[str, ...] = ()
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class LeaveWish:
    """How a site is to leave.

    Attributes:
        nb: where Neutron's northbound database is.
        sb: the same, southbound.
        force: although the interconnection databases cannot be reached.
        dry_run: only find out what would be changed.
    """

    nb: Remote
    sb: Remote
    force: bool = False
    dry_run: bool = False


def leave(file: Path, wish: LeaveWish, step: Step) -> LeftCloud:
    """Have a site leave.

    Args:
        file: the site file.
        wish: how.
        step: told what is being done.

    Raises:
        ConfigError: the file is missing or wrong.
        ProviderError: Neutron cannot be asked, or refuses; the site has left all the same.
        OvnmeshError: the site cannot leave.
    """
    leaving = Leaving(file)
    address = SiteAddress(leaving.az_name, wish.nb, wish.sb, openstack=file)
    left = None
    try:
        with Session(address) as session:
            changes = leaving.plan(session, wish.dry_run)
        if not wish.dry_run:
            replace_if_new(file, leaving.text)
            left = leave_databases(address, wish.force, step)
        # Neutron comes last: that it does not answer must not keep a site in the mesh.
        changes = replace(changes, api=leaving.ask(step))
        kept = () if wish.dry_run else apply_changes(leaving.api, changes, step)
    finally:
        leaving.close()
    return LeftCloud(changes, kept, left)


class Leaving:
    """A site that is to leave.

    Args:
        file: the site file.

    Raises:
        ConfigError: it is missing or wrong.
    """

    def __init__(self, file: Path) -> None:
        # Judged as if it were to join: what join has made is found by the name and the cloud.
        site = read_site_file(file).site
        old = file.read_text(encoding="utf-8")
        self.text = set_enabled(old, wanted=False)
        self._file = "enable-ic: false" if self.text != old else ""
        self.az_name = site.config.az_name
        self.api = Api(site)
        if not self.az_name:
            expected = "the site's name, to find what is to be removed"
            raise ConfigError([Problem(f"{file.name}, az-name", "nothing", expected)])

    def close(self) -> None:
        """Disconnect from the cloud."""
        self.api.close()

    def plan(self, session: Session, rows: bool) -> Changes:
        """What leaving changes here.

        Args:
            session: the site's databases.
            rows: also say what the controller will do.
        """
        if not rows:
            return Changes(file=self._file)
        plan = plan_leave(session.observe(), {UNMARKED: UNMARKED_S})
        return Changes((), self._file, plan.batches, plan.findings)

    def ask(self, step: Step) -> tuple[ApiChange, ...]:
        """What join has made in Neutron and is still there.

        Raises:
            ProviderError: Neutron cannot be asked.
        """
        if not self.api.cloud:
            return ()
        step(f"asking cloud {self.api.cloud}")
        own = mark(self.az_name)
        rules = tuple(removal(rule) for rule in objects.read_own_rules(self.api, own))
        return rules + tuple(
            ApiChange(
                f"delete router {quote(name)} ({router}), unless something is attached to it",
                partial(objects.delete_router, router=router),
                f"router {quote(name)} stays: something is attached to it",
            )
            for router, name in objects.read_own_routers(self.api, own)
        )
