"""Every key of a site's configuration: one table for all of its forms.

It drives parsing and showing of `ovn-ic-config` (`config.interconnect`) and of the typed forms that
providers read (the spec of an Interconnection, site files); tests hold the CRD's schema and
docs/configuration.md against it. A new key is one entry here, an attribute of what it is parsed to,
and its lines in those two. Names and defaults are those of Kube-OVN's page "Multi-Cluster
Networking"; `advertise-nodes` and the keys of gateways are ours: without them a site does what the
documents describe. What Kube-OVN would quietly take for "true" or for nothing is an error. Pure.
"""

import ipaddress
import re

from ovnmesh import ovn_keys
from ovnmesh.config.fields import (
    Report,
    boolean_text,
    check_name,
    did_you_mean,
    parse_boolean,
    parse_name,
    quote,
    refuse_repeats,
    split,
)
from ovnmesh.config.key import Key, ValueType, number_parser
from ovnmesh.model.addresses import Address
from ovnmesh.model.desired import DEFAULT_POLICY

IC_NB_PORT = 6645
"""Default of ``ic-nb-port`` (Kube-OVN, "Multi-Cluster Networking"; ovn-ctl(8))."""
IC_SB_PORT = 6646
"""Default of ``ic-sb-port`` (same sources)."""

# A name becomes part of port names (`ts-az1`) and a metrics label; Kubernetes' limit for labels.
_AZ_NAME_LENGTH = 63
_PORTS = (1, 65535)
_MODES = ("active-backup", "active-active")
_MODE_EXPECTED = '"active-backup" or "active-active"'
# What every IPv6 link must carry (RFC 8200, section 5), and what an IP length field can say.
_MTUS_BYTES = (1280, 65535)
_BFD_INTERVALS_MS = (10, 60000)
# Fewer than two missed packets is any missed packet; the field is one byte (RFC 5880, section 4.1).
_BFD_MULTS = (2, 255)


def _parse_flag(text: str, report: Report) -> bool:
    return bool(parse_boolean(text, report))


def _parse_az_name(text: str, report: Report) -> str:
    return check_name(text, _AZ_NAME_LENGTH, report)


def _parse_gateways(text: str, report: Report) -> tuple[str, ...]:
    names = [parse_name(name, report) for name in split(text, "node names", report)]
    refuse_repeats(names, report)
    if ovn_keys.ENABLE_AS_GATEWAY in names and len(names) > 1:
        report(quote(text), f"either {ovn_keys.ENABLE_AS_GATEWAY} alone, or names of nodes")
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


def _parse_mode(text: str, report: Report) -> bool:
    if text not in _MODES:
        near = did_you_mean(text, _MODES)
        report(quote(text), _MODE_EXPECTED + (f", {near}" if near else ""))
    return text == _MODES[1]


def _parse_mtu(text: str, report: Report) -> int | None:
    if text in ("auto", "off"):
        return None if text == "auto" else 0
    least, most = _MTUS_BYTES
    parse = number_parser(_MTUS_BYTES, f'"auto", "off" or bytes from {least} to {most}')
    return parse(text, report)


def _show_mtu(mtu_bytes: int | None) -> str:
    return {None: "auto", 0: "off"}.get(mtu_bytes, str(mtu_bytes))


def _port(name: str, spec_name: str, field: str, default: int) -> Key:
    return Key(
        name=name,
        spec_name=spec_name,
        field=field,
        kind=ValueType.NUMBER,
        parse=number_parser(_PORTS, f"a TCP port, {_PORTS[0]} to {_PORTS[1]}"),
        default=default,
        expected=f'a TCP port such as "{default}"',
        typed="a TCP port",
        always=True,
        bounds=_PORTS,
    )


def _interval(name: str, spec_name: str, field: str) -> Key:
    least, most = _BFD_INTERVALS_MS
    return Key(
        name=name,
        spec_name=spec_name,
        field=field,
        kind=ValueType.NUMBER,
        parse=number_parser(_BFD_INTERVALS_MS, f"a number from {least} to {most}"),
        default=getattr(DEFAULT_POLICY, field),
        expected=f"milliseconds, {least} to {most}",
        typed="milliseconds",
        bounds=_BFD_INTERVALS_MS,
    )


