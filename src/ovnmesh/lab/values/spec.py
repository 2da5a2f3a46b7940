"""What somebody asks of a lab: how many sites, nodes and pods, validated.

Called by the command line (options or a YAML topology) and by `state`, which keeps the answer in
the run directory. Pure: takes text or mappings, returns values; names and addresses are computed
from it by `topology`.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from ovnmesh.errors import ConfigError, Problem

MAX_SITES = 60
"""The join networks begin with 100.64.0.0/16 and stay in the shared space /10 (RFC 6598)."""
MAX_OPENSTACK_SITES = 8
"""Each takes some 500 MB of memory."""
MAX_NODES = 200
"""Nodes of a site have addresses .10 to .209 of its underlay network."""

MAX_IC_NODES = 7
"""More only make every write slower: it waits for a majority (ovsdb(7), "Clustered")."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")

Protocol = Literal["ipv4", "ipv6", "dual"]


def _split_commas(value: object) -> object:
    """Let ``a,b`` stand for a list of two, as in the documents' ``gw-nodes``."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _parse_cidrs(value: object) -> object:
    parts = _split_commas(value)
    if not isinstance(parts, list | tuple):
        return value
    return tuple(ip_network(part) for part in parts)


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise PydanticCustomError(
            "name", "lower-case letters, digits and '-' inside, at most 32 characters (RFC 1123)"
        )
    return value


def _check_count(limit: int) -> AfterValidator:
    """Bound a tuple's length; pydantic's own bound also blames a tuple for its wrong members."""

    def check(value: tuple[object, ...]) -> tuple[object, ...]:
        if not 1 <= len(value) <= limit:
            raise PydanticCustomError("count", f"from 1 to {limit} of them")
        return value

    return AfterValidator(check)


def _at_most(limit: int) -> AfterValidator:
    def check(value: tuple[object, ...]) -> tuple[object, ...]:
        if len(value) > limit:
            raise PydanticCustomError("count", f"at most {limit} of them")
        return value

    return AfterValidator(check)


def _nodes_tag(value: object) -> str:
    return "names" if isinstance(value, list | tuple) else "count"


Name = Annotated[str, AfterValidator(_check_name)]
Cidrs = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_parse_cidrs)]
NodeCount = Annotated[int, Field(ge=1, le=MAX_NODES)]
NodeNames = Annotated[tuple[Name, ...], _check_count(MAX_NODES)]
Nodes = Annotated[
    Annotated[NodeCount, Tag("count")] | Annotated[NodeNames, Tag("names")],
    Discriminator(_nodes_tag),
]


class SiteSpec(BaseModel):
    """One site of a topology; what is left out is chosen as in the documents.

    Attributes:
        name: the availability zone; default ``az1``, ``az2``, ... by position.
        nodes: how many nodes, or their names; the first is the gateway by default.
        pods: pods for each node.
        ovn_default: network of the pods, one CIDR of each family in use.
        join: network that joins the nodes to the pods.
        gw_nodes: ``gw-nodes`` of ``ovn-ic-config``.
        auto_route: ``auto-route`` of ``ovn-ic-config``.
        enable_ic: ``enable-ic`` of ``ovn-ic-config``.
        external: give it an external network, and its router a port there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name | None = None
    nodes: Nodes = 3
    pods: Annotated[int, Field(ge=0, le=50)] = 1
    ovn_default: Cidrs | None = None
    join: Cidrs | None = None
    gw_nodes: Annotated[tuple[Name, ...] | None, BeforeValidator(_split_commas)] = None
    auto_route: bool = True
    enable_ic: bool = True
    external: bool = False


class NetworkSpec(BaseModel):
    """A network of VMs in an OpenStack site.

    Attributes:
        name: name of the Neutron network.
        cidr: its networks, one CIDR of each family in use.
        router: name of the router it is behind; networks may share one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = "provider"
    cidr: Cidrs | None = None
    router: Name = "router0"


class OpenStackSpec(BaseModel):
    """An OpenStack site of a topology.

    Attributes:
        name: the availability zone; default ``os1``, ``os2``, ... by position.
        nodes: how many nodes, or their names; the first is the gateway by default.
        vms: VMs of each network, spread over the nodes.
        networks: networks of VMs.
        gw_nodes: nodes with ``enable-chassis-as-gw``.
        external: an external network, to which every router does SNAT.
        keystone: a Keystone; without it Neutron asks nobody who calls.
        auto_route: ``auto-route`` of the site file.
        enable_ic: ``enable-ic`` of the site file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name | None = None
    nodes: Nodes = 2
    vms: Annotated[int, Field(ge=0, le=50)] = 2
    networks: Annotated[tuple[NetworkSpec, ...], _check_count(16)] = (NetworkSpec(),)
    gw_nodes: Annotated[tuple[Name, ...] | None, BeforeValidator(_split_commas)] = None
    external: bool = True
    keystone: bool = False
    auto_route: bool = True
    enable_ic: bool = True


