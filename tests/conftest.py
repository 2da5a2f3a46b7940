"""What a failure means on a machine that withholds its processors, for tests of every kind."""

import subprocess
from collections.abc import Generator

import pytest

from meshlab import MeshLab, NoisyMachine
from metronome import Metronome


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A failure while processors were withheld proves nothing, if the test may be repeated."""
    if pyfuncitem.get_closest_marker("flaky") is None:
        return (yield)
    labs = [each for each in pyfuncitem.funcargs.values() if isinstance(each, MeshLab)]
    stalls = sum(lab.stalls() for lab in labs)
    with Metronome() as metronome:
        try:
            return (yield)
        except (AssertionError, subprocess.SubprocessError) as error:
            late = sum(lab.stalls() for lab in labs) - stalls
            if late or metronome.missed:
                raise NoisyMachine(
                    f"BFD packets late: {late}; longest delay: {metronome.longest_s:.3f} s"
                ) from error
            raise
