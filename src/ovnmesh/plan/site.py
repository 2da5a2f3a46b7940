"""The plan of a joined site: what to change, in which database, in which order.

Called by the controller on every pass, by `--dry-run`, and by the property tests. Applying a plan
and planning again gives an empty plan. Must not do I/O; must not touch rows that are not ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from ovnmesh.model.changes import Batch, Db, Operation, Plan
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages
from ovnmesh.plan.decide.learned import storming
from ovnmesh.plan.decide.preconditions import check_preconditions
from ovnmesh.plan.decide.stages import SETTLE_S
from ovnmesh.plan.decisions import Decisions, decide
from ovnmesh.plan.rows.advertised import plan_marks, plan_withdrawals
from ovnmesh.plan.rows.bfd import plan_bfd
from ovnmesh.plan.rows.claims import (
    plan_address_claims,
    plan_az_claim,
    plan_mtu_claims,
    plan_release_switches,
)
from ovnmesh.plan.rows.gateway_chassis import plan_gateway_chassis
from ovnmesh.plan.rows.identity import plan_identity, plan_lost_routers, plan_seed, renames
from ovnmesh.plan.rows.nat_guard import plan_nat_guard
from ovnmesh.plan.rows.nb_global import plan_global
from ovnmesh.plan.rows.ports import awaits_key, plan_port_removals, plan_ports
from ovnmesh.plan.rows.static_routes import plan_surplus

Step = Callable[[Decisions], tuple[Operation, ...]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One transaction: its steps, in order."""

    db: Db
    why: str
    steps: tuple[Step, ...]

    def batch(self, decided: Decisions) -> Batch:
        """The transaction for one site."""
        operations = tuple(operation for step in self.steps for operation in step(decided))
        return Batch(self.db, operations, self.why)


#: The pass. Order matters because OVSDB has no transaction across databases: claims first (they can
#: be lost to a rival), then what others see, then our own ports.
STAGES = (
    Stage(
        Db.IC_NB,
        "claim name and addresses",
        (
            lambda d: plan_az_claim(d.az, d.observed),
            lambda d: plan_address_claims(d.endpoints, d.observed),
            lambda d: plan_mtu_claims(d.endpoints, d.gateways.marked, d.observed),
            lambda d: plan_release_switches(d.released, d.observed),
        ),
    ),
    Stage(
        Db.IC_SB,
        "rename the availability zone",
        (lambda d: plan_identity(d.az, d.attachments.by_switch, d.observed),),
    ),
    Stage(
        Db.IC_SB,
        "forget routers that ports have lost",
        (lambda d: plan_lost_routers(d.observed),),
    ),
    Stage(
        Db.IC_SB,
        "bring the tunnel keys in use",
        (lambda d: plan_seed(d.az, d.observed),),
    ),
    Stage(
        Db.NB,
        "name, routes and transit ports",
        (
            lambda d: plan_global(d.desired, d.observed, d.denied, d.gateways),
            lambda d: plan_ports(d.ports.wanted, d.observed),
            lambda d: plan_gateway_chassis(d.ports.wanted, d.gateways.ranked, d.observed),
            lambda d: plan_port_removals(d.ports.removed, d.observed.nb),
            lambda d: plan_surplus(d.attachments.routers, d.observed),
            lambda d: plan_bfd(d.gateways.candidates, d.observed),
            lambda d: plan_nat_guard(d.external.ports, d.observed, d.gateways.marked),
        ),
    ),
    Stage(
        Db.IC_SB,
        "mark held routes, withdraw stale ones",
        (
            lambda d: plan_marks(d.az, d.conflicts.contested, d.observed),
            lambda d: plan_withdrawals(d.attachments.by_switch, d.observed),
        ),
    ),
)


def plan_site(desired: Desired, observed: Observed, ages: Ages = MappingProxyType({})) -> Plan:
    """Plan a joined site.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        ages: seconds for which conditions that an earlier plan reported as pending have held.
    """
    observed = observed.under(desired.az_name)
    blocker = check_preconditions(desired, observed)
    if blocker is not None:
        # ovn-ic that finds no transit switches would delete the site's: it must not run then.
        safe = bool(observed.nb.tagged_ports) and blocker.code != Code.IC_EMPTY
        return Plan(findings=(blocker,), run_ovn_ic=safe, refused=True)
    decided = decide(desired, observed, ages)
    batches = (stage.batch(decided) for stage in STAGES)
    return Plan(
        batches=tuple(batch for batch in batches if batch.operations),
        findings=decided.findings,
        pause_ovn_ic=renames(decided.az, observed) or storming(observed),
        waiting=_waiting(decided),
        pending={**decided.gateways.pending, **dict.fromkeys(decided.stages.ripe, SETTLE_S)},
    )


def _waiting(decided: Decisions) -> tuple[str, ...]:
    """Transit switches that ovn-ic has yet to make here, or to give our port its key on."""
    observed, attachments = decided.observed, decided.attachments.by_switch
    return tuple(
        ts
        for ts in decided.endpoints
        if ts not in observed.nb.switches or awaits_key(observed, attachments[ts])
    )
