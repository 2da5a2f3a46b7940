"""Leaving the mesh: every trace of ours goes, nothing else does.

Called by the controller when ``enable-ic`` is "false", and by `ovnmesh leave`. First what others
see (while ovn-ic is stopped, so that it cannot put anything back), then our own rows, then the
marks of the gateway nodes. Must be explicit: a missing configuration never leads here.
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Db, Delete, Operation, Plan, merge
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages, Condition
from ovnmesh.plan.rows.bfd import plan_bfd_removal
from ovnmesh.plan.rows.claims import plan_release
from ovnmesh.plan.rows.learned import delete_route
from ovnmesh.plan.rows.nat_guard import plan_guard_removal
from ovnmesh.plan.rows.nb_global import plan_restore
from ovnmesh.plan.rows.ports import plan_port_removal

#: That gateway nodes have lost their mark, which their agents remove.
UNMARKED: Condition = ("unmarked",)
#: Seconds that agents are given for it: they hear of it at once, and look every second if they have
#: to try again.
UNMARKED_S = 5.0


def joined(nb: Northbound) -> bool:
    """Whether anything of ours is left in the site's databases."""
    records = (keys.SITE_RECORD, keys.RESTORE)
    return bool(nb.tagged_ports or nb.policies or any(key in nb.external_ids for key in records))


def plan_leave(observed: Observed, ages: Ages, patience_s: float = UNMARKED_S) -> Plan:
    """Plan a site that is to leave.

    Args:
        observed: the site, with its learned routes.
        ages: seconds for which conditions that an earlier plan reported as pending have held.
        patience_s: seconds to wait for gateway nodes whose agent does not answer.
    """
    if not joined(observed.nb):
        return Plan(run_ovn_ic=False, leaving=True)
    own = (
        Batch(Db.IC_SB, _forget(observed), "withdraw from the mesh"),
        Batch(Db.NB, _disconnect(observed), "remove transit ports and learned routes"),
        Batch(Db.SB, _forget_remotes(observed), "remove remote chassis"),
        Batch(
            Db.IC_NB, plan_release(observed.nb.site_id, observed.ic), "release name and addresses"
        ),
    )
    batches = tuple(batch for batch in own if batch.operations)
    waiting = _marked(observed)
    if batches:
        return Plan(batches, run_ovn_ic=False, leaving=True)
    findings = _still_marked(waiting)
    if waiting and ages.get(UNMARKED, 0.0) < patience_s:
        pending = {UNMARKED: patience_s}
        return Plan((), findings, run_ovn_ic=False, leaving=True, pending=pending)
    last = Batch(Db.NB, _erase_records(observed), "erase our records")
    return Plan((last,), findings, run_ovn_ic=False, leaving=True)


def plan_forget(az: str, ic: Interconnect) -> tuple[Batch, ...]:
    """Remove what a site that is gone for good has left in the interconnection databases.

    Args:
        az: its AZ name.
        ic: the interconnection databases.
    """
    batches = [Batch(Db.IC_SB, _forget_zone(az, ic), f"remove the rows of {az}")]
    owner = ic.az_owner.get(az)
    if owner is not None:
        batches.append(Batch(Db.IC_NB, plan_release(owner, ic), f"release the claims of {az}"))
    return tuple(batch for batch in batches if batch.operations)


def _forget(observed: Observed) -> tuple[Operation, ...]:
    """Our own rows, if the availability zone of that name is ours."""
    nb, ic = observed.nb, observed.ic
    return _forget_zone(nb.name, ic) if ic.az_owner.get(nb.name) == nb.site_id else ()


def _forget_zone(az: str, ic: Interconnect) -> tuple[Operation, ...]:
    """An availability zone's rows; children before the row they refer to."""
    zone = ic.zone_uuid(az)
    if not zone:
        return ()
    children: list[Operation] = []
    children += [Delete("Route", route.uuid) for route in ic.routes if route.az == az]
    children += [Delete("Route", uuid) for uuid, of in ic.unreadable_routes.items() if of == az]
    children += [Delete("Port_Binding", port.uuid) for port in ic.ports if port.az == az]
    children += [Delete("Gateway", gw.uuid) for gw in ic.gateways if gw.az == az]
    return (*children, Delete("Availability_Zone", zone))


def _disconnect(observed: Observed) -> tuple[Operation, ...]:
    nb = observed.nb
    operations: list[Operation] = [delete_route(route) for route in nb.learned_routes]
    for ts in sorted(nb.served_switches()):
        operations += plan_port_removal(nb, ts)
    operations += (*plan_bfd_removal(nb), *plan_guard_removal(nb))
    operations += [Delete("Logical_Switch", switch.uuid) for switch in nb.switches.values()]
    operations += (
        merge("NB_Global", nb.global_uuid, "options", nb.options, {keys.GATEWAYS: ""})
        if keys.GATEWAYS in nb.options
        else ()
    )
    operations += plan_restore(nb) if keys.RESTORE in nb.external_ids else ()
    return tuple(operations)


def _forget_remotes(observed: Observed) -> tuple[Operation, ...]:
    return tuple(Delete("Chassis", c.uuid) for c in observed.sb.chassis if c.is_remote)


def _marked(observed: Observed) -> tuple[str, ...]:
    """Local chassis that still carry the mark: an empty gateway list has their agents remove it."""
    if keys.GATEWAYS not in observed.nb.options:
        return ()
    return tuple(c.hostname for c in observed.sb.chassis if c.is_interconn and not c.is_remote)


def _still_marked(nodes: tuple[str, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            Code.GATEWAY_STILL_MARKED,
            node,
            f"node {node} is still marked as interconnection gateway. Expected: its ovnmesh agent "
            "removes the mark. By hand, on that node: ovs-vsctl set Open_vSwitch . "
            "external_ids:ovn-is-interconn=false",
            Severity.WARNING,
        )
        for node in nodes
    )


def _erase_records(observed: Observed) -> tuple[Operation, ...]:
    nb = observed.nb
    records = frozenset(
        {keys.SITE_RECORD, keys.RESTORE, keys.STATUS, keys.DENIED, keys.GATEWAY_STATE}
    )
    return (
        *merge("NB_Global", nb.global_uuid, "external_ids", nb.external_ids, {}, records),
        *merge("NB_Global", nb.global_uuid, "options", nb.options, {}, frozenset({keys.GATEWAYS})),
    )
