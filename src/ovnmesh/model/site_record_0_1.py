"""The site record as version 0.1.0 wrote it, so that an upgrade finds the last good state.

Called by `model.site_record`; the controller's next pass replaces the record. That version kept the
texts of its `ovn-ic-config`, which it had checked and put into one form before. Pure. Goes when no
site can still have such a record.
"""

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from ovnmesh.model.denied import collect_reasons
from ovnmesh.model.desired import (
    BFD_INTERVAL_MS,
    BFD_MULT,
    Desired,
    GatewayPolicy,
    Router,
)
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.model.records import Codec
from ovnmesh.model.remote import tcp_remote


class _Record(msgspec.Struct, frozen=True):
    config: dict[str, str]
    denied: dict[str, str]
    local: list[str]
    #: Name, label, and transit switches of each; only where routers have labels, which meant at
    #: once that ports are named after it, that the database is shared, and that it is not
    #: Kube-OVN's.
    routers: tuple[tuple[str, ...], ...] = ()


_CODEC = Codec(_Record)


def decode_0_1(raw: str, router: str) -> Desired | None:
    """The wish that a record of version 0.1.0 tells; None if it is missing or not ours.

    Args:
        raw: the record.
        router: name of the site's router where the record names none.
    """
    record = _CODEC.decode(raw)
    if record is None or record.config.get("enable-ic") != "true":
        return None
    data = record.config
    try:
        hosts = [ip_address(host) for host in data["ic-db-host"].split(",")]
        return Desired(
            az_name=data["az-name"],
            gw_nodes=tuple(data["gw-nodes"].split(",")),
            auto_route=data["auto-route"] == "true",
            denied=collect_reasons((parse_prefix(k), why) for k, why in record.denied.items()),
            local=frozenset(map(parse_prefix, record.local)),
            gateways=_policy(data),
            routers=tuple(
                Router(name, label, tuple(switches), bypass_policy=not label)
                for name, label, *switches in record.routers
            )
            or (Router(router, bypass_policy=True),),
            shared_database=any(label for _, label, *_ in record.routers),
            ic_nb=tcp_remote(hosts, int(data["ic-nb-port"])),
            ic_sb=tcp_remote(hosts, int(data["ic-sb-port"])),
        )
    except (ValueError, KeyError):
        return None


def _policy(data: Mapping[str, str]) -> GatewayPolicy:
    """Only what differed from its default was written."""
    mtu = data.get("gateway-mtu", "auto")
    return GatewayPolicy(
        active_active=data.get("gateway-mode") == "active-active",
        preempt=data.get("gateway-preempt") == "true",
        bfd_min_rx_ms=int(data.get("bfd-min-rx", BFD_INTERVAL_MS)),
        bfd_min_tx_ms=int(data.get("bfd-min-tx", BFD_INTERVAL_MS)),
        bfd_mult=int(data.get("bfd-mult", BFD_MULT)),
        mtu_bytes=None if mtu == "auto" else 0 if mtu == "off" else int(mtu),
    )
