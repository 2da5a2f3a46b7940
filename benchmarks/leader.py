"""What does the loss of the interconnection databases' leader cost?

A cluster of three nodes. Its leader is killed with -9, and at once a Subnet is made in one site:
the figure is the time from the kill to its route in the other site's northbound database, read from
the databases' files afterwards. Ping trains run meanwhile. Beside it `ovn-ic` alone, started by
hand with the addresses of all three. Then the hard case, a gateway that dies during the election;
all members killed and started at once; and a single database instead of the cluster.
"""

import time
from collections import defaultdict
from collections.abc import Callable

from benchmarks.common import Report, say, spread, summary
from benchmarks.hands import HANDS, ByHand, Hand, Ovnmesh, wait_bfd
from benchmarks.journal import Transaction, read_since
from benchmarks.mesh import BenchLab, subnet_documents
from benchmarks.traffic import against, both_ways, cell, outage, record, watch
from ovnmesh.host.process import wait_until
from ovnmesh.icdb.database.files import IC_NB, IC_SB
from ovnmesh.lab import daemons
from ovnmesh.lab.values.spec import LabSpec, parse_spec
from ovnmesh.lab.values.topology import ROUTER

LIMIT_S = 40.0
"""How long a change is awaited: ovn-ic alone backs off for 1, 2, 4, 8 s (ovn-facts: 15 s)."""
YOUNG_S = 2.0
"""How long things are left alone after a round."""

SB_LEADER = "IC-SB leader killed: change propagates after"
NB_LEADER = "IC-NB leader killed: change propagates after"
GATEWAY = "IC-SB leader killed and the gateway's link cut at once: traffic gone for"
MEMBERS = "all members killed and started: change propagates after"
SINGLE = "single ic-db killed and started: change propagates after"
SERVED = ", counted from when they serve again"
TRAFFIC = "traffic lost in all of these but the cut"


Figures = dict[str, list[float]]


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: one round.
    """
    rounds = 1 if quick else 5
    found: dict[str, Figures] = {hand.name: defaultdict(list) for hand in HANDS}
    for hand in HANDS:
        figures = found[hand.name]
        with hand.mesh(_spec(ic_nodes=3)) as lab:
            for number in range(rounds):
                _round(lab, hand, figures)
                say(f"{hand.name}, round {number + 1}: {_last(figures)}")
        with hand.mesh(_spec(ic_nodes=1)) as lab:
            for number in range(rounds):
                _propagation(lab, figures, SINGLE, lambda lab=lab: _restart_all(lab))
                say(f"{hand.name}, single, round {number + 1}: {_last(figures)}")
    return _report(found)


def _spec(ic_nodes: int) -> LabSpec:
    sites = [{"nodes": 3, "gw_nodes": [f"az{i}-gw", f"az{i}-n1"]} for i in (1, 2)]
    return parse_spec({"sites": sites, "ic_nodes": ic_nodes}, "benchmark")


def _last(figures: Figures) -> str:
    return ", ".join(f"{values[-1]:.2f}" for values in figures.values())


def _round(lab: BenchLab, hand: Hand, figures: Figures) -> None:
    for which, name in (("sb", SB_LEADER), ("nb", NB_LEADER)):
        _whole(lab)
        _propagation(lab, figures, name, lambda which=which: lab.runner.fault_ic_leader(which))
    _whole(lab)
    site = lab.sites[0]
    gateway = f"{site.name}/{site.gw_nodes[0]}"
    if lab.active_gateway(site) != site.gw_nodes[0]:
        hand.home(lab, site)

    def both() -> None:
        lab.runner.fault_ic_leader("sb")
        lab.runner.fault_link(gateway)

    wait_s = 25.0 if hand.name == ByHand.name else 6.0
    figures[GATEWAY].append(outage(watch(lab, both_ways(lab), both, wait_s), wait_s) / 1000)
    lab.runner.fault_link(gateway, heal=True)
    _whole(lab)
    wait_bfd(lab, hand)
    hand.home(lab, site)
    _propagation(lab, figures, MEMBERS, lambda: _restart_all(lab))


def _restart_all(lab: BenchLab) -> float:
    """Kill and start; when the databases serve again, in seconds of `time.time`."""
    lab.runner.fault_kill("ic", "ic-db")
    lab.runner.fault_kill("ic", "ic-db", heal=True)
    return time.time()


def _whole(lab: BenchLab) -> None:
    """All members run, a cluster's databases have a leader, and nothing happened for a while."""
    lab.runner.fault_kill("ic", "ic-db", heal=True)

    def led() -> bool:
        return all(daemons.find_ic_leader(lab.runner.lab, db) for db in (IC_NB, IC_SB))

    if len(lab.runner.lab.ic_nodes) > 1:
        wait_until(led, "both databases have a leader", timeout_s=30, interval_s=0.2)
    time.sleep(YOUNG_S)


def _propagation(lab: BenchLab, figures: Figures, name: str, event: Callable[[], object]) -> None:
    """Seconds from an event to the route of a Subnet made right after it, and traffic lost."""
    here, there = lab.sites[:2]
    number = 100 + sum(len(values) for values in figures.values()) % 100
    cidr = f"10.{number}.0.0/24"
    documents = subnet_documents(f"late{number}", cidr)
    file = there.directory / "nb.db"
    offset = file.stat().st_size
    began, served = 0.0, None

    def both() -> None:
        nonlocal began, served
        began = time.time()
        served = event()
        lab.runner.apply(here.name, documents)
        wait_until(
            lambda: cidr in daemons.nbctl(there, "lr-route-list", ROUTER),
            f"site {there.name}: has learned {cidr}",
            timeout_s=LIMIT_S,
            interval_s=0.2,
        )

    results = watch(lab, both_ways(lab), both, 1.0)
    learned = _learned(read_since(file, offset), cidr)
    figures[name].append(learned - began)
    if isinstance(served, float):
        figures[name + SERVED].append(learned - served)
    figures[TRAFFIC].append(outage(results, LIMIT_S))
    _whole(lab)
    lab.runner.delete(here.name, documents)
    wait_until(
        lambda: cidr not in daemons.nbctl(there, "lr-route-list", ROUTER),
        f"site {there.name}: has forgotten {cidr}",
        timeout_s=LIMIT_S,
        interval_s=0.2,
    )


def _learned(log: list[Transaction], cidr: str) -> float:
    prefix, table = cidr.removesuffix("0/24"), "Logical_Router_Static_Route"
    return next(t.time for t in log if t.mentions(table, "ip_prefix", prefix))


def _report(found: dict[str, Figures]) -> Report:
    ours, theirs = found[Ovnmesh.name], found[ByHand.name]
    rows = []
    for event in (name for name in ours if name != TRAFFIC):
        both = (ours[event], theirs[event])
        rows.append([event, *(spread(values, "s", 2) for values in both), against(*both)])
    rows.append([TRAFFIC, cell(ours[TRAFFIC], LIMIT_S), cell(theirs[TRAFFIC], LIMIT_S), ""])
    data: dict[str, object] = {
        name: {
            event: record(values) if event == TRAFFIC else summary(values)
            for event, values in figures.items()
        }
        for name, figures in found.items()
    }
    columns = ("event", "ovnmesh", "ovn-ic by hand", "ratio")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)
