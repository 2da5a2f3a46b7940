"""Where the time of a run of pytest went, file by file, and what was skipped and repeated.

Loaded by conftest; does its work if there is a `--stage NAME`: shows it, and writes it to
build/tests/NAME.json, of which `summary` prints the whole of `make test`.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from repeats import Repeats

#: Files that are shown; the others are a second or two each.
SHOWN = 15


def folder(root: Path) -> Path:
    """Where reports are written; not kept in the repository."""
    return root / "build" / "tests"


class StageReport:
    """Listens to a run.

    Args:
        stage: name of the run, "" to say nothing.
        repeats: what was repeated in it.
    """

    def __init__(self, stage: str, repeats: Repeats) -> None:
        self._stage, self._repeats = stage, repeats
        self._began = time.monotonic()
        self._cpu_s = _cpu_s()
        self._seconds: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase of a test."""
        self._seconds[report.nodeid.split("::")[0]] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            self._skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the files that took longest, and what was skipped."""
        if not self._stage:
            return
        terminalreporter.section("where the time went")
        for file, seconds in self._seconds.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:7.1f} s  {file}")
        for reason, count in self._skipped.items():
            terminalreporter.write_line(f"skipped {count}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the file."""
        if not self._stage:
            return
        took_s = time.monotonic() - self._began
        told = {
            "stage": self._stage,
            "took_s": round(took_s, 1),
            "busy_percent": round(100 * (_cpu_s() - self._cpu_s) / took_s / (os.cpu_count() or 1)),
            "withheld_percent": round(self._repeats.percent(), 1),
            "load": round(os.getloadavg()[0], 1),
            "exit_status": int(session.exitstatus),
            "outcomes": self._outcomes,
            "files": {file: round(s, 1) for file, s in self._seconds.most_common()},
            "skipped": self._skipped,
            "repeated": self._repeats.told(),
        }
        path = folder(session.config.rootpath) / f"{self._stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1) + "\n")


def _cpu_s() -> float:
    """Processor seconds that this machine has used so far (proc(5), /proc/stat)."""
    user, nice, system, _idle, _iowait, irq, softirq = (
        int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
