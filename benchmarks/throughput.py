"""How much TCP goes between two sites, through one gateway and through two, against inside a site?

iperf3 between pods that are on no gateway: in one site from node to node, then to the other site in
active-backup (one gateway at each end) and in active-active (two). One pair of pods, and four at
once, since ECMP keeps a pair on one transit switch. In turns on one lab. The userspace datapath on
the processors that all nodes share makes the absolute figures those of this machine only, and a
second gateway adds no processor to it: ratios count, and what share each gateway carried. BFD is
slowed down, because iperf3 keeps these processors so busy that healthy gateways miss packets.
"""

import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.common import Report, ratio, say, spread, summary
from benchmarks.hands import Ovnmesh
from benchmarks.mesh import BenchLab
from benchmarks.traffic import Pairs, place
from ovnmesh.host.process import in_netns, wait_until
from ovnmesh.lab.values.spec import parse_spec
from ovnmesh.lab.values.topology import Site

SECONDS = 5
PORT = 5201
"""First port of the servers; each pair has one of its own (iperf3 serves one client at a time)."""
SLOW_BFD = {"bfd_min_rx": "1000", "bfd_min_tx": "1000", "bfd_mult": "10"}

INSIDE, ONE, TWO = "inside a site, node to node", "through one gateway", "through two gateways"
MODES = {ONE: "active-backup", TWO: "active-active"}


def run(quick: bool) -> Report | None:
    """Measure; None where iperf3 is missing.

    Args:
        quick: one round.
    """
    if shutil.which("iperf3") is None:
        say("throughput is left out: iperf3 not found; on Debian: apt-get install iperf3")
        return None
    found: dict[str, list[float]] = defaultdict(list)
    second: dict[str, list[float]] = defaultdict(list)
    names = [[f"az{i}-{name}" for name in ("gw", "n1", "n2", "n3")] for i in (1, 2)]
    sites = [{"nodes": nodes, "gw_nodes": nodes[:2], "pods": 2} for nodes in names]
    with Ovnmesh().mesh(parse_spec({"sites": sites, "ts_count": 2}, "benchmark")) as lab:
        for site in lab.sites:
            lab.configure(site.name, **SLOW_BFD)
        time.sleep(5)
        for number in range(1 if quick else 5):
            for path, pairs in _paths(lab.sites).items():
                if path in MODES:
                    _set_mode(lab, MODES[path])
                for count in (1, len(pairs)):
                    case = f"{path}, {count} at once" if count > 1 else path
                    before = _carried(lab)
                    found[case].append(_mbits(lab, pairs[:count]))
                    second[case].append(_second_share(before, _carried(lab)))
                    say(f"round {number + 1}: {case}: {found[case][-1]:.0f} Mbit/s")
    return _report(found, second)


def _paths(sites: Sequence[Site]) -> dict[str, Pairs]:
    def pods(site: Site, node: int) -> list[str]:
        return [place(pod) for pod in site.pods if pod.node == site.nodes[node].name]

    here, there = sites
    inside = [(a, b) for a in pods(here, 2) for b in pods(here, 3)]
    across = [(a, b) for a in pods(here, 2) for b in pods(there, 3)]
    return {INSIDE: inside, ONE: across, TWO: across}


def _set_mode(lab: BenchLab, mode: str) -> None:
    for site in lab.sites:
        lab.configure(site.name, gateway_mode=mode)
        lab.ovnmesh("gateway", "reset", site.name)
    for site in lab.sites:
        first, other = site.gw_nodes
        wanted = {"ts": first, "ts1": other if mode == MODES[TWO] else first}
        wait_until(
            lambda site=site, wanted=wanted: (
                {ts: lab.active_gateway(site, ts) for ts in wanted} == wanted
            ),
            f"site {site.name}: {mode}",
            timeout_s=30,
            interval_s=0.2,
        )
    time.sleep(2)


def _mbits(lab: BenchLab, pairs: Pairs) -> float:
    """What all pairs received, added up, in Mbit/s."""
    servers, clients = [], []
    try:
        for number, (_, target) in enumerate(pairs):
            words = ["iperf3", "-s", "-1", "-p", str(PORT + number)]
            servers.append(_start(lab, target, words))
        time.sleep(0.5)
        for number, (source, target) in enumerate(pairs):
            address = lab.runner.address_of(target)
            words = ["iperf3", "-c", address, "-p", str(PORT + number), "-t", str(SECONDS), "-J"]
            clients.append(_start(lab, source, words))
        said = [client.communicate(timeout=SECONDS + 30)[0] for client in clients]
    finally:
        for child in (*clients, *servers):
            child.kill()
            child.communicate()
    results = [json.loads(text)["end"]["sum_received"] for text in said]
    return float(sum(result["bits_per_second"] for result in results)) / 1e6


def _start(lab: BenchLab, where: str, words: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        in_netns(words, lab.runner.netns_of(where)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _carried(lab: BenchLab) -> tuple[int, int]:
    """Bytes that each gateway of the first site has received so far."""
    site = lab.sites[0]
    found = []
    for name in site.gw_nodes:
        lines = lab.runner.run_in(f"{site.name}/{name}", ["cat", "/proc/net/dev"]).splitlines()
        found.append(
            next(int(line.split()[1]) for line in lines if line.strip().startswith("eth0"))
        )
    return found[0], found[1]


def _second_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Percent of what both gateways received that went to the second one."""
    one, two = (now - then for now, then in zip(after, before, strict=True))
    return 100 * two / max(1, one + two)


def _report(found: dict[str, list[float]], second: dict[str, list[float]]) -> Report:
    rows = []
    ratios = {}
    for case, values in found.items():
        floor = found[f"{INSIDE}, 4 at once" if "at once" in case else INSIDE]
        ratios[case] = ratio(values, floor)
        share = "" if case.startswith(INSIDE) else spread(second[case], "%")
        rows.append([case, spread(values, "Mbit/s"), f"{ratios[case]:.2f}", share])
    data: dict[str, object] = {
        "mbit_per_s": {case: summary(values) for case, values in found.items()},
        "ratio_to_inside": ratios,
        "second_gateway_percent": {case: summary(values) for case, values in second.items()},
    }
    columns = ("path", "TCP", "ratio to inside the site", "of that, by the second gateway")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)
