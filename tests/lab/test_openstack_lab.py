"""A lab's OpenStack site by itself: Neutron, VMs, SNAT, faults, and nothing left behind.

Real Neutron, MariaDB, OVN and packets. Needs root. What the mesh makes of it is tested elsewhere.
"""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from meshlab import eventually, first_packet_test
from ovnmesh.cli.lab import app
from ovnmesh.host import netns
from ovnmesh.host.process import command_line, in_netns
from ovnmesh.lab import teardown
from ovnmesh.lab.layout import prefix_of
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.spec import uniform_spec, with_openstack

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces"),
    # The first of all may have to install Neutron.
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRunner]:
    directory = tmp_path_factory.mktemp("openstack")
    spec = with_openstack(uniform_spec(sites=0), ["os1"], keystone=False)
    try:
        yield LabRunner.up(spec, directory, bare=True)
    finally:
        teardown.down(directory)


@contextmanager
def network_api(lab: LabRunner) -> Iterator:
    from ovnmesh.lab.openstack import objects

    with objects.connect(lab.lab.site("os1")) as connection:
        yield connection.network


def invoke(lab: LabRunner, *words: str) -> str:
    result = CliRunner().invoke(app, [*words], env={"OVNMESH_LAB_DIR": str(lab.directory)})
    assert result.exit_code == 0, result.output
    return result.stdout


def assert_lossless(lab: LabRunner, source: str, target: str) -> None:
    assert lab.ping(source, target, count=10, interval_ms=10).lost == 0


@first_packet_test
def test_vms_reach_each_other_and_the_outside(lab: LabRunner) -> None:
    assert_lossless(lab, "os1/vm-0", "os1/vm-1")
    assert_lossless(lab, "os1/vm-1", "os1/vm-0")
    assert_lossless(lab, "os1/vm-0", "outside")
    assert_lossless(lab, "os1/vm-1", "outside")


def test_the_outside_sees_the_router_s_address(lab: LabRunner) -> None:
    server = (
        "import socket\n"
        "with socket.create_server(('', 9000)) as s:\n"
        "    print('ready', flush=True); c, peer = s.accept(); print(peer[0])\n"
    )
    client = "import socket, sys; socket.create_connection((sys.argv[1], 9000), 10).close()"
    argv = in_netns([sys.executable, "-c", server], lab.netns_of("outside"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        lab.run_in("os1/vm-1", [sys.executable, "-c", client, lab.address_of("outside")])
        seen = child.stdout.readline().strip()
    with network_api(lab) as network:
        router = network.find_router("router0", ignore_missing=False)
    (address,) = router.external_gateway_info["external_fixed_ips"]
    assert seen == address["ip_address"]


def test_the_default_security_group_lets_nobody_in_until_a_rule_does(lab: LabRunner) -> None:
    from ovnmesh.lab.openstack import objects

    site = lab.lab.site("os1")
    # Who knows the way, past the router's SNAT: the outside with a route.
    with network_api(lab) as network:
        router = network.find_router("router0", ignore_missing=False)
        (address,) = router.external_gateway_info["external_fixed_ips"]
    tenant = str(site.ovn_default.cidrs[0])
    lab.run_in("outside", ["ip", "route", "add", tenant, "via", address["ip_address"]])
    try:
        assert lab.ping("outside", "os1/vm-0", count=3, interval_ms=50).received == 0
        assert site.external is not None
        with objects.connect(site) as connection:
            outside = [*site.external.networks, *(a.network for a in lab.lab.outside_addresses)]
            rules = objects.allow_ingress(connection, outside)
            eventually(lambda: lab.ping("outside", "os1/vm-0", 1, 20).received)
            for rule in rules:
                connection.network.delete_security_group_rule(rule)
    finally:
        lab.run_in("outside", ["ip", "route", "del", tenant])


def test_status_names_vms_and_what_runs(lab: LabRunner) -> None:
    (os1,) = json.loads(invoke(lab, "status", "-o", "json"))["sites"]
    assert [pod["addresses"] for pod in os1["pods"]] == [["192.168.1.10"], ["192.168.1.11"]]
    assert os1["subnets"] == {"provider": ["192.168.1.0/24"]}
    running = {name: len(pids) for name, pids in os1["daemons"].items()}
    # uwsgi has a master and a worker.
    assert (running["mariadb"], running["neutron"], running["forward"]) == (1, 2, 1)
    routers = json.loads(lab.lab.site("os1").require_openstack().routers_file.read_text())
    assert os1["databases"]["router"] == routers["router0"]
    with network_api(lab) as network:
        found = {f"neutron-{router.id}": router.name for router in network.routers()}
    assert found[routers["router0"]] == "router0"


def test_only_the_gateway_may_have_routers(lab: LabRunner) -> None:
    script = invoke(lab, "env", "os1") + (
        "ovn-sbctl --bare --columns=hostname find Chassis "
        "other_config:ovn-cms-options=enable-chassis-as-gw\n"
    )
    assert subprocess.check_output(["sh", "-e", "-c", script], text=True).split() == ["os1-gw"]


def test_neutron_dies_and_comes_back(lab: LabRunner) -> None:
    cloud = lab.lab.site("os1").require_openstack()

    def answer() -> int:
        connection = http.client.HTTPConnection(f"{cloud.address}:9696", timeout=30)
        try:
            connection.request("GET", "/v2.0/ports")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    assert answer() == 200
    invoke(lab, "fault", "kill", "os1", "neutron")
    assert answer() == 0
    assert_lossless(lab, "os1/vm-0", "os1/vm-1")
    invoke(lab, "fault", "kill", "os1", "neutron", "--heal")
    assert answer() == 200


def test_down_leaves_nothing(lab: LabRunner) -> None:
    # The last test of this file: nothing of the lab is there afterwards.
    cloud = lab.lab.site("os1").require_openstack()
    directory, venv = lab.directory, cloud.venv.resolve()
    invoke(lab, "down")
    assert netns.names(f"{prefix_of(directory)}-") == ()
    assert not directory.exists()
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    lines = [" ".join(command_line(pid)) for pid in pids if pid != os.getpid()]
    assert [line for line in lines if str(directory) in line or str(cloud.address) in line] == []
    assert venv.is_dir()
