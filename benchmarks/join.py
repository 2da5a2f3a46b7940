"""How long from configuration to the first ping across sites, and where does the time go?

The same lab, in turns: ovnmesh (both ConfigMaps written at once, controllers and agents waiting)
and the documents' steps by hand (`manual_steps`, ovnmesh not running). The third contestant shows
what the obvious way to a standby gateway costs: OVN binds a port with several gateway chassis only
when BFD is up between them. The timeline is read from the databases' own files afterwards, so
looking costs the measured system nothing.
"""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import manual_steps
from benchmarks.common import Report, ratio, say, spread, summary
from benchmarks.journal import Transaction, read_since
from benchmarks.mesh import BenchLab, bench_lab
from benchmarks.probe import Probe
from ovnmesh.lab.values.topology import Site

Milestone = tuple[str, str, Callable[[Transaction], bool]]

MILESTONES: tuple[Milestone, ...] = (
    ("name and options in NB", "nb", lambda t: t.mentions("NB_Global", "name")),
    ("gateway marked in Open_vSwitch", "vswitch", lambda t: _maps(t, "Open_vSwitch", "interconn")),
    ("zone in IC-SB (ovn-ic runs)", "ic_sb", lambda t: t.mentions("Availability_Zone", "name")),
    ("gateway in IC-SB", "ic_sb", lambda t: t.mentions("Gateway", "name")),
    ("transit switch in NB", "nb", lambda t: t.mentions("Logical_Switch", "name", "ts")),
    ("transit port in NB", "nb", lambda t: t.mentions("Logical_Router_Port", "name", "-ts")),
    ("transit port claimed in SB", "sb", lambda t: _claims(t)),
    ("port with gateway in IC-SB", "ic_sb", lambda t: t.mentions("Port_Binding", "gateway", "-")),
    ("route in IC-SB", "ic_sb", lambda t: t.mentions("Route", "ip_prefix")),
    ("route learned in NB", "nb", lambda t: _maps(t, "Logical_Router_Static_Route", "ic-learned")),
    ("remote port bound in SB", "sb", lambda t: _binds_remote(t)),
)


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: fewer rounds.
    """
    rounds = 2 if quick else 7
    times: dict[str, list[float]] = {who: [] for who in CONTESTANTS}
    lines: dict[str, list[dict[str, float]]] = {who: [] for who in CONTESTANTS}
    with bench_lab(enable_ic=False) as lab:
        lab.wait_settled()
        for number in range(rounds):
            for who, (start, undo) in CONTESTANTS.items():
                if who == FLOOR:
                    lab.stop_ovnmesh()
                seconds, line = _measure(lab, start)
                times[who].append(seconds)
                lines[who].append(line)
                say(f"round {number + 1}: {who} {seconds:.3f} s")
                undo(lab)
            lab.start_ovnmesh()
    return _report(times, lines)


def _configure(lab: BenchLab) -> None:
    for site in lab.sites:
        lab.configure(site.name, enable_ic="true")


def _unconfigure(lab: BenchLab) -> None:
    lab.wait_joined()
    for site in lab.sites:
        lab.configure(site.name, enable_ic="false")
    lab.wait_left()


def _by_hand(lab: BenchLab) -> None:
    manual_steps.connect(lab.runner.lab)


def _by_hand_with_standby(lab: BenchLab) -> None:
    manual_steps.connect(lab.runner.lab, standby=True)


def _undo_by_hand(lab: BenchLab) -> None:
    manual_steps.disconnect(lab.runner.lab)


OURS, FLOOR, STANDBY = "ovnmesh", "by hand (floor)", "by hand, two standby gateways"
CONTESTANTS: dict[str, tuple[Callable[[BenchLab], None], Callable[[BenchLab], None]]] = {
    OURS: (_configure, _unconfigure),
    FLOOR: (_by_hand, _undo_by_hand),
    STANDBY: (_by_hand_with_standby, _undo_by_hand),
}


def _measure(lab: BenchLab, start: Callable[[BenchLab], None]) -> tuple[float, dict[str, float]]:
    time.sleep(2)
    offsets = {file: file.stat().st_size for files in _files(lab).values() for file in files}
    probe = Probe(*lab.endpoints)
    time.sleep(0.5)
    began = time.time()
    start(lab)
    seconds = probe.first_reply(60) - began
    time.sleep(0.2)
    return seconds, _timeline(lab, offsets, began, seconds)


def _files(lab: BenchLab) -> dict[str, list[Path]]:
    def gateway(site: Site) -> Path:
        (file,) = site.node(site.gw_nodes[0]).directory.glob("ovsdb-server.db")
        return file

    (ic_sb,) = (lab.runner.lab.ic_directory / "data").glob("*ic_sb*.db")
    return {
        "nb": [site.directory / "nb.db" for site in lab.sites],
        "sb": [site.directory / "sb.db" for site in lab.sites],
        "vswitch": [gateway(site) for site in lab.sites],
        "ic_sb": [ic_sb],
    }


def _timeline(
    lab: BenchLab, offsets: dict[Path, int], began: float, seconds: float
) -> dict[str, float]:
    """Milliseconds after the start at which the later site had reached each milestone."""
    written = {
        name: [read_since(file, offsets[file]) for file in files]
        for name, files in _files(lab).items()
    }
    line = {}
    for label, name, holds in MILESTONES:
        wanted = len(lab.sites) if name == "ic_sb" else 1
        reached = []
        for log in written[name]:
            hits = [t.time for t in log if holds(t)]
            reached.append(hits[min(wanted, len(hits)) - 1] if hits else began)
        line[label] = (max(reached) - began) * 1000
    flows = [t.time for log in written["sb"] for t in log if "Logical_Flow" in t.tables]
    before = [moment for moment in flows if moment <= began + seconds]
    line["last flows in SB (northd)"] = (max(before, default=began) - began) * 1000
    return line


def _maps(transaction: Transaction, table: str, key: str) -> bool:
    return transaction.mentions(table, "external_ids", key)


def _claims(transaction: Transaction) -> bool:
    return any(
        row.get("chassis") and set(row) <= {"chassis", "up", "encap", "gateway_chassis"}
        for row in transaction.rows("Port_Binding")
    )


def _binds_remote(transaction: Transaction) -> bool:
    return any(
        row.get("chassis") and set(row) <= {"chassis", "encap"}
        for row in transaction.rows("Port_Binding")
    )


def _report(times: dict[str, list[float]], lines: dict[str, list[dict[str, float]]]) -> Report:
    rows = [
        ["**first reply**", *(spread(found, "s", 2) for found in times.values())],
        ["ratio of ovnmesh to it", "", *(f"**{found}**" for found in _ratios(times).values())],
    ]
    for label in lines[OURS][0]:
        cells = [spread([line[label] for line in found], "ms") for found in lines.values()]
        rows.append([label, *cells])
    data: dict[str, object] = {
        "seconds": {who: summary(values) for who, values in times.items()},
        "ratio": _ratios(times),
        "timeline_ms": {
            who: {label: summary([line[label] for line in found]) for label in found[0]}
            for who, found in lines.items()
        },
    }
    return Report((__doc__ or "").split("\n")[0], ("after the start", *times), rows, data)


def _ratios(times: dict[str, list[float]]) -> dict[str, float]:
    return {who: ratio(times[OURS], times[who]) for who in (FLOOR, STANDBY)}
