"""What does an idle controller cost, and what does it grow with?

A joined site without a data path (`databases`), the real controller process. Processor time by the
kernel's scheduler to the nanosecond; what was written by the sizes of the databases' files. Then
passes are provoked, to see how long one takes. Cases with many rows have auto-route "false":
stock ovn-ic is quadratic in learned routes (docs/limitations.md) and would be what is measured; one
has it "true".
"""

import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Report, say, summary
from benchmarks.databases import NB, SCHEMAS, Databases, foreign_routes, own_rows
from benchmarks.mesh import cpu_s, rss_mb
from ovnmesh.host.process import wait_until

PASSES = 10


@dataclass(frozen=True, slots=True)
class Case:
    """What is in the databases.

    Attributes:
        own: switch ports, static routes and policies of the site itself, each.
        foreign: routes of ten other sites in IC-SB.
        auto_route: ``auto-route``.
    """

    own: int = 0
    foreign: int = 0
    auto_route: bool = False

    @property
    def name(self) -> str:
        """For the table."""
        words = [f"{self.own:,} own ports, routes, policies"] if self.own else []
        words += [f"{self.foreign:,} foreign routes"] if self.foreign else []
        return f"{', '.join(words) or 'empty site'}, auto-route {str(self.auto_route).lower()}"


CASES = (
    Case(auto_route=True),
    Case(own=1_000),
    Case(own=10_000),
    Case(foreign=1_000),
    Case(foreign=10_000),
    Case(own=1_000, foreign=1_000, auto_route=True),
)
COLUMNS = (
    "rows",
    "controller, % of a core",
    "RSS, MB",
    "bytes written",
    "passes while idle",
    "one pass, ms",
    "ovn-ic, % of a core",
)


def run(quick: bool) -> Report:
    """Measure.

    Args:
        quick: 10 s instead of 60, and no case of 10,000 rows.
    """
    window_s = 10 if quick else 60
    rows, data = [], {}
    for case in CASES:
        if quick and max(case.own, case.foreign) > 1_000:
            continue
        found = _measure(case, window_s)
        data[case.name] = found
        passes = found["pass_ms"]
        rows.append(
            [
                case.name,
                f"{found['controller_percent']:.3f}",
                f"{found['rss_mb']:.0f}",
                str(sum(found["written_bytes"].values())),
                str(found["passes"]),
                f"{passes['median']:.1f} ({passes['min']:.1f}-{passes['max']:.1f})",
                f"{found['ovn_ic_percent']:.3f}",
            ]
        )
        say(f"{case.name}: {found['controller_percent']:.3f} %, {found['rss_mb']:.0f} MB")
        if case == CASES[0]:
            agent = found["agent"]
            rows.append(
                ["agent", f"{agent['percent']:.3f}", f"{agent['rss_mb']:.0f}", "", "", "", ""]
            )
    return Report((__doc__ or "").split("\n")[0], COLUMNS, rows, data)


def _measure(case: Case, window_s: float) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="ovnmesh-"))
    databases = Databases(folder)
    try:
        databases.start()
        databases.transact(NB, own_rows(case.own))
        if case.foreign:
            foreign_routes(databases, case.foreign)
        databases.configure(case.auto_route)
        databases.mark_gateway()
        controller = databases.start_controller()
        agent = databases.start_agent() if case == CASES[0] else None
        (ovn_ic,) = _children(controller)
        _settle(controller, ovn_ic)
        pids = {"controller": controller, "ovn_ic": ovn_ic, "agent": agent}
        found = _idle(databases, window_s, pids)
        found["pass_ms"] = summary(_passes(databases, case))
        return found
    finally:
        databases.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _idle(databases: Databases, window_s: float, pids: dict[str, int | None]) -> dict[str, object]:
    before_passes = databases.metrics()["ovnmesh_pass_seconds_count"]
    time.sleep(1)
    sizes = _sizes(databases)
    threads = _threads(pids["controller"])
    began, used = time.monotonic(), {name: cpu_s(pid) for name, pid in pids.items() if pid}
    time.sleep(window_s)
    span_s = time.monotonic() - began
    percent = {name: 100 * (cpu_s(pids[name]) - before) / span_s for name, before in used.items()}
    by_thread = {
        thread: 100 * (seconds - threads.get(thread, 0)) / span_s
        for thread, seconds in _threads(pids["controller"]).items()
    }
    passes = databases.metrics()["ovnmesh_pass_seconds_count"] - before_passes
    found: dict[str, object] = {
        "window_s": round(span_s, 1),
        "controller_percent": round(percent["controller"], 4),
        "percent_by_thread": sorted((round(p, 4) for p in by_thread.values()), reverse=True),
        "ovn_ic_percent": round(percent["ovn_ic"], 4),
        "rss_mb": round(rss_mb(pids["controller"]), 1),
        "written_bytes": {name: now - sizes[name] for name, now in _sizes(databases).items()},
        "passes": int(passes),
    }
    if pids["agent"]:
        rss = round(rss_mb(pids["agent"]), 1)
        found["agent"] = {"percent": round(percent["agent"], 4), "rss_mb": rss}
    return found


def _passes(databases: Databases, case: Case) -> list[float]:
    """Milliseconds of some passes, each provoked by writing the same ConfigMap again."""
    times = []
    for _ in range(PASSES):
        before = databases.metrics()
        databases.configure(case.auto_route)
        wait_until(
            lambda before=before: (
                databases.metrics()["ovnmesh_pass_seconds_count"]
                > before["ovnmesh_pass_seconds_count"]
            ),
            "a pass",
            timeout_s=30,
        )
        time.sleep(0.3)
        now = databases.metrics()
        total, count = (
            now[f"ovnmesh_pass_seconds_{what}"] - before[f"ovnmesh_pass_seconds_{what}"]
            for what in ("sum", "count")
        )
        times.append(1000 * total / count)
    return times


def _settle(*pids: int) -> None:
    """Wait until processes rest, two minutes at most: what goes on then is what is measured."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        before = [cpu_s(pid) for pid in pids]
        time.sleep(2)
        if statistics.fsum(cpu_s(pid) for pid in pids) - statistics.fsum(before) < 0.05:
            return


def _threads(pid: int | None) -> dict[str, float]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {t.name: int((t / "schedstat").read_text().split()[0]) / 1e9 for t in tasks}


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _sizes(databases: Databases) -> dict[str, int]:
    return {name: databases.file(name).stat().st_size for name in SCHEMAS}
