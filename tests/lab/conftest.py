"""Real here: everything. OVN, OVS, ovn-ic, ic-db, controllers, agents, packets. Needs root."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from meshlab import MeshLab

from ovnmesh.lab import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.spec import uniform_spec


def start(folder: Path, **wanted: object) -> Iterator[MeshLab]:
    """A lab that is gone afterwards, whatever happens."""
    runner = LabRunner.up(uniform_spec(**wanted), folder)  # type: ignore[arg-type]
    try:
        mesh = MeshLab(runner)
        mesh.wait_joined()
        yield mesh
    finally:
        teardown.down(folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites of three nodes, connected; shared by the tests of a module."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    yield from start(tmp_path_factory.mktemp("two"))


@pytest.fixture
def mesh(two: MeshLab) -> Iterator[MeshLab]:
    """The two sites in their first configuration before and after each test."""
    yield two
    two.reset()
