"""Chassis of a site, and where its gateway ports are bound, as its southbound database tells it.

Built from plain rows by `model.reading`. Must not decide anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ovnmesh.model.paths import ChassisReport


@dataclass(frozen=True, slots=True)
class Chassis:
    """A Chassis of the southbound database."""

    uuid: str
    name: str
    hostname: str
    is_interconn: bool
    is_remote: bool
    cms_options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway node and its chassis.

    Attributes:
        node: as ``gw-nodes`` names it: host name of the chassis, or its name.
        chassis: name of the chassis; "" if the node has none.
    """

    node: str
    chassis: str


@dataclass(frozen=True)
class Southbound:
    """Chassis, and where the gateway ports are bound."""

    chassis: tuple[Chassis, ...]
    active: Mapping[str, str] = field(default_factory=dict)
    """Chassis name on which each LRP's gateway port is bound; absent while unbound."""
    reports: Mapping[str, ChassisReport] = field(default_factory=dict)
    """What agents report, by chassis name."""

    def find(self, node: str) -> Chassis | None:
        """The chassis of a node, by hostname or by chassis name; never a remote one."""
        local = [chassis for chassis in self.chassis if not chassis.is_remote]
        for chassis in local:
            if chassis.hostname == node:
                return chassis
        return next((chassis for chassis in local if chassis.name == node), None)

    def gateways(self, nodes: Iterable[str]) -> tuple[Gateway, ...]:
        """The nodes with their chassis, in the same order."""
        found = ((node, self.find(node)) for node in nodes)
        return tuple(Gateway(node, chassis.name if chassis else "") for node, chassis in found)

    def gateway(self, name: str) -> Gateway:
        """The node of a chassis; one that is not there, or has no host name, is called as it is."""
        chassis = self.by_name(name)
        return Gateway(chassis.hostname if chassis and chassis.hostname else name, name)

    def by_name(self, name: str) -> Chassis | None:
        """The chassis of that name."""
        return next((chassis for chassis in self.chassis if chassis.name == name), None)
