"""Transit switches added and removed under traffic; the MTU that senders learn.

Ping trains run over every change, from several pods, because one flow stays on one switch.
"""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from meshlab import MeshLab, eventually
from ovnmesh import ovn_keys as keys
from ovnmesh.lab.values.topology import POD_MTU_BYTES

pytestmark = [pytest.mark.root, pytest.mark.datapath]

#: Flows enough that each of three switches carries some, in both directions.
PAIRS = [
    ("az1/pod0", "az2/pod0"),
    ("az1/pod1", "az2/pod2"),
    ("az1/pod2", "az2/pod1"),
    ("az2/pod0", "az1/pod1"),
    ("az2/pod2", "az1/pod2"),
]


def switches(mesh: MeshLab) -> dict[str, dict[str, str]]:
    """State of each AZ by transit switch."""
    done = mesh.ovnmesh("transit-switch", "list", "-o", "json")
    return {
        ts["name"]: {site["az"]: site["state"] for site in ts["sites"]}
        for ts in json.loads(done.stdout)["transit_switches"]
    }


IN_SERVICE = {"az1": "in service", "az2": "in service"}


def carries(mesh: MeshLab, site: str) -> set[str]:
    """Transit switches that the site's router sends to the other site by."""
    flows = mesh.tool("ovn-sbctl", site, "lflow-list", "ovn-cluster")
    ecmp = [line for line in flows.splitlines() if "lr_in_ip_routing_ecmp" in line]
    found = {line.split('outport = "')[1].split('"')[0] for line in ecmp if "outport" in line}
    return {name.removeprefix(f"{site}-") for name in found}


def start(mesh: MeshLab, *words: str) -> "subprocess.Popen[str]":
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "OVNMESH_LAB_DIR": str(mesh.runner.directory),
        "PYTHONPATH": ":".join(sys.path),
    }
    command = [sys.executable, "-m", "ovnmesh", "transit-switch", *words]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(autouse=True)
def only_the_first(mesh: MeshLab):
    """Whatever a test has left, the next one begins with the first switch alone."""
    yield
    left = switches(mesh)
    if left.get("ts") != IN_SERVICE:
        mesh.ovnmesh("transit-switch", "add", "ts")
    for name in set(left) - {"ts"}:
        mesh.ovnmesh("transit-switch", "remove", name, "--force", "--timeout", "10")


def test_switches_come_and_go_without_loss(mesh: MeshLab) -> None:
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "add", "ts1")
        assert switches(mesh) == {"ts": IN_SERVICE, "ts1": IN_SERVICE}
        eventually(lambda: carries(mesh, "az1") == {"ts", "ts1"})
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "add", "ts2", "--cidr", "10.255.9.0/24")
        eventually(lambda: carries(mesh, "az2") == {"ts", "ts1", "ts2"})
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "remove", "ts1")
        assert set(switches(mesh)) == {"ts", "ts2"}
    with mesh.lossless(*PAIRS):
        done = mesh.ovnmesh("transit-switch", "remove", "ts2")
        assert "ts2 is removed" in done.stderr
    for site in mesh.names:
        eventually(lambda s=site: "ts2" not in mesh.nbctl(s, "show"))
    assert "ts1" not in mesh.ic_text()
    assert "ts2" not in mesh.ic_text()
    mesh.wait_joined()


def test_the_first_switch_is_replaced_without_loss(mesh: MeshLab) -> None:
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "add", "ts1")
        mesh.ovnmesh("transit-switch", "remove", "ts")
    assert switches(mesh) == {"ts1": IN_SERVICE}
    mesh.assert_all_pairs()
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "add", "ts", "--cidr", "169.254.100.0/24")
        mesh.ovnmesh("transit-switch", "remove", "ts1")


def test_two_switches_at_once(mesh: MeshLab) -> None:
    with mesh.lossless(*PAIRS):
        first, second = start(mesh, "add", "ts1"), None
        eventually(lambda: "ts1" in switches(mesh))
        second = start(mesh, "add", "ts2")
        assert (first.wait(60), second.wait(60)) == (0, 0)
        first, second = start(mesh, "remove", "ts1"), start(mesh, "remove", "ts2")
        assert (first.wait(60), second.wait(60)) == (0, 0)
    assert switches(mesh) == {"ts": IN_SERVICE}


