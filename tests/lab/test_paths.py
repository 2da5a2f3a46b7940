"""Paths between gateways: their death is reported in time, and the MTU of their links is followed.

What the controller makes of the reports is in test_gateways.py.
"""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from meshlab import MeshLab, eventually
from ovnmesh import ovn_keys as keys
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import uniform_spec

pytestmark = [pytest.mark.root, pytest.mark.datapath]

#: BFD takes 0.3 s, ovs-vswitchd up to 0.1 s to tell, the agent hundredths (measured: 0.27 s).
REPORT_S = 0.5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites of two nodes."""
    folder = tmp_path_factory.mktemp("paths")
    try:
        mesh = MeshLab(LabRunner.up(uniform_spec(nodes=2), folder))
        mesh.wait_joined()
        yield mesh
    finally:
        teardown.down(folder)


def chassis(mesh: MeshLab, site: str, node: str) -> str:
    return mesh.runner.lab.site(site).node(node).system_id


def written(mesh: MeshLab, site: str, node: str | None = None) -> dict[str, str]:
    """Keys of ours that stand in the row of a site's gateway."""
    out = mesh.tool(
        "ovn-sbctl", site, "-f", "json", "--columns=external_ids", "find", "Chassis_Private",
        f"name={chassis(mesh, site, node or f'{site}-gw')}",
    )  # fmt: skip
    (row,) = json.loads(out)["data"]
    return dict(row[0][1])


def path(mesh: MeshLab, site: str, other: str) -> list:
    """State, round-trip time and loss from gateway to gateway."""
    paths = json.loads(written(mesh, site).get(keys.PATHS, "{}"))
    return paths.get(chassis(mesh, other, f"{other}-gw"), [None, None, None])


def both_up(mesh: MeshLab) -> bool:
    return all(path(mesh, a, b)[0] is True for a, b in (("az1", "az2"), ("az2", "az1")))


def set_mtu(mesh: MeshLab, place: str, mtu: int) -> None:
    command = ["ip", "-n", mesh.runner.netns_of(place), "link", "set", "eth0", "mtu", str(mtu)]
    subprocess.run(command, check=True)


def test_paths_are_measured_and_shown(small: MeshLab) -> None:
    def measured() -> bool:
        _, rtt_ms, loss = path(small, "az1", "az2")
        return rtt_ms is not None and 0 < rtt_ms < 200 and loss < 0.5

    eventually(lambda: both_up(small))
    # The first figures may be of the moment of joining; they are written anew every 10 s.
    eventually(measured, 60, "figures of a path that is well")
    before = path(small, "az1", "az2")
    shown = json.loads(small.ovnmesh("status", "az1", "-o", "json").stdout)
    after = path(small, "az1", "az2")
    (line,) = shown["sites"]["az1"]["paths"]
    assert (line["node"], line["az"], line["peer"]) == ("az1-gw", "az2", "az2-gw")
    assert (line["state"], line["active"]) == ("up", True)
    assert line["rtt_ms"] in (before[1], after[1])
    assert "az2-gw" in small.ovnmesh("status", "az1").stdout.partition("Paths")[2]


def test_a_dead_path_is_reported_by_both_ends(small: MeshLab) -> None:
    eventually(lambda: both_up(small))
    small.runner.fault_path("az1/az1-gw", "az2/az2-gw")
    cut = time.monotonic()
    try:
        eventually(lambda: path(small, "az1", "az2")[0] is False)
        took_s = time.monotonic() - cut
        eventually(lambda: path(small, "az2", "az1")[0] is False)
        shown = small.ovnmesh("status", "az1", "-o", "json", check=False)
        codes = [f["code"] for f in json.loads(shown.stdout)["sites"]["az1"]["findings"]]
        assert shown.returncode == 1
        assert codes == ["path-down"]
    finally:
        small.runner.fault_path("az1/az1-gw", "az2/az2-gw", heal=True)
    eventually(lambda: both_up(small))
    # Looking takes a process of its own.
    assert took_s < REPORT_S + 0.1


def test_the_mtu_of_a_link_is_followed(small: MeshLab) -> None:
    eventually(lambda: written(small, "az1").get(keys.TUNNEL_MTU) == "1442")
    set_mtu(small, "az1/az1-gw", 1400)
    try:
        eventually(lambda: written(small, "az1")[keys.TUNNEL_MTU] == "1342", 10)
    finally:
        set_mtu(small, "az1/az1-gw", 1500)
    eventually(lambda: written(small, "az1")[keys.TUNNEL_MTU] == "1442", 10)


def test_ovn_controller_leaves_the_report_alone(small: MeshLab) -> None:
    """It may make its row anew when it starts: the report is there again."""
    eventually(lambda: both_up(small))
    small.runner.fault_kill("az1/az1-gw", "ovn-controller")
    before = written(small, "az1")
    small.runner.fault_kill("az1/az1-gw", "ovn-controller", heal=True)
    small.nbctl("az1", "--wait=hv", "--timeout=20", "sync")
    assert written(small, "az1")[keys.TUNNEL_MTU] == before[keys.TUNNEL_MTU]
    assert keys.PATHS in written(small, "az1")
    eventually(lambda: both_up(small))


def test_reports_go_with_the_gateway(small: MeshLab) -> None:
    small.configure("az1", gw_nodes="az1-gw,az1-n1")
    eventually(lambda: keys.PATHS in written(small, "az1", "az1-n1"))
    small.configure("az1", gw_nodes="az1-gw")
    eventually(lambda: written(small, "az1", "az1-n1") == {})
    small.configure("az1", enable_ic="false")
    eventually(lambda: small.status("az1")["state"] == "idle")
    eventually(lambda: written(small, "az1") == {})
    small.configure("az1", enable_ic="true")
    small.wait_joined(30)
    eventually(lambda: both_up(small))
