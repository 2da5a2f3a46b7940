"""How long the controller waits: for conditions, for the next pass, for silent agents."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh.controller.outcome import soonest
from ovnmesh.controller.patience import LEAST_S, Patience
from ovnmesh.model.changes import Batch, Db, Delete, Plan
from ovnmesh.model.report import SiteState
from ovnmesh.plan.leave import UNMARKED, UNMARKED_S, plan_leave


class Clock:
    """Seconds that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_soonest_of_waits_counts_and_none_is_an_event():
    assert soonest() is None
    assert soonest(None, None) is None
    assert soonest(None, 3.0, 2.0) == 2.0
    assert soonest(0.0, 5.0, None) == 0.0, "at once is not the same as never"


def test_conditions_age_while_they_are_reported():
    clock = Clock()
    patience = Patience(clock)
    assert patience.note({("path", "ts"): 2.0}) == 2.0
    clock.now_s += 1.5
    assert patience.ages() == {("path", "ts"): 1.5}
    assert patience.note({("path", "ts"): 2.0, ("path", "ts1"): 4.0}) == 0.5
    clock.now_s += 1.0
    assert patience.note({("path", "ts"): 2.0}) == LEAST_S, "due already: the next plan, at once"


def test_a_condition_that_went_begins_anew():
    clock = Clock()
    patience = Patience(clock)
    patience.note({("path", "ts"): 2.0})
    clock.now_s += 1.9
    assert patience.note({}) is None
    assert patience.note({("path", "ts"): 2.0}) == 2.0


BATCH = (Batch(Db.NB, (Delete("T", "u"),), "why"),)


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (Plan(), SiteState.JOINED),
        (Plan(BATCH), SiteState.JOINING),
        (Plan(waiting=("ts",)), SiteState.JOINING),
        (Plan(refused=True), SiteState.REFUSED),
        (Plan(BATCH, leaving=True), SiteState.LEAVING),
        (Plan(leaving=True), SiteState.LEAVING),
    ],
)
def test_a_plan_says_where_the_site_stands(plan, state):
    assert plan.state is state


def test_leaving_waits_for_marks_as_long_as_it_has_to():
    site = Site(Mesh())
    site.settle(wish())
    for _ in range(8):
        plan = plan_leave(site.observed, {})
        if not plan.batches:
            break
        site.apply(plan)  # agents do nothing: the mark stays
    assert plan.pending == {UNMARKED: UNMARKED_S}
    assert [finding.code for finding in plan.findings] == ["gateway-still-marked"]
    assert not plan_leave(site.observed, {UNMARKED: UNMARKED_S - 0.1}).batches
    last = plan_leave(site.observed, {UNMARKED: UNMARKED_S})
    assert [batch.why for batch in last.batches] == ["erase our records"]
    site.apply(last)
    gone = plan_leave(site.observed, {})
    assert (gone.batches, gone.pending, gone.state) == ((), {}, SiteState.LEAVING)
