"""An OpenStack site joins: routers, security groups, the site file, and the controller's part.

Asks Neutron and the databases what is to be done, does what is not the controller's, and waits for
it. Must not show anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import yaml

from ovnmesh import ovn_keys as keys
from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.config import InterconnectConfig
from ovnmesh.controller.intent import make_desired
from ovnmesh.errors import ConfigError, OvnmeshError, OvsdbUnavailable, Problem
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import with_advice
from ovnmesh.model.prefixes import Prefix
from ovnmesh.model.remote import Remote
from ovnmesh.model.report import SiteState
from ovnmesh.operate.config_files import replace_if_new, set_enabled
from ovnmesh.operate.openstack.changes import ApiChange, Changes, apply_changes, removal
from ovnmesh.operate.waiting import Step, wait_until_done
from ovnmesh.plan.ask.forecast import forecast
from ovnmesh.providers.base import Wish
from ovnmesh.providers.openstack import objects
from ovnmesh.providers.openstack.advice import ADVICE
from ovnmesh.providers.openstack.api import Api, read_neutron
from ovnmesh.providers.openstack.neutron import Neutron
from ovnmesh.providers.openstack.resolve import choose_routers, resolve
from ovnmesh.providers.openstack.security_rules import mark, plan_rules
from ovnmesh.providers.openstack.site_file import SiteFile, parse_site_file
from ovnmesh.views.mesh_overview import foreign_prefixes
from ovnmesh.views.site_overview import site_overview

START = (
    "start one on the host of Neutron's OVN databases: systemctl enable --now ovnmesh-controller"
)
#: Seconds between two looks at the site.
LOOK_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class JoinWish:
    """How a site is to join.

    Attributes:
        nb: where Neutron's northbound database is.
        sb: the same, southbound.
        create_routers: make the routers that do not exist.
        allow_from_mesh: let the mesh through the security groups.
        dry_run: only find out what would be changed.
        timeout_s: seconds to wait for the controller at most.
    """

    nb: Remote
    sb: Remote
    create_routers: bool = False
    allow_from_mesh: bool = False
    dry_run: bool = False
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Joined:
    """A site that has joined, or would.

    Attributes:
        az_name: its AZ name.
        changes: what was changed, or would be.
    """

    az_name: str
    changes: Changes


def join(file: Path, text: str, wish: JoinWish, step: Step) -> Joined:
    """Have a site join as its site file says.

    Args:
        file: the site file.
        text: what it is to hold, see `site_file_text`.
        wish: how.
        step: told what is being done.

    Raises:
        ConfigError: the file is wrong, or routers are missing or ambiguous, or rights are.
        ProviderError: Neutron cannot be asked, or refuses.
        OvnmeshError: a database does not answer, no controller runs, or it does not join in time.
    """
    joining = Joining(file, text)
    try:
        joining.ask(wish.create_routers, step)
        with Session(joining.address(wish.nb, wish.sb)) as session:
            changes = joining.plan(session, wish.allow_from_mesh, wish.dry_run, step)
            if not wish.dry_run:
                apply_changes(joining.api, changes, step)
                if wish.create_routers:
                    joining.ask(False, step)
                replace_if_new(file, joining.text)
                _await_joined(session, joining, file, wish.timeout_s, step)
    finally:
        joining.close()
    return Joined(joining.az_name, changes)


def site_file_text(file: Path, flags: Mapping[str, str | Sequence[str]]) -> str:
    """The site file's text, with enable-ic true; made of flags if there are any.

    Args:
        file: path of the site file.
        flags: keys of the site file and their values, as given on a command line.

    Raises:
        ConfigError: flags and a file, or neither.
    """
    exists = file.is_file()
    if not flags:
        if not exists:
            expected = "a site file; or --cloud, --router, --az-name and --ic-db-host to write one"
            raise ConfigError([Problem(str(file), "no such file", expected)])
        return set_enabled(file.read_text(encoding="utf-8"), wanted=True)
    keyed = {"enable-ic": True, **flags}
    keyed.setdefault("gw-nodes", keys.ENABLE_AS_GATEWAY)
    text = "# Written by `ovnmesh openstack join`; see docs/openstack.md.\n" + yaml.safe_dump(
        keyed, sort_keys=False
    )
    if exists and set_enabled(file.read_text(encoding="utf-8"), wanted=True) != text:
        expected = "no flags that write it, or the name of another file"
        raise ConfigError([Problem(str(file), "a file with other content", expected)])
    return text


class Joining:
    """A site that is to join.

    Args:
        file: the site file.
        text: what it is to hold.

    Raises:
        ConfigError: that is wrong.
    """

    def __init__(self, file: Path, text: str) -> None:
        self.text = text
        self._path = file
        self._file = parse_site_file(text.encode(), file)
        self.api = Api(self._file.site)
        self._neutron = Neutron()
        self._wish = Wish()
        self._missing: tuple[str, ...] = ()

    @property
    def az_name(self) -> str:
        """The site's AZ name."""
        return self.config.az_name

    @property
    def config(self) -> InterconnectConfig:
        """What the file wants of the mesh."""
        return self._file.site.config

    def address(self, nb: Remote, sb: Remote) -> SiteAddress:
        """How to reach the site, with the interconnection databases of the file."""
        config = self.config
        return SiteAddress(self.az_name, nb, sb, config.ic_nb_remote(), config.ic_sb_remote())

    def close(self) -> None:
        """Disconnect from the cloud."""
        self.api.close()

    def ask(self, create: bool, step: Step) -> None:
        """Look at the routers.

        Args:
            create: take routers that do not exist for wanted.
            step: told what is being done.

        Raises:
            ProviderError: Neutron cannot be asked.
            ConfigError: routers are missing or ambiguous, or rights are.
        """
        step(f"asking cloud {self.api.cloud}")
        site = self._file.site
        self._neutron = read_neutron(self.api, [choice.name for choice in site.routers])
        known = {name for each in self._neutron.routers for name in (each.id, each.name)}
        missing = [choice for choice in site.routers if create and choice.name not in known]
        self._missing = tuple(choice.name for choice in missing)
        there = tuple(choice for choice in site.routers if choice not in missing)
        file: SiteFile = replace(self._file, site=replace(site, routers=there))
        self._wish = resolve(file, self._neutron)
        if self._wish.problems:
            raise ConfigError(self._wish.problems)

    def desired(self) -> Desired:
        """The wish that the controller will read from the file."""
        return make_desired(self._wish, self.config)

    def plan(self, session: Session, allow: bool, rows: bool, step: Step) -> Changes:
        """Everything that joining changes.

        Args:
            session: the site's databases.
            allow: let the mesh through the security groups.
            rows: also say what the controller will do.
            step: told what is being done.

        Raises:
            ProviderError: Neutron cannot be asked.
            OvsdbUnavailable: the interconnection databases do not answer and are needed.
        """
        if (allow or rows) and not session.has_ic:
            raise OvsdbUnavailable(
                f"interconnection databases of {self._path}: {session.ic_error}; expected "
                "`ovnmesh ic-db` to answer at ic-db-host"
            )
        az = self.az_name
        api = [
            ApiChange(
                f"create router {name}", partial(objects.create_router, name=name, mark=mark(az))
            )
            for name in self._missing
        ]
        observed = session.observe(self._wish.routers)
        if allow:
            step("reading security groups")
            api += self._rules(foreign_prefixes(observed.ic, az))
        current = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        file = "" if current == self.text else "enable-ic: true" if current else "written"
        if not rows or not self._wish.routers:
            return Changes(tuple(api), file)
        batches, findings = forecast(self.desired(), observed)
        return Changes(tuple(api), file, batches, with_advice(findings, ADVICE))

    def _rules(self, mesh: tuple[Prefix, ...]) -> list[ApiChange]:
        subnets = [
            subnet
            for router, _ in choose_routers(self._file, self._neutron)[0]
            for subnet in self._neutron.of_router(router)
            if not subnet.opted_out
        ]
        security = objects.read_security(
            self.api, [s.network for s in subnets], [s.id for s in subnets]
        )
        ours = objects.read_own_rules(self.api, mark(self.az_name))
        changes = plan_rules(security, ours, mesh, self.az_name)
        own = mark(self.az_name)
        made = [
            ApiChange(
                f"security group {security.groups[group].name} ({group}): allow ingress from "
                f"{prefix}",
                partial(objects.create_rule, group=group, source=prefix, mark=own),
            )
            for group, prefix in changes.add
        ]
        return made + [removal(rule) for rule in changes.remove]


def _await_joined(
    session: Session, joining: Joining, file: Path, timeout_s: float, step: Step
) -> None:
    """Wait until the controller has done what the file says.

    Raises:
        OvnmeshError: there is no controller, or it does not.
    """
    if not session.has_controller():
        raise OvnmeshError(f"{file} is ready, but no controller runs for this site; {START}")
    wish = joining.desired()
    seen = site_overview(session.observe(wish.routers))

    def pending() -> str:
        nonlocal seen
        observed = session.observe(wish.routers)
        seen = site_overview(observed)
        record = observed.nb.record
        # What is denied, and which subnets there are, may have changed since.
        taken = record is not None and wish == replace(record, denied=wish.denied, local=wish.local)
        if taken and seen.state is SiteState.JOINED:
            return ""
        return f"the controller ({seen.state if taken else 'reading the file'})"

    if wait_until_done(pending, timeout_s, step, LOOK_AGAIN_S):
        said = "; ".join(finding.message for finding in seen.findings) or (
            f"state {seen.state}; expected `ovnmesh controller --openstack {file}`"
        )
        raise OvnmeshError(f"the controller has not joined within {timeout_s:g} s: {said}")
