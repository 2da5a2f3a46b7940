"""The site file of an OpenStack cloud: what its site wants of the mesh, and which routers it is.

Called by `providers.openstack` and by the commands that write the file. Pure. The keys that
`ovn-ic-config` has too become its data and are parsed as that, so they have one meaning and one
set of checks; YAML's own types are taken as well as the texts of a ConfigMap. Must not read files,
and must not know Neutron: whether a router exists is the provider's to say.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ovnmesh.config.fields import (
    NAME_EXPECTED,
    Fields,
    check_name,
    describe,
    parse_cidr,
    parse_name,
    quote,
    split,
)
from ovnmesh.config.interconnect import InterconnectConfig, parse_config
from ovnmesh.config.key import Key, ValueType, typed_data
from ovnmesh.config.keys import BY_NAME
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Network

SITE_FILE = "/etc/ovnmesh/openstack.yaml"
"""Where the site file is unless a command is told otherwise."""

# Neutron's own limit (neutron_lib.db.constants.NAME_FIELD_SIZE).
_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class RouterChoice:
    """A router that the file names.

    Attributes:
        name: name or id in Neutron.
        transit_switches: the only transit switches it may use; empty for whichever it is given.
    """

    name: str
    transit_switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenStackSite:
    """The content of a site file.

    Attributes:
        config: what `ovn-ic-config` would say.
        cloud: entry of clouds.yaml; "" only if not joining.
        clouds_yaml: path of clouds.yaml; "" for where openstacksdk looks for it.
        routers: routers to connect; empty only if not joining.
        deny: networks never to be advertised nor learned.
    """

    config: InterconnectConfig
    cloud: str = ""
    clouds_yaml: str = ""
    routers: tuple[RouterChoice, ...] = ()
    deny: tuple[Network, ...] = ()


# OpenStack has no nodes of a cluster whose addresses could be advertised.
SHARED_KEYS = {name: key for name, key in BY_NAME.items() if name != "advertise-nodes"}
OWN_KEYS = {
    "cloud": "the entry of clouds.yaml, text",
    "clouds-yaml": "the path of clouds.yaml, text",
    "routers": "a list of routers, by name or id",
    "deny": "a list of networks such as 10.99.0.0/16",
}
#: Joining needs these of our own keys; parse_config knows which others.
_REQUIRED = ("cloud", "routers")


def parse_site(document: object, where: str, lines: Mapping[object, int]) -> OpenStackSite:
    """Parse a site file.

    Args:
        document: the file's one YAML document.
        where: name of the file, for messages.
        lines: line of each key, for messages.

    Raises:
        ConfigError: with every problem.
    """
    if not isinstance(document, Mapping):
        raise ConfigError([Problem(where, describe(document), "keys such as az-name: os1")])
    if document.get("gateway-mtu") is False:
        document = {**document, "gateway-mtu": "off"}  # a bare `off` is false in YAML 1.1
    fields = Fields(document, f"{where}, data", "")
    fields.refuse_unknown([*SHARED_KEYS, *OWN_KEYS], "key")
    data = typed_data(fields, SHARED_KEYS, texts=True, expected=_expected)
    site = OpenStackSite(
        InterconnectConfig(True),
        cloud=_take_text(fields, "cloud"),
        clouds_yaml=_take_text(fields, "clouds-yaml"),
        routers=_take_routers(fields),
        deny=_take_networks(fields),
    )
    if data.get("enable-ic") != "false":
        for key in _REQUIRED:
            fields.require(key, OWN_KEYS[key])
    problems = fields.problems()
    wrong = {problem.where for problem in problems}
    config = InterconnectConfig(True)
    try:
        config = parse_config(data, where)
    except ConfigError as error:
        problems += [problem for problem in error.problems if problem.where not in wrong]
    if problems:
        problems.sort(key=lambda problem: lines.get(_key(problem, where), math.inf))
        raise ConfigError(_place(problem, where, lines) for problem in problems)
    return replace(site, config=config)


def _expected(key: Key) -> str:
    if key.kind is ValueType.LIST:
        return f"text, or {key.typed}"
    return f"{key.typed}; put it in quotes" if key.kind is ValueType.TEXT else key.typed


def _take_text(fields: Fields, key: str) -> str:
    if not fields.has(key):
        return ""
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        fields.add(key, describe(value), OWN_KEYS[key])
        return ""
    return value


def _take_list(fields: Fields, key: str) -> list[object]:
    """The entries of a list; a single value counts as a list of one."""
    value = fields.get(key)
    if isinstance(value, str | Mapping):
        return [value]
    if not isinstance(value, list):
        if fields.has(key):
            fields.add(key, describe(value), OWN_KEYS[key])
        return []
    return value


def _take_routers(fields: Fields) -> tuple[RouterChoice, ...]:
    entries = _take_list(fields, "routers")
    if not entries and fields.has("routers") and fields.good("routers"):
        fields.add("routers", "an empty list", OWN_KEYS["routers"])
    routers: dict[str, RouterChoice] = {}
    for number, entry in enumerate(entries, 1):
        try:
            choice = _parse_router(entry)
        except ConfigError as error:
            for problem in error.problems:
                fields.add("routers", f"entry {number}: {problem.found}", problem.expected)
            continue
        if choice.name in routers:
            found = f"entry {number}: {quote(choice.name)} twice"
            fields.add("routers", found, "each only once")
        routers[choice.name] = choice
    return tuple(routers.values())


def _parse_router(entry: object) -> RouterChoice:
    """One entry: a name, or a mapping with a name.

    Raises:
        ConfigError: its problems have no place.
    """
    if isinstance(entry, str):
        return RouterChoice(_router_name(entry))
    fields = Fields(
        entry, "", "a name or id (put numbers in quotes), or {name: ..., transit-switches: [...]}"
    )
    problems: list[Problem] = []
    known = ("name", "transit-switches")
    fields.refuse_unknown(known, "key")
    problems += [
        Problem("", f"{problem.found} ({problem.where.removeprefix('.')})", problem.expected)
        for problem in fields.problems()
    ]
    name = ""
    switches: tuple[str, ...] = ()
    try:
        name = _router_name(fields.get("name"))
    except ConfigError as error:
        problems += error.problems
    try:
        switches = _switches(fields.get("transit-switches")) if fields.has(known[1]) else ()
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return RouterChoice(name, switches)


def _router_name(value: object) -> str:
    expected = f"a name or id of a router, at most {_NAME_LENGTH} characters"
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > _NAME_LENGTH
        or not value.isprintable()
    ):
        raise ConfigError([Problem("", describe(value), expected)])
    return value


def _switches(value: object) -> tuple[str, ...]:
    problems: list[Problem] = []

    def report(found: str, expected: str) -> None:
        problems.append(Problem("", f"{found} (transit-switches)", expected))

    entries = split(value, "names", report) if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        report(describe(value), "a list of names of transit switches")
        entries = []
    names: list[str] = []
    for entry in entries:
        if not isinstance(entry, str):
            report(describe(entry), NAME_EXPECTED)
        else:
            name = parse_name(entry, report)
            if name in names:
                report(f"{quote(name)} twice", "each only once")
            names.append(name)
    if problems:
        raise ConfigError(problems)
    return tuple(names)


def _take_networks(fields: Fields) -> tuple[Network, ...]:
    networks: dict[Network, None] = {}

    def report(found: str, expected: str) -> None:
        fields.add("deny", found, expected)

    for entry in _take_list(fields, "deny"):
        if not isinstance(entry, str):
            report(describe(entry), OWN_KEYS["deny"])
            continue
        for text in split(entry, "networks", report):
            network = parse_cidr(text, report)
            if network is not None:
                networks[network] = None
    return tuple(networks)


def _key(problem: Problem, where: str) -> str:
    return problem.where.removeprefix(f"{where}, data.")


def _place(problem: Problem, where: str, lines: Mapping[object, int]) -> Problem:
    """The same problem with the file's line and the plain name of the key."""
    key = _key(problem, where)
    at = f"{where}:{lines[key]}" if key in lines else where
    return Problem(f"{at}, {key}", problem.found, problem.expected)


def safe_label(name: str) -> bool:
    """Whether a router's name can be part of a port's name: as an availability zone's can."""
    wrong: list[str] = []
    check_name(name, 63, lambda found, expected: wrong.append(found))
    return not wrong
