"""A lab's OpenStack site by itself: Neutron, VMs, SNAT, security groups, what `lab status` says."""

import json
import subprocess
import sys

from typer.testing import CliRunner

from meshlab import eventually, first_packets
from openstack_lab import OpenStackLab
from ovnmesh.cli.lab.commands import app
from ovnmesh.host.process import in_netns


def invoke(lab: OpenStackLab, *words: str) -> str:
    result = CliRunner().invoke(app, [*words], env={"OVNMESH_LAB_DIR": str(lab.runner.directory)})
    assert result.exit_code == 0, result.output
    return result.stdout


def assert_lossless(lab: OpenStackLab, source: str, target: str) -> None:
    assert lab.ping(source, target, 10).lost == 0


def test_vms_reach_each_other_and_the_outside(lab: OpenStackLab) -> None:
    with first_packets(lab.runner):
        assert_lossless(lab, "os1/vm-0", "os1/vm-1")
        assert_lossless(lab, "os1/vm-1", "os1/vm-0")
        assert_lossless(lab, "os1/vm-0", "outside")
        assert_lossless(lab, "os1/vm-1", "outside")


def test_the_outside_sees_the_router_s_address(lab: OpenStackLab) -> None:
    server = (
        "import socket\n"
        "with socket.create_server(('', 9000)) as s:\n"
        "    print('ready', flush=True); c, peer = s.accept(); print(peer[0])\n"
    )
    client = "import socket, sys; socket.create_connection((sys.argv[1], 9000), 10).close()"
    argv = in_netns([sys.executable, "-c", server], lab.runner.netns_of("outside"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        lab.runner.run_in(
            "os1/vm-1", [sys.executable, "-c", client, lab.runner.address_of("outside")]
        )
        seen = child.stdout.readline().strip()
    (address,) = lab.router("os1").external_gateway_info["external_fixed_ips"]
    assert seen == address["ip_address"]


def test_the_default_security_group_lets_nobody_in_until_a_rule_does(lab: OpenStackLab) -> None:
    site = lab.runner.lab.site("os1")
    # Who knows the way, past the router's SNAT: the outside with a route.
    (address,) = lab.router("os1").external_gateway_info["external_fixed_ips"]
    tenant = str(site.ovn_default.cidrs[0])
    lab.runner.run_in("outside", ["ip", "route", "add", tenant, "via", address["ip_address"]])
    try:
        assert lab.ping("outside", "os1/vm-0", 3).received == 0
        assert site.external is not None
        outside = (address.network for address in lab.runner.lab.outside_addresses)
        rules = lab.allow("os1", [*site.external.networks, *outside])
        eventually(lambda: lab.ping("outside", "os1/vm-0", 1).received)
        for rule in rules:
            lab.api("os1").delete_security_group_rule(rule)
    finally:
        lab.runner.run_in("outside", ["ip", "route", "del", tenant])


def test_status_names_vms_and_what_runs(lab: OpenStackLab) -> None:
    sites = json.loads(invoke(lab, "status", "-o", "json"))["sites"]
    os1 = next(site for site in sites if site["name"] == "os1")
    assert [pod["addresses"] for pod in os1["pods"]] == [["192.168.1.10"], ["192.168.1.11"]]
    assert os1["subnets"] == {"provider": ["192.168.1.0/24"]}
    running = {name: len(pids) for name, pids in os1["daemons"].items()}
    # uwsgi has a master and a worker.
    assert (running["mariadb"], running["neutron"], running["forward"]) == (1, 2, 1)
    routers = json.loads(lab.runner.lab.site("os1").require_openstack().routers_file.read_text())
    assert os1["databases"]["router"] == routers["router0"]
    assert routers["router0"] == f"neutron-{lab.router('os1').id}"


def test_only_the_gateway_may_have_routers(lab: OpenStackLab) -> None:
    script = invoke(lab, "env", "os1") + (
        "ovn-sbctl --bare --columns=hostname find Chassis "
        "other_config:ovn-cms-options=enable-chassis-as-gw\n"
    )
    assert subprocess.check_output(["sh", "-e", "-c", script], text=True).split() == ["os1-gw"]
