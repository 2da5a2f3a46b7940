"""What a gateway node's agent has found about the paths from there.

Written by `agent`, as JSON, to the site's southbound database; read by planners and checks. Pure.
Values are rounded, and kept while they hardly change, so that a quiet mesh writes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Path:
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


def encode_paths(paths: Mapping[str, Path]) -> str:
    """Paths as compact, stable JSON."""
    return json.dumps(
        {name: [path.up, path.rtt_ms, path.loss] for name, path in sorted(paths.items())},
        separators=(",", ":"),
    )


def decode_paths(raw: str) -> Mapping[str, Path]:
    """Read what `encode_paths` wrote; nothing if it is missing or not ours."""
    try:
        return {str(name): _path(*fields) for name, fields in json.loads(raw).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _path(up: object, rtt_ms: object, loss: object) -> Path:
    return Path(up if isinstance(up, bool) else None, _number(rtt_ms), _number(loss))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
