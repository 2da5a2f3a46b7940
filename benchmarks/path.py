"""How long is traffic gone when only the path between the sites' active gateways dies?

The underlay drops everything between these two nodes, both ways and silently; both gateways and all
other paths live. 5 ms ping trains in both directions between pods elsewhere. OVN alone beside it,
as the documents' steps by hand leave it: there nobody notices.
"""

import time

from benchmarks.common import Report, say
from benchmarks.hands import HANDS, ByHand, Hand, Ovnmesh, wait_bfd
from benchmarks.mesh import BenchLab
from benchmarks.traffic import against, both_ways, cell, outage, record, watch
from ovnmesh.lab.values.spec import LabSpec, parse_spec

WAIT_S = 10.0
"""How long traffic is awaited."""
HEALED_S = 6.0
"""How long trains go on after the path has been healed: what moved back would be seen."""

CUT = "path between the active gateways cut"
HEALED = "path healed"
ONE_WAY_SITE = "the same, the other site has one gateway"


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: one round.
    """
    rounds = 1 if quick else 5
    found: dict[str, dict[str, list[float]]] = {
        hand.name: {CUT: [], HEALED: [], ONE_WAY_SITE: []} for hand in HANDS
    }
    for hand in HANDS:
        with hand.mesh(_spec(gateways=2)) as lab:
            for number in range(rounds):
                gap_ms, back_ms = _cut(lab, hand)
                found[hand.name][CUT].append(gap_ms)
                found[hand.name][HEALED].append(back_ms)
                say(f"{hand.name}, round {number + 1}: {gap_ms:.0f} ms, healed {back_ms:.0f} ms")
    with Ovnmesh().mesh(_spec(gateways=1)) as lab:
        for number in range(rounds):
            gap_ms, _ = _cut(lab, Ovnmesh())
            found[Ovnmesh.name][ONE_WAY_SITE].append(gap_ms)
            say(f"one gateway there, round {number + 1}: {gap_ms:.0f} ms")
    return _report(found)


def _spec(gateways: int) -> LabSpec:
    """Two sites of three nodes; the first has two gateways."""
    sites = [
        {"nodes": 3, "gw_nodes": [f"az{i}-gw", f"az{i}-n1"][:number]}
        for i, number in ((1, 2), (2, gateways))
    ]
    return parse_spec({"sites": sites}, "benchmark")


def _cut(lab: BenchLab, hand: Hand) -> tuple[float, float]:
    """Outage of a cut in milliseconds, and of the path's return."""
    wait_bfd(lab, hand)
    for site in lab.sites:
        if lab.active_gateway(site) != site.gw_nodes[0]:
            hand.home(lab, site)
    time.sleep(1.5)
    ends = [f"{site.name}/{site.gw_nodes[0]}" for site in lab.sites]
    wait_s = WAIT_S if hand.name == ByHand.name else WAIT_S / 2
    lost = watch(lab, both_ways(lab), lambda: lab.runner.fault_path(*ends), wait_s)
    back = watch(lab, both_ways(lab), lambda: lab.runner.fault_path(*ends, heal=True), HEALED_S)
    # By hand traffic returns with the path: what is missing before that is no outage of healing.
    healed_ms = 0.0 if hand.name == ByHand.name else outage(back, HEALED_S)
    return outage(lost, wait_s), healed_ms


def _report(found: dict[str, dict[str, list[float]]]) -> Report:
    ours, theirs = found[Ovnmesh.name], found[ByHand.name]
    rows = [
        [event, cell(values, WAIT_S), cell(theirs[event], WAIT_S), against(values, theirs[event])]
        for event, values in ours.items()
    ]
    data: dict[str, object] = {
        name: {event: record(values) for event, values in outages.items() if values}
        for name, outages in found.items()
    }
    columns = ("event", "ovnmesh", "OVN by hand", "ratio")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)