class LabSpec(BaseModel):
    """A whole topology.

    Attributes:
        sites: its sites like Kube-OVN's, in order.
        openstack: its OpenStack sites, which come after those.
        ts_count: number of transit switches.
        protocol: address families of the networks above the underlay, which is always IPv4.
        ic_nodes: nodes of the interconnection databases; more than one form a RAFT cluster.
        kubernetes: give each site a Kubernetes API server, which configures its controller.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sites: Annotated[tuple[SiteSpec, ...], _at_most(MAX_SITES)] = ()
    openstack: Annotated[tuple[OpenStackSpec, ...], _at_most(MAX_OPENSTACK_SITES)] = ()
    ts_count: Annotated[int, Field(ge=1, le=16)] = 1
    protocol: Protocol = "ipv4"
    ic_nodes: Annotated[int, Field(ge=1, le=MAX_IC_NODES)] = 1
    kubernetes: bool = False


def uniform_spec(
    sites: int = 2,
    nodes: int = 3,
    pods: int = 1,
    ts_count: int = 1,
    protocol: str = "ipv4",
    ic_nodes: int = 1,
) -> LabSpec:
    """Describe a lab of equal sites.

    Args:
        sites: number of sites.
        nodes: nodes of each site.
        pods: pods of each node.
        ts_count: number of transit switches.
        protocol: ``ipv4``, ``ipv6`` or ``dual``.
        ic_nodes: nodes of the interconnection databases.

    Raises:
        ConfigError: a number is out of range.
    """
    return parse_spec(
        {
            "sites": [{"nodes": nodes, "pods": pods} for _ in range(max(0, sites))],
            "ts_count": ts_count,
            "protocol": protocol,
            "ic_nodes": ic_nodes,
        },
        "lab up",
    )


def with_openstack(spec: LabSpec, names: Sequence[str], *, keystone: bool) -> LabSpec:
    """Add OpenStack sites to a topology.

    Args:
        spec: the topology.
        names: their names.
        keystone: give each OpenStack site of the topology a Keystone.

    Raises:
        ConfigError: there are too many, or a name is wrong.
    """
    document = spec.model_dump(mode="json")
    document["openstack"] += [{"name": name} for name in names]
    if keystone:
        document["openstack"] = [site | {"keystone": True} for site in document["openstack"]]
    return parse_spec(document, "lab up")


def with_external(spec: LabSpec) -> LabSpec:
    """Give every site of a topology an external network."""
    sites = tuple(site.model_copy(update={"external": True}) for site in spec.sites)
    return spec.model_copy(update={"sites": sites})


def parse_spec_text(text: str, where: str) -> LabSpec:
    """Read a YAML topology.

    Args:
        text: the document.
        where: name of the file, for errors.

    Raises:
        ConfigError: it is not YAML, or not a topology; carries every problem.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([Problem(where, str(error), "a YAML document")]) from error
    return parse_spec(document, where)


def parse_spec(document: object, where: str) -> LabSpec:
    """Validate a topology.

    Args:
        document: mapping with ``sites`` and the optional fields of `LabSpec`.
        where: where it comes from, for errors.

    Raises:
        ConfigError: carries every problem, each naming its field.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(
            [Problem(where, type(document).__name__, "a mapping with a list named sites")]
        )
    try:
        return LabSpec.model_validate(document)
    except ValidationError as exc:
        raise ConfigError(
            Problem(
                f"{where}, {_field(error['loc'])}",
                "nothing" if error["type"] == "missing" else repr(error["input"]),
                _expected(error["type"], error["loc"]) or error["msg"],
            )
            for error in exc.errors()
        ) from exc


def _expected(kind: str, location: tuple[int | str, ...]) -> str | None:
    """Say what should stand there where pydantic's words do not; None keeps its words."""
    if kind == "missing":
        return "a value; it has no default"
    if kind == "extra_forbidden":
        models: dict[str, type[BaseModel]] = {
            "sites": SiteSpec,
            "networks": NetworkSpec,
            "openstack": OpenStackSpec,
        }
        model = next((m for part, m in models.items() if part in location), LabSpec)
        known = model.model_fields
        return f"one of the fields {', '.join(known)}"
    return None


def _field(location: tuple[int | str, ...]) -> str:
    """Write a place in a document as ``sites[0].nodes``, without the tags of `Nodes`."""
    parts = (part for part in location if part not in ("count", "names"))
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
