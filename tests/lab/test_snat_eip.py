"""SNAT and EIP beside the interconnection: each site's outside sees translated addresses, other
sites see the pods' own, in both directions, and while NATs come and go (docs/nat.md)."""

import shlex
from collections.abc import Iterator
from itertools import product

import pytest

from meshlab import MeshLab, eventually
from ovnmesh import ovn_keys as keys
from ovnmesh.lab import nat
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.runner import LabRunner
from ovnmesh.lab.values.spec import uniform_spec, with_external
from talk import PORT, Talk

pytestmark = [pytest.mark.root, pytest.mark.datapath]

SNAT = {"az1": "172.31.1.10", "az2": "172.31.2.10"}
EIP = {"az1/pod1": "172.31.1.11", "az2/pod1": "172.31.2.11"}
#: Translated on its own node (Kube-OVN, type: distributed).
DISTRIBUTED = {"az1/pod2": "172.31.1.12"}
LRP = ("Logical_Router_Port", "ovn-cluster-ovn-external")
#: Longest outage until NAT rules without an external port are kept off the transit port.
GUARD_MS = 1000.0
PLACES = [f"{site}/pod{i}" for site in ("az1", "az2") for i in range(3)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshLab]:
    """Two sites with SNAT for all pods, and EIPs."""
    folder = tmp_path_factory.mktemp("external")
    try:
        made = MeshLab(LabRunner.up(with_external(uniform_spec()), folder))
        for site in made.runner.lab.sites:
            (snat,) = nat.add_snat(site, site.ovn_default)
            (eip,) = nat.add_eip(site, site.pod("pod1"))
            assert (str(snat.ip), str(eip.ip)) == (SNAT[site.name], EIP[f"{site.name}/pod1"])
        az1 = made.runner.lab.site("az1")
        (eip,) = nat.add_eip(az1, az1.pod("pod2"), distributed=True)
        assert str(eip.ip) == DISTRIBUTED["az1/pod2"]
        made.wait_joined()
        yield made
    finally:
        teardown.down(folder)


@pytest.fixture(scope="module")
def talk(lab: MeshLab) -> Iterator[Talk]:
    made = Talk(lab.runner)
    with made.servers("outside", *PLACES):
        yield made


def own(lab: MeshLab, pod: str) -> str:
    return lab.runner.address_of(pod)


def outside_of(pod: str) -> str:
    """The address by which a pod is seen outside."""
    return {**EIP, **DISTRIBUTED}.get(pod, SNAT[pod.split("/")[0]])


def assert_own_addresses(lab: MeshLab, talk: Talk) -> None:
    """Pods of different sites see each other's own addresses, by TCP and by ICMP."""
    pairs = [(a, b) for a, b in product(PLACES, PLACES) if a[:3] != b[:3]]
    assert {(a, b): talk.seen_as(a, b) for a, b in pairs} == {(a, b): own(lab, a) for a, b in pairs}
    for target in ("az1/pod0", "az1/pod1", "az1/pod2", "az2/pod1"):
        sources = [place for place in PLACES if place[:3] != target[:3]]
        with talk.witness(target) as seen:
            for source in sources:
                assert lab.ping(source, target, 3).received, (source, target)
        assert seen == {own(lab, source) for source in sources}


def assert_translated(lab: MeshLab, talk: Talk) -> None:
    """The outside sees translated addresses, and reaches EIPs."""
    for pod in PLACES:
        assert talk.seen_as(pod, "outside") == outside_of(pod), pod
    with talk.witness("outside") as seen:
        for pod in PLACES:
            assert lab.ping(pod, "outside", 3).received, pod
    assert seen == {outside_of(pod) for pod in PLACES}
    for address in (*EIP.values(), *DISTRIBUTED.values()):
        gateway = address.rsplit(".", 1)[0] + ".1"
        assert talk.seen_as("outside", address) == gateway, address
        assert lab.ping("outside", address, 3).received, address


def test_sites_see_own_addresses_and_the_outside_translated_ones(lab: MeshLab, talk: Talk) -> None:
    assert_own_addresses(lab, talk)
    assert_translated(lab, talk)


def test_an_eip_of_another_site_is_reached_by_way_of_the_outside(lab: MeshLab, talk: Talk) -> None:
    """Both sides translated, as if the sites were not connected: nothing of it crosses the mesh."""
    assert talk.seen_as("az1/pod0", EIP["az2/pod1"]) == SNAT["az1"]
    assert talk.seen_as("az1/pod1", EIP["az2/pod1"]) == EIP["az1/pod1"]
    assert talk.seen_as("az2/pod0", DISTRIBUTED["az1/pod2"]) == SNAT["az2"]


def test_external_networks_stay_in_their_site(lab: MeshLab) -> None:
    assert "172.31." not in lab.routes("az1") + lab.routes("az2")
    assert "172.31." not in lab.ic_text()
    shown = lab.ovnmesh("routes", "az1", "-o", "json").stdout
    assert "external network of router port ovn-cluster-ovn-external" in shown


