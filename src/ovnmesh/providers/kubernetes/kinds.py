"""The kinds of objects read, and what of an object matters.

Called by the other modules of this package. Pure. Kept of an object is only what is used: a Node
is some ten kilobytes, its name and addresses are a hundred bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.providers.cluster import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    INTERCONNECTION_NAME,
    Node,
    Subnet,
    parse_node,
    parse_subnet,
)

#: Kube-OVN's label on gateway nodes (pkg/util/const.go, ICGatewayLabel); kube-ovn-cni marks the
#: chassis of a node by it.
GATEWAY_LABEL = "ovn.kubernetes.io/ic-gw"

Body = Mapping[str, Any]
_Parsed = TypeVar("_Parsed", Node, Subnet)


@dataclass(frozen=True, slots=True)
class ConfigObject:
    """A ConfigMap `ovn-ic-config`, or an Interconnection.

    Attributes:
        uid: its UID, for Events.
        generation: its metadata.generation, 0 if it has none.
        content: ``data`` or ``spec``; None if there is none.
        status: ``status``, which the controller writes; does not count as a change.
    """

    uid: str
    generation: int
    content: object
    status: Body | None = None

    def same_input(self, other: object) -> bool:
        """Whether reading the other would give the same configuration."""
        return (
            isinstance(other, ConfigObject)
            and (self.uid, self.generation) == (other.uid, other.generation)
            and self.content == other.content
        )


@dataclass(frozen=True, slots=True)
class NodeObject:
    """A Node: the parsed value or what is wrong with it, and its gateway label."""

    parsed: Node | tuple[Problem, ...]
    label: str | None

    def same_input(self, other: object) -> bool:
        """Whether reading the other would give the same Node; the label is ours."""
        return isinstance(other, NodeObject) and self.parsed == other.parsed


@dataclass(frozen=True, slots=True)
class SubnetObject:
    """A Subnet: the parsed value or what is wrong with it."""

    parsed: Subnet | tuple[Problem, ...]

    def same_input(self, other: object) -> bool:
        """Whether reading the other would give the same Subnet."""
        return self == other


Reduced = ConfigObject | NodeObject | SubnetObject


@dataclass(frozen=True)
class Kind:
    """A kind of object read.

    Attributes:
        plural: its name in paths.
        group: its API group, "" for the core group.
        resource: the class by which lightkube knows it.
        reduce: keeps what matters of an object.
        namespace: the namespace it is read in, "" if it has none.
        name: the one object of interest, "" for all.
    """

    plural: str
    group: str
    resource: Any
    reduce: Callable[[Body], Reduced]
    namespace: str = ""
    name: str = ""

    @property
    def path(self) -> str:
        """Path of the collection in the API."""
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}{inside}/{self.plural}"

    def wants(self, body: Body) -> bool:
        """Whether an object of the collection is of interest."""
        metadata = body.get("metadata", {})
        return not self.name or metadata.get("name") == self.name


def _reduce_config_map(body: Body) -> ConfigObject:
    return ConfigObject(body["metadata"].get("uid", ""), 0, body.get("data"))


def _reduce_interconnection(body: Body) -> ConfigObject:
    metadata = body["metadata"]
    generation = metadata.get("generation") or 0
    return ConfigObject(
        metadata.get("uid", ""), generation, body.get("spec"), body.get("status") or {}
    )


def _reduce_node(body: Body) -> NodeObject:
    label = (body["metadata"].get("labels") or {}).get(GATEWAY_LABEL)
    return NodeObject(_parsed(parse_node, body, f"Node {body['metadata']['name']}"), label)


def _reduce_subnet(body: Body) -> SubnetObject:
    return SubnetObject(_parsed(parse_subnet, body, f"Subnet {body['metadata']['name']}"))


def _parsed(
    parse: Callable[[object, str], _Parsed], body: Body, where: str
) -> _Parsed | tuple[Problem, ...]:
    try:
        return parse(body, where)
    except ConfigError as error:
        return error.problems


CONFIG_MAPS = Kind(
    "configmaps",
    "",
    create_namespaced_resource("", "v1", "ConfigMap", "configmaps"),
    _reduce_config_map,
    CONFIG_NAMESPACE,
    CONFIG_NAME,
)
NODES = Kind("nodes", "", create_global_resource("", "v1", "Node", "nodes"), _reduce_node)
SUBNETS = Kind(
    "subnets",
    "kubeovn.io",
    create_global_resource("kubeovn.io", "v1", "Subnet", "subnets"),
    _reduce_subnet,
)
INTERCONNECTIONS = Kind(
    "interconnections",
    "ovnmesh.io",
    create_global_resource("ovnmesh.io", "v1", "Interconnection", "interconnections"),
    _reduce_interconnection,
    name=INTERCONNECTION_NAME,
)
KINDS = (CONFIG_MAPS, NODES, SUBNETS, INTERCONNECTIONS)
EVENT = create_namespaced_resource("", "v1", "Event", "events")
