"""How long is traffic gone when a gateway fails, returns, or is relieved as planned?

5 ms ping trains in both directions between pods that are on no gateway that fails; the longest gap
of both. Beside it OVN alone as the documents' steps by hand leave it, on a lab of its own in the
same run. Then two cases for which there is no such baseline but the first row: a site of two
chassis, and active-active. Where the time of a failover goes is read from logs and databases' files
afterwards.
"""

import time
from collections import defaultdict
from collections.abc import Callable

from benchmarks.common import Report, say, spread, summary
from benchmarks.failover_stages import STAGES, Offsets, stages
from benchmarks.hands import AWAY_S, HANDS, ByHand, Hand, Ovnmesh, wait_bfd
from benchmarks.mesh import BenchLab
from benchmarks.traffic import (
    NEVER,
    against,
    both_ways,
    bystanders,
    cell,
    outage,
    record,
    watch,
)
from ovnmesh.host.process import wait_until
from ovnmesh.lab.values.spec import LabSpec, parse_spec

PLANNED_S = 2.0
"""How long trains go on after a planned switch."""
NEVER_S = 10.0
"""How long a site of two chassis is awaited."""

CUT = "active gateway's link cut"
RETURN = f"it returns after {AWAY_S:g} s"
PREFER = "planned switch (`gateway prefer`; by hand: priorities)"
DRAIN = "planned switch (`gateway drain`)"
VSWITCHD = "kill -9 ovs-vswitchd on the active gateway"
CONTROLLER = "kill -9 ovn-controller there, restarted after 2 s"
TWO = "link cut, site of two chassis"
SPREAD = "active-active: link cut, flows that lost something"
SPREAD_RETURN = "active-active: it returns"

Outages = dict[str, list[float]]


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: one round.
    """
    rounds = 1 if quick else 5
    found: dict[str, Outages] = {hand.name: defaultdict(list) for hand in HANDS}
    lines: dict[str, list[dict[str, float]]] = {hand.name: [] for hand in HANDS}
    for hand in HANDS:
        with hand.mesh(_spec(nodes=3)) as lab:
            for number in range(rounds):
                _three(lab, hand, found[hand.name], lines[hand.name])
                say(f"{hand.name}, round {number + 1}: {_last(found[hand.name])}")
        with hand.mesh(_spec(nodes=2)) as lab:
            for number in range(rounds):
                _two(lab, hand, found[hand.name])
                say(f"{hand.name}, two chassis, round {number + 1}: {_last(found[hand.name])}")
    untouched = _active_active(found[Ovnmesh.name], rounds)
    return _report(found, lines, untouched)


def _spec(nodes: int, **wanted: object) -> LabSpec:
    """Two sites whose first two nodes are gateways."""
    sites = [
        {
            "nodes": [f"az{i}-gw", *(f"az{i}-n{j}" for j in range(1, nodes))],
            "gw_nodes": [f"az{i}-gw", f"az{i}-n1"],
            "pods": wanted.get("pods", 1),
        }
        for i in (1, 2)
    ]
    return parse_spec({"sites": sites, "ts_count": wanted.get("ts_count", 1)}, "benchmark")


def _last(found: Outages) -> str:
    return ", ".join(f"{values[-1]:.0f}" for values in found.values())


def _measure(lab: BenchLab, event: Callable[[], object], after_s: float) -> float:
    return outage(watch(lab, both_ways(lab), event, after_s), after_s)


def _ready(lab: BenchLab, hand: Hand) -> None:
    """As it was before the first round."""
    wait_bfd(lab, hand)
    site = lab.sites[0]
    if lab.active_gateway(site) != site.gw_nodes[0]:
        hand.home(lab, site)
    time.sleep(1)


def _three(lab: BenchLab, hand: Hand, found: Outages, lines: list[dict[str, float]]) -> None:
    """One round with three chassis."""
    site = lab.sites[0]
    first, second = site.gw_nodes
    gateway, patience_s = f"{site.name}/{first}", hand.patience_s
    _ready(lab, hand)
    offsets, cut = Offsets(lab), Cut(lab, gateway)
    found[CUT].append(_measure(lab, cut, patience_s))
    lines.append(stages(lab, offsets, cut.at, found[CUT][-1]))
    time.sleep(AWAY_S - patience_s)
    found[RETURN].append(_measure(lab, lambda: lab.runner.fault_link(gateway, heal=True), 6))
    _ready(lab, hand)
    for node in (second, first):
        found[PREFER].append(
            _measure(lab, lambda node=node: hand.prefer(lab, site, node), PLANNED_S)
        )
    if hand.name == Ovnmesh.name:
        drain = ("gateway", "drain", site.name, first)
        found[DRAIN].append(_measure(lab, lambda: lab.ovnmesh(*drain), PLANNED_S))
        _ready(lab, hand)
    kill = lab.runner.fault_kill
    found[VSWITCHD].append(_measure(lab, lambda: kill(gateway, "ovs-vswitchd"), patience_s))
    kill(gateway, "ovs-vswitchd", heal=True)
    _ready(lab, hand)

    def restart() -> None:
        kill(gateway, "ovn-controller")
        time.sleep(2)
        kill(gateway, "ovn-controller", heal=True)

    found[CONTROLLER].append(_measure(lab, restart, 3))


class Cut:
    """Takes a node's link, and remembers when."""

    def __init__(self, lab: BenchLab, node: str) -> None:
        self._lab, self._node = lab, node
        self.at = 0.0

    def __call__(self) -> None:
        """Cut."""
        self.at = time.time()
        self._lab.runner.fault_link(self._node)


