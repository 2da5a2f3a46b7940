"""Real here: everything. OVN, OVS, ovn-ic, ic-db, controllers, agents, packets. Needs root."""

import os
from collections.abc import Generator, Iterator

import pytest

from meshlab import MeshLab, NoisyMachine
from metronome import Metronome
from ovnmesh.lab import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.spec import uniform_spec


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
        except AssertionError as error:
            late = sum(lab.stalls() for lab in labs) - stalls
            if late or metronome.missed:
                raise NoisyMachine(
                    f"BFD packets late: {late}; longest delay: {metronome.longest_s:.3f} s"
                ) from error
            raise


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MeshLab]]:
    """The lab that the tests of a module share; replaced by `mesh` when a test broke it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    running: dict[str, MeshLab] = {}
    try:
        yield running
    finally:
        for lab in running.values():
            teardown.down(lab.runner.directory)


@pytest.fixture
def mesh(labs: dict[str, MeshLab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites of three nodes, connected, in their first configuration before each test."""
    if "two" not in labs:
        folder = tmp_path_factory.mktemp("two")
        try:
            labs["two"] = MeshLab(LabRunner.up(uniform_spec(), folder))
            labs["two"].wait_joined()
        except BaseException:
            teardown.down(folder)
            labs.pop("two", None)
            raise
    yield labs["two"]
    try:
        labs["two"].reset()
    except BaseException:
        # One failure must not become many: the next test gets a new lab.
        teardown.down(labs.pop("two").runner.directory)
        raise
