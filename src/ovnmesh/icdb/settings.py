"""Flags and environment of ``ovnmesh ic-db`` -> validated settings, every error at once.

Called by the command. Pure: the environment is an argument. Names of environment variables are
those of Kube-OVN's ``start-ic-db.sh``; flags win over them.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ovnmesh.config import (
    IC_NB_PORT,
    IC_SB_PORT,
    Address,
    Network,
    check_name,
    parse_cidr,
    quote,
)
from ovnmesh.errors import ConfigError, Problem

MAX_SWITCHES = 128
"""More switches than any mesh needs; keeps the default subnets within 169.254.0.0/16."""

# Name of the first transit switch; the others append 1, 2, ... (Kube-OVN, getTSName).
_TS_NAME = "ts"
# Subnet of the first transit switch; Kube-OVN's for IPv4 (getTSCidr). Its fe80:a9fe:64::/112 for
# IPv6 is link-local, so we number a unique local network (RFC 4193) the same way.
_CIDRS = {
    "ipv4": "169.254.100.0/24",
    "ipv6": "fd00:a9fe:64::/112",
    "dual": "169.254.100.0/24,fd00:a9fe:64::/112",
}
_VERSIONS = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}
# Each further switch takes the next network; for IPv6 the next /48 at least (Kube-OVN counts in
# the third group of digits: fe80:a9fe:64, fe80:a9fe:65, ...).
_IPV6_STEP = 1 << 80
# Room for the network itself and the router ports of two sites.
_LEAST_ADDRESSES = 4
_NAME_LENGTH = 63
_ENVIRONMENT = {
    "address": "LOCAL_IP",
    "ts-name": "TS_NAME",
    "ts-count": "TS_NUM",
    "ts-cidr": "TS_CIDR",
    "protocol": "PROTOCOL",
}
_NO_CLUSTER = (
    "one instance: a cluster of interconnection databases is not offered yet, and a lonely one "
    "must not be founded by mistake; unset it, and run ic-db on one machine only"
)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are.

    Attributes:
        data: the database files.
        run: sockets, pid files and the readiness file.
        log: log files of the servers; None for warnings on standard error only.
    """

    data: Path
    run: Path
    log: Path | None


@dataclass(frozen=True, slots=True)
class TransitSwitch:
    """A transit switch to ensure.

    Attributes:
        name: its name.
        cidrs: its subnet: an IPv4 network, an IPv6 one, or one of each.
    """

    name: str
    cidrs: tuple[Network, ...]

    @property
    def subnet(self) -> str:
        """As in ``external_ids:subnet``: ``169.254.100.0/24`` or comma-separated."""
        return ",".join(str(cidr) for cidr in self.cidrs)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything ``ovnmesh ic-db`` was told.

    Attributes:
        folders: where things are.
        address: address to listen on.
        nb_port: TCP port of IC-NB.
        sb_port: TCP port of IC-SB.
        switches: transit switches to ensure.
    """

    folders: Folders
    address: Address
    nb_port: int
    sb_port: int
    switches: tuple[TransitSwitch, ...]


@dataclass(slots=True)
class _Options:
    flags: Mapping[str, str | None]
    env: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The value of a flag, else of its environment variable; an empty one counts as unset."""
        flag = self.flags.get(name)
        return flag if flag is not None else self.env.get(_ENVIRONMENT.get(name, "")) or None

    def reporter(self, name: str) -> Callable[[str, str], None]:
        variable = _ENVIRONMENT.get(name)
        from_env = self.flags.get(name) is None and variable and self.env.get(variable)
        where = f"{variable} (environment)" if from_env else f"--{name}"
        return lambda found, expected: self.problems.append(Problem(where, found, expected))


def parse_settings(
    flags: Mapping[str, str | None], env: Mapping[str, str], folders: Folders
) -> Settings:
    """Parse the flags and the environment.

    Args:
        flags: value by flag name without dashes, e.g. ``ts-count``; None if not given.
        env: the environment.
        folders: where things are; absolute.

    Raises:
        ConfigError: with every problem.
    """
    options = _Options(flags, env)
    _refuse_what_is_not_offered(options)
    address = _take_address(options)
    nb_port = _take_number(options, "nb-port", IC_NB_PORT, 65535)
    sb_port = _take_number(options, "sb-port", IC_SB_PORT, 65535)
    if nb_port == sb_port != 0:
        options.reporter("sb-port")(f'"{sb_port}"', "another port than that of --nb-port")
    switches = _take_switches(options)
    if options.problems:
        raise ConfigError(options.problems)
    return Settings(folders, address, nb_port, sb_port, switches)


