"""Waiting for others to act: what is told, and when it ends. No I/O."""

from ovnmesh.operate.waiting import wait_until_done


def test_ends_when_nothing_is_pending_and_tells_what_was() -> None:
    left = ["az1, az2", "az2", ""]
    told: list[str] = []
    assert wait_until_done(lambda: left.pop(0), 60.0, told.append, 0.0) == ""
    assert told == ["waiting for az1, az2", "waiting for az2"]
    assert left == []


def test_looks_once_without_any_time() -> None:
    told: list[str] = []
    assert wait_until_done(lambda: "", 0.0, told.append) == ""
    assert wait_until_done(lambda: "the controller", 0.0, told.append) == "the controller"
    assert told == []


def test_says_what_is_still_pending_when_the_time_is_over() -> None:
    left = iter(["az1", "az1, az2", *["az2"] * 1000])
    assert wait_until_done(lambda: next(left), 0.05, lambda _: None, 0.001) == "az2"
