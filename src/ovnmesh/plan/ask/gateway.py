"""What an operator asks of gateways: drain one, bring it back, prefer one, forget all that.

Called by `ovnmesh gateway`. Changes only the record that `plan.decide.gateway_order` starts from,
by compare-and-swap; the controller does the rest. Must not touch priorities.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.changes import Batch, Db
from ovnmesh.model.desired import GatewayPolicy
from ovnmesh.model.gateway_state import GatewayState
from ovnmesh.model.observed import Observed
from ovnmesh.plan.rows.nb_global import plan_gateway_state


def plan_drain(observed: Observed, node: str) -> Batch | None:
    """Have a gateway node give its traffic to the others; None if it is drained already.

    Raises:
        ConfigError: no gateway of the site, or the only one that may carry traffic.
    """
    state = _state(observed, node)
    others = set(_ready(observed)) - state.drained - {node}
    if not others:
        expected = "another gateway that is marked and not drained; see: ovnmesh gateway list"
        raise ConfigError([Problem("NODE", f'"{node}", the only gateway left', expected)])
    return _record(observed, state, replace(state, drained=state.drained | {node}), f"drain {node}")


def plan_undrain(observed: Observed, node: str) -> Batch | None:
    """Make a drained gateway a reserve again; None if it is not drained.

    Raises:
        ConfigError: no gateway of the site.
    """
    state = _state(observed, node)
    new = replace(state, drained=state.drained - {node})
    return _record(observed, state, new, f"bring {node} back")


def plan_prefer(
    observed: Observed, node: str, switches: Iterable[str], policy: GatewayPolicy
) -> Batch | None:
    """Have a gateway node lead; None if it does.

    Args:
        observed: the site.
        node: the node.
        switches: transit switches it is to lead on; none for all.
        policy: how the site's gateways serve.

    Raises:
        ConfigError: no gateway of the site, one that is not ready, no such transit switch, or a
            site where another takes over again by itself.
    """
    state = _state(observed, node)
    known = observed.nb.served_switches()
    wanted = list(switches) or sorted(known)
    problems = [
        Problem("--ts", f'"{ts}"', f"a transit switch of the site: {', '.join(sorted(known))}")
        for ts in wanted
        if ts not in known
    ]
    if node not in _ready(observed):
        expected = "a gateway that is marked and published; see: ovnmesh gateway list"
        problems.append(Problem("NODE", f'"{node}", which may not carry traffic yet', expected))
    if policy.preempt:
        expected = '"false"; or change the order of gw-nodes, whose first takes over by itself'
        problems.append(Problem("site", 'gateway-preempt: "true"', expected))
    if problems:
        raise ConfigError(problems)
    leaders = {**state.leaders, **dict.fromkeys(wanted, node)}
    new = replace(state, leaders=leaders, drained=state.drained - {node})
    return _record(observed, state, new, f"prefer {node}")


def plan_reset(observed: Observed) -> Batch | None:
    """Go back to what the configuration says; None if that is so."""
    state = observed.nb.gateway_state
    new = replace(state, leaders={}, drained=frozenset())
    return _record(observed, state, new, "as configured")


def _state(observed: Observed, node: str) -> GatewayState:
    """The record, if the node is a gateway.

    Raises:
        ConfigError: it is not.
    """
    state = observed.nb.gateway_state
    if node not in state.nodes:
        some = ", ".join(state.nodes) or "it has none, because it has not joined"
        raise ConfigError([Problem("NODE", f'"{node}"', f"a gateway of the site: {some}")])
    return state


def _ready(observed: Observed) -> tuple[str, ...]:
    """Gateway nodes that may carry traffic now."""
    rows = {row.chassis for row in observed.nb.gateway_chassis.values()}
    gateways = observed.sb.gateways(observed.nb.gateway_state.nodes)
    return tuple(gateway.node for gateway in gateways if gateway.chassis in rows)


def _record(observed: Observed, old: GatewayState, new: GatewayState, why: str) -> Batch | None:
    if new == old:
        return None
    return Batch(Db.NB, plan_gateway_state(observed.nb, new), why)
