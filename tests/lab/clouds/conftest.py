"""Real here: everything, Neutron too. Needs root.

One lab for all tests of this folder, because it takes most of a minute to start: Kube-OVN shaped
sites az1 and az2, OpenStack sites os1 and os2, whose routers have the same name.
"""

import os
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from openstack_lab import ALL, OpenStackLab
from ovnmesh.host.process import command_line
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.network import netns
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.layout import prefix_of
from ovnmesh.lab.values.spec import parse_spec

SPEC = {
    "sites": [{"nodes": 2}, {"nodes": 2}],
    "openstack": [{"name": "os1"}, {"name": "os2"}],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to install Neutron, which takes minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.datapath)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackLab]:
    """The lab as it starts: joined, and closed by the default security groups."""
    directory = tmp_path_factory.mktemp("clouds")
    try:
        made = OpenStackLab(LabRunner.up(parse_spec(SPEC, "test"), directory))
        made.wait_in_order()
        yield made
        made.close()
    finally:
        teardown.down(directory)
    assert_nothing_left(directory)


def assert_nothing_left(directory: Path) -> None:
    """What `lab down` has to leave: nothing."""
    assert netns.names(f"{prefix_of(directory)}-") == ()
    assert not directory.exists()
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    lines = [" ".join(command_line(pid)) for pid in pids if pid != os.getpid()]
    assert [line for line in lines if str(directory) in line] == []


@pytest.fixture(scope="package")
def opened(lab: OpenStackLab) -> OpenStackLab:
    """VMs let the mesh in; every pair has met."""
    for cloud in lab.clouds:
        lab.open_to_the_mesh(cloud)
    for source, target in permutations(ALL, 2):
        lab.reaches(source, target)
    return lab
