"""Which gateway leads on which transit switch, and who is drained: what a site remembers of it.

Kept as JSON in the site's own northbound database, so that a failover stays as it is when the
gateway returns, whichever controller acts. Written by `plan.decide.gateway_order` on every change,
and by `ovnmesh gateway`. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The record.

    Attributes:
        nodes: the site's gateways, most preferred first: `gw-nodes` as the controller has resolved
            it, for which the leaders were chosen.
        active_active: `gateway-mode` for which they were chosen.
        leaders: node that should be active, by transit switch; empty to have them chosen anew.
        active: name of the chassis last seen active, by transit switch.
        drained: nodes that carry traffic only if nobody else can.
    """

    nodes: tuple[str, ...] = ()
    active_active: bool = False
    leaders: Mapping[str, str] = field(default_factory=dict)
    active: Mapping[str, str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()


def encode_gateway_state(state: GatewayState) -> str:
    """The record as compact, stable JSON."""
    return json.dumps(
        {
            "active": dict(state.active),
            "active-active": state.active_active,
            "drained": sorted(state.drained),
            "leaders": dict(state.leaders),
            "nodes": list(state.nodes),
        },
        separators=(",", ":"),
        sort_keys=True,
    )


def decode_gateway_state(raw: str) -> GatewayState:
    """Read what `encode_gateway_state` wrote; an empty state if it is missing or not ours."""
    try:
        found = json.loads(raw)
        return GatewayState(
            tuple(str(node) for node in found["nodes"]),
            bool(found["active-active"]),
            {str(ts): str(node) for ts, node in found["leaders"].items()},
            {str(ts): str(chassis) for ts, chassis in found["active"].items()},
            frozenset(str(node) for node in found["drained"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return GatewayState()
