"""Who leads on which transit switch: by configuration, by what happened, and by what works.

Called by `plan.decide.gateways`. One leader for all switches (active-backup), or the switches
spread over the gateways (active-active). A leader stays until there is a reason: the configuration
changed, it failed, it is drained, or it has no path to an active gateway elsewhere while another
has one. So a gateway that returns takes nothing over by itself, which would cost up to seconds of
traffic (measured: docs/benchmarks.md), unless the site wants it so; then it is moved back once it
answers. Must not know rows: `plan.decide.gateways` turns the order into priorities.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ovnmesh.model.desired import Desired
from ovnmesh.model.gateway_state import GatewayState
from ovnmesh.model.observed import Observed
from ovnmesh.model.paths import ChassisReport
from ovnmesh.model.pending import Ages, Condition, Waits
from ovnmesh.model.southbound import Gateway

#: Seconds a dead path has to be dead before a gateway is moved: where the gateway at the far end
#: has died, its own site moves it, and all our gateways notice within this time of each other.
PATH_DEAD_S = 0.2
#: The same where the other site is to move first; then it cannot, or there is nobody to do it.
PATH_DEAD_THEIR_TURN_S = 2.0
#: Seconds after which a gateway joins a port's group although nobody says that the active one and
#: it hear each other: no agent may be there to say so. BFD takes one to two seconds to come up.
HEARD_S = 3.0


@dataclass(frozen=True, slots=True)
class Order:
    """The decision.

    Attributes:
        ranked: gateways by transit switch, the leader first; only those that may carry traffic.
        state: what to remember.
        pending: conditions that count only after some seconds.
    """

    ranked: Mapping[str, tuple[Gateway, ...]]
    state: GatewayState
    pending: Waits


def decide_order(
    desired: Desired,
    observed: Observed,
    gateways: Sequence[Gateway],
    candidates: Sequence[Gateway],
    ages: Ages,
) -> Order:
    """Decide who leads, and who follows.

    Args:
        desired: the wish.
        observed: the site.
        gateways: those of `gw-nodes`, in that order.
        candidates: those among them that may carry traffic, in the same order.
        ages: seconds for which conditions reported as pending have held.
    """
    known = observed.nb.gateway_state
    switches = sorted(observed.ic.transit_switches, key=_natural)
    drained = frozenset(gateway for gateway in gateways if gateway.node in known.drained)
    willing = [gateway for gateway in gateways if gateway not in drained] or list(gateways)
    leaders = _leaders(desired, known, switches, gateways, willing)
    active: dict[str, str] = {}
    pending: dict[Condition, float] = {}
    serving = [gateway for gateway in candidates if gateway not in drained]
    for ts in switches:
        bound = observed.carrier(ts) or known.active.get(ts, "")
        leaders[ts] = _after_failover(leaders[ts], bound, known.active.get(ts, ""), candidates)
        if desired.gateways.preempt:
            home = _home(desired, switches.index(ts), willing)
            leaders[ts] = _returned(leaders[ts], home, bound, candidates, observed)
        if leaders[ts] not in willing and serving:
            leaders[ts] = serving[0]
        if leaders[ts] in candidates and leaders[ts].chassis == bound:
            view = _Paths(ts, observed)
            leaders[ts] = view.better(leaders[ts], serving, ages, pending)
        if bound:
            active[ts] = bound
    ranked = {}
    for ts in switches:
        order = _rank(leaders[ts], candidates, drained, desired.gateways.active_active)
        group = _Group(ts, observed)
        ranked[ts] = group.admit(order, active.get(ts, ""), ages, pending)
    state = GatewayState(
        desired.gw_nodes,
        desired.gateways.active_active,
        {ts: leader.node for ts, leader in leaders.items()},
        active,
        frozenset(gateway.node for gateway in drained),
    )
    return Order(ranked, state, pending)


def _natural(name: str) -> tuple[str, int]:
    """`ts`, `ts1`, ..., `ts9`, `ts10`: as ic-db numbers them."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _leaders(
    desired: Desired,
    known: GatewayState,
    switches: Sequence[str],
    gateways: Sequence[Gateway],
    willing: Sequence[Gateway],
) -> dict[str, Gateway]:
    """Leaders as they were, but for what the configuration has changed since."""
    of_node = {gateway.node: gateway for gateway in gateways}
    before = {ts: of_node[node] for ts, node in known.leaders.items() if node in of_node}
    active_active = desired.gateways.active_active
    if not active_active:
        same = not known.active_active and known.nodes[:1] == desired.gw_nodes[:1]
        kept = before if same else {}
        usual = next(iter(kept.values()), willing[0])
        return {ts: kept.get(ts, usual) for ts in switches}
    if known.active_active and known.nodes == desired.gw_nodes:
        return _spread(switches, willing, before, most=len(switches))
    return _spread(switches, willing, before, most=-(-len(switches) // len(willing)))


def _spread(
    switches: Sequence[str], willing: Sequence[Gateway], kept: Mapping[str, Gateway], most: int
) -> dict[str, Gateway]:
    """A leader for each switch, as even as can be; each keeps up to `most` of what it has."""
    leaders: dict[str, Gateway] = {}
    load: Counter[Gateway] = Counter()
    for ts in switches:
        leader = kept.get(ts)
        if leader in willing and leader is not None and load[leader] < most:
            leaders[ts] = leader
            load[leader] += 1
    for ts in switches:
        if ts not in leaders:
            leaders[ts] = min(willing, key=lambda gateway: load[gateway])
            load[leaders[ts]] += 1
    return leaders


def _after_failover(
    leader: Gateway, bound: str, before: str, candidates: Sequence[Gateway]
) -> Gateway:
    """The gateway that has taken over, if one has; a planned switch under way is no failover."""
    if not before or bound == before:
        return leader
    return next((gateway for gateway in candidates if gateway.chassis == bound), leader)


def _home(desired: Desired, index: int, willing: Sequence[Gateway]) -> Gateway:
    """Who leads on a switch when everybody is well."""
    return willing[index % len(willing)] if desired.gateways.active_active else willing[0]


def _returned(
    leader: Gateway, home: Gateway, bound: str, candidates: Sequence[Gateway], observed: Observed
) -> Gateway:
    """The gateway at home on a switch, once the one that serves hears it again."""
    if home not in candidates or home == leader:
        return leader
    report = observed.sb.reports.get(bound)
    if report is None or not report.paths:
        return home  # nobody watches: leave it to OVN, which then moves back by priority
    path = report.paths.get(home.chassis)
    return home if path is not None and path.up else leader


def _rank(
    leader: Gateway, candidates: Sequence[Gateway], drained: Container[Gateway], rotate: bool
) -> tuple[Gateway, ...]:
    """Leader first, drained ones last; in active-active, load goes to the next one in turn."""
    order = list(candidates)
    if leader in order:
        begin = order.index(leader)
        rest = order[begin + 1 :] + order[:begin] if rotate else order[:begin] + order[begin + 1 :]
        order = [leader, *rest]
    return tuple(sorted(order, key=lambda each: each in drained and each != leader))


class _Group:
    """The gateway chassis of one port as they are, and who may join them.

    A port with several gateways is claimed only by one that hears another, and by whoever hears
    first: so a port begins with its leader alone, and another joins when the active one and it hear
    each other. One side may be up to a second ahead (RFC 5880, section 6.8.3: one packet a second
    until a session is up).
    """

    def __init__(self, ts: str, observed: Observed) -> None:
        lrp = observed.ports.get(ts)
        rows = observed.nb.gateway_rows(lrp) if lrp is not None else ()
        self._ts = ts
        self._members = {row.chassis for row in rows}
        self._reports = observed.sb.reports

    def admit(
        self, order: Sequence[Gateway], active: str, ages: Ages, due: dict[Condition, float]
    ) -> tuple[Gateway, ...]:
        """Those who are members, or may be by now.

        Args:
            order: gateways, the leader first.
            active: name of the active chassis, "" if there is none yet.
            ages: seconds for which pending conditions have held.
            due: gets the conditions that this decision waits for.
        """
        admitted = []
        for gateway in order:
            chassis = gateway.chassis
            first = not self._members and gateway == order[0]
            heard = self._hears(active, chassis) and self._hears(chassis, active)
            if chassis in self._members or first or heard:
                admitted.append(gateway)
                continue
            condition = ("heard", self._ts, gateway.node)
            due[condition] = HEARD_S
            if ages.get(condition, 0.0) >= HEARD_S:
                admitted.append(gateway)
        return tuple(admitted)

    def _hears(self, chassis: str, other: str) -> bool:
        path = self._reports.get(chassis, ChassisReport()).paths.get(other)
        return path is not None and path.up is True


class _Paths:
    """Paths from our gateways to the active ones of other sites on one transit switch."""

    def __init__(self, ts: str, observed: Observed) -> None:
        self._ts = ts
        self._observed = observed
        self._az = observed.nb.name
        self._remote = {
            port.az: port.gateway
            for port in observed.ic.ports
            if port.ts == ts and port.az != self._az and port.gateway
        }

    def better(
        self, leader: Gateway, serving: Sequence[Gateway], ages: Ages, due: dict[Condition, float]
    ) -> Gateway:
        """A gateway that reaches more of the other sites than the leader, if there is one by now.

        Args:
            leader: who leads, and is active.
            serving: those to choose from, the preferred one first.
            ages: seconds for which pending conditions have held.
            due: gets the condition that this decision waits for.
        """
        dead = self._dead(leader)
        if not dead:
            return leader
        best = min(serving, key=lambda each: len(self._dead(each)), default=leader)
        if len(self._dead(best)) >= len(dead):
            return leader
        name = ("path", self._ts, leader.node)
        wait_s = PATH_DEAD_THEIR_TURN_S if self._their_turn(leader, dead) else PATH_DEAD_S
        due[name] = wait_s
        return best if ages.get(name, 0.0) >= wait_s else leader

    def _dead(self, here: Gateway) -> frozenset[str]:
        """AZs whose active gateway this one does not reach; what nobody watches counts as well."""
        report = self._report(here)
        return frozenset(
            az
            for az, gateway in self._remote.items()
            if (path := report.paths.get(gateway)) is not None and path.up is False
        )

    def _their_turn(self, leader: Gateway, dead: Iterable[str]) -> bool:
        """Whether a site before us in the alphabet can mend it: both could move without end."""
        report = self._report(leader)
        return any(
            az < self._az
            and any(
                (path := report.paths.get(gateway.name)) is not None and path.up
                for gateway in self._observed.ic.gateways
                if gateway.az == az
            )
            for az in dead
        )

    def _report(self, gateway: Gateway) -> ChassisReport:
        return self._observed.sb.reports.get(gateway.chassis, ChassisReport())
