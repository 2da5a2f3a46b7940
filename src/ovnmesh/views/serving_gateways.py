"""Which gateway serves which transit switch: the content of `ovnmesh gateway list`.

Called by the command line. Pure. Must not format.
"""

from dataclasses import dataclass

from ovnmesh.model.northbound import RouterPort
from ovnmesh.model.observed import Observed


@dataclass(frozen=True, slots=True)
class ServingLine:
    """One gateway node of one transit switch.

    Attributes:
        ts: the transit switch.
        node: host name of the node, or the chassis name if there is no such chassis.
        chassis: chassis name.
        priority: priority in the port's group; the highest that is up carries the traffic.
        state: "active", "standby" or "drained"; a drained one may be active while nobody else can.
    """

    ts: str
    node: str
    chassis: str
    priority: int
    state: str


def serving_gateways(observed: Observed) -> tuple[ServingLine, ...]:
    """Gateways of every transit switch, the first in line first."""
    lines = [line for lrp in observed.nb.tagged_ports for line in _of_port(lrp, observed)]
    return tuple(sorted(lines, key=lambda line: (line.ts, -line.priority, line.node)))


def active_node(observed: Observed, ts: str) -> str:
    """Node that carries a transit switch's traffic; "" while nobody does."""
    return next(
        (x.node for x in serving_gateways(observed) if x.ts == ts and x.state == "active"), ""
    )


def _of_port(lrp: RouterPort, observed: Observed) -> list[ServingLine]:
    nb, sb = observed.nb, observed.sb
    drained = nb.gateway_state.drained
    lines = []
    for row in nb.gateway_rows(lrp):
        node = sb.gateway(row.chassis).node
        state = "drained" if {node, row.chassis} & drained else "standby"
        if sb.active.get(lrp.name) == row.chassis:
            state = "active"
        lines.append(ServingLine(lrp.transit_switch, node, row.chassis, row.priority, state))
    return lines
