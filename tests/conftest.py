"""What holds for tests of every kind: who may run them, and what a failure proves."""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

import pytest

from meshlab import MeshLab, NoisyMachine
from metronome import Metronome

#: After a `NoisyMachine` a test is done again, at most four times.
PATIENT = pytest.mark.flaky(reruns=4, reruns_delay=3, only_rerun=["NoisyMachine"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("flaky") is None:
            item.add_marker(PATIENT)


@contextmanager
def noise_told(labs: Iterable[MeshLab] = ()) -> Iterator[None]:
    """Whatever fails while processors are withheld becomes a `NoisyMachine`."""
    labs = list(labs)
    stalls = sum(lab.stalls() for lab in labs)
    with Metronome() as metronome:
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            late = sum(lab.stalls() for lab in labs) - stalls
            if late or metronome.missed:
                raise NoisyMachine(
                    f"BFD packets late: {late}; longest delay: {metronome.longest_s:.3f} s"
                ) from error
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Tests marked `root` are skipped for anybody else, before a fixture makes anything."""
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    with noise_told():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    with noise_told(each for each in pyfuncitem.funcargs.values() if isinstance(each, MeshLab)):
        return (yield)
