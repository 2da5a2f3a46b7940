"""A cluster of three nodes serves the interconnection databases, and loses its leader."""

import time
from collections.abc import Callable, Iterator

import pytest

from meshlab import MeshLab, eventually
from ovnmesh.icdb.database.files import IC_NB, IC_SB, IcDatabase
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import parse_spec

pytestmark = [pytest.mark.root, pytest.mark.datapath]

#: Seconds within which a change propagates although the leader has just been killed.
PROPAGATION_S = 3.0
#: Seconds that traffic to a site may be without a way if its gateway dies in an election: BFD needs
#: up to 3 s to notice, meanwhile the election ends; then ovn-ic tells the other site.
FAILOVER_S = 4.5
SUBNET = (
    "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: late{n}}}\n"
    "spec: {{cidrBlock: 10.{n}.0.0/16}}\n"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites with two gateways each, and three nodes of the interconnection databases."""
    folder = tmp_path_factory.mktemp("leader")
    gateways = [{"gw_nodes": f"az{i}-gw,az{i}-n1"} for i in (1, 2)]
    try:
        mesh = MeshLab(LabRunner.up(parse_spec({"sites": gateways, "ic_nodes": 3}, "t"), folder))
        mesh.wait_joined()
        yield mesh
    finally:
        teardown.down(folder)


@pytest.fixture
def mesh(lab: MeshLab) -> Iterator[MeshLab]:
    """The lab, whole again after each test."""
    wait_whole(lab)
    yield lab
    lab.runner.fault_ic_leader("sb", heal=True)
    for node in lab.runner.lab.ic_nodes:
        lab.runner.fault_link(node.name, heal=True)
    lab.runner.fault_link("az1/az1-gw", heal=True)


def wait_whole(lab: MeshLab) -> None:
    """All nodes serve, all sites are joined, and no ovn-ic is so young that it is given time."""

    def leaders() -> list[str]:
        assert all(node["daemons"]["ic-db"] for node in lab.runner.status()["ic"]["nodes"])
        return [leader(lab, IC_NB), leader(lab, IC_SB)]

    def stable() -> bool:
        before = leaders()
        time.sleep(1.2)
        return "" not in before and leaders() == before

    lab.reset()
    eventually(stable)


def leader(lab: MeshLab, database: IcDatabase) -> str:
    found = daemons.find_ic_leader(lab.runner.lab, database)
    return found.name if found is not None else ""


def propagation_s(lab: MeshLab, number: int, since: float) -> float:
    """Seconds from a moment until az2 knows a new Subnet of az1."""
    lab.apply("az1", SUBNET.format(n=number))
    try:
        eventually(lambda: f"10.{number}.0.0/16" in lab.routes("az2"), 25)
        return time.monotonic() - since
    finally:
        lab.delete("az1", SUBNET.format(n=number))


def pids(lab: MeshLab) -> list[int]:
    return [lab.pid(f"{site}/control", "ovn-ic ") for site in lab.names]


@pytest.mark.parametrize("which", ["sb", "nb"])
def test_leader_killed_and_a_change_propagates_within_three_seconds(mesh: MeshLab, which) -> None:
    with mesh.lossless():
        killed = time.monotonic()
        mesh.runner.fault_ic_leader(which)
        took_s = propagation_s(mesh, 150, killed)
    print(f"{which}: {took_s:.2f} s")
    assert took_s < PROPAGATION_S
    assert "ic-unreachable" not in mesh.codes("az1") + mesh.codes("az2")


def test_gateway_fails_over_while_a_leader_is_being_elected(mesh: MeshLab) -> None:
    """The other site sends to the new gateway only when ovn-ic has told it so."""
    pair = ("az2/pod2", "az1/pod2")
    with mesh.trains(pair, pair[::-1]) as results:
        mesh.runner.fault_ic_leader("sb")
        mesh.runner.fault_link("az1/az1-gw")
        eventually(lambda: mesh.active_gateway("az1") == "az1-n1", 5)
        eventually(lambda: mesh.ping(*pair, count=2).lost == 0, 20)
    print([result.longest_gap_ms for result in results])
    assert all(result.longest_gap_ms < 1000 * FAILOVER_S for result in results), results


def test_follower_killed_and_ovn_ic_is_left_alone(mesh: MeshLab) -> None:
    before = pids(mesh)
    leaders = {leader(mesh, IC_NB), leader(mesh, IC_SB)}
    follower = next(n.name for n in mesh.runner.lab.ic_nodes if n.name not in leaders)
    with mesh.lossless():
        mesh.runner.fault_kill(follower, "ic-db")
        assert propagation_s(mesh, 151, time.monotonic()) < PROPAGATION_S
    mesh.runner.fault_kill(follower, "ic-db", heal=True)
    time.sleep(2)
    assert pids(mesh) == before
    assert mesh.codes("az1") == mesh.codes("az2") == []


def test_leader_cut_off_without_a_word(mesh: MeshLab) -> None:
    """Its connections stay open on both ends: only the others' election tells."""
    cut_off = leader(mesh, IC_SB)
    with mesh.lossless():
        cut = time.monotonic()
        mesh.runner.fault_link(cut_off)
        took_s = propagation_s(mesh, 152, cut)
    print(f"{took_s:.2f} s")
    assert took_s < PROPAGATION_S
    mesh.runner.fault_link(cut_off, heal=True)
    assert propagation_s(mesh, 153, time.monotonic()) < PROPAGATION_S


def reachable(mesh: MeshLab, one: str, other: str) -> Callable[[], bool]:
    return lambda: mesh.ping(one, other, 2).lost == 0


@pytest.mark.parametrize(
    ("places", "cut", "kept"),
    [
        (("az1/az1-gw", "az2/az2-gw"), ("az1/pod0", "az2/pod0"), ("az1/pod0", "az1/pod2")),
        (("az1/az1-n1", "az1/az1-n2"), ("az1/pod1", "az1/pod2"), ("az1/pod1", "az2/pod2")),
        (("az1", "az2"), ("az1/pod1", "az2/pod2"), ("az1/pod1", "az1/pod2")),
    ],
    ids=["gateways", "one site", "sites"],
)
def test_paths_are_cut_silently_and_healed(lab: MeshLab, places, cut, kept) -> None:
    eventually(reachable(lab, *cut))
    lab.runner.fault_path(*places)
    try:
        eventually(lambda: lab.ping(*cut, count=2).received == 0)
        assert reachable(lab, *kept)()
    finally:
        lab.runner.fault_path(*places, heal=True)
    lab.runner.fault_path(*places, heal=True)
    eventually(reachable(lab, *cut))
