"""All decisions of a pass, in the order in which they depend on each other.

Called by `plan.site`, whose stages turn them into operations. Must not write anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Finding
from ovnmesh.model.observed import Observed
from ovnmesh.model.pending import Ages
from ovnmesh.model.prefixes import LINK_LOCAL
from ovnmesh.plan.decide.addressing import decide_endpoints
from ovnmesh.plan.decide.conflicts import Conflicts, decide_conflicts
from ovnmesh.plan.decide.external import ExternalNetworks, decide_external
from ovnmesh.plan.decide.families import uncarried
from ovnmesh.plan.decide.gateways import Gateways, decide_gateways, resolve_gateways
from ovnmesh.plan.decide.manual_routes import manual_routes, split_manual
from ovnmesh.plan.decide.mtu import check_mtu
from ovnmesh.plan.decide.routers import Attachments, decide_attachments
from ovnmesh.plan.decide.stages import Stages, decide_stages
from ovnmesh.plan.decide.wanted_ports import WantedPorts, decide_ports
from ovnmesh.plan.deny import Denied, check_deny_list, decide_denied


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one site is to be like, decided before anything of it is written.

    Attributes:
        desired: the wish, as it is recorded.
        observed: the site and the mesh, with untagged ports called after the wanted AZ name.
        attachments: which router serves which transit switch.
        stages: where each transit switch stands.
        endpoints: our place on each transit switch.
        external: ports to external networks.
        conflicts: prefixes that overlap others'.
        denied: what is kept out.
        gateways: who is marked, who is promoted and who leads.
        ports: our ports.
        findings: what is worth telling.
    """

    desired: Desired
    observed: Observed
    attachments: Attachments
    stages: Stages
    endpoints: Mapping[str, Endpoint]
    external: ExternalNetworks
    conflicts: Conflicts
    denied: Denied
    gateways: Gateways
    ports: WantedPorts
    findings: tuple[Finding, ...]

    @property
    def az(self) -> str:
        """The wanted AZ name."""
        return self.desired.az_name

    @property
    def released(self) -> frozenset[str]:
        """Transit switches that we have left; a command that removes one waits for our claim."""
        attachments, switches = self.attachments, frozenset(self.observed.ic.transit_switches)
        unused = switches - set(attachments.by_switch) - attachments.reserved
        return (self.stages.leaving | unused) - self.observed.nb.served_switches()


def decide(desired: Desired, observed: Observed, ages: Ages) -> Decisions:
    """Decide everything.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        ages: seconds for which conditions that an earlier plan reported as pending have held.
    """
    wish, desired = desired, resolve_gateways(desired, observed.sb)
    attachments = decide_attachments(desired, observed)
    stages = decide_stages(observed, attachments.routers, ages)
    used = set(attachments.by_switch) - stages.leaving
    endpoints, address_findings = decide_endpoints(desired.az_name, observed, used)
    manual = manual_routes(observed)
    foreign = uncarried(endpoints, observed)
    external = decide_external(desired, observed, (*foreign, *desired.denied))
    withheld = (*external.denied, *manual, *foreign)
    conflicts = decide_conflicts(desired, observed, withheld)
    deniable, manual_findings = split_manual(observed, manual)
    denied = decide_denied(desired, observed, external.denied, deniable, foreign, conflicts.denied)
    gateways = decide_gateways(desired, observed, ages)
    mtu_bytes, marked = desired.gateways.mtu_bytes, gateways.marked
    listed = [prefix for prefix in denied.listed if prefix not in (*LINK_LOCAL, *foreign)]
    return Decisions(
        desired=wish,
        observed=observed,
        attachments=attachments,
        stages=stages,
        endpoints=endpoints,
        external=external,
        conflicts=conflicts,
        denied=denied,
        gateways=gateways,
        ports=decide_ports(observed, attachments, stages, endpoints, mtu_bytes, marked),
        findings=(
            *attachments.findings,
            *address_findings,
            *gateways.findings,
            *conflicts.findings,
            *external.findings,
            *(check_mtu(marked, observed) if mtu_bytes is None else ()),
            *(manual_findings if desired.auto_route else ()),
            *check_deny_list(listed, observed.capabilities),
        ),
    )
