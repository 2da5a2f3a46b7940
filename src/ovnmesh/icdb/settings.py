"""Flags and environment of ``ovnmesh ic-db`` -> validated settings, every error at once.

Called by the command. Pure: the environment is an argument. Names of environment variables are
those of Kube-OVN's ``start-ic-db.sh``; flags win over them.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ovnmesh.config import IC_NB_PORT, IC_SB_PORT, check_name, parse_cidr, quote
from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Address, Network
from ovnmesh.plan.ask.switch_subnets import MAX_SWITCHES, next_network, subnet_text

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
# Room for the network itself and the router ports of two sites.
_LEAST_ADDRESSES = 4
_NAME_LENGTH = 63
# Ports of the RAFT servers, beside those of the databases (ovn-ctl(8), DB_IC_*_CLUSTER_LOCAL_PORT).
_NB_RAFT_PORT = 6647
_SB_RAFT_PORT = 6648
_ENVIRONMENT = {
    "address": "LOCAL_IP",
    "nodes": "NODE_IPS",
    "leader": "LEADER_IP",
    "ts-name": "TS_NAME",
    "ts-count": "TS_NUM",
    "ts-cidr": "TS_CIDR",
    "protocol": "PROTOCOL",
}
# Milliseconds of silence until another leader is elected; OVS has 1000, see docs/adr/0015.
_ELECTION_TIMER_MS = 500
# Bounds of OVS (ovsdb/raft.c, ELECTION_MIN_MSEC and ELECTION_MAX_MSEC).
_ELECTION_TIMER_RANGE_MS = (100, 600_000)


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
class WantedSwitch:
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
        return subnet_text(self.cidrs)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The RAFT cluster that a node belongs to.

    Attributes:
        nodes: addresses of all its nodes, this one among them.
        leader: the node that founds the cluster; who leads it afterwards is elected.
        nb_raft_port: TCP port of IC-NB's RAFT servers.
        sb_raft_port: TCP port of IC-SB's RAFT servers.
        election_timer_ms: given to a cluster that is founded.
    """

    nodes: tuple[Address, ...]
    leader: Address
    nb_raft_port: int
    sb_raft_port: int
    election_timer_ms: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything ``ovnmesh ic-db`` was told.

    Attributes:
        folders: where things are.
        address: address to listen on.
        nb_port: TCP port of IC-NB.
        sb_port: TCP port of IC-SB.
        switches: transit switches to ensure.
        cluster: the cluster this node belongs to; None if it serves alone.
    """

    folders: Folders
    address: Address
    nb_port: int
    sb_port: int
    switches: tuple[WantedSwitch, ...]
    cluster: Cluster | None = None


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
    _refuse_tls(options)
    address = _take_address(options)
    nb_port = _take_number(options, "nb-port", IC_NB_PORT, 65535)
    sb_port = _take_number(options, "sb-port", IC_SB_PORT, 65535)
    if nb_port == sb_port != 0:
        options.reporter("sb-port")(f'"{sb_port}"', "another port than that of --nb-port")
    switches = _take_switches(options)
    cluster = _take_cluster(options, address, {nb_port, sb_port})
    if options.problems:
        raise ConfigError(options.problems)
    return Settings(folders, address, nb_port, sb_port, switches, cluster)


def parse_switch(name: str, cidr: str) -> WantedSwitch:
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


def _refuse_tls(options: _Options) -> None:
    env = options.env
    if env.get("ENABLE_SSL", "false") != "false":
        expected = '"false" or nothing: TLS is not offered yet'
        found = quote(env["ENABLE_SSL"])
        options.problems.append(Problem("ENABLE_SSL (environment)", found, expected))


def _take_cluster(options: _Options, address: Address, taken: set[int]) -> Cluster | None:
    """The cluster, if more than one node is named."""
    ports: list[int] = []
    for name, default in (("nb-raft-port", _NB_RAFT_PORT), ("sb-raft-port", _SB_RAFT_PORT)):
        ports.append(_take_number(options, name, default, 65535))
    least, most = _ELECTION_TIMER_RANGE_MS
    timer_ms = _take_number(options, "election-timer", _ELECTION_TIMER_MS, most)
    if 0 < timer_ms < least:
        options.reporter("election-timer")(f'"{timer_ms}"', f"milliseconds, at least {least}")
    nodes, leader = _take_nodes(options), _take_leader(options, address)
    if options.problems:
        return None
    named = ", ".join(map(str, nodes)) or "none"
    if not options.get("address") and len(nodes) > 1:
        expected = f"which of the nodes {named} this one is (environment: LOCAL_IP)"
        options.reporter("address")("nothing", expected)
    elif nodes and options.get("address") and address not in nodes:
        expected = f"this node's own address, {address} (LOCAL_IP, --address), among them"
        options.reporter("nodes")(named, expected)
    elif leader not in (nodes or (address,)):
        expected = f"one of the nodes (NODE_IPS, --nodes): {named}; name all nodes on every node"
        options.reporter("leader")(str(leader), expected)
    elif len(nodes) > 1:
        if len({*ports, *taken}) < len(ports) + len(taken):
            options.reporter("nb-raft-port")(str(ports[0]), "four different ports")
        return Cluster(nodes, leader, ports[0], ports[1], timer_ms)
    return None


def _take_nodes(options: _Options) -> tuple[Address, ...]:
    nodes: list[Address] = []
    for entry in (options.get("nodes") or "").split(","):
        if not entry.strip():
            continue
        try:
            node = ipaddress.ip_address(entry.strip())
        except ValueError:
            expected = "IPv4 or IPv6 addresses without brackets, comma-separated"
            options.reporter("nodes")(quote(entry.strip()), expected)
            continue
        if node in nodes:
            options.reporter("nodes")(f"{node} twice", "each node once")
        nodes.append(node)
    return tuple(nodes)


def _take_leader(options: _Options, address: Address) -> Address:
    """The founder; the documents name none where it is the node itself."""
    text = options.get("leader")
    try:
        return ipaddress.ip_address(text) if text else address
    except ValueError:
        options.reporter("leader")(quote(str(text)), "an IPv4 or IPv6 address without brackets")
        return address


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


def _take_switches(options: _Options) -> tuple[WantedSwitch, ...]:
    name = options.get("ts-name")
    name = _TS_NAME if name is None else check_name(name, _NAME_LENGTH, options.reporter("ts-name"))
    count = _take_number(options, "ts-count", 1, MAX_SWITCHES)
    cidrs = _take_cidrs(options)
    try:
        return tuple(
            WantedSwitch(f"{name}{i or ''}", tuple(next_network(cidr, i) for cidr in cidrs))
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
