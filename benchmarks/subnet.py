"""How long from a new Subnet in one site to its route in the other?

From the transaction that makes the Subnet's router port in one northbound database to the one that
makes its route in the other, both read from the databases' files afterwards. In turns on one lab:
with ovnmesh, and with ovn-ic started by hand and no controller anywhere.
"""

import time

from benchmarks import manual_steps
from benchmarks.common import Report, ratio, say, spread, summary
from benchmarks.journal import Transaction, read_since
from benchmarks.mesh import BenchLab, bench_lab, subnet_documents
from ovnmesh.host.process import wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.values.topology import ROUTER


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: fewer rounds.
    """
    turns, rounds = (1, 3) if quick else (2, 10)
    ours: list[float] = []
    floor: list[float] = []
    with bench_lab(enable_ic=True) as lab:
        for turn in range(turns):
            lab.wait_settled()
            ours += _measure(lab, f"a{turn}", rounds)
            say(f"turn {turn + 1}: ovnmesh {spread(ours, 'ms')}")
            lab.stop_ovnmesh()
            for site in lab.sites:
                manual_steps.start_ovn_ic(lab.runner.lab, site)
            time.sleep(2)
            floor += _measure(lab, f"b{turn}", rounds)
            say(f"turn {turn + 1}: ovn-ic alone {spread(floor, 'ms')}")
            for site in lab.sites:
                manual_steps.stop_ovn_ic(site)
            lab.start_ovnmesh()
    found = ratio(ours, floor)
    rows = [
        ["ovnmesh", spread(ours, "ms", 1), f"**{found}**"],
        ["ovn-ic by hand", spread(floor, "ms", 1), "1"],
    ]
    data: dict[str, object] = {
        "ovnmesh_ms": summary(ours),
        "by_hand_ms": summary(floor),
        "ratio": found,
    }
    columns = ("new Subnet -> route in the other site", "NB to NB", "ratio")
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)


def _measure(lab: BenchLab, name: str, rounds: int) -> list[float]:
    return [_one(lab, f"{name}-{number}", f"10.{100 + number}.0.0/24") for number in range(rounds)]


def _one(lab: BenchLab, name: str, cidr: str) -> float:
    """Milliseconds of one Subnet."""
    here, there = lab.sites[0], lab.sites[1]
    files = [site.directory / "nb.db" for site in (here, there)]
    offsets = [file.stat().st_size for file in files]
    documents = subnet_documents(name, cidr)
    lab.runner.apply(here.name, documents)
    prefix = cidr.removesuffix("0/24")
    # One look after a while: a look takes a core from what is measured.
    time.sleep(0.5)
    wait_until(
        lambda: cidr in daemons.nbctl(there, "lr-route-list", ROUTER),
        f"site {there.name}: has learned {cidr}",
        timeout_s=20,
    )
    made, learned = (read_since(*pair) for pair in zip(files, offsets, strict=True))
    began = _first(made, "Logical_Router_Port", "networks", prefix)
    ended = _first(learned, "Logical_Router_Static_Route", "ip_prefix", prefix)
    lab.runner.delete(here.name, documents)
    wait_until(
        lambda: cidr not in daemons.nbctl(there, "lr-route-list", ROUTER),
        f"site {there.name}: has forgotten {cidr}",
        timeout_s=20,
        interval_s=0.1,
    )
    time.sleep(0.3)
    return (ended - began) * 1000


def _first(log: list[Transaction], table: str, column: str, text: str) -> float:
    return next(t.time for t in log if t.mentions(table, column, text))
