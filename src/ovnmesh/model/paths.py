"""What a gateway node's agent has found about the paths from there.

Written by `agent`, as JSON, to the site's southbound database; read by planners and views. Pure.
Values are rounded, and kept while they hardly change, so that a quiet mesh writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ovnmesh.model.records import Codec


class Path(msgspec.Struct, frozen=True, array_like=True):
    """The path from one chassis to another.

    Attributes:
        up: what BFD on the tunnel says; None if it never came up, as when the other end runs none.
        rtt_ms: median round-trip time between the tunnel's ends in milliseconds; None if unknown.
        loss: lost share of the probes, 0 to 1; None if unknown.
    """

    up: bool | None
    rtt_ms: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class ChassisReport:
    """What one chassis' agent reports.

    Attributes:
        paths: by name of the chassis at the other end, of this site and of others.
        tunnel_mtu_bytes: largest IP packet that fits into its tunnels; None if unknown.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    tunnel_mtu_bytes: int | None = None


_CODEC = Codec(dict[str, Path])


def encode_paths(paths: Mapping[str, Path]) -> str:
    """Paths as compact, stable JSON: a list of three for each."""
    return _CODEC.encode(dict(paths))


def decode_paths(raw: str) -> Mapping[str, Path]:
    """Read what `encode_paths` wrote; nothing if it is missing or not ours."""
    return _CODEC.decode(raw) or {}
