"""What joining and leaving change, found out before anything is changed.

Called by `cli.mesh.openstack`. Asks Neutron and the databases; shows and applies nothing by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.config import InterconnectConfig, quote
from ovnmesh.controller.intent import make_desired
from ovnmesh.errors import ConfigError, OvsdbUnavailable, Problem
from ovnmesh.model.changes import Batch
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Finding, with_advice
from ovnmesh.model.prefixes import Prefix
from ovnmesh.operate.config_files import set_enabled
from ovnmesh.plan.ask.forecast import forecast
from ovnmesh.plan.leave import UNMARKED, UNMARKED_S, plan_leave
from ovnmesh.providers.base import ProviderState
from ovnmesh.providers.openstack import objects
from ovnmesh.providers.openstack.advice import ADVICE
from ovnmesh.providers.openstack.api import Api, read_neutron
from ovnmesh.providers.openstack.neutron import Neutron
from ovnmesh.providers.openstack.resolve import choose_routers, resolve
from ovnmesh.providers.openstack.security import SecurityRule
from ovnmesh.providers.openstack.security_rules import mark, plan_rules
from ovnmesh.providers.openstack.site_file import SiteFile, parse_site_file, read_site_file
from ovnmesh.views.changes import describe_batch
from ovnmesh.views.mesh import foreign_prefixes

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ApiChange:
    """One change in Neutron.

    Attributes:
        what: what it is.
        make: makes it; False if that is not possible.
        otherwise: what to say then.
    """

    what: str
    make: Callable[[Api], bool | None]
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that a command changes.

    Attributes:
        api: in Neutron, in order.
        file: in the site file, "" for nothing.
        rows: in OVN's databases, by the controller.
        findings: what is worth telling about them.
    """

    api: tuple[ApiChange, ...] = ()
    file: str = ""
    rows: tuple[Batch, ...] = ()
    findings: tuple[Finding, ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """Where and what, one line for each change."""
        lines = [("Neutron", change.what) for change in self.api]
        lines += [("site file", self.file)] if self.file else []
        return lines + [
            (batch.db.name, line) for batch in self.rows for line in describe_batch(batch)
        ]

    def to_json(self, dry_run: bool) -> dict[str, Any]:
        """As plain JSON data."""
        return {
            "changed": not dry_run,
            "changes": [{"where": where, "what": what} for where, what in self.lines()],
            "findings": [finding.to_json() for finding in self.findings],
        }


def apply_changes(api: Api, changes: Changes, step: Step) -> list[str]:
    """Make the changes in Neutron.

    Returns:
        What could not be made, and why.

    Raises:
        ProviderError: Neutron refuses; what was done before stays, and may be done again.
    """
    left: list[str] = []
    for change in changes.api:
        step(change.what)
        if change.make(api) is False:
            left.append(change.otherwise)
    return left


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
        self._state = ProviderState(None, True, (), (), ())
        self._missing: tuple[str, ...] = ()

    @property
    def az_name(self) -> str:
        """The site's AZ name."""
        return self.config.az_name

    @property
    def config(self) -> InterconnectConfig:
        """What the file wants of the mesh."""
        return self._file.site.config

    def address(self, nb: str, sb: str) -> SiteAddress:
        """How to reach the site, with the interconnection databases of the file."""
        config = self.config
        return SiteAddress(self.az_name, nb, sb, config.ic_nb_remotes(), config.ic_sb_remotes())

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
        self._state = resolve(file, self._neutron)
        if self._state.problems:
            raise ConfigError(self._state.problems)

    def desired(self) -> Desired:
        """The wish that the controller will read from the file."""
        return make_desired(self.config, self._state, "")

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
        observed = session.observe(self._state.routers)
        if allow:
            step("reading security groups")
            api += self._rules(foreign_prefixes(observed.ic, az))
        current = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        file = "" if current == self.text else "enable-ic: true" if current else "written"
        if not rows or not self._state.routers:
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
        return made + [_removal(rule) for rule in changes.remove]


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
        rules = tuple(_removal(rule) for rule in objects.read_own_rules(self.api, own))
        return rules + tuple(
            ApiChange(
                f"delete router {quote(name)} ({router}), unless something is attached to it",
                partial(objects.delete_router, router=router),
                f"router {quote(name)} stays: something is attached to it",
            )
            for router, name in objects.read_own_routers(self.api, own)
        )


def _removal(rule: SecurityRule) -> ApiChange:
    return ApiChange(
        f"security group {rule.group}: remove our rule for {rule.source}",
        partial(objects.delete_rule, rule=rule),
    )