#: Keys of `InterconnectConfig`.
SITE_KEYS = (
    Key(
        name="enable-ic",
        spec_name="enableIC",
        field="enable_ic",
        kind=ValueType.BOOLEAN,
        parse=parse_boolean,
        show=boolean_text,
        default=None,
        expected='"true" to join or "false" to leave',
        typed="true to join or false to leave",
        required=True,
        always=True,
        typed_default="true",
    ),
    Key(
        name="az-name",
        spec_name="azName",
        field="az_name",
        kind=ValueType.TEXT,
        parse=_parse_az_name,
        default="",
        expected="the name of this cluster, different in every cluster",
        typed="text",
        required=True,
    ),
    Key(
        name="ic-db-host",
        spec_name="icDBHosts",
        field="ic_db_hosts",
        kind=ValueType.LIST,
        parse=_parse_hosts,
        show=lambda hosts: ",".join(map(str, hosts)),
        default=(),
        expected="the addresses of the interconnection databases, comma-separated",
        typed="a list of addresses",
        required=True,
    ),
    _port("ic-nb-port", "icNBPort", "ic_nb_port", IC_NB_PORT),
    _port("ic-sb-port", "icSBPort", "ic_sb_port", IC_SB_PORT),
    Key(
        name="gw-nodes",
        spec_name="gatewayNodes",
        field="gw_nodes",
        kind=ValueType.LIST,
        parse=_parse_gateways,
        show=",".join,
        default=(),
        expected="the names of the gateway nodes, comma-separated, the preferred one first, or "
        f"{ovn_keys.ENABLE_AS_GATEWAY} for those with it in ovn-cms-options",
        typed="a list of node names",
        required=True,
    ),
    Key(
        name="auto-route",
        spec_name="autoRoute",
        field="auto_route",
        kind=ValueType.BOOLEAN,
        parse=_parse_flag,
        show=boolean_text,
        default=False,
        expected='"true" or "false"',
        typed="true or false",
        required=True,
        always=True,
        typed_default="true",
    ),
    Key(
        name="advertise-nodes",
        spec_name="advertiseNodes",
        field="advertise_nodes",
        kind=ValueType.BOOLEAN,
        parse=_parse_flag,
        show=boolean_text,
        default=False,
        expected='"true" or "false"',
        typed="true or false",
        always=True,
    ),
)
#: Keys of `GatewayPolicy`.
GATEWAY_KEYS = (
    Key(
        name="gateway-mode",
        spec_name="gatewayMode",
        field="active_active",
        kind=ValueType.TEXT,
        parse=_parse_mode,
        show=lambda active_active: _MODES[active_active],
        default=DEFAULT_POLICY.active_active,
        expected=_MODE_EXPECTED,
        typed="active-backup or active-active",
        choices=_MODES,
    ),
    Key(
        name="gateway-preempt",
        spec_name="gatewayPreempt",
        field="preempt",
        kind=ValueType.BOOLEAN,
        parse=_parse_flag,
        show=boolean_text,
        default=DEFAULT_POLICY.preempt,
        expected='"true" or "false"',
        typed="true or false",
    ),
    Key(
        name="gateway-mtu",
        spec_name="gatewayMTU",
        field="mtu_bytes",
        kind=ValueType.NUMBER_OR_TEXT,
        parse=_parse_mtu,
        show=_show_mtu,
        default=DEFAULT_POLICY.mtu_bytes,
        expected='"auto", "off" or a number of bytes such as "1442"',
        typed="auto, off or a number of bytes",
        bounds=_MTUS_BYTES,
    ),
    _interval("bfd-min-rx", "bfdMinRx", "bfd_min_rx_ms"),
    _interval("bfd-min-tx", "bfdMinTx", "bfd_min_tx_ms"),
    Key(
        name="bfd-mult",
        spec_name="bfdMult",
        field="bfd_mult",
        kind=ValueType.NUMBER,
        parse=number_parser(_BFD_MULTS, f"a number from {_BFD_MULTS[0]} to {_BFD_MULTS[1]}"),
        default=DEFAULT_POLICY.bfd_mult,
        expected=f"a number of packets, {_BFD_MULTS[0]} to {_BFD_MULTS[1]}",
        typed="a number of packets",
        bounds=_BFD_MULTS,
    ),
)
KEYS = (*SITE_KEYS, *GATEWAY_KEYS)
#: Every key by its name in `ovn-ic-config`.
BY_NAME = {key.name: key for key in KEYS}
#: Every key by its name in the spec of an Interconnection.
BY_SPEC_NAME = {key.spec_name: key for key in KEYS}
