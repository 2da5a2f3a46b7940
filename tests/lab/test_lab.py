"""A bare lab: real OVN and OVS in namespaces, real packets. Needs root; under a minute."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import manual_steps
from meshlab import first_packets
from ovnmesh.cli.lab.commands import app
from ovnmesh.errors import LabError
from ovnmesh.host.process import command_line, run, wait_until
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.kubernetes.manifests import parse_manifests
from ovnmesh.lab.network import netns
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.layout import prefix_of
from ovnmesh.lab.values.spec import parse_spec_text, uniform_spec

pytestmark = [pytest.mark.root, pytest.mark.datapath]

SUBNET = """
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: prod-net}
spec: {cidrBlock: 10.99.0.0/24}
"""


class Bare:
    """Two sites, which the documents' manual steps connect, and their reverse disconnects."""

    def __init__(self, runner: LabRunner) -> None:
        self.runner = runner
        self._connected = False

    def connect(self, wanted: bool) -> LabRunner:
        """The lab, connected or not."""
        if wanted and not self._connected:
            manual_steps.connect(self.runner.lab)
            # The nodes have the flows only a moment after the databases have the rows.
            wait_until(
                lambda: self.runner.ping("az1/pod2", "az2/pod2", 3, 20).lost == 0,
                "sites connected by hand: flows on the nodes",
                timeout_s=30,
            )
            for site in self.runner.lab.sites:
                daemons.nbctl(site, "--wait=hv", "sync")
        elif self._connected and not wanted:
            manual_steps.disconnect(self.runner.lab)
        self._connected = wanted
        return self.runner


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    directory = tmp_path_factory.mktemp("lab")
    try:
        yield Bare(LabRunner.up(uniform_spec(), directory, bare=True))
    finally:
        teardown.down(directory)


@pytest.fixture
def lab(bare: Bare) -> LabRunner:
    return bare.connect(False)


@pytest.fixture
def connected(bare: Bare) -> LabRunner:
    return bare.connect(True)


def leftovers(directory: Path) -> list[str]:
    """Everything a lab could leave behind."""
    found = list(netns.names(f"{prefix_of(directory)}-"))
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        words = " ".join(command_line(pid))
        if str(directory) in words and pid != os.getpid():
            found.append(words)
    return found + [str(directory)] * directory.exists()


def invoke(lab: LabRunner, *words: str) -> str:
    result = CliRunner().invoke(app, [*words], env={"OVNMESH_LAB_DIR": str(lab.directory)})
    assert result.exit_code == 0, result.output
    return result.stdout


def assert_lossless(lab: LabRunner, source: str, target: str) -> None:
    assert lab.ping(source, target, count=10, interval_ms=10).lost == 0


def test_the_first_packet_between_any_two_pods_of_a_site_arrives(lab: LabRunner) -> None:
    with first_packets(lab):
        for site in ("az1", "az2"):
            for source in range(3):
                for target in range(3):
                    assert_lossless(lab, f"{site}/pod{source}", f"{site}/pod{target}")


def test_nodes_and_pods_reach_each_other(lab: LabRunner) -> None:
    for node in ("az1-gw", "az1-n1", "az1-n2"):
        assert_lossless(lab, f"az1/{node}", "az1/pod1")
        assert_lossless(lab, "az1/pod1", f"az1/{node}")


def test_tcp_arrives_with_right_checksums(lab: LabRunner) -> None:
    script = (
        "import socket, sys\n"
        "with socket.create_connection((sys.argv[1], 9000), 5) as s:\n"
        "    s.sendall(b'x' * 1000000); s.shutdown(1); print(len(s.recv(10)))\n"
    )
    server = (
        "import socket\n"
        "with socket.create_server(('0.0.0.0', 9000)) as s:\n"
        "    print('ready', flush=True); c, _ = s.accept()\n"
        "    n = 0\n"
        "    while data := c.recv(65536): n += len(data)\n"
        "    c.sendall(b'ok'); print(n)\n"
    )
    where = lab.netns_of("az1/pod2")
    argv = ["nsenter", f"--net=/run/netns/{where}", sys.executable, "-c", server]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        address = lab.address_of("az1/pod2")
        assert lab.run_in("az1/pod0", [sys.executable, "-c", script, address]) == "2\n"
        assert child.stdout.readline() == "1000000\n"


def test_sites_are_apart_until_they_are_connected(lab: LabRunner) -> None:
    assert lab.ping("az1/pod0", "az2/pod0", count=3, interval_ms=10).received == 0


