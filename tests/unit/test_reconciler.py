"""The controller's loop goes on, whatever fails in a pass or in recording how it went."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh.controller import reconciler as module
from ovnmesh.controller.intent import Intent
from ovnmesh.controller.reconciler import Reconciler
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.errors import OvsdbUnavailable, ProviderError, ProviderPending, StalePlan
from ovnmesh.model.changes import Batch, Db, Plan
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.remote import parse_remote
from ovnmesh.model.report import PassReport, SiteState


class Unreadable:
    """A provider that cannot be asked, which is a finding and no failure."""

    advice: dict[str, str] = {}  # noqa: RUF012

    def read(self) -> None:
        raise ProviderError("folder /site: found nothing")

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        stop.wait()


def databases(
    northbound: Callable[[], Northbound], apply: Callable[[Batch], None]
) -> SimpleNamespace:
    """A site whose databases are connected, and fail as they are told to."""
    nb = SimpleNamespace(db=Db.NB, connected=True, has_lock=True, apply=apply)
    sb = SimpleNamespace(db=Db.SB, connected=True)
    return SimpleNamespace(
        nb=nb, sb=sb, live=True, connecting=False, northbound=northbound, close=lambda: None
    )


@pytest.fixture
def reports(monkeypatch, tmp_path: Path):
    """What two passes report of a site; an end of the loop before that is a failure."""

    def run(site: SimpleNamespace) -> list[PassReport]:
        monkeypatch.setattr(module, "SiteDatabases", lambda *_: site)
        nowhere = parse_remote("unix:/nowhere")
        settings = ControllerSettings(nowhere, nowhere, tmp_path)
        found: list[PassReport] = []

        def observe(report: PassReport) -> None:
            found.append(report)
            loop.wake() if len(found) < 2 else loop.stop()

        loop = Reconciler(settings, Unreadable(), observe)
        loop.run()
        return found

    return run


def test_a_northbound_database_that_is_stuck_does_not_end_the_loop(reports) -> None:
    def northbound() -> Northbound:
        raise OvsdbUnavailable("OVN_Northbound at unix:/nowhere: no progress for 5 s")

    found = reports(databases(northbound, lambda batch: None))
    assert [report.state for report in found] == [SiteState.ERROR] * 2
    assert "no progress" in found[0].findings[0].message


def test_rows_that_nobody_has_thought_of_do_not_end_the_loop(reports) -> None:
    def northbound() -> Northbound:
        raise KeyError("name")

    found = reports(databases(northbound, lambda batch: None))
    assert [report.state for report in found] == [SiteState.ERROR] * 2


def test_a_status_that_cannot_be_recorded_does_not_end_the_loop(reports) -> None:
    def apply(batch: Batch) -> None:
        raise RuntimeError("the library did not think of this")

    nb = Site(Mesh()).observed.nb
    found = reports(databases(lambda: nb, apply))
    assert [report.state for report in found] == [SiteState.IDLE] * 2
    assert [finding.code for finding in found[1].findings] == ["config-unreadable"]


class Reading:
    """A provider that is reading for the first time."""

    advice: dict[str, str] = {}  # noqa: RUF012

    def read(self) -> None:
        raise ProviderPending("Neutron is being read")

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        stop.wait()


def test_while_the_input_is_read_for_the_first_time_nothing_is_done(monkeypatch, tmp_path) -> None:
    """The record says "joined" of a site that is leaving; so it counts only after a while."""
    site = Site(Mesh())
    site.settle(wish())
    asked: list[str] = []

    def northbound() -> Northbound:
        asked.append("northbound")
        return site.observed.nb

    given = databases(northbound, lambda batch: None)
    given.nb.has_lock = False
    monkeypatch.setattr(module, "SiteDatabases", lambda *_: given)
    nowhere = parse_remote("unix:/nowhere")
    now = [1000.0]
    found: list[PassReport] = []

    def observe(report: PassReport) -> None:
        found.append(report)
        if len(found) == 1:
            assert not asked
            now[0] += module.FIRST_READING_S
        loop.wake() if len(found) < 2 else loop.stop()

    settings = ControllerSettings(nowhere, nowhere, tmp_path)
    loop = Reconciler(settings, Reading(), observe, lambda: now[0])
    loop.run()
    assert [report.state for report in found] == [SiteState.CONNECTING, SiteState.STANDBY]
    assert asked


class OvnIcLog:
    """Notes what is asked of ovn-ic."""

    version = ""
    restarts = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def stop(self) -> None:
        self.asked.append("stop")

    def ensure(self, *_: object) -> None:
        self.asked.append("ensure")

    def revive(self) -> None:
        self.asked.append("revive")


@pytest.mark.parametrize("pause", [False, True])
def test_ovn_ic_is_not_sent_to_rows_that_are_half_done(monkeypatch, tmp_path, pause: bool) -> None:
    """Moving to fresh databases, another site's claim came between: the keys were not there yet."""
    site = Site(Mesh())
    refused = [StalePlan("rows changed")]

    def apply(batch: Batch) -> None:
        if batch.db is Db.IC_NB and refused:
            raise refused.pop()

    address = parse_remote("tcp:192.0.2.1:6645")
    interconnect = [
        SimpleNamespace(db=db, apply=apply, address=address, connected=True)
        for db in (Db.IC_NB, Db.IC_SB)
    ]
    ic = SimpleNamespace(
        databases=interconnect, connecting=False, live=True, unused=False, members=None,
        open=lambda _: None, follow_leaders=lambda: None, close=lambda: None,
        try_move=lambda _: (), read=lambda: None, follow_again_s=None,
    )  # fmt: skip
    given = databases(lambda: site.observed.nb, apply)
    given.observe = lambda *_: site.observed
    given.again_s = None
    given.nb.address = given.sb.address = address
    ovn_ic = OvnIcLog()
    plan = Plan(
        batches=(Batch(Db.IC_NB, (), "claim"), Batch(Db.IC_SB, (), "keys")), pause_ovn_ic=pause
    )
    intent = Intent(wish(), False, address, address, (), True)
    monkeypatch.setattr(module, "SiteDatabases", lambda *_: given)
    monkeypatch.setattr(module, "IcAccess", lambda *_: ic)
    monkeypatch.setattr(module, "OvnIc", lambda *_: ovn_ic)
    monkeypatch.setattr(module, "decide_intent", lambda *_: intent)
    monkeypatch.setattr(module, "plan_site", lambda *_: plan)

    def observe(report: PassReport) -> None:
        assert report.state is not SiteState.ERROR, report.findings
        loop.stop()

    loop = Reconciler(ControllerSettings(address, address, tmp_path), Unreadable(), observe)
    loop.run()
    stop = ["stop"] * pause
    assert ovn_ic.asked == [*stop, "revive", *stop, "ensure", "stop"]
