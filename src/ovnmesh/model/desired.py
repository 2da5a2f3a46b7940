"""What a site should be: configuration and cluster facts, reduced to what the planner needs.

Built by the controller from a provider's reading; kept, as JSON, in the site's own northbound
database, so that a controller that starts while the input is unreadable carries on with the last
good state. Must not know where the input came from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovnmesh.model.prefixes import Prefix, parse_prefix


@dataclass(frozen=True, slots=True)
class Desired:
    """The wish for one site.

    Attributes:
        az_name: availability zone name.
        gw_nodes: gateway nodes, most preferred first.
        auto_route: advertise and learn routes.
        denied: prefixes never to be advertised or learned, each with the reason.
        local: prefixes of the cluster's own subnets, whether or not OVN has them yet.
        data: the ``ovn-ic-config`` data this came from, for the record.
    """

    az_name: str
    gw_nodes: tuple[str, ...]
    auto_route: bool
    denied: Mapping[Prefix, str] = field(default_factory=dict)
    local: frozenset[Prefix] = frozenset()
    data: Mapping[str, str] = field(default_factory=dict)


def encode_desired(desired: Desired) -> str:
    """The record of a wish as compact, stable JSON."""
    return json.dumps(
        {
            "config": dict(sorted(desired.data.items())),
            "denied": {str(prefix): why for prefix, why in sorted(desired.denied.items())},
            "local": [str(prefix) for prefix in sorted(desired.local)],
        },
        separators=(",", ":"),
        sort_keys=True,
    )


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """The last good state as read back from the database."""

    data: Mapping[str, str]
    denied: Mapping[Prefix, str]
    local: frozenset[Prefix]


def decode_record(raw: str) -> SiteRecord | None:
    """Read what `encode_desired` wrote; None if it is missing or not ours."""
    try:
        found = json.loads(raw)
        return SiteRecord(
            {str(k): str(v) for k, v in found["config"].items()},
            {parse_prefix(k): str(v) for k, v in found["denied"].items()},
            frozenset(parse_prefix(p) for p in found["local"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