def test_status_tells_names_addresses_and_what_runs(lab: LabRunner) -> None:
    status = json.loads(invoke(lab, "status", "-o", "json"))
    az1 = status["sites"][0]
    assert (az1["name"], status["bare"]) == ("az1", True)
    assert [node["name"] for node in az1["nodes"]] == ["az1-gw", "az1-n1", "az1-n2"]
    assert az1["pods"][0]["addresses"] == ["10.16.0.2"]
    assert Path("/run/netns", az1["pods"][0]["netns"]).exists()
    assert az1["databases"]["nb"] == f"unix:{lab.directory}/az1/nb.sock"
    running = {name: len(pids) for name, pids in az1["nodes"][0]["daemons"].items()}
    assert running == {"ovs-vswitchd": 1, "ovsdb-server": 1, "ovn-controller": 1, "agent": 0}
    assert "10.16.0.2" in invoke(lab, "status")


def test_env_makes_the_ordinary_tools_work(lab: LabRunner) -> None:
    script = invoke(lab, "env", "az1") + (
        "ovn-nbctl --bare --columns=name list Logical_Switch\n"
        "ovn-sbctl --bare --columns=hostname list Chassis\n"
        "ovn-ic-nbctl ts-list >/dev/null && ovn-ic-sbctl show >/dev/null && echo ic\n"
    )
    words = run(["sh", "-e", "-c", script]).split()
    assert sorted(words) == ["az1-gw", "az1-n1", "az1-n2", "ic", "join", "ovn-default"]


def test_the_rows_carry_kube_ovn_s_marks(lab: LabRunner) -> None:
    site = lab.lab.sites[0]
    for table, count in (("Logical_Router_Policy", 8), ("Logical_Switch", 2), ("Port_Group", 3)):
        words = ("--bare", "--columns=_uuid", "find", table, "external_ids:vendor=kube-ovn")
        assert len(daemons.nbctl(site, *words).split()) == count


def test_a_subnet_becomes_a_switch_and_pods_in_it_reach_the_others(lab: LabRunner) -> None:
    documents = parse_manifests(SUBNET, "subnet.yaml")
    before = northbound(lab)
    assert lab.apply("az1", documents) == ("Subnet prod-net created",)
    assert lab.apply("az1", documents) == ()
    moved = parse_manifests(SUBNET.replace("10.99.0.0", "10.98.0.0"), "subnet.yaml")
    assert lab.apply("az1", moved) == ("Subnet prod-net changed",)
    pod = lab.add_pod("az1", "web", "az1-n1", "prod-net")
    assert str(pod.addresses[0]) == "10.98.0.2/24"
    assert_lossless(lab, "az1/web", "az1/pod2")
    assert_lossless(lab, "az1/az1-gw", "az1/web")
    again = LabRunner.load(lab.directory)
    with pytest.raises(LabError, match="has pods"):
        again.delete("az1", documents)
    again.delete_pod("az1", "web")
    assert again.delete("az1", documents) == ("Subnet prod-net deleted",)
    assert northbound(lab) == before
    lab.__dict__.update(LabRunner.load(lab.directory).__dict__)


def northbound(lab: LabRunner) -> list[str]:
    """What the northbound database holds, without row ids."""
    site = lab.lab.sites[0]
    show = daemons.nbctl(site, "show") + daemons.nbctl(site, "lr-policy-list", "ovn-cluster")
    lines = [line.split("(")[-1] for line in show.splitlines()]
    lines += daemons.nbctl(site, "--bare", "--columns=name", "list", "Port_Group").splitlines()
    return sorted(lines)


def test_by_hand_no_packet_between_the_sites_is_lost(connected: LabRunner) -> None:
    with first_packets(connected):
        for source in range(3):
            for target in range(3):
                assert_lossless(connected, f"az1/pod{source}", f"az2/pod{target}")


def test_cutting_a_site_off_the_databases_leaves_traffic_alone(connected: LabRunner) -> None:
    def reaches_databases() -> bool:
        argv = ["timeout", "1", "ovn-ic-sbctl", "--db=tcp:192.168.65.3:6646", "show"]
        return "az2" in connected.run_in("az1/control", ["sh", "-c", f"{' '.join(argv)} || true"])

    assert reaches_databases()
    train = connected.ping_train("az1/pod1", "az2/pod1")
    try:
        connected.fault_ic("az1")
        connected.fault_ic("az1")
        assert not reaches_databases()
    finally:
        connected.fault_ic("all", heal=True)
    assert reaches_databases()
    assert train.stop().lost == 0


