"""The plan of a joined site: what to change, in which database, in which order.

Called by the controller on every pass, by `--dry-run`, and by the property tests. Applying a plan
and planning again gives an empty plan. Order matters because OVSDB has no transaction across
databases: claims first (they can be lost to a rival), then what others see, then our own ports.
Must not do I/O; must not touch rows that are not ours.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.changes import Batch, Db, MergeKeys, Operation, Plan
from ovnmesh.model.denied import encode_denied
from ovnmesh.model.desired import Desired, GatewayPolicy
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.gateway_state import encode_gateway_state
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages
from ovnmesh.model.prefixes import LINK_LOCAL, Prefix
from ovnmesh.model.site_record import encode_desired
from ovnmesh.plan.decide.addressing import choose_endpoint, taken_by_others
from ovnmesh.plan.decide.conflicts import Conflicts, resolve_conflicts
from ovnmesh.plan.decide.external import decide_external
from ovnmesh.plan.decide.families import uncarried
from ovnmesh.plan.decide.gateways import Gateways, decide_gateways, resolve_gateways
from ovnmesh.plan.decide.manual_routes import manual_routes, split_manual, written_routes
from ovnmesh.plan.decide.routers import Attachments, decide_attachments
from ovnmesh.plan.decide.stages import SETTLE_S, Stages, decide_stages, park
from ovnmesh.plan.deny import Denied, decide_denied
from ovnmesh.plan.rows.bfd import plan_bfd
from ovnmesh.plan.rows.claims import (
    check_az_name,
    plan_address_claims,
    plan_az_claim,
    plan_release_switch,
)
from ovnmesh.plan.rows.gateway_chassis import plan_gateway_chassis
from ovnmesh.plan.rows.identity import plan_identity, plan_seed, renames
from ovnmesh.plan.rows.learned import plan_surplus, plan_withdrawals, storming
from ovnmesh.plan.rows.mtu import check_mtu, gateway_mtu, plan_mtu_claims
from ovnmesh.plan.rows.nat_guard import plan_nat_guard
from ovnmesh.plan.rows.nb_global import check_deny_list, deny_keys, plan_global
from ovnmesh.plan.rows.ports import awaits_key, plan_port_removal, plan_ports


def plan_site(desired: Desired, observed: Observed, ages: Ages = MappingProxyType({})) -> Plan:
    """Plan a joined site.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        ages: seconds for which conditions that an earlier plan reported as pending have held.
    """
    observed = observed.under(desired.az_name)
    nb = observed.nb
    blocker = _check_preconditions(desired, observed)
    if blocker is not None:
        # ovn-ic that finds no transit switches would delete the site's: it must not run then.
        safe = bool(nb.tagged_ports) and blocker.code != Code.IC_EMPTY
        return Plan(findings=(blocker,), run_ovn_ic=safe, refused=True)
    wish, desired = desired, resolve_gateways(desired, observed.sb)
    attachments = decide_attachments(desired, observed)
    stages = decide_stages(observed, attachments.routers, ages)
    endpoints, address_findings = _endpoints(desired, observed, attachments, stages)
    manual = manual_routes(observed)
    foreign = uncarried(endpoints, observed)
    # What the wish keeps out anyway has its reason, which outlives the port that leads there.
    external = decide_external(desired, observed, {*desired.denied, *foreign})
    conflicts = _conflicts(desired, observed, (*external.denied, *manual, *foreign))
    deniable, manual_findings = split_manual(observed, manual)
    denied = decide_denied(desired, observed, external.denied, deniable, foreign, conflicts.denied)
    gateways = decide_gateways(desired, observed, ages)
    capabilities = nb.capabilities
    batches = [
        Batch(
            Db.IC_NB,
            (
                *plan_az_claim(desired.az_name, observed),
                *plan_address_claims(endpoints, observed),
                *plan_mtu_claims(endpoints, gateways.marked, observed),
                *_plan_releases(attachments, stages, observed),
            ),
            "claim name and addresses",
        ),
        Batch(
            Db.IC_SB,
            plan_identity(desired.az_name, attachments.by_switch, observed),
            "rename the availability zone",
        ),
        Batch(Db.IC_SB, _plan_seed(desired.az_name, observed), "bring the tunnel keys in use"),
        Batch(
            Db.NB,
            (
                *_plan_global(wish, observed, denied, gateways),
                *_plan_transit(desired, observed, endpoints, gateways, (attachments, stages)),
                *plan_surplus(attachments.by_switch, observed),
                *plan_bfd(gateways.candidates, observed),
                *plan_nat_guard(external.ports, observed, gateways.marked),
            ),
            "name, routes and transit ports",
        ),
        Batch(
            Db.IC_SB,
            (
                *_plan_marks(desired.az_name, conflicts, observed),
                *plan_withdrawals(attachments.by_switch, observed),
            ),
            "mark held routes, withdraw stale ones",
        ),
    ]
    return Plan(
        batches=tuple(batch for batch in batches if batch.operations),
        findings=(
            *attachments.findings,
            *address_findings,
            *gateways.findings,
            *conflicts.findings,
            *external.findings,
            *(check_mtu(gateways.marked, observed) if desired.gateways.mtu_bytes is None else ()),
            *(manual_findings if desired.auto_route else ()),
            *check_deny_list(
                [p for p in denied.listed if p not in (*LINK_LOCAL, *foreign)], capabilities
            ),
        ),
        pause_ovn_ic=renames(desired.az_name, observed) or storming(observed),
        waiting=tuple(
            ts
            for ts in endpoints
            if ts not in nb.switches or awaits_key(nb, attachments.by_switch[ts])
        ),
        pending={**gateways.pending, **dict.fromkeys(stages.ripe, SETTLE_S)},
    )


def _check_preconditions(desired: Desired, observed: Observed) -> Finding | None:
    nb, ic = observed.nb, observed.ic
    if not any(router.uuid for router in nb.routers) and keys.SITE_RECORD not in nb.external_ids:
        return decide_attachments(desired, observed).findings[0]
    if not ic.global_uuid:
        return Finding(
            Code.IC_EMPTY,
            "IC_NB_Global",
            "the interconnection northbound database is not initialised. Run `ovnmesh ic-db`, or "
            "`ovn-ic-nbctl init`.",
        )
    missing = sorted(set(nb.switches) - set(ic.transit_switches))
    if nb.tagged_ports and missing and not ic.transit_switches:
        return Finding(
            Code.IC_EMPTY,
            ", ".join(missing),
            f"the interconnection databases hold no transit switch, but this site is connected to "
            f"{', '.join(missing)}: they are not those that the site joined. Everything is kept as "
            "it is. Bring the old database files back, from a backup (ovnmesh ic-db backup) for "
            "example, or leave and join again.",
        )
    return check_az_name(desired.az_name, observed)


def _own_names(desired: Desired, observed: Observed) -> tuple[str, str]:
    return desired.az_name, observed.nb.name


def _endpoints(
    desired: Desired, observed: Observed, attachments: Attachments, stages: Stages
) -> tuple[Mapping[str, Endpoint], tuple[Finding, ...]]:
    nb, ic = observed.nb, observed.ic
    endpoints: dict[str, Endpoint] = {}
    findings: list[Finding] = []
    for name, ts in ic.transit_switches.items():
        if name in stages.leaving or name not in attachments.by_switch:
            continue
        current = observed.ports.get(name)
        taken = taken_by_others(nb.site_id, _own_names(desired, observed), ts, ic)
        endpoint = choose_endpoint(nb.site_id, ts, current, taken)
        if endpoint is None:
            findings.append(
                Finding(
                    Code.TRANSIT_SWITCH_UNUSABLE,
                    name,
                    f"transit switch {name} has no usable subnet, or no free address in it (found "
                    f'"{", ".join(ts.written_subnets)}"). Expected: external_ids:subnet with a '
                    f"CIDR, for example: ovn-ic-nbctl set Transit_Switch {name} "
                    "external_ids:subnet=169.254.100.0/24",
                )
            )
            continue
        lost = current.addresses & taken[0] if current is not None else ()
        if lost:
            findings.append(
                Finding(
                    Code.ADDRESS_MOVED,
                    name,
                    f"another site has taken {', '.join(sorted(map(str, lost)))} on {name}, so "
                    f"this site moves to {', '.join(map(str, endpoint.networks))}. Change manual "
                    "routes of other sites that lead to the old address.",
                    Severity.WARNING,
                )
            )
        endpoints[name] = endpoint
    return endpoints, tuple(findings)


def _conflicts(desired: Desired, observed: Observed, withheld: Collection[Prefix]) -> Conflicts:
    if not desired.auto_route:
        return Conflicts({}, frozenset(), ())
    nb = observed.nb
    local = observed.own_prefixes
    if not nb.shared:
        written = written_routes(nb)
        routed = {prefix for prefix, hop in written if any(net.holds(hop) for net in local)}
        local |= routed - set(withheld)
    ignored = {*desired.denied, *withheld}
    return resolve_conflicts(desired.az_name, local | desired.local, ignored, observed.ic, nb.name)


def _plan_global(
    desired: Desired, observed: Observed, denied: Denied, gateways: Gateways
) -> tuple[Operation, ...]:
    nb = observed.nb
    capabilities = nb.capabilities
    auto = "true" if desired.auto_route else "false"
    options = {keys.ROUTE_ADV: auto, keys.ROUTE_LEARN: auto}
    options |= {keys.GATEWAYS: ",".join(gateways.marked)} | _bfd_options(desired.gateways)
    options |= {key: ",".join(map(str, denied.listed)) for key in deny_keys(capabilities)}
    adopted = bool(observed.under(nb.name or desired.az_name).ports)
    records = {
        keys.SITE_RECORD: encode_desired(desired),
        keys.DENIED: encode_denied(denied.reasons, desired.denied),
        keys.GATEWAY_STATE: encode_gateway_state(gateways.state),
    }
    return plan_global(nb, desired.az_name, options, records, adopted)


def _bfd_options(policy: GatewayPolicy) -> dict[str, str]:
    return {
        keys.BFD_MIN_RX: str(policy.bfd_min_rx_ms),
        keys.BFD_MIN_TX: str(policy.bfd_min_tx_ms),
        keys.BFD_MULT: str(policy.bfd_mult),
    }


def _plan_transit(
    desired: Desired,
    observed: Observed,
    endpoints: Mapping[str, Endpoint],
    gateways: Gateways,
    places: tuple[Attachments, Stages],
) -> tuple[Operation, ...]:
    nb, (attachments, stages) = observed.nb, places
    moved = {
        port.transit_switch
        for port in nb.tagged_ports
        if attachments.routers.get(port.transit_switch) != port.router
    }
    operations: list[Operation] = []
    for ts, endpoint in endpoints.items():
        if ts not in nb.switches or ts in moved:
            continue  # ovn-ic makes the switch, or a port goes first; the next pass connects it
        attachment = attachments.by_switch[ts]
        row = observed.ic.transit_switches[ts]
        options = gateway_mtu(desired.gateways.mtu_bytes, row, gateways.marked, observed)
        placed = park(endpoint) if ts in stages.parked else endpoint
        changes, reference = plan_ports(nb, attachment, placed, options)
        operations += changes
        if reference is not None:
            operations += plan_gateway_chassis(
                gateways.ranked[ts], observed.ports.get(ts), reference, attachment.lrp, observed
            )
    served = nb.served_switches()
    gone = served - set(observed.ic.transit_switches) - set(nb.switches)
    detached = (served & set(observed.ic.transit_switches)) - set(attachments.by_switch)
    for ts in sorted(gone | detached | moved | (served & stages.leaving)):
        operations += plan_port_removal(nb, ts)
    return tuple(operations)


def _plan_releases(
    attachments: Attachments, stages: Stages, observed: Observed
) -> tuple[Operation, ...]:
    """Give up claims on switches that we have left; the command that removes one waits for that."""
    nb, ic = observed.nb, observed.ic
    unused = set(ic.transit_switches) - set(attachments.by_switch) - attachments.reserved
    return tuple(
        operation
        for name in sorted((stages.leaving | unused) - nb.served_switches())
        for operation in plan_release_switch(nb.site_id, ic.transit_switches[name])
    )


def _plan_seed(az: str, observed: Observed) -> tuple[Operation, ...]:
    # While a rename is under way the rows still carry the old names.
    return () if renames(az, observed) else plan_seed(az, observed)


def _plan_marks(az: str, conflicts: Conflicts, observed: Observed) -> tuple[Operation, ...]:
    """Mark our own advertisements that nobody contests as held."""
    return tuple(
        MergeKeys("Route", route.uuid, "external_ids", {keys.HELD: observed.nb.site_id})
        for route in observed.ic.routes
        if route.az == az and not route.held and route.prefix not in conflicts.contested
    )
