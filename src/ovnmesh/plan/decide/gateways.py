"""Gateway chassis of our ports: who is marked, who is promoted, in which order.

Called by `plan.decisions`. A node is first named in NB_Global.options:ovnmesh-gateways (its agent
then marks it), and promoted only once it is marked and ovn-ic has published it: a gateway that
becomes active before remote sites have a tunnel to it loses traffic. Demotion runs the other way
round.

Must not leave a port without its last gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ovnmesh import ovn_keys as keys
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.gateway_state import GatewayState
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages, Waits
from ovnmesh.model.southbound import Gateway, Southbound
from ovnmesh.plan.decide.gateway_order import decide_order


@dataclass(frozen=True, slots=True)
class Gateways:
    """The decision for one site.

    Attributes:
        marked: chassis names to be marked as interconnection gateways, sorted.
        ranked: chassis names that may carry traffic with their priority, by transit switch.
        candidates: chassis names of the gateway nodes, promoted or not, sorted.
        state: what to remember of the choice.
        pending: conditions that count only after some seconds.
        findings: unknown, unregistered and unmarked nodes.
    """

    marked: tuple[str, ...]
    ranked: Mapping[str, tuple[tuple[str, int], ...]]
    candidates: tuple[str, ...]
    state: GatewayState
    pending: Waits
    findings: tuple[Finding, ...]


def resolve_gateways(desired: Desired, sb: Southbound) -> Desired:
    """Replace `enable-chassis-as-gw` by the host names of the chassis that have that word."""
    if desired.gw_nodes != (keys.ENABLE_AS_GATEWAY,):
        return desired
    allowed = [c for c in sb.chassis if keys.ENABLE_AS_GATEWAY in c.cms_options and not c.is_remote]
    nodes = tuple(sorted(sb.gateway(chassis.name).node for chassis in allowed))
    return replace(desired, gw_nodes=nodes or desired.gw_nodes)


def decide_gateways(desired: Desired, observed: Observed, ages: Ages) -> Gateways:
    """Resolve gateway nodes to chassis and decide who is marked, who is promoted and who leads.

    Args:
        desired: the wish.
        observed: the site.
        ages: seconds for which conditions reported as pending have held.
    """
    gateways = observed.sb.gateways(desired.gw_nodes)
    candidates: list[Gateway] = []
    marked: set[str] = set()
    findings: list[Finding] = []
    published = {gateway.name for gateway in observed.ic.gateways}
    in_use = _in_use(observed)
    for gateway in gateways:
        chassis = observed.sb.by_name(gateway.chassis)
        if chassis is None:
            findings.append(_no_chassis(gateway.node, observed))
            continue
        marked.add(chassis.name)
        if (chassis.is_interconn and chassis.name in published) or chassis.name in in_use:
            candidates.append(gateway)
        if not chassis.is_interconn:
            findings.append(_not_marked(gateway.node))
    order = decide_order(desired, observed, gateways, candidates, ages)
    ranked = {
        ts: _priorities([gateway.chassis for gateway in group], _carrier(ts, observed))
        for ts, group in order.ranked.items()
    }
    return Gateways(
        # A gateway that is still carrying traffic stays marked until it carries none.
        tuple(sorted(marked | in_use)),
        ranked,
        tuple(sorted(marked)),
        order.state,
        order.pending,
        tuple(findings),
    )


def _carrier(ts: str, observed: Observed) -> str:
    """Chassis that a port is bound to and has as gateway; "" if there is none."""
    lrp, bound = observed.ports.get(ts), observed.carrier(ts)
    ranked = {row.chassis for row in observed.nb.gateway_rows(lrp)} if lrp is not None else ()
    known = bound in ranked and observed.sb.by_name(bound) is not None
    return bound if known else ""


def _priorities(chassis: list[str], carrier: str) -> tuple[tuple[str, int], ...]:
    """Chassis with priorities; one that carries traffic stays until another has taken over.

    Taken away at once, it would let go of the port before another could claim it.
    """
    if chassis and carrier and carrier not in chassis:
        chassis = [*chassis, carrier]
    return tuple(
        (name, max(1, keys.GATEWAY_PRIORITY - index)) for index, name in enumerate(chassis)
    )


def _in_use(observed: Observed) -> set[str]:
    """Chassis that a port has as gateway, or is still bound to while one is drained."""
    nb, sb = observed.nb, observed.sb
    used = set()
    for lrp in nb.tagged_ports:
        used |= {row.chassis for row in nb.gateway_rows(lrp)}
        if lrp.name in sb.active:
            used.add(sb.active[lrp.name])
    return {name for name in used if sb.by_name(name) is not None}


def _no_chassis(node: str, observed: Observed) -> Finding:
    known = sorted(c.hostname for c in observed.sb.chassis if not c.is_remote)
    if node == keys.ENABLE_AS_GATEWAY:
        return Finding(
            Code.GATEWAY_UNKNOWN,
            node,
            f"no chassis has {node} in its ovn-cms-options. The site's chassis: "
            f"{', '.join(known) or 'none'}. The gateways stay as they are. Run on a gateway node: "
            f"ovs-vsctl set Open_vSwitch . external_ids:ovn-cms-options={node}",
        )
    return Finding(
        Code.GATEWAY_UNKNOWN,
        node,
        f'gw-nodes: no chassis has the hostname or name "{node}". The site\'s chassis: '
        f"{', '.join(known) or 'none'}. The other gateways stay as they are. Correct gw-nodes, or "
        "start ovn-controller on that node.",
    )


def _not_marked(node: str) -> Finding:
    return Finding(
        Code.GATEWAY_NOT_MARKED,
        node,
        f"gateway node {node} is not marked yet, so other sites do not send to it. Is the ovnmesh "
        "agent running there? By hand, on that node: ovs-vsctl set Open_vSwitch . "
        "external_ids:ovn-is-interconn=true",
        Severity.WARNING,
    )
