"""Security groups of an OpenStack cloud, as far as they decide on traffic from other sites.

Made by `providers.openstack`, judged by `providers.openstack.checks`, planned by
`providers.openstack.security_rules`. Plain values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.prefixes import Prefix


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """An ingress rule.

    Attributes:
        id: its id.
        group: id of its security group.
        version: 4 or 6.
        source: where traffic may come from; None for anywhere.
        protocol: the only protocol it lets pass, "" for any.
        by_group: lets pass only ports of a security group, whatever `source` says.
        description: what its maker wrote.
    """

    id: str
    group: str
    version: int
    source: Prefix | None = None
    protocol: str = ""
    by_group: bool = False
    description: str = ""

    def touches(self, prefix: Prefix) -> bool:
        """Whether it lets anything pass from anywhere in a prefix."""
        if self.by_group or self.version != prefix.version:
            return False
        return self.source is None or self.source.overlaps(prefix)

    def opens(self, prefix: Prefix) -> bool:
        """Whether it lets everything pass from all of a prefix."""
        if self.by_group or self.protocol or self.version != prefix.version:
            return False
        return self.source is None or self.source.contains(prefix)


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group and its ingress rules."""

    id: str
    name: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SecuredPort:
    """A port whose traffic is filtered: its subnets and its security groups, by id."""

    id: str
    name: str
    subnets: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Security:
    """Everything that filters traffic to some subnets.

    Attributes:
        ports: ports with port security.
        groups: their security groups, by id.
    """

    ports: tuple[SecuredPort, ...] = ()
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
