"""Which router of a site serves which transit switch, and under which port names.

Called by `plan.decisions`. A transit switch serves one router of a site: OVN before 23.09
advertises only one of several (docs/adr/0021). A router that is disabled, or gone, is taken off its
switches: it carries nothing, and ovn-ic may insert routes into it without end
(`Quirk.ROUTE_STORM`). Must not write anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.northbound import LogicalRouter
from ovnmesh.model.observed import Observed


@dataclass(frozen=True, slots=True)
class Attachment:
    """How a transit switch is to be connected.

    Attributes:
        ts: the transit switch.
        router: UUID of the router.
        lrp: name of the router's port.
        lsp: name of the switch's port.
        bypass: whether traffic has to be let past policies of the router.
    """

    ts: str
    router: str
    lrp: str
    lsp: str
    bypass: bool


@dataclass(frozen=True, slots=True)
class Attachments:
    """The decision for one site.

    Attributes:
        by_switch: what is to be connected, by transit switch.
        reserved: switches of routers that cannot be connected now: their claims are kept.
        findings: routers that cannot be connected.
    """

    by_switch: Mapping[str, Attachment]
    reserved: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = field(default_factory=tuple)

    @property
    def routers(self) -> Mapping[str, str]:
        """UUID of the router of each connected switch."""
        return {ts: attachment.router for ts, attachment in self.by_switch.items()}


def decide_attachments(desired: Desired, observed: Observed) -> Attachments:
    """Deal the transit switches out to the routers.

    Args:
        desired: the wish.
        observed: the site and the mesh.
    """
    switches = tuple(observed.ic.transit_switches)
    dealt = _deal(desired, observed, switches)
    by_switch: dict[str, Attachment] = {}
    reserved: set[str] = set()
    findings: list[Finding] = []
    for wish in desired.routers:
        mine = tuple(ts for ts in switches if dealt.get(ts) == wish.name)
        router = observed.nb.router(wish.name)
        storms = observed.capabilities.has(Quirk.ROUTE_STORM)
        problem = _check(wish, router, mine, storms)
        if problem is not None:
            findings.append(problem)
        if router is None or not router.enabled:
            reserved.update(mine)
            continue
        for ts in mine:
            by_switch[ts] = _attach(wish, router, ts, desired.az_name, observed)
    return Attachments(by_switch, frozenset(reserved), tuple(findings))


def _deal(desired: Desired, observed: Observed, switches: Sequence[str]) -> dict[str, str]:
    """Name of the router that each switch is given to; a switch may be left over."""
    routers = desired.routers
    if len(routers) == 1 and not routers[0].transit_switches:
        return dict.fromkeys(switches, routers[0].name)
    dealt: dict[str, str] = {}
    for router in routers:
        for ts in router.transit_switches:
            dealt.setdefault(ts, router.name)
    for router in routers:
        if router.transit_switches:
            continue
        kept = [ts for ts in _connected(router, observed) if ts in switches and ts not in dealt]
        dealt.update(dict.fromkeys(kept, router.name))
    for router in routers:
        if not router.transit_switches and router.name not in dealt.values():
            free = next((ts for ts in switches if ts not in dealt), None)
            if free is not None:
                dealt[free] = router.name
    return {ts: name for ts, name in dealt.items() if ts in switches}


def _connected(wish: Router, observed: Observed) -> Iterator[str]:
    """Switches on which that router has a port of ours."""
    router = observed.nb.router(wish.name)
    for port in observed.nb.tagged_ports:
        if router is not None and port.router == router.uuid:
            yield port.transit_switch


def _attach(
    wish: Router, router: LogicalRouter, ts: str, az: str, observed: Observed
) -> Attachment:
    lrp, lsp = wish.lrp_name(az, ts), wish.lsp_name(az, ts)
    if wish.ports_named_after:
        # Names come from people here: another site may have a router of that name, and a new name
        # for a port that is in use would lose its traffic.
        nb = observed.nb
        port = next(
            (p for p in nb.tagged_ports if p.transit_switch == ts and p.router == router.uuid),
            None,
        )
        peer = nb.switch_port_of(port.name) if port is not None else None
        lrp = port.name if port is not None else lrp
        lsp = peer.name if peer is not None else lsp
        own = {az, nb.name}
        if any(p.name == lsp and p.az not in own for p in observed.ic.ports):
            lsp = f"{wish.lsp_name(az, ts)}-{az}"
    return Attachment(ts, router.uuid, lrp, lsp, bypass=wish.bypass_policy)


def _check(
    wish: Router, router: LogicalRouter | None, mine: Sequence[str], storms: bool
) -> Finding | None:
    name = wish.title
    if router is None:
        return Finding(
            Code.ROUTER_MISSING,
            name,
            f"the northbound database has no logical router {wish.name}. What connected it is "
            "removed; its addresses stay claimed. Wait until the cloud's network is up, or correct "
            "the router's name.",
        )
    if not router.enabled:
        return Finding(
            Code.ROUTER_DISABLED,
            name,
            f"router {wish.name} is disabled, so it is taken off its transit switches"
            f"{': ovn-ic would add routes to it without end' if storms else ''}. Enable it again, "
            "or take it out of the configuration.",
            Severity.WARNING,
        )
    if not mine:
        wanted = ", ".join(wish.transit_switches) or "one that no other router of this site has"
        return Finding(
            Code.ROUTER_WITHOUT_SWITCH,
            name,
            f"router {wish.name} has no transit switch. Expected: {wanted}, because a transit "
            "switch serves one router of a site. Add one: ovnmesh transit-switch add NAME",
        )
    return None
