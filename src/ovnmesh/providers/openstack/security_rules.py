"""Security-group rules that let the mesh in: which to add, which of ours are out of date.

Called by `ovnmesh openstack join` and `leave`. Rules of ours are known by their description; others
are never touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ovnmesh.model.prefixes import Prefix, minimal
from ovnmesh.providers.openstack.security import Security, SecurityRule


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """What is to be done.

    Attributes:
        add: security group's id, and what it is to let in.
        remove: rules of ours that have no more use.
    """

    add: tuple[tuple[str, Prefix], ...] = ()
    remove: tuple[SecurityRule, ...] = ()


def mark(az_name: str) -> str:
    """Description of whatever we make in Neutron for an availability zone."""
    return f"ovnmesh {az_name}"


def plan_rules(
    security: Security, ours: Iterable[SecurityRule], mesh: Iterable[Prefix], az_name: str
) -> RuleChanges:
    """Let every port of a site be reached from the mesh.

    Args:
        security: the site's ports and their groups.
        ours: every rule that bears our mark, of whatever group.
        mesh: prefixes of the other sites; those within another one need no rule of their own.
        az_name: the site's AZ name.
    """
    wanted = {(group, prefix) for group in security.groups for prefix in minimal(mesh)}
    own = {rule.id: rule for rule in ours}
    add = tuple(
        (group, prefix)
        for group, prefix in sorted(wanted)
        if not any(rule.opens(prefix) for rule in security.groups[group].rules)
    )
    remove = tuple(
        rule
        for _, rule in sorted(own.items())
        if rule.description == mark(az_name)
        and (rule.source is None or (rule.group, rule.source) not in wanted)
    )
    return RuleChanges(add, remove)
