"""The ConfigMap `ovn-ic-config`: what a site wants of the mesh.

Called by the providers and by the controller, which keeps the last good configuration as data.
Pure. Keys and defaults are those of Kube-OVN's page "Multi-Cluster Networking"; `advertise-nodes`
and the keys of `config.gateways` are ours. What Kube-OVN would quietly take for "true" or for
nothing is an error here.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ovnmesh import ovn_keys as keys
from ovnmesh.config.fields import (
    Address,
    Fields,
    Report,
    boolean_text,
    check_name,
    did_you_mean,
    parse_boolean,
    parse_name,
    quote,
    raise_problems,
    refuse_repeats,
    split,
)
from ovnmesh.config.gateways import GATEWAY_KEYS, policy_data, take_policy
from ovnmesh.errors import Problem
from ovnmesh.model.desired import DEFAULT_POLICY, GatewayPolicy
from ovnmesh.model.remote import Remote, tcp_remote

CONFIG_NAME = "ovn-ic-config"
"""Name of the ConfigMap (Kube-OVN, "Multi-Cluster Networking")."""
CONFIG_NAMESPACE = "kube-system"
"""Namespace of the ConfigMap (same source)."""
IC_NB_PORT = 6645
"""Default of ``ic-nb-port`` (Kube-OVN, "Multi-Cluster Networking"; ovn-ctl(8))."""
IC_SB_PORT = 6646
"""Default of ``ic-sb-port`` (same sources)."""

# Every key, with what it should hold.
_KEYS = {
    "enable-ic": '"true" to join or "false" to leave',
    "az-name": "the name of this cluster, different in every cluster",
    "ic-db-host": "the addresses of the interconnection databases, comma-separated",
    "ic-nb-port": f'a TCP port such as "{IC_NB_PORT}"',
    "ic-sb-port": f'a TCP port such as "{IC_SB_PORT}"',
    "gw-nodes": "the names of the gateway nodes, comma-separated, the preferred one first, or "
    f"{keys.ENABLE_AS_GATEWAY} for those with it in ovn-cms-options",
    "auto-route": '"true" or "false"',
    "advertise-nodes": '"true" or "false"',
    **GATEWAY_KEYS,
}
# Those without which a cluster cannot be joined; the others have a default.
_REQUIRED = ("az-name", "ic-db-host", "gw-nodes", "auto-route")
# A name becomes part of port names (`ts-az1`) and a metrics label; Kubernetes' limit for labels.
_AZ_NAME_LENGTH = 63


@dataclass(frozen=True, slots=True)
class InterconnectConfig:
    """The content of a site's ``ovn-ic-config``.

    Attributes:
        enable_ic: join (True) or leave (False) the mesh.
        az_name: availability zone name of the site; "" only if not joining.
        ic_db_hosts: addresses of the interconnection databases, in the order given.
        ic_nb_port: TCP port of the interconnection northbound database.
        ic_sb_port: TCP port of the interconnection southbound database.
        gw_nodes: gateway nodes, the preferred one first.
        auto_route: advertise and learn routes.
        advertise_nodes: let the nodes' own addresses be advertised too.
        gateways: how gateways serve.
    """

    enable_ic: bool
    az_name: str = ""
    ic_db_hosts: tuple[Address, ...] = ()
    ic_nb_port: int = IC_NB_PORT
    ic_sb_port: int = IC_SB_PORT
    gw_nodes: tuple[str, ...] = ()
    auto_route: bool = False
    advertise_nodes: bool = False
    gateways: GatewayPolicy = DEFAULT_POLICY

    def ic_nb_remote(self) -> Remote:
        """Where IC-NB is: ``tcp:192.168.65.3:6645,tcp:[fd00::1]:6645``."""
        return tcp_remote(self.ic_db_hosts, self.ic_nb_port)

    def ic_sb_remote(self) -> Remote:
        """Where IC-SB is, in the same form."""
        return tcp_remote(self.ic_db_hosts, self.ic_sb_port)

    def to_data(self) -> dict[str, str]:
        """The ConfigMap data that `parse_config` reads back as an equal value."""
        data = {"enable-ic": boolean_text(self.enable_ic)}
        if self.az_name:
            data["az-name"] = self.az_name
        if self.ic_db_hosts:
            data["ic-db-host"] = ",".join(str(host) for host in self.ic_db_hosts)
        data["ic-nb-port"] = str(self.ic_nb_port)
        data["ic-sb-port"] = str(self.ic_sb_port)
        if self.gw_nodes:
            data["gw-nodes"] = ",".join(self.gw_nodes)
        data["auto-route"] = boolean_text(self.auto_route)
        data["advertise-nodes"] = boolean_text(self.advertise_nodes)
        return data | policy_data(self.gateways)


def parse_config(data: object, where: str, nodes: Sequence[str] = ()) -> InterconnectConfig:
    """Parse the ``data`` of ``ovn-ic-config``.

    With ``enable-ic`` "false" the other keys may be missing; those present are still checked.

    Args:
        data: the mapping under ``data``, as the source gave it.
        where: the document, e.g. ``ConfigMap kube-system/ovn-ic-config (site.yaml:3)``.
        nodes: names of all nodes of the site, to check the gateways by; empty if not known.

    Raises:
        ConfigError: with every problem.
    """
    fields = Fields(data, f"{where}, data", 'keys with strings, such as enable-ic: "true"')
    fields.refuse_unknown(_KEYS, "key")
    enable_ic = fields.take("enable-ic", parse_boolean, None)
    config = InterconnectConfig(
        enable_ic=bool(enable_ic),
        az_name=fields.take("az-name", _parse_az_name, ""),
        ic_db_hosts=fields.take("ic-db-host", _parse_hosts, ()),
        ic_nb_port=fields.take("ic-nb-port", _parse_port, IC_NB_PORT),
        ic_sb_port=fields.take("ic-sb-port", _parse_port, IC_SB_PORT),
        gw_nodes=fields.take("gw-nodes", _parse_gateways, ()),
        auto_route=bool(fields.take("auto-route", parse_boolean, None)),
        advertise_nodes=bool(fields.take("advertise-nodes", parse_boolean, None)),
        gateways=take_policy(fields),
    )
    if config.ic_nb_port == config.ic_sb_port and fields.good("ic-nb-port", "ic-sb-port"):
        fields.add("ic-sb-port", f'"{config.ic_sb_port}"', "another port than that of ic-nb-port")
    fields.require("enable-ic", _KEYS["enable-ic"])
    if enable_ic is not False:
        for key in _REQUIRED:
            fields.require(key, _KEYS[key])
    checked = replace(config, enable_ic=enable_ic is not False)
    raise_problems([*fields.problems(), *check_gateways(checked, nodes, where)])
    return config


def check_gateways(
    config: InterconnectConfig, nodes: Sequence[str], where: str
) -> tuple[Problem, ...]:
    """Check that the gateways are nodes of the cluster.

    A site that leaves is not held up by a gateway that is gone, and a site whose nodes are not
    known is not checked.

    Args:
        config: the parsed configuration.
        nodes: names of all nodes of the site; empty if they are not known.
        where: the document that names the gateways.
    """
    if not nodes or not config.enable_ic:
        return ()
    known = set(nodes)
    if config.gw_nodes == (keys.ENABLE_AS_GATEWAY,):
        return ()
    some = ", ".join(nodes[:8]) + (", ..." if len(nodes) > 8 else "")
    return tuple(
        Problem(
            f"{where}, data.gw-nodes",
            f"{quote(gateway)}, which is no Node",
            f"a node of the cluster: {did_you_mean(gateway, nodes) or some}",
        )
        for gateway in config.gw_nodes
        if gateway not in known
    )


def _parse_az_name(text: str, report: Report) -> str:
    return check_name(text, _AZ_NAME_LENGTH, report)


def _parse_port(text: str, report: Report) -> int:
    if re.fullmatch("[1-9][0-9]{0,4}", text) and int(text) <= 65535:
        return int(text)
    report(quote(text), "a TCP port, 1 to 65535, digits only")
    return 0


def _parse_gateways(text: str, report: Report) -> tuple[str, ...]:
    names = [parse_name(name, report) for name in split(text, "node names", report)]
    refuse_repeats(names, report)
    if keys.ENABLE_AS_GATEWAY in names and len(names) > 1:
        report(quote(text), f"either {keys.ENABLE_AS_GATEWAY} alone, or names of nodes")
    return tuple(names)


def _parse_hosts(text: str, report: Report) -> tuple[Address, ...]:
    hosts = []
    for entry in split(text, "addresses", report):
        host = _parse_host(entry, report)
        if host is not None:
            hosts.append(host)
    refuse_repeats(hosts, report)
    return tuple(hosts)


def _parse_host(entry: str, report: Report) -> Address | None:
    expected = "IPv4 or IPv6 addresses, comma-separated"
    try:
        host = ipaddress.ip_address(entry)
    except ValueError:
        why = ""
        if entry.startswith("["):
            expected = "an IPv6 address without brackets and port; ports have keys of their own"
        elif ":" in entry and entry.count(":") == 1:
            expected = "an address without port; use ic-nb-port and ic-sb-port"
        elif re.search("[A-Za-z]", entry) and ":" not in entry:
            # The daemons would look the name up again and again, and block while they do.
            why = " (a host name)"
        report(f"{quote(entry)}{why}", expected)
        return None
    if host.is_unspecified or host.is_multicast or (host.version == 6 and host.is_link_local):
        report(quote(entry), "an address that every site can reach")
        return None
    return host
