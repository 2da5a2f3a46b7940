"""The site record: the last good wish, kept in the site's own northbound database.

A controller that starts while the input is unreadable carries on with it, and commands see in it
how the site is configured. Written by `plan.rows.nb_global`, read by `model.reading`.
"""

import msgspec

from ovnmesh.model.denied import collect_reasons, pairs_by_reason, pairs_of, texts_by_reason
from ovnmesh.model.desired import Desired, GatewayPolicy, Router
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.model.records import Codec
from ovnmesh.model.remote import parse_remote
from ovnmesh.model.site_record_0_1 import decode_0_1

#: Raised when a record means something else than before under the same keys.
VERSION = 1


class _Record(msgspec.Struct, frozen=True):
    """`Desired` with prefixes and remotes as text, and without identity; `denied` is by reason."""

    version: int
    az_name: str
    gw_nodes: tuple[str, ...]
    auto_route: bool
    denied: dict[str, list[str]]
    local: list[str]
    gateways: GatewayPolicy
    routers: tuple[Router, ...]
    shared_database: bool
    ic_nb: str
    ic_sb: str


_CODEC = Codec(_Record)


def encode_desired(desired: Desired) -> str:
    """The record of a wish as compact, stable JSON."""
    return _CODEC.encode(
        _Record(
            VERSION,
            desired.az_name,
            desired.gw_nodes,
            desired.auto_route,
            texts_by_reason(pairs_of(desired.denied)),
            [str(prefix) for prefix in sorted(desired.local)],
            desired.gateways,
            desired.routers,
            desired.shared_database,
            str(desired.ic_nb),
            str(desired.ic_sb),
        )
    )


def decode_desired(raw: str, router: str) -> Desired | None:
    """Read what `encode_desired` wrote, or version 0.1.0; None if it is missing or not ours.

    Args:
        raw: the record.
        router: name of the site's router where a record of version 0.1.0 names none.
    """
    record = _CODEC.decode(raw)
    if record is None:
        return decode_0_1(raw, router)
    if record.version != VERSION:
        return None
    try:
        return Desired(
            az_name=record.az_name,
            gw_nodes=record.gw_nodes,
            auto_route=record.auto_route,
            denied=collect_reasons(pairs_by_reason(record.denied)),
            local=frozenset(map(parse_prefix, record.local)),
            gateways=record.gateways,
            routers=record.routers,
            shared_database=record.shared_database,
            ic_nb=parse_remote(record.ic_nb),
            ic_sb=parse_remote(record.ic_sb),
        )
    except ValueError:
        return None
