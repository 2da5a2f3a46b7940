"""What joining and leaving change, found out before anything is changed.

Values, and how those in Neutron are made. Must not show anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ovnmesh.model.changes import Batch
from ovnmesh.model.finding import Finding
from ovnmesh.operate.waiting import Step
from ovnmesh.providers.openstack import objects
from ovnmesh.providers.openstack.api import Api
from ovnmesh.providers.openstack.security import SecurityRule
from ovnmesh.views.batches import describe_batch


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


def apply_changes(api: Api, changes: Changes, step: Step) -> tuple[str, ...]:
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
    return tuple(left)


def removal(rule: SecurityRule) -> ApiChange:
    """The removal of a rule of ours."""
    return ApiChange(
        f"security group {rule.group}: remove our rule for {rule.source}",
        partial(objects.delete_rule, rule=rule),
    )
