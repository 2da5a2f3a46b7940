"""What all benchmarks share: samples and their spread, the machine, results on disk.

Called by `run` and the benchmarks. Must not know what is measured.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

QUIET_LOAD = 1.5
"""One-minute load average below which the machine counts as quiet."""
PATIENCE_S = 300.0
"""How long a whole run waits for quiet, in all."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found.

    Attributes:
        question: what was asked.
        columns: headings of the table.
        rows: its cells, as text.
        data: everything measured, for machines.
    """

    question: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: dict[str, object]


@dataclass(slots=True)
class Machine:
    """What the figures depend on besides the code."""

    cpus: int = os.cpu_count() or 0
    kernel: str = platform.release()
    python: str = platform.python_version()
    ovn: str = field(default_factory=lambda: _version("ovn-northd"))
    ovs: str = field(default_factory=lambda: _version("ovs-vswitchd"))
    datapath: str = "userspace (netdev)"


class Quiet:
    """Waits a little for other users of the machine, and never for long.

    Args:
        patience_s: seconds to wait in all, over all calls.
    """

    def __init__(self, patience_s: float) -> None:
        self._left_s = patience_s

    def wait(self) -> float:
        """Wait until the load is low or patience is used up; returns the load average then."""
        while os.getloadavg()[0] > QUIET_LOAD and self._left_s > 0:
            time.sleep(5)
            self._left_s -= 5
        return round(os.getloadavg()[0], 2)


def steal_s() -> float:
    """Processor seconds the hypervisor has kept from this machine so far (proc(5), /proc/stat)."""
    ticks = int(Path("/proc/stat").read_text().split("\n")[0].split()[8])
    return ticks / os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    """Progress, for people."""
    print(f"  {text}", file=sys.stderr, flush=True)


def summary(values: Sequence[float]) -> dict[str, object]:
    """Median, spread and the values themselves, rounded to a thousandth."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "values": [round(value, 3) for value in values],
    }


def spread(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """Median with minimum and maximum, for a cell: ``12 (9-31) ms``."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({low}-{high}) {unit}"


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """Ratio of medians."""
    return round(statistics.median(ours) / statistics.median(floor), 2)


def markdown(report: Report) -> str:
    """The report's table."""
    return table(report.columns, report.rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def save(name: str, report: Report, conditions: dict[str, object]) -> Path:
    """Write a report to ``results/NAME.json``.

    Args:
        name: the benchmark.
        report: what it found.
        conditions: load averages and whether the run was a quick one.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "benchmark": name,
        "question": report.question,
        "command": f"python -m benchmarks.run {name}",
        "machine": asdict(Machine()),
        **conditions,
        "columns": list(report.columns),
        "rows": [list(row) for row in report.rows],
        "data": report.data,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return said.split("\n")[0].rsplit(" ", 1)[-1]
