"""The cluster's own objects that matter to the mesh: their names, Subnet and Node.

Called by the providers. Pure; must not look at `ovn-ic-config`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from ovnmesh.config.fields import (
    NAME_EXPECTED,
    Fields,
    Report,
    describe,
    parse_cidr,
    parse_name,
    quote,
    raise_problems,
    split,
)
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Address, Network
from ovnmesh.ovn_keys import DEFAULT_ROUTER

CONFIG_NAME = "ovn-ic-config"
"""Name of the ConfigMap (Kube-OVN, "Multi-Cluster Networking")."""
CONFIG_NAMESPACE = "kube-system"
"""Namespace of the ConfigMap (same source)."""
INTERCONNECTION_NAME = "default"
"""The one Interconnection of a cluster."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """What matters of a Subnet.

    Attributes:
        name: its name.
        cidrs: one network, or an IPv4 and an IPv6 one.
        kept_out: why it is to be kept from the other sites; "" if it is not.
        vpc: the logical router it is attached to; the default one if it names none
            (Kube-OVN, Subnet.spec.vpc).
    """

    name: str
    cidrs: tuple[Network, ...]
    kept_out: str = ""
    vpc: str = DEFAULT_ROUTER


@dataclass(frozen=True, slots=True)
class Node:
    """What matters of a Node.

    Attributes:
        name: its name.
        addresses: its addresses of type InternalIP; empty while it has none.
    """

    name: str
    addresses: tuple[Address, ...]


def parse_subnet(manifest: object, where: str) -> Subnet:
    """Parse a Subnet manifest of Kube-OVN (kubeovn.io/v1).

    Args:
        manifest: the whole manifest.
        where: the document, e.g. ``Subnet no-advertise (site.yaml:12)``.

    Raises:
        ConfigError: with every problem.
    """
    top = Fields(manifest, where, "a Subnet manifest")
    name, problems = _take_name(top, where)
    try:
        spec = Fields(top.get("spec"), f"{where}, spec", "the keys of a Subnet, such as cidrBlock")
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    # A known key in other letter case would be ignored, and the subnet advertised after all.
    for known in ("cidrBlock", "disableInterConnection", "vpc"):
        for key in spec.unknown_keys([known]):
            if isinstance(key, str) and key.lower() == known.lower():
                spec.add(key, "an unknown key", f'"{known}", which differs in letter case')
    disabled = spec.get("disableInterConnection")
    if disabled is not None and not isinstance(disabled, bool):
        spec.add("disableInterConnection", describe(disabled), "true or false, without quotes")
    # Kube-OVN, too, takes an empty vpc for its default one.
    named = spec.get("vpc") not in (None, "")
    subnet = Subnet(
        name=name,
        cidrs=spec.take("cidrBlock", _parse_cidrs, ()),
        kept_out=f"Subnet {name}: disableInterConnection" if disabled is True else "",
        vpc=spec.take("vpc", parse_name, "") if named else DEFAULT_ROUTER,
    )
    spec.require("cidrBlock", "a network such as 10.16.0.0/16, or an IPv4 and an IPv6 one")
    raise_problems([*problems, *spec.problems()])
    return subnet


def parse_node(manifest: object, where: str) -> Node:
    """Parse a Node manifest (v1); a node may have no address yet.

    Args:
        manifest: the whole manifest.
        where: the document, e.g. ``Node az1-gw (site.yaml:20)``.

    Raises:
        ConfigError: with every problem.
    """
    top = Fields(manifest, where, "a Node manifest")
    name, problems = _take_name(top, where)
    status = top.get("status")
    entries = status.get("addresses") if isinstance(status, Mapping) else status
    if entries is not None and not isinstance(entries, list):
        problems.append(Problem(f"{where}, status.addresses", describe(entries), "a list"))
        entries = None
    addresses: list[Address] = []
    for i, entry in enumerate(entries or ()):
        if not isinstance(entry, Mapping) or entry.get("type") != "InternalIP":
            continue
        address = entry.get("address")
        try:
            addresses.append(ipaddress.ip_address(address if isinstance(address, str) else ""))
        except ValueError:
            at = f"{where}, status.addresses[{i}].address"
            problems.append(Problem(at, describe(address), "an IPv4 or IPv6 address"))
    raise_problems(problems)
    return Node(name, tuple(addresses))


def _take_name(manifest: Fields, where: str) -> tuple[str, list[Problem]]:
    try:
        metadata = Fields(manifest.get("metadata"), f"{where}, metadata", "a mapping with a name")
    except ConfigError as error:
        return "", list(error.problems)
    name = metadata.take("name", parse_name, "")
    metadata.require("name", NAME_EXPECTED)
    return name, metadata.problems()


def _parse_cidrs(text: str, report: Report) -> tuple[Network, ...]:
    cidrs = []
    for entry in split(text, "networks", report):
        cidr = parse_cidr(entry, report)
        if cidr is not None:
            cidrs.append(cidr)
    if len({cidr.version for cidr in cidrs}) < len(cidrs):
        report(quote(text), "at most one IPv4 and one IPv6 network")
    return tuple(cidrs)