def test_a_pulled_cable_stops_traffic_until_it_is_plugged_in(connected: LabRunner) -> None:
    train = connected.ping_train("az1/pod1", "az2/pod1")
    time.sleep(0.3)
    connected.fault_link("az1/az1-gw")
    time.sleep(0.5)
    connected.fault_link("az1/az1-gw", heal=True)
    time.sleep(0.5)
    result = train.stop()
    assert 400 <= result.longest_gap_ms <= 1500
    assert_lossless(connected, "az1/pod1", "az2/pod1")


@pytest.mark.parametrize("daemon", daemons.OVN_DAEMONS)
def test_a_killed_daemon_of_the_gateway_heals(connected: LabRunner, daemon: str) -> None:
    try:
        connected.fault_kill("az1/az1-gw", daemon)
        with pytest.raises(LabError, match="does not run"):
            connected.fault_kill("az1/az1-gw", daemon)
    finally:
        connected.fault_kill("az1/az1-gw", daemon, heal=True)
    wait_until(
        lambda: connected.ping("az1/pod1", "az2/pod1", count=1, interval_ms=10).lost == 0,
        "traffic flows again",
        timeout_s=30,
    )


@pytest.mark.parametrize("daemon", ["nb", "sb", "ovn-northd"])
def test_a_killed_daemon_of_the_control_node_heals(connected: LabRunner, daemon: str) -> None:
    try:
        connected.fault_kill("az2", daemon)
    finally:
        connected.fault_kill("az2", daemon, heal=True)
    site = connected.lab.sites[1]
    assert "ovn-cluster" in daemons.nbctl(site, "--wait=sb", "--", "sync", "--", "show")
    assert_lossless(connected, "az2/pod0", "az2/pod1")


def test_killed_interconnection_databases_come_back_as_they_were(connected: LabRunner) -> None:
    def zones() -> list[str]:
        words = ["--bare", "--columns=name", "list", "Availability_Zone"]
        return sorted(run(["ovn-ic-sbctl", f"--db={connected.lab.ic_sb}", *words]).split())

    assert zones() == ["az1", "az2"]
    train = connected.ping_train("az1/pod1", "az2/pod1")
    try:
        connected.fault_kill("ic", "ic-db")
        assert not netns.processes([connected.lab.ic_netns])
    finally:
        connected.fault_kill("ic", "ic-db", heal=True)
    assert zones() == ["az1", "az2"]
    assert train.stop().lost == 0


def test_two_labs_coexist_and_down_leaves_nothing(lab: LabRunner, tmp_path: Path) -> None:
    directory = tmp_path / "other"
    spec = parse_spec_text("protocol: dual\nsites: [{nodes: 2}]", "t.yaml")
    other = LabRunner.up(spec, directory, bare=True)
    assert set(other.lab.namespaces).isdisjoint(lab.lab.namespaces)
    assert_lossless(other, "az1/pod0", "az1/pod1")
    address = other.address_of("az1/pod1", version=6)
    assert other.ping("az1/pod0", address, count=5, interval_ms=10).lost == 0
    removed = teardown.down(directory)
    assert removed.namespaces == len(other.lab.namespaces)
    assert leftovers(directory) == []
    assert teardown.down(directory) == teardown.Removed(0, 0, directory=False)
    assert_lossless(lab, "az1/pod0", "az1/pod1")


@pytest.mark.parametrize(
    ("phase", "wait_s"),
    [("namespaces and links", 0.1), ("databases and switches", 0.2), ("nodes join", 0.1)],
)
def test_down_after_kill_9_leaves_nothing(tmp_path: Path, phase: str, wait_s: float) -> None:
    directory = tmp_path / "killed"
    script = (
        "from ovnmesh.lab.runner import LabRunner\n"
        "from ovnmesh.lab.values.spec import uniform_spec\n"
        "from pathlib import Path; import sys\n"
        "LabRunner.up(uniform_spec(1), Path(sys.argv[1]), bare=True,\n"
        "             progress=lambda text: print(text, flush=True))\n"
    )
    argv = [sys.executable, "-c", script, str(directory)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(phase):
                break
        time.sleep(wait_s)
        child.kill()
    assert leftovers(directory)
    teardown.down(directory)
    assert leftovers(directory) == []


def test_a_failed_start_removes_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "failed"
    monkeypatch.setenv("OVN_PKGDATADIR", str(tmp_path))
    with pytest.raises(Exception, match="ovsschema"):
        LabRunner.up(uniform_spec(1), directory, bare=True)
    assert leftovers(directory) == []
