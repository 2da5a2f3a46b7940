"""What changes as a mesh grows: 2, 5 and 10 sites in one lab, each of one node.

The last site is configured, while all others are joined: until every other site has its network,
and it has theirs. Then a new Subnet of the first site: until the last of all others has its route.
Both are read from the databases' files afterwards. Then what the resting mesh costs, and how many
BFD sessions a gateway has. All sites share this machine's processors, which real sites do not: it
is the slope that counts.
"""

import time
from collections import Counter
from pathlib import Path

from benchmarks.common import Report, say, spread, summary
from benchmarks.hands import sessions
from benchmarks.journal import read_since
from benchmarks.mesh import BenchLab, cpu_s, rss_mb, running, subnet_documents
from ovnmesh.host.process import command_line, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.network import netns
from ovnmesh.lab.values.spec import LabSpec, parse_spec
from ovnmesh.lab.values.topology import ROUTER, Site

SIZES = (2, 5, 10)
IDLE_S = 20.0


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: fewer rounds, and not the largest mesh.
    """
    rows: list[list[str]] = []
    data: dict[str, object] = {}
    for size in SIZES[:2] if quick else SIZES:
        with running(_spec(size)) as lab:
            joins = [_join(lab) for _ in range(1 if quick else 3)]
            subnets = [_subnet(lab, number) for number in range(2 if quick else 7)]
            cost = _idle(lab)
        rows.append(
            [
                str(size),
                spread(joins, "s", 2),
                spread(subnets, "ms"),
                str(cost["bfd_sessions"]),
                f"{cost['ovnmesh_percent']:.1f} %",
                f"{cost['others_percent']:.1f} %",
                f"{cost['controller_mb']:.0f} MB",
            ]
        )
        data[str(size)] = {"join_s": summary(joins), "subnet_ms": summary(subnets), **cost}
        say(f"{size} sites: {', '.join(rows[-1][1:])}")
    columns = (
        "sites",
        "one more has joined, until all know",
        "new Subnet in all other sites",
        "BFD sessions of a gateway",
        "idle: ovnmesh, % of a core a site",
        "idle: OVN and OVS, % of a core a site",
        "memory of a controller",
    )
    return Report((__doc__ or "").split("\n")[0], columns, rows, data)


def _spec(size: int) -> LabSpec:
    """The last site is not connected yet."""
    site = {"nodes": 1, "pods": 1}
    sites = [*({**site} for _ in range(size - 1)), {**site, "enable_ic": False}]
    return parse_spec({"sites": sites}, "benchmark")


def _rest(lab: BenchLab, sites: int) -> None:
    """Until some sites know each other, and nothing moves."""
    known = lab.sites[:sites]

    def joined() -> bool:
        return all(
            lab.status(site) == {"state": "joined", "findings": []}
            and _knows(site, [other for other in known if other != site])
            for site in known
        )

    wait_until(joined, f"{sites} sites are joined", timeout_s=90, interval_s=0.3)
    lab.wait_settled()


def _knows(site: Site, others: list[Site]) -> bool:
    routes = daemons.nbctl(site, "lr-route-list", ROUTER)
    return all(str(other.ovn_default.cidrs[0]) in routes for other in others)


def _join(lab: BenchLab) -> float:
    """Seconds until the last site knows all others, and they know it; it is parted again before."""
    size, last = len(lab.sites), lab.sites[-1]
    lab.configure(last.name, enable_ic="false")
    wait_until(
        lambda: not any(_knows(site, [last]) for site in lab.sites[:-1]),
        f"site {last.name}: forgotten",
        timeout_s=60,
        interval_s=0.3,
    )
    _rest(lab, size - 1)
    offsets = _sizes(lab)
    began = time.time()
    lab.configure(last.name, enable_ic="true")
    # Looking seldom: every look takes a processor from what is measured.
    time.sleep(2)
    _rest(lab, size)
    learned = [_learned(lab.sites[-1], offsets, other) for other in lab.sites[:-1]]
    learned += [_learned(site, offsets, last) for site in lab.sites[:-1]]
    return max(learned) - began


def _subnet(lab: BenchLab, number: int) -> float:
    """Milliseconds from a Subnet's port in the first site's NB to its route in all others'."""
    here, others = lab.sites[0], lab.sites[1:]
    cidr = f"10.{150 + number}.0.0/24"
    documents = subnet_documents(f"g{number}", cidr)
    prefix, offsets = cidr.removesuffix("0/24"), _sizes(lab)
    lab.runner.apply(here.name, documents)
    time.sleep(1)
    wait_until(
        lambda: all(cidr in daemons.nbctl(site, "lr-route-list", ROUTER) for site in others),
        f"all sites have learned {cidr}",
        timeout_s=30,
        interval_s=0.3,
    )
    began = _first(here, offsets, "Logical_Router_Port", "networks", prefix)
    table = "Logical_Router_Static_Route"
    ended = max(_first(site, offsets, table, "ip_prefix", prefix) for site in others)
    lab.runner.delete(here.name, documents)
    wait_until(
        lambda: not any(cidr in daemons.nbctl(site, "lr-route-list", ROUTER) for site in others),
        f"all sites have forgotten {cidr}",
        timeout_s=30,
        interval_s=0.3,
    )
    return (ended - began) * 1000


def _nb(site: Site) -> Path:
    return site.directory / "nb.db"


def _sizes(lab: BenchLab) -> dict[str, int]:
    return {site.name: _nb(site).stat().st_size for site in lab.sites}


def _learned(site: Site, offsets: dict[str, int], other: Site) -> float:
    network = str(other.ovn_default.cidrs[0].network_address).rsplit(".", 2)[0] + "."
    return _first(site, offsets, "Logical_Router_Static_Route", "ip_prefix", f'"{network}')


def _first(site: Site, offsets: dict[str, int], table: str, column: str, text: str) -> float:
    log = read_since(_nb(site), offsets[site.name])
    return next(t.time for t in log if t.mentions(table, column, text))


def _idle(lab: BenchLab) -> dict[str, float]:
    """What the resting mesh costs, for each site."""
    lab.wait_settled()
    kinds: dict[int, str] = {}
    for site in lab.sites:
        for where in (site.control_netns, *(node.netns for node in site.nodes)):
            for pid in netns.processes([where]):
                kinds[pid] = "ovnmesh" if "ovnmesh" in command_line(pid) else "others"
    before = {pid: cpu_s(pid) for pid in kinds}
    began = time.monotonic()
    time.sleep(IDLE_S)
    span_s = time.monotonic() - began
    used: Counter[str] = Counter()
    for pid, kind in kinds.items():
        used[kind] += cpu_s(pid) - before[pid]
    controllers = [daemons.find_daemon(site.control_netns, "controller") for site in lab.sites]
    return {
        "bfd_sessions": len(sessions(lab.sites[0].nodes[0])),
        **{
            f"{kind}_percent": round(100 * seconds / span_s / len(lab.sites), 2)
            for kind, seconds in used.items()
        },
        "controller_mb": round(max(rss_mb(pid) for pids in controllers for pid in pids), 1),
    }
