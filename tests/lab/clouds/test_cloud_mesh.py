"""OpenStack and Kubernetes in one mesh: who reaches whom, as whom; changes and faults."""

from itertools import permutations

import pytest

from meshlab import eventually, first_packets
from openstack_lab import ALL, OpenStackLab, until
from talk import Talk


@pytest.fixture(autouse=True)
def in_order(lab: OpenStackLab) -> None:
    lab.wait_in_order(timeout_s=90)


def test_ports_are_the_documents_and_routers_of_one_name_do_not_collide(lab) -> None:
    show = lab.tool("ovn-ic-sbctl", "os1", "show")
    ports = {line.split()[1] for line in show.splitlines() if line.strip().startswith("port")}
    assert ports >= {"ts-az1", "ts-az2", "lsp-ts-router0"}
    assert len(ports) == 4
    for site in lab.clouds:
        assert "port lrp-router0-ts" in lab.nbctl(site, "show", f"neutron-{lab.router(site).id}")


def test_a_vm_reaches_pods_and_its_security_group_lets_no_pod_in(lab) -> None:
    with lab.closed("os2"):
        lab.reaches("os2/vm-0", "az1/pod0")
        eventually(lambda: lab.ping("az1/pod0", "os2/vm-0", 3).received == 0)


def test_all_pairs_reach_each_other(opened) -> None:
    with first_packets(opened.runner):
        for source, target in permutations(ALL, 2):
            assert opened.ping(source, target, 3).lost == 0, (source, target)


def test_addresses_are_their_own_although_the_router_translates_to_the_outside(opened) -> None:
    talk, address = Talk(opened.runner), opened.runner.address_of
    with talk.servers("az1/pod1", "os1/vm-0", "outside"):
        assert talk.seen_as("os1/vm-0", "az1/pod1") == address("os1/vm-0")
        assert talk.seen_as("az1/pod1", "os1/vm-0") == address("az1/pod1")
        assert talk.seen_as("os2/vm-1", "os1/vm-0") == address("os2/vm-1")
        outside = talk.seen_as("os1/vm-0", "outside")
    gateway = opened.router("os1").external_gateway_info["external_fixed_ips"][0]
    assert outside == gateway["ip_address"]


def test_a_floating_ip_comes_and_goes_unnoticed(opened) -> None:
    talk, address = Talk(opened.runner), opened.runner.address_of
    network = opened.api("os1")
    outer = network.find_network("public", ignore_missing=False)
    (port,) = network.ports(name="vm-0")
    with opened.lossless(("az1/pod1", "os1/vm-0"), ("os1/vm-0", "az2/pod0")):
        floating = network.create_ip(floating_network_id=outer.id, port_id=port.id)
        with talk.servers("az1/pod1", "outside"):
            until(lambda: talk.seen_as("os1/vm-0", "outside") == floating.floating_ip_address)
            assert talk.seen_as("os1/vm-0", "az1/pod1") == address("os1/vm-0")
        network.delete_ip(floating)
    rows = opened.nbctl("os1", "--bare", "--columns=external_ip", "find", "NAT")
    assert floating.floating_ip_address not in rows


def test_external_networks_stay_inside(opened) -> None:
    external = str(opened.runner.lab.site("os1").external.networks[0])
    assert external not in opened.routes("az1")
    lines = opened.ovnmesh("routes", "os1").stdout.splitlines()
    (line,) = [each for each in lines if each.startswith(external)]
    assert "withheld" in line
    assert "external network of router0" in line


def test_subnets_come_and_go_with_the_router_s_interfaces_and_tags(opened) -> None:
    cidr = "192.168.77.0/24"
    network = opened.api("os1")
    router = network.find_router("router0", ignore_missing=False)
    late = network.create_network(name="late")
    subnet = network.create_subnet(network_id=late.id, ip_version=4, cidr=cidr)
    network.add_interface_to_router(router, subnet=subnet)
    until(lambda: cidr in opened.routes("az1"))
    network.set_tags(subnet, ["ovnmesh-no-interconnection"])
    # A tag is not in OVN's rows; a change of the router is what makes the controller look.
    network.update_router(router, description="changed")
    until(lambda: cidr not in opened.routes("az1"))
    network.remove_interface_from_router(router, subnet=subnet)
    network.delete_network(late)
    opened.wait_in_order()


def test_neutron_may_be_away(opened) -> None:
    with opened.lossless(("az1/pod1", "os1/vm-0"), ("os1/vm-0", "os2/vm-1")):
        opened.runner.fault_kill("os1", "neutron")
        opened.configure("az1", gw_nodes="az1-gw,az1-n1")
        until(lambda: opened.mark("az1", "az1-n1") == "true")
    # A controller that starts meanwhile carries on with what the site's record says.
    opened.runner.fault_kill("os1", "controller")
    opened.runner.fault_kill("os1", "controller", heal=True)
    until(lambda: opened.codes("os1") == ["config-unreadable"])
    assert opened.ping("az1/pod1", "os1/vm-0", 3).lost == 0
    opened.runner.fault_kill("os1", "neutron", heal=True)
    opened.wait_in_order(timeout_s=90)
    opened.configure("az1", gw_nodes="az1-gw")
    until(lambda: opened.mark("az1", "az1-n1") != "true")


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"cloud": "os9"}, "config-unreadable", "no such entry"),
        ({"routers": ["router9"]}, "config-invalid", "router0"),
        ({"az_name": "os 1"}, "config-invalid", "os 1"),
        ({"gw_nodes": "ghost"}, "gateway-unknown", "ghost"),
    ],
)
def test_a_wrong_site_file_harms_nothing(opened, changes, code, says) -> None:
    before = opened.nbctl("os1", "show", "ts")
    with opened.lossless(("az1/pod1", "os1/vm-0")), opened.changed_site_file("os1", **changes):
        until(lambda: code in opened.codes("os1"))
        told = opened.ovnmesh("status", "os1", check=False)
        assert told.returncode == 1
        assert says in " ".join(told.stdout.split())
    assert opened.nbctl("os1", "show", "ts") == before
    opened.wait_in_order()


def test_a_second_router_gets_a_transit_switch_of_its_own(opened) -> None:
    cidr = "192.168.88.0/24"
    network = opened.api("os1")
    router = network.create_router(name="router1")
    inner = network.create_network(name="second")
    subnet = network.create_subnet(network_id=inner.id, ip_version=4, cidr=cidr)
    network.add_interface_to_router(router, subnet=subnet)
    try:
        with opened.changed_site_file("os1", routers=["router0", "router1"]):
            until(lambda: opened.codes("os1") == ["router-without-switch"])
            assert opened.ping("az1/pod1", "os1/vm-0", 3).lost == 0
            opened.ovnmesh("transit-switch", "add", "ts1", "--cidr", "169.254.101.0/24")
            until(lambda: cidr in opened.routes("az1"), timeout_s=60)
            opened.wait_in_order("os1")
            # The router itself answers: routed by way of its own transit switch.
            first = cidr.replace("0/24", "1")
            talk = ["ping", "-c", "1", "-W", "1", first]
            until(lambda: opened.runner.run_in("az1/pod1", talk) is not None)
        until(lambda: cidr not in opened.routes("az1"))
    finally:
        opened.ovnmesh("transit-switch", "remove", "ts1", check=False)
    assert "ts1" not in opened.ovnmesh("transit-switch", "list").stdout
    network.remove_interface_from_router(router, subnet=subnet)
    network.delete_router(router)
    network.delete_network(inner)
    opened.wait_in_order("os1")
