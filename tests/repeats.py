"""Repeats a test of the data path that failed while the machine withheld its processors. Once.

Loaded by conftest. Only tests marked `datapath` are repeated, on evidence from outside the test
(`evidence`), with a lab of its own; what failed and why it was repeated is shown at the end. Too
many repeats fail the run: `allowed` says how many it may have.
"""

import os
import time
from collections.abc import Generator

import pytest
from _pytest.runner import runtestprotocol

from benchmarks.common import steal_s
from evidence import Window, stolen_percent

#: Repeats that a run may have on a quiet machine.
ALLOWED = 2
#: One more for so many percent of processor time that were withheld while it ran.
PERCENT_EACH = 2.0

_WINDOW = pytest.StashKey[Window]()
_CPUS = os.cpu_count() or 1


def allowed(percent: float) -> int:
    """Repeats that a run may have.

    Args:
        percent: processor time withheld, in percent.
    """
    return ALLOWED + int(percent / PERCENT_EACH)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test of the data path, and once more if there is evidence."""
    if item.get_closest_marker("datapath") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    folder = item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    item.stash[_WINDOW] = Window(folder, _CPUS)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    del item.stash[_WINDOW]
    failed = [report for report in reports if report.failed]
    if any(report.__dict__.get("evidence") for report in failed):
        for report in failed:
            report.outcome = "repeated"  # type: ignore[assignment]
            item.ihook.pytest_runtest_logreport(report=report)
        _take_down(item.session)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    if any(report.failed for report in reports):
        _take_down(item.session)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _take_down(session: pytest.Session) -> None:
    """End all fixtures: whatever a failure has left, what comes next begins with a new lab."""
    try:
        session._setupstate.teardown_exact(None)
    except Exception as error:
        # The test has failed already; what is left over, the next one will meet.
        session.config.get_terminal_writer().line(f"\ntaking the lab down: {error!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect the evidence while the lab is still there."""
    report = yield
    if report.failed and _WINDOW in item.stash:
        report.__dict__["evidence"] = item.stash[_WINDOW].evidence()
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, object] | None:
    """A letter and a word of their own."""
    if report.outcome == "repeated":
        return "repeated", "R", ("REPEATED", {"yellow": True})
    return None


class Repeats:
    """What was repeated in a run, and whether that was too often."""

    def __init__(self) -> None:
        self.reports: dict[str, pytest.TestReport] = {}
        self._began, self._stolen_s = time.monotonic(), steal_s()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first failure of each test that is repeated."""
        if report.outcome == "repeated":
            self.reports.setdefault(report.nodeid, report)

    def percent(self) -> float:
        """Processor time withheld since the run began, in percent."""
        return stolen_percent(steal_s() - self._stolen_s, time.monotonic() - self._began, _CPUS)

    @property
    def too_many(self) -> bool:
        """Whether the run fails because of them."""
        return len(self.reports) > allowed(self.percent())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run with too many repeats."""
        if self.too_many and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show each first failure with its evidence."""
        if not self.reports:
            return
        out, percent = terminalreporter, self.percent()
        out.section("repeated", yellow=True)
        for nodeid, report in self.reports.items():
            out.write_sep("_", nodeid, yellow=True)
            for line in report.__dict__["evidence"]:
                out.write_line(f"evidence: {line}", yellow=True)
            report.toterminal(out._tw)
        out.write_line(
            f"{len(self.reports)} repeated; allowed {allowed(percent)} "
            f"({ALLOWED}, and one for each {PERCENT_EACH:.0f} % withheld: {percent:.1f} %)",
            red=self.too_many,
            yellow=not self.too_many,
        )

    def told(self) -> list[dict[str, object]]:
        """For the report file."""
        return [
            {
                "test": nodeid,
                "phase": report.when,
                "evidence": report.__dict__["evidence"],
                "failure": report.longreprtext,
            }
            for nodeid, report in self.reports.items()
        ]