def test_nats_come_and_go_beside_traffic_between_sites(lab: MeshLab, talk: Talk) -> None:
    """No packet between sites is lost or translated, on pods whose NATs change."""
    az1 = lab.runner.lab.site("az1")
    pods = ("az1/pod0", "az1/pod1")
    watched = [(pod, "az2/pod2") for pod in pods] + [("az2/pod2", pod) for pod in pods]
    with (
        talk.witness("az2/pod2") as there,
        talk.witness("az1/pod1") as here,
        talk.stream("az1/pod1", "az2/pod2") as outward,
        talk.stream("az2/pod2", "az1/pod1") as inward,
        lab.lossless(*watched),
    ):
        for _ in range(3):
            nat.delete_eip(az1, az1.pod("pod1"))
            nat.delete_snat(az1, az1.ovn_default)
            nat.add_snat(az1, az1.ovn_default)
            nat.add_eip(az1, az1.pod("pod1"))
            nat.add_eip(az1, az1.pod("pod0"))
            nat.delete_eip(az1, az1.pod("pod0"))
    assert there == {own(lab, pod) for pod in pods}
    # The control train of `lossless` starts at this pod, and has none of its own.
    assert here == {own(lab, "az2/pod2")}
    for results, source in ((outward, "az1/pod1"), (inward, "az2/pod2")):
        ((seen, exchanges, _),) = results
        assert seen == own(lab, source)
        assert exchanges > 50
    assert_translated(lab, talk)


def test_gateways_of_mesh_and_outside_may_be_different_nodes(lab: MeshLab, talk: Talk) -> None:
    lab.configure("az1", gw_nodes="az1-n1")
    eventually(lambda: lab.active_gateway("az1") == "az1-n1")
    lab.wait_joined()
    eventually(lambda: lab.ping("az2/pod2", "az1/pod0", 2).lost == 0)
    assert_own_addresses(lab, talk)
    assert_translated(lab, talk)
    # Load balancers of the router are another matter on this OVN.
    lab.nbctl("az1", "lb-add", "lb", "172.31.1.50:80", f"10.16.0.2:{PORT}")
    lab.nbctl("az1", "lr-lb-add", "ovn-cluster", "lb")
    eventually(lambda: lab.codes("az1") == ["load-balancer-gateway"])
    lab.configure("az1", gw_nodes="az1-gw")
    eventually(lambda: lab.codes("az1") == [])
    assert lab.active_gateway("az1") == "az1-gw"
    lab.nbctl("az1", "lr-lb-del", "ovn-cluster", "lb", "--", "lb-del", "lb")


def test_nat_outside_of_the_external_network_is_mended_by_the_command_told(
    lab: MeshLab, talk: Talk
) -> None:
    row = ("create", "NAT", "type=dnat_and_snat", "external_ip=198.51.100.7")
    add = ("--", "add", "Logical_Router", "ovn-cluster", "nat", "@nat")
    lab.nbctl("az1", "--id=@nat", *row, "logical_ip=10.16.0.2", *add)
    lab.runner.run_in("outside", ["ip", "route", "add", "198.51.100.7", "via", "172.31.1.2"])
    eventually(lambda: lab.codes("az1") == ["nat-without-gateway-port"])
    assert lab.ping("outside", "198.51.100.7", 2).received == 0
    (finding,) = lab.status("az1")["findings"]
    command = finding["message"].split("ovn-nbctl ")[1].split(" (")[0]
    lab.nbctl("az1", *shlex.split(command))
    eventually(lambda: lab.codes("az1") == [])
    assert talk.seen_as("outside", "198.51.100.7") == "172.31.1.1"
    assert talk.seen_as("az1/pod0", "az2/pod0") == own(lab, "az1/pod0")
    lab.nbctl("az1", "lr-nat-del", "ovn-cluster", "dnat_and_snat", "198.51.100.7")


def test_rules_do_not_take_the_transit_port_when_the_external_one_goes(
    lab: MeshLab, talk: Talk
) -> None:
    """As when Kube-OVN makes the external port anew: northd would take the only gateway port."""
    port = lab.nbctl("az1", "--bare", "--columns=mac,networks", "list", *LRP).split()
    with lab.trains(("az1/pod0", "az2/pod0"), ("az2/pod0", "az1/pod1")) as results:
        lab.nbctl("az1", "lrp-del", LRP[1])
        eventually(lambda: lab.codes("az1") == ["nat-without-external-port"])
    assert all(result.longest_gap_ms < GUARD_MS for result in results), results
    eventually(lambda: lab.ping("az1/pod0", "az2/pod0", 2).lost == 0)
    assert_own_addresses(lab, talk)
    chassis = lab.runner.lab.site("az1").nodes[0].system_id
    gateway = ("--", "lrp-set-gateway-chassis", LRP[1], chassis, "100")
    with lab.lossless(("az1/pod0", "az2/pod0"), ("az2/pod0", "az1/pod1")):
        lab.nbctl("az1", "lrp-add", "ovn-cluster", LRP[1], *port, *gateway)
        eventually(lambda: lab.codes("az1") == [])
        eventually(lambda: keys.NAT_GUARD not in lab.nbctl("az1", "show", "ovn-cluster"))
    assert_translated(lab, talk)