def test_interrupted_removal_is_called_off(mesh: MeshLab) -> None:
    with mesh.lossless(*PAIRS):
        mesh.ovnmesh("transit-switch", "add", "ts1")
        command = start(mesh, "remove", "ts1")
        eventually(lambda: keys.DRAINING in mesh.ic_text())
        command.kill()
        command.wait()
        mesh.ovnmesh("transit-switch", "add", "ts1")
        assert switches(mesh)["ts1"] == IN_SERVICE


@pytest.mark.parametrize("what", ["add", "remove"])
def test_controller_killed_in_the_middle(mesh: MeshLab, what: str) -> None:
    if what == "remove":
        mesh.ovnmesh("transit-switch", "add", "ts1")
    with mesh.lossless(*PAIRS):
        command = start(mesh, what, "ts1")
        begun = {"add": "ts1-az1", "remove": keys.DRAINING}[what]
        eventually(lambda: begun in mesh.ic_text())
        mesh.runner.fault_kill("az1", "controller")
        mesh.runner.fault_kill("az1", "controller", heal=True)
        assert command.wait(60) == 0, command.stderr
    expected = {"ts": IN_SERVICE, **({"ts1": IN_SERVICE} if what == "add" else {})}
    assert switches(mesh) == expected


def test_switch_that_site_joins_late_is_not_used_too_early(mesh: MeshLab) -> None:
    """az2's controller hangs while the switch is added; az1 must not send by it meanwhile."""
    pid = mesh.pid("az2/control", "ovnmesh controller")
    with mesh.lossless(*PAIRS):
        os.kill(pid, signal.SIGSTOP)
        waker = threading.Timer(4, os.kill, (pid, signal.SIGCONT))
        waker.start()
        mesh.ovnmesh("transit-switch", "add", "ts1")
        waker.join()
    assert switches(mesh)["ts1"] == IN_SERVICE


def set_pod_mtu(mesh: MeshLab, name: str, mtu_bytes: int) -> None:
    site = mesh.runner.lab.site(name.split("/")[0])
    pod = site.pod(name.split("/")[1])
    ends = ((pod.netns, "eth0"), (site.node(pod.node).netns, pod.host_ifname))
    for netns, link in ends:
        command = ["ip", "-n", netns, "link", "set", link, "mtu", str(mtu_bytes)]
        subprocess.run(command, check=True)


def test_sender_of_large_packets_learns_the_mtu(mesh: MeshLab) -> None:
    """1500 bytes with "do not fragment" are answered, not lost in silence."""
    for site in mesh.names:
        names = mesh.tool("ovn-sbctl", site, "--bare", "--columns=name", "list", "Chassis_Private")
        for name in names.split():
            value = f"external_ids:{keys.TUNNEL_MTU}=1442"
            mesh.tool("ovn-sbctl", site, "set", "Chassis_Private", name, value)
    for site in mesh.names:
        get = ("--if-exists", "get", "Logical_Router_Port", f"{site}-ts")
        wanted = (*get, f"options:{keys.GATEWAY_MTU}")
        eventually(lambda s=site, w=wanted: "1442" in mesh.nbctl(s, *w))
    target = mesh.runner.address_of("az2/pod2")
    netns = mesh.runner.netns_of("az1/pod1")

    def ping(size: int) -> str:
        words = ["ping", "-n", "-M", "do", "-s", str(size), "-c", "1", "-W", "1", target]
        command = ["ip", "netns", "exec", netns, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    set_pod_mtu(mesh, "az1/pod1", 1500)
    set_pod_mtu(mesh, "az2/pod2", 1500)
    try:
        eventually(lambda: "mtu = 1442" in ping(1500 - 28), what="Frag needed, mtu = 1442")
        assert "mtu 1442" in mesh.runner.run_in("az1/pod1", ["ip", "route", "get", target])
        eventually(lambda: "1 received" in ping(1442 - 28))
    finally:
        mesh.runner.run_in("az1/pod1", ["ip", "route", "flush", "cache"])
        set_pod_mtu(mesh, "az1/pod1", POD_MTU_BYTES)
        set_pod_mtu(mesh, "az2/pod2", POD_MTU_BYTES)
