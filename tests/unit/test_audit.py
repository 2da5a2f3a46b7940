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
        audit.looked(found=False)
        assert not audit.due
    assert sum(waits_s) == AFTER_S[-1]
    assert len(waits_s) == len(AFTER_S)


def test_what_was_found_is_looked_for_again_until_it_is_gone() -> None:
    audit = Audit(clock := Clock())
    audit.begin()
    for _ in range(50):
        audit.looked(found=True)
        assert audit.due
    clock.now_s += AFTER_S[-1]  # a pass that came late is one look, not three
    audit.looked(found=False)
    assert audit.again_s is None
