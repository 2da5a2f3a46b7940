"""Leaving the mesh: every trace of ours goes, nothing else does.

Called by the controller when ``enable-ic`` is "false", and by `ovnmesh leave`. First what others
see (while ovn-ic is stopped, so that it cannot put anything back), then our own rows, then the
marks of the gateway nodes. Must be explicit: a missing configuration never leads here.
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Batch, Db, Operation, Plan
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages, Condition
from ovnmesh.plan.rows.advertised import plan_zone_routes_removal
from ovnmesh.plan.rows.bfd import plan_bfd_removal
from ovnmesh.plan.rows.claims import plan_release
from ovnmesh.plan.rows.identity import plan_zone_removal
from ovnmesh.plan.rows.nat_guard import plan_guard_removal
from ovnmesh.plan.rows.nb_global import plan_erasure, plan_gateway_list_removal, plan_restore
from ovnmesh.plan.rows.ports import plan_port_removals, plan_switch_removal
from ovnmesh.plan.rows.remote_chassis import plan_remote_removal
from ovnmesh.plan.rows.static_routes import plan_learned_removal
from ovnmesh.plan.rows.status_record import plan_status_removal

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
        Batch(Db.SB, plan_remote_removal(observed.sb), "remove remote chassis"),
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
    records = (*plan_erasure(observed.nb), *plan_status_removal(observed.nb))
    return Plan(
        (Batch(Db.NB, records, "erase our records"),), findings, run_ovn_ic=False, leaving=True
    )


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
    if not ic.zone_uuid(az):
        return ()
    return (*plan_zone_routes_removal(az, ic), *plan_zone_removal(az, ic))


def _disconnect(observed: Observed) -> tuple[Operation, ...]:
    nb = observed.nb
    return (
        *plan_learned_removal(observed),
        *plan_port_removals(nb.served_switches(), nb),
        *plan_bfd_removal(nb),
        *plan_guard_removal(nb),
        *plan_switch_removal(nb),
        *plan_gateway_list_removal(nb),
        *plan_restore(nb),
    )


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