def _two(lab: BenchLab, hand: Hand, found: Outages) -> None:
    """One round with two chassis."""
    site = lab.sites[0]
    gateway = f"{site.name}/{site.gw_nodes[0]}"
    _ready(lab, hand)
    after_s = NEVER_S if hand.name == ByHand.name else hand.patience_s
    found[TWO].append(_measure(lab, Cut(lab, gateway), after_s))
    lab.runner.fault_link(gateway, heal=True)


def _active_active(found: Outages, rounds: int) -> list[float]:
    """Two switches over two gateways, 16 pairs of pods; the share of flows untouched, by round."""
    hand, untouched = Ovnmesh(), []
    with hand.mesh(_spec(nodes=3, pods=4, ts_count=2)) as lab:
        for at in lab.sites:
            lab.configure(at.name, gateway_mode="active-active")
        for at in lab.sites:
            for ts, node in zip(("ts", "ts1"), at.gw_nodes, strict=True):
                wait_until(
                    lambda at=at, ts=ts, node=node: lab.active_gateway(at, ts) == node,
                    f"{ts} on {node}",
                    timeout_s=30,
                    interval_s=0.2,
                )
        pairs = [(a, b) for a in bystanders(lab.sites[0]) for b in bystanders(lab.sites[1])]
        site = lab.sites[0]
        gateway = f"{site.name}/{site.gw_nodes[0]}"
        for number in range(rounds):
            _ready(lab, hand)
            results = watch(lab, pairs, Cut(lab, gateway), hand.patience_s, interval_ms=10)
            hit = [result for result in results if result.lost]
            untouched.append(1 - len(hit) / len(results))
            found[SPREAD].append(outage(hit, hand.patience_s) if hit else NEVER)
            time.sleep(AWAY_S - hand.patience_s)
            results = watch(
                lab, pairs, lambda: lab.runner.fault_link(gateway, heal=True), 6, interval_ms=10
            )
            found[SPREAD_RETURN].append(outage(results, 6))
            say(f"active-active, round {number + 1}: {_last(found)}, {untouched[-1]:.0%} untouched")
            hand.home(lab, site)
    return untouched


def _report(
    found: dict[str, Outages], lines: dict[str, list[dict[str, float]]], untouched: list[float]
) -> Report:
    ours, theirs = found[Ovnmesh.name], found[ByHand.name]
    events = (CUT, RETURN, PREFER, DRAIN, VSWITCHD, CONTROLLER, TWO, SPREAD, SPREAD_RETURN)
    baseline = {**theirs, DRAIN: theirs[PREFER], SPREAD: theirs[CUT], SPREAD_RETURN: theirs[RETURN]}
    rows = [
        [
            event,
            cell(ours[event], NEVER_S),
            cell(theirs.get(event, []), NEVER_S),
            against(ours[event], baseline[event]),
        ]
        for event in events
    ]
    share = spread([100 * part for part in untouched], "%")
    rows.append(["active-active: flows that lost nothing", share, "", ""])
    for stage in STAGES:
        cells = [
            spread(known, "ms")
            if (known := [line[stage] for line in hand if stage in line])
            else ""
            for hand in (lines[Ovnmesh.name], lines[ByHand.name])
        ]
        rows.append([f"after the cut: {stage}", *cells, ""])
    data: dict[str, object] = {
        "outage_ms": {
            name: {event: record(values) for event, values in outages.items()}
            for name, outages in found.items()
        },
        "ratio": {event: against(ours[event], baseline[event]) for event in events},
        "untouched": summary(untouched),
        "stages_ms": lines,
    }
    columns = ("event", "ovnmesh", "OVN by hand", "ratio")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)
