"""Which gateway leads on which transit switch, and who is drained: what a site remembers of it.

Kept as JSON in the site's own northbound database, so that a failover stays as it is when the
gateway returns, whichever controller acts. Decided by `plan.decide.gateway_order` on every change,
and by `ovnmesh gateway`. Pure.
"""

from collections.abc import Mapping

import msgspec

from ovnmesh.model.records import Codec


class GatewayState(msgspec.Struct, frozen=True, rename="kebab"):
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
    leaders: Mapping[str, str] = msgspec.field(default_factory=dict)
    active: Mapping[str, str] = msgspec.field(default_factory=dict)
    drained: frozenset[str] = frozenset()


_CODEC = Codec(GatewayState)


def encode_gateway_state(state: GatewayState) -> str:
    """The record as compact, stable JSON."""
    return _CODEC.encode(state)


def decode_gateway_state(raw: str) -> GatewayState:
    """Read what `encode_gateway_state` wrote; an empty state if it is missing or not ours."""
    return _CODEC.decode(raw) or GatewayState()