def parse_switch(name: str, cidr: str) -> TransitSwitch:
    """Parse one switch that a command names.

    Args:
        name: as given.
        cidr: its subnet: an IPv4 network, an IPv6 one, or one of each, comma-separated.

    Raises:
        ConfigError: with every problem.
    """
    options = _Options({"ts-name": name, "ts-cidr": cidr}, {})
    switches = _take_switches(options)
    if options.problems:
        words = {"--ts-name": "NAME", "--ts-cidr": "--cidr"}
        raise ConfigError(
            [replace(problem, where=words[problem.where]) for problem in options.problems]
        )
    return switches[0]


def _refuse_what_is_not_offered(options: _Options) -> None:
    env = options.env
    members = {entry.strip() for entry in env.get("NODE_IPS", "").split(",")} - {""}
    leader = env.get("LEADER_IP", "")
    if len(members) > 1:
        found = quote(env["NODE_IPS"])
        options.problems.append(Problem("NODE_IPS (environment)", found, _NO_CLUSTER))
    elif leader and leader != env.get("LOCAL_IP"):
        options.problems.append(Problem("LEADER_IP (environment)", quote(leader), _NO_CLUSTER))
    if env.get("ENABLE_SSL", "false") != "false":
        expected = '"false" or nothing: TLS is not offered yet'
        found = quote(env["ENABLE_SSL"])
        options.problems.append(Problem("ENABLE_SSL (environment)", found, expected))


def _take_address(options: _Options) -> Address:
    text = options.get("address") or "::"
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        expected = "an IPv4 or IPv6 address of this machine, without brackets and port"
        options.reporter("address")(quote(text), expected)
        return ipaddress.IPv6Address("::")


def _take_number(options: _Options, name: str, default: int, most: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if re.fullmatch("[1-9][0-9]{0,5}", text) and int(text) <= most:
        return int(text)
    options.reporter(name)(quote(text), f"a number from 1 to {most}")
    return 0


def _take_switches(options: _Options) -> tuple[TransitSwitch, ...]:
    name = options.get("ts-name")
    name = _TS_NAME if name is None else check_name(name, _NAME_LENGTH, options.reporter("ts-name"))
    count = _take_number(options, "ts-count", 1, MAX_SWITCHES)
    cidrs = _take_cidrs(options)
    try:
        return tuple(
            TransitSwitch(f"{name}{i or ''}", tuple(next_network(cidr, i) for cidr in cidrs))
            for i in range(count)
        )
    except ValueError:
        found = f"{count} switches from {','.join(map(str, cidrs))} on"
        options.reporter("ts-cidr")(found, "a lower first network: the addresses do not suffice")
        return ()


def _take_cidrs(options: _Options) -> tuple[Network, ...]:
    protocol = options.get("protocol")
    if protocol is not None and protocol not in _CIDRS:
        options.reporter("protocol")(quote(protocol), '"ipv4", "ipv6" or "dual"')
        protocol = None
    text = options.get("ts-cidr")
    if text is None:
        text = _CIDRS[protocol or "ipv4"]
    report = options.reporter("ts-cidr")
    cidrs = [_parse_ts_cidr(entry.strip(" "), report) for entry in text.split(",")]
    good = tuple(cidr for cidr in cidrs if cidr is not None)
    versions = tuple(sorted(cidr.version for cidr in good))
    if len(good) == len(cidrs):
        if versions not in _VERSIONS.values():
            report(quote(text), "at most one IPv4 and one IPv6 network")
        elif protocol is not None and versions != _VERSIONS[protocol]:
            report(quote(text), f'networks of protocol "{protocol}", as {quote(_CIDRS[protocol])}')
    return good


def _parse_ts_cidr(text: str, report: Callable[[str, str], None]) -> Network | None:
    cidr = parse_cidr(text, report)
    if cidr is None:
        return None
    if cidr.version == 6 and cidr.is_link_local:
        found = f"{quote(text)} (link-local)"
        expected = f"a network such as {_CIDRS['ipv6']}: ovn-ic learns no routes via link-local"
        report(found, f"{expected} next hops")
    elif cidr.is_multicast or cidr.is_loopback or cidr.num_addresses < _LEAST_ADDRESSES:
        report(quote(text), f"a network of unicast addresses, {_LEAST_ADDRESSES} or more")
    return cidr


def next_network(cidr: Network, index: int) -> Network:
    """The network of switch number `index`, if `cidr` is that of number 0."""
    size = cidr.num_addresses
    step = size if cidr.version == 4 else max(size, _IPV6_STEP)
    first = type(cidr.network_address)(int(cidr.network_address) + index * step)
    return ipaddress.ip_network(f"{first}/{cidr.prefixlen}")
