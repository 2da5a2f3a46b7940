"""When a controller looks for learned routes that ovn-ic has left behind."""

from ovnmesh.controller.audit import AFTER_S, Audit


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_without_a_reason_nobody_looks() -> None:
    audit = Audit(Clock())
    assert not audit.due
    assert audit.again_s is None


def test_looks_are_spread_out_and_end() -> None:
    audit = Audit(clock := Clock())
    audit.begin()
    waits_s = []
    while audit.again_s is not None:
        waits_s.append(audit.again_s)
        clock.now_s += audit.again_s
        assert audit.due
        audit.looked(0)
        assert not audit.due
    assert sum(waits_s) == AFTER_S[-1]
    assert len(waits_s) == len(AFTER_S)


def test_what_was_found_is_looked_for_again_at_once_while_there_is_less_each_time() -> None:
    audit = Audit(clock := Clock())
    audit.begin()
    for left in (3000, 2000, 1000):
        audit.looked(left)
        assert audit.due
    clock.now_s += AFTER_S[-1]  # a pass that came late is one look, not three
    audit.looked(0)
    assert audit.again_s is None


def test_what_nobody_removes_is_looked_for_rarely_and_for_ever() -> None:
    audit = Audit(clock := Clock())
    audit.begin()
    audit.looked(5)
    for _ in range(10):
        audit.looked(5)
        assert audit.again_s == AFTER_S[-1]
        clock.now_s += AFTER_S[-1]
        assert audit.due
    audit.looked(4)
    assert audit.due


def test_a_site_that_leaves_waits_for_no_look() -> None:
    """Otherwise its controller would pass again at once, for as long as leaving takes."""
    audit = Audit(Clock())
    audit.begin()
    audit.end()
    assert audit.again_s is None
