"""Real here: everything. OVN, OVS, ovn-ic, ic-db, controllers, agents, packets. Needs root."""

from collections.abc import Iterator

import pytest

from meshlab import MeshLab
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import uniform_spec


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the lab that several files share come last, so that it runs beside no other one."""
    items.sort(key=lambda item: "labs" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MeshLab]]:
    """The lab that several files share."""
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
