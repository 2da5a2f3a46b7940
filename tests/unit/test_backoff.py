"""Waits between attempts."""

from ovnmesh.model.backoff import Backoff


def test_the_wait_doubles_up_to_the_last():
    backoff = Backoff(first_s=0.1, last_s=1.0)
    assert [backoff.failed() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_success_makes_the_next_failure_a_first_one():
    backoff = Backoff(first_s=1.0, last_s=60.0)
    assert not backoff.begun
    backoff.failed()
    backoff.failed()
    assert backoff.begun
    backoff.succeeded()
    assert not backoff.begun
    assert backoff.failed() == 1.0


def test_what_fails_for_years_still_waits_the_last():
    backoff = Backoff(first_s=0.001, last_s=10.0)
    waits = [backoff.failed() for _ in range(5000)]
    assert waits[-1] == 10.0
