"""Where the time of a gateway's failover goes, read afterwards from logs and databases' files.

Called by `failover`, in a lab whose interconnection databases are no cluster. Costs the measured
system nothing while it runs. Must not decide what an outage is.
"""

import re
from calendar import timegm
from collections.abc import Callable, Iterator
from pathlib import Path
from time import strptime

from benchmarks.journal import Transaction, read_since
from benchmarks.mesh import BenchLab
from benchmarks.traffic import NEVER
from ovnmesh.lab.values.topology import Site

DETECTED = "BFD of the successor is down (ovs-vswitchd)"
CLAIMING = "the successor claims the port (ovn-controller)"
CLAIMED = "claim in SB"
PUBLISHED = "in IC-SB (ovn-ic)"
REMOTE = "in the other site's SB (its ovn-ic)"
REPLY = "traffic flows"
STAGES = (DETECTED, CLAIMING, CLAIMED, PUBLISHED, REMOTE, REPLY)

_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)Z\|(.*)$", re.MULTILINE)


class Offsets:
    """How long the files were before."""

    def __init__(self, lab: BenchLab) -> None:
        self._size = {file: file.stat().st_size for file in _files(lab)}

    def log(self, file: Path) -> Iterator[tuple[float, str]]:
        """Lines written since, with the time of each in seconds of `time.time`."""
        with file.open("rb") as log:
            log.seek(self._size[file])
            text = log.read().decode(errors="replace")
        for whole, part, line in _LINE.findall(text):
            yield timegm(strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(part), line

    def transactions(self, file: Path) -> list[Transaction]:
        """Transactions written since."""
        return read_since(file, self._size[file])


def stages(lab: BenchLab, offsets: Offsets, cut_at: float, outage_ms: float) -> dict[str, float]:
    """Milliseconds after the cut at which each stage was reached; what is not found is left out.

    Args:
        lab: the lab.
        offsets: made before the cut.
        cut_at: when the link was cut, in seconds of `time.time`.
        outage_ms: what the ping trains lost.
    """
    here, there = lab.sites[:2]
    logs, (ic_sb,) = _successor(here), _ic_sb(lab)

    def first(moments: Iterator[float]) -> float | None:
        return next((moment for moment in moments if moment >= cut_at), None)

    def line(file: Path, *words: str) -> float | None:
        found = offsets.log(file)
        return first(moment for moment, text in found if all(word in text for word in words))

    def written(file: Path, holds: Callable[[Transaction], bool]) -> float | None:
        return first(t.time for t in offsets.transactions(file) if holds(t))

    found = {
        DETECTED: line(logs["ovs-vswitchd"], "BFD state change", "up->down"),
        CLAIMING: line(logs["ovn-controller"], "lport cr-", "chassis"),
        CLAIMED: written(here.directory / "sb.db", _binds),
        PUBLISHED: written(ic_sb, lambda t: t.mentions("Port_Binding", "gateway", "-")),
        REMOTE: written(there.directory / "sb.db", _binds),
    }
    line_ms = {name: 1000 * (at - cut_at) for name, at in found.items() if at is not None}
    if outage_ms != NEVER:
        line_ms[REPLY] = outage_ms
    return line_ms


def _binds(transaction: Transaction) -> bool:
    return any(row.get("chassis") for row in transaction.rows("Port_Binding"))


def _successor(site: Site) -> dict[str, Path]:
    folder = site.node(site.gw_nodes[1]).directory
    return {name: folder / f"{name}.log" for name in ("ovs-vswitchd", "ovn-controller")}


def _ic_sb(lab: BenchLab) -> list[Path]:
    return list(lab.runner.lab.ic_nodes[0].data_directory.glob("*ic_sb*.db"))


def _files(lab: BenchLab) -> list[Path]:
    files = [site.directory / "sb.db" for site in lab.sites]
    return files + _ic_sb(lab) + list(_successor(lab.sites[0]).values())
