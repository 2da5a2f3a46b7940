"""The keys of `ovn-ic-config` that say how gateways serve.

Called by `interconnect`. Pure. None of them is Kube-OVN's: without them a site does what the
documents describe, one active gateway and a spare one.
"""

import re
from functools import partial

from ovnmesh.config.fields import (
    Fields,
    Report,
    boolean_text,
    did_you_mean,
    parse_boolean,
    quote,
)
from ovnmesh.model.desired import DEFAULT_POLICY, GatewayPolicy

GATEWAY_KEYS = {
    "gateway-mode": '"active-backup" or "active-active"',
    "gateway-preempt": '"true" or "false"',
    "gateway-mtu": '"auto", "off" or a number of bytes such as "1442"',
    "bfd-min-rx": "milliseconds, 10 to 60000",
    "bfd-min-tx": "milliseconds, 10 to 60000",
    "bfd-mult": "a number of packets, 2 to 255",
}
"""Every key, with what it should hold."""

_MODES = ("active-backup", "active-active")
# What every IPv6 link must carry (RFC 8200, section 5), and what an IP length field can say.
_MTUS_BYTES = range(1280, 65536)
_BFD_INTERVALS_MS = (10, 60000)
# Fewer than two missed packets is any missed packet; the field is one byte (RFC 5880, section 4.1).
_BFD_MULTS = (2, 255)


def take_policy(fields: Fields) -> GatewayPolicy:
    """Parse the keys; those that are missing have their default."""
    default = DEFAULT_POLICY
    interval = partial(_parse_number, least=_BFD_INTERVALS_MS[0], most=_BFD_INTERVALS_MS[1])
    mult = partial(_parse_number, least=_BFD_MULTS[0], most=_BFD_MULTS[1])
    return GatewayPolicy(
        active_active=fields.take("gateway-mode", _parse_mode, _MODES[0]) == _MODES[1],
        preempt=bool(fields.take("gateway-preempt", parse_boolean, None)),
        bfd_min_rx_ms=fields.take("bfd-min-rx", interval, default.bfd_min_rx_ms),
        bfd_min_tx_ms=fields.take("bfd-min-tx", interval, default.bfd_min_tx_ms),
        bfd_mult=fields.take("bfd-mult", mult, default.bfd_mult),
        mtu_bytes=fields.take("gateway-mtu", _parse_mtu, default.mtu_bytes),
    )


def policy_data(policy: GatewayPolicy) -> dict[str, str]:
    """The keys that differ from their default: a plain configuration stays a short one."""
    mtu = {None: "auto", 0: "off"}.get(policy.mtu_bytes, str(policy.mtu_bytes))
    default = DEFAULT_POLICY
    shown = {
        "gateway-mode": (_MODES[policy.active_active], _MODES[default.active_active]),
        "gateway-preempt": (boolean_text(policy.preempt), boolean_text(default.preempt)),
        "bfd-min-rx": (str(policy.bfd_min_rx_ms), str(default.bfd_min_rx_ms)),
        "bfd-min-tx": (str(policy.bfd_min_tx_ms), str(default.bfd_min_tx_ms)),
        "bfd-mult": (str(policy.bfd_mult), str(default.bfd_mult)),
        "gateway-mtu": (mtu, "auto"),
    }
    return {key: value for key, (value, usual) in shown.items() if value != usual}


def _parse_mode(text: str, report: Report) -> str:
    if text not in _MODES:
        near = did_you_mean(text, _MODES)
        report(quote(text), GATEWAY_KEYS["gateway-mode"] + (f", {near}" if near else ""))
        return _MODES[0]
    return text


def _parse_mtu(text: str, report: Report) -> int | None:
    if text == "auto":
        return None
    if text == "off":
        return 0
    if re.fullmatch("[1-9][0-9]{0,5}", text) and int(text) in _MTUS_BYTES:
        return int(text)
    report(
        quote(text),
        f'"auto", "off" or bytes from {_MTUS_BYTES[0]} to {_MTUS_BYTES[-1]}, digits only',
    )
    return None


def _parse_number(text: str, report: Report, least: int, most: int) -> int:
    if re.fullmatch("[1-9][0-9]{0,5}", text) and least <= int(text) <= most:
        return int(text)
    report(quote(text), f"a number from {least} to {most}, digits only")
    return least
