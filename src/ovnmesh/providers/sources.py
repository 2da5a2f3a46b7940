"""Documents of Kubernetes -> the wish that they express.

Called by the providers that know Kubernetes' objects. Pure. Subnets and Nodes say what is local and
what is denied. The configuration may stand in two places: the ConfigMap `ovn-ic-config` and the
spec of the Interconnection say the same thing; if both are there and differ, nobody can know which
is meant, so that is an error and the last good state stays in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ovnmesh.config import (
    InterconnectConfig,
    parse_config,
)
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.denied import collect_reasons
from ovnmesh.model.desired import Router
from ovnmesh.model.prefixes import Prefix, from_address, from_network
from ovnmesh.providers.base import Wish
from ovnmesh.providers.cluster import CONFIG_NAME, CONFIG_NAMESPACE, Node, Subnet
from ovnmesh.providers.interconnection_spec import parse_interconnection

#: What to do about findings in a cluster of Kubernetes, by code.
ADVICE: Mapping[str, str] = {
    "cidr-conflict": "In this cluster, a Subnet is kept out by disableInterConnection: true in "
    "its spec.",
    "config-missing": f"It belongs in ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME}, or in the "
    "spec of the Interconnection.",
    "nat-without-external-port": "To remove a rule: ovn-nbctl lr-nat-del",
    "router-disabled": "To enable it: ovn-nbctl set Logical_Router {subject} enabled=true",
    "router-missing": "--router of `ovnmesh controller` names it.",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A place that holds a configuration.

    Attributes:
        where: what and where it is, for messages.
        content: ``data`` of a ConfigMap, or ``spec`` of an Interconnection.
        typed: whether it is a spec.
    """

    where: str
    content: object
    typed: bool = False


def make_wish(
    config: InterconnectConfig | None,
    subnets: Iterable[Subnet],
    nodes: Iterable[Node],
    router: str,
) -> Wish:
    """The wish that a configuration, Subnets and Nodes express.

    Args:
        config: the configuration, if there is one.
        subnets: the cluster's Subnets; those of another VPC are not on its router.
        nodes: its Nodes.
        router: name of the cluster's logical router.
    """
    local: list[tuple[Prefix, str]] = []
    denied: list[tuple[Prefix, str]] = []
    for subnet in subnets:
        if subnet.vpc == router:
            pairs = denied if subnet.kept_out else local
            why = subnet.kept_out or f"subnet {subnet.name}"
            pairs += [(from_network(cidr), why) for cidr in subnet.cidrs]
    if config is None or not config.advertise_nodes:
        denied += [
            (from_address(address), f"address of node {node.name}")
            for node in nodes
            for address in node.addresses
        ]
    return Wish(
        config=config,
        routers=(Router(router, bypass_policy=True),),
        local=collect_reasons(local),
        denied=collect_reasons(denied),
    )


def choose_config(
    documents: Sequence[Document], nodes: Sequence[Node]
) -> tuple[InterconnectConfig | None, tuple[Problem, ...]]:
    """Parse every document and agree on one configuration.

    Args:
        documents: all that were found.
        nodes: nodes of the cluster; empty if they are not known.

    Returns:
        The configuration, None if there is none or something is wrong, and all problems.
    """
    repeated = _repeated(documents)
    if repeated:
        return None, repeated
    problems: list[Problem] = []
    parsed: list[InterconnectConfig] = []
    for document in documents:
        parse = parse_interconnection if document.typed else parse_config
        try:
            parsed.append(parse(document.content, document.where, [node.name for node in nodes]))
        except ConfigError as error:
            problems += error.problems
    if not problems and len(parsed) == 2 and parsed[0] != parsed[1]:
        problems.append(_difference(documents, parsed[0], parsed[1]))
    return (parsed[0] if parsed and not problems else None), tuple(problems)


def _repeated(documents: Sequence[Document]) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    for typed in (False, True):
        places = [document.where for document in documents if document.typed is typed]
        problems += [
            Problem(place, f"a second one besides {places[0]}", "one; remove the other")
            for place in places[1:]
        ]
    return tuple(problems)


def _difference(
    documents: Sequence[Document], one: InterconnectConfig, other: InterconnectConfig
) -> Problem:
    mine, theirs = one.to_data(), other.to_data()
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    found = ", ".join(
        f"{key} {mine.get(key, 'missing')!r} here and {theirs.get(key, 'missing')!r} there"
        for key in keys
    )
    return Problem(
        documents[0].where,
        f"another configuration than in {documents[1].where}: {found}",
        "one of the two, or both equal; remove the other",
    )
