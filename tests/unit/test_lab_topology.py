"""Names, addresses and rows of a lab, computed: no root, no process, no namespace."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from ovnmesh.config import parse_config
from ovnmesh.errors import ConfigError, LabError
from ovnmesh.lab.kubernetes import api_objects as kubernetes
from ovnmesh.lab.kubernetes import apiserver
from ovnmesh.lab.kubernetes.manifests import (
    apply_manifests,
    delete_manifests,
    first_manifests,
    parse_manifests,
    read_subnet,
    write_first_manifests,
)
from ovnmesh.lab.ping import count_replies
from ovnmesh.lab.state import (
    AddedPod,
    LabState,
    create_state,
    is_lab_directory,
    load_state,
    save_state,
    site_entry,
)
from ovnmesh.lab.values import external_gateway, logical
from ovnmesh.lab.values.layout import compute_lab, host, mac_of, prefix_of
from ovnmesh.lab.values.spec import MAX_SITES, LabSpec, parse_spec_text, uniform_spec, with_external
from ovnmesh.lab.values.topology import Lab
from ovnmesh.providers.cluster import parse_node, parse_subnet

DIRECTORY = Path("/run/a-lab")


def lab_of(text: str) -> Lab:
    return compute_lab(parse_spec_text(text, "t.yaml"), DIRECTORY)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lab_of(text)
    return [str(problem) for problem in caught.value.problems]


def test_names_and_addresses_are_those_of_the_documents() -> None:
    lab = compute_lab(uniform_spec(), DIRECTORY)
    az1, az2 = lab.sites
    assert [site.name for site in lab.sites] == ["az1", "az2"]
    assert [node.name for node in az1.nodes] == ["az1-gw", "az1-n1", "az1-n2"]
    assert [(pod.name, pod.node) for pod in az1.pods] == [
        ("pod0", "az1-gw"),
        ("pod1", "az1-n1"),
        ("pod2", "az1-n2"),
    ]
    assert az1.ovn_default.cidrs == (IPv4Network("10.16.0.0/16"),)
    assert az2.ovn_default.cidrs == (IPv4Network("10.17.0.0/16"),)
    assert az1.join.cidrs == (IPv4Network("100.64.0.0/16"),)
    assert az2.join.cidrs == (IPv4Network("100.65.0.0/16"),)
    assert az1.nodes[0].join_addresses == (IPv4Interface("100.64.0.2/16"),)
    assert az1.pods[0].addresses == (IPv4Interface("10.16.0.2/16"),)
    assert az1.gw_nodes == ("az1-gw",)
    assert (az1.auto_route, az1.enable_ic) == (True, True)


def test_pods_are_spread_over_the_nodes_in_turn() -> None:
    site = lab_of("sites: [{nodes: 2, pods: 2}]").sites[0]
    assert [pod.node for pod in site.pods] == ["az1-gw", "az1-n1", "az1-gw", "az1-n1"]


def test_no_two_sites_share_a_network_and_none_has_that_of_the_databases() -> None:
    lab = compute_lab(uniform_spec(sites=MAX_SITES, nodes=1), DIRECTORY)
    networks = [IPv4Network("192.168.65.0/24")]
    for site in lab.sites:
        networks += [site.underlay, *site.ovn_default.cidrs, *site.join.cidrs]
    for i, one in enumerate(networks):
        assert not any(one.overlaps(other) for other in networks[i + 1 :])


def test_every_name_and_mac_is_unique() -> None:
    lab = compute_lab(uniform_spec(sites=5, nodes=5, pods=5), DIRECTORY)
    assert len(set(lab.namespaces)) == len(lab.namespaces)
    macs = [pod.mac for site in lab.sites for pod in site.pods]
    macs += [mac for site in lab.sites for node in site.nodes for mac in (node.mac, node.join_mac)]
    macs += [mac for s in lab.sites for mac in (s.router_mac, s.control_mac, s.join.mac)]
    assert len(set(macs)) == len(macs)
    # Locally administered, unicast (IEEE 802).
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in macs)


def test_link_names_fit_into_the_kernel_s_fifteen_characters() -> None:
    lab = compute_lab(uniform_spec(sites=MAX_SITES, nodes=200, pods=0), DIRECTORY)
    for site in lab.sites:
        names = [site.bridge, site.control_ifname, *(n.router_ifname for n in site.nodes)]
        assert all(len(name) <= 15 for name in names)


def test_labs_in_different_directories_have_different_namespaces() -> None:
    one, other = prefix_of(Path("/run/one")), prefix_of(Path("/run/other"))
    assert one != other
    assert one == prefix_of(Path("/run/one"))


def test_the_same_specification_gives_the_same_lab() -> None:
    spec = uniform_spec(protocol="dual")
    assert compute_lab(spec, DIRECTORY) == compute_lab(spec, DIRECTORY)
    assert mac_of("az1", "pod", "pod0") == mac_of("az1", "pod", "pod0")


@pytest.mark.parametrize(
    ("protocol", "cidrs"),
    [
        ("ipv4", ["10.16.0.0/16"]),
        ("ipv6", ["fd00:10:16::/112"]),
        ("dual", ["10.16.0.0/16", "fd00:10:16::/112"]),
    ],
)
def test_protocol_chooses_the_families(protocol: str, cidrs: list[str]) -> None:
    site = compute_lab(uniform_spec(protocol=protocol), DIRECTORY).sites[0]
    assert [str(cidr) for cidr in site.ovn_default.cidrs] == cidrs
    assert len(site.pods[0].addresses) == len(cidrs)


def test_yaml_topology_overrides_what_it_names() -> None:
    lab = lab_of(
        """
        protocol: dual
        ts_count: 2
        sites:
          - name: prod
            nodes: [gw-a, gw-b, w1]
            gw_nodes: gw-a, gw-b
          - ovn_default: 10.50.0.0/16,fd00:50::/112
            auto_route: false
            enable_ic: false
        """
    )
    prod, second = lab.sites
    assert (prod.name, second.name) == ("prod", "az2")
    assert [node.name for node in prod.nodes] == ["gw-a", "gw-b", "w1"]
    assert prod.gw_nodes == ("gw-a", "gw-b")
    assert [str(cidr) for cidr in second.ovn_default.cidrs] == ["10.50.0.0/16", "fd00:50::/112"]
    assert (second.auto_route, second.enable_ic, lab.ts_count) == (False, False, 2)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("sites: [{name: 'prod east'}]", "t.yaml, sites[0].name", "'prod east'"),
        ("sites: [{nodse: 3}]", "t.yaml, sites[0].nodse", "one of the fields name, nodes"),
        ("sites: [{nodes: 0}]", "t.yaml, sites[0].nodes", "found 0"),
        ("sites: [{nodes: []}]", "t.yaml, sites[0].nodes", "from 1 to 200"),
        ("sites: [{nodes: [ok, Bad]}]", "t.yaml, sites[0].nodes[1]", "'Bad'"),
        ("sites: []", "sites", "from 1 to"),
        ("{}", "sites", "found 0 sites"),
        ("protocol: ipv5\nsites: [{}]", "t.yaml, protocol", "'ipv5'"),
        ("sites: [{ovn_default: 10.16.0.1/16}]", "t.yaml, sites[0].ovn_default", "host bits set"),
        ("sites: [{join: 'fd00::/112'}]", "sites[0].join", "ipv4"),
        ("sites: [{name: a}, {name: a}]", "sites", "2 sites named 'a'"),
        ("sites: [{nodes: [x]}, {nodes: [x]}]", "sites", "2 nodes named 'x'"),
        ("sites: [{ovn_default: 10.0.0.0/30}]", "sites[0]", "no address number 3"),
        ("sites: [", "t.yaml", "YAML"),
        ("[]", "t.yaml", "mapping"),
    ],
)
def test_errors_name_the_field(text: str, where: str, says: str) -> None:
    problems = problems_of(text)
    assert any(said.startswith(where) and says in said for said in problems), problems


def test_every_problem_is_reported_at_once() -> None:
    assert len(problems_of("ts_count: 0\nsites: [{name: A}, {pods: -1}]")) == 3


def test_unknown_site_node_and_pod_say_what_there_is() -> None:
    lab = compute_lab(uniform_spec(), DIRECTORY)
    with pytest.raises(LabError, match="az1, az2"):
        lab.site("az3")
    with pytest.raises(LabError, match="az1-gw, az1-n1, az1-n2"):
        lab.sites[0].node("az2-gw")
    with pytest.raises(LabError, match="pod0, pod1, pod2"):
        lab.sites[0].pod("pod9")


def test_the_broadcast_address_is_not_given_out() -> None:
    assert str(host(IPv4Network("10.0.0.0/30"), 2)) == "10.0.0.2/30"
    with pytest.raises(LabError):
        host(IPv4Network("10.0.0.0/30"), 3)


def policies(commands: list[list[str]]) -> set[tuple[str, str]]:
    made = [words for words in commands if "Logical_Router_Policy" in words]
    return {
        (word.partition("=")[2], words[words.index(word) + 1].partition("=")[2])
        for words in made
        for word in words
        if word.startswith("priority=")
    }


def test_policies_are_those_of_kube_ovn() -> None:
    site = lab_of("sites: [{nodes: 1}]").sites[0]
    assert policies(logical.site_commands(site)) == {
        ("31000", '"ip4.dst == 10.16.0.0/16"'),
        ("31000", '"ip4.dst == 100.64.0.0/16"'),
        ("30000", '"ip4.dst == 192.168.42.10"'),
        ("29000", '"ip4.src == $ovn.default.az1.gw_ip4"'),
    }


def test_commands_are_joined_to_one_transaction() -> None:
    assert logical.join_commands([["a", "b"], ["c"]]) == ["a", "b", "--", "c"]


def test_every_api_server_has_a_loopback_address_of_its_own() -> None:
    spec = uniform_spec(sites=MAX_SITES, nodes=1).model_copy(update={"kubernetes": True})
    labs = [compute_lab(spec, Path(name)) for name in ("/run/one", "/run/other")]
    addresses = [site.api_address for lab in labs for site in lab.sites]
    assert len(set(addresses)) == len(addresses)
    for address in addresses:
        assert address is not None
        assert address in IPv4Network("127.128.0.0/9")
    assert labs[0].sites[0].api_server == f"https://{addresses[0]}:6443"


def test_a_topology_can_ask_for_api_servers() -> None:
    site = lab_of("kubernetes: true\nsites: [{}]").sites[0]
    assert isinstance(site.api_address, IPv4Address)
    without = lab_of("sites: [{}]")
    assert without.sites[0].api_address is None
    assert site_entry(without, without.sites[0]).keys() - site_entry(without, site) == {"config"}


def test_first_manifests_are_what_the_documents_say() -> None:
    site = lab_of("protocol: dual\nsites: [{nodes: 2}]").sites[0]
    manifests = first_manifests(site)
    assert [m["kind"] for m in manifests] == ["Subnet", "Subnet", "Node", "Node", "ConfigMap"]
    assert [parse_subnet(m, "s").cidrs for m in manifests[:2]] == [
        site.ovn_default.cidrs,
        site.join.cidrs,
    ]
    assert [parse_node(m, "n").addresses for m in manifests[2:4]] == [
        (node.address.ip,) for node in site.nodes
    ]
    assert parse_config(manifests[4]["data"], "c").az_name == "az1"


def test_missing_programs_are_named_with_where_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etcd").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(apiserver.ASSETS_VARIABLE, raising=False)
    with pytest.raises(LabError, match=r"kube-apiserver: .*it is not set.*setup-envtest use"):
        apiserver.check_programs()
    monkeypatch.setenv(apiserver.ASSETS_VARIABLE, "/nowhere")
    with pytest.raises(LabError, match="/nowhere"):
        apiserver.check_programs()
    (tmp_path / "kube-apiserver").touch(mode=0o755)
    with pytest.raises(LabError, match="openssl"):
        apiserver.check_programs()


def test_the_lab_gives_controllers_the_account_and_rights_of_deploy() -> None:
    kubernetes.check_deploy()
    found = {
        (manifest["kind"], manifest["metadata"].get("namespace"), manifest["metadata"]["name"])
        for manifest in kubernetes.read_deploy()
        if "metadata" in manifest
    }
    account, where = kubernetes.CONTROLLER, kubernetes.CONTROLLER_NAMESPACE
    assert {
        ("CustomResourceDefinition", None, "interconnections.ovnmesh.io"),
        ("Namespace", None, where),
        ("ServiceAccount", where, account),
        ("ClusterRole", None, account),
        ("ClusterRoleBinding", None, account),
        ("RoleBinding", "kube-system", account),
    } <= found


def test_state_survives_a_round_trip(tmp_path: Path) -> None:
    state = LabState(
        spec=parse_spec_text("protocol: dual\nsites: [{nodes: [x, y], gw_nodes: y}]", "t"),
        bare=True,
        subnets={"az1": {"prod": ("10.99.0.0/24", "fd00:99::/112")}},
        pods=(AddedPod("az1", "web", "x", "prod", 5),),
    )
    create_state(tmp_path, state)
    assert load_state(tmp_path) == state
    added = load_state(tmp_path).lab(tmp_path).sites[0].pod("web")
    assert [str(address) for address in added.addresses] == ["10.99.0.5/24", "fd00:99::5/112"]


def test_a_directory_with_other_files_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    state = LabState(spec=LabSpec(sites=uniform_spec().sites), bare=False, subnets={}, pods=())
    with pytest.raises(LabError, match=r"holds thesis\.txt"):
        create_state(tmp_path, state)
    assert not is_lab_directory(tmp_path)
    save_state(tmp_path, state)
    with pytest.raises(LabError, match="there is a lab already"):
        create_state(tmp_path, state)


def test_a_directory_whose_first_file_is_half_written_is_a_lab_s(tmp_path: Path) -> None:
    (tmp_path / ".lab.json.new").write_text("{")
    assert is_lab_directory(tmp_path)


SUBNET = """
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: prod}
spec: {cidrBlock: 10.99.0.0/24}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = compute_lab(uniform_spec(), tmp_path).sites[0]
    write_first_manifests(site)
    return site.manifests


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_apply_then_delete_restores_the_folder(folder: Path) -> None:
    before = contents(folder)
    subnet = parse_manifests(SUBNET, "s.yaml")
    assert [change.before for change in apply_manifests(folder, subnet)] == [None]
    assert set(contents(folder)) - set(before) == {"subnet-prod.yaml"}
    assert apply_manifests(folder, subnet) == ()
    assert [change.after for change in delete_manifests(folder, subnet)] == [None]
    assert delete_manifests(folder, subnet) == ()
    assert contents(folder) == before


def test_apply_replaces_an_object_where_it_stands(folder: Path) -> None:
    text = (folder / "ovn-ic-config.yaml").read_text().replace("'true'", "'false'")
    (change,) = apply_manifests(folder, parse_manifests(text, "c.yaml"))
    assert (change.kind, change.name) == ("ConfigMap", "ovn-ic-config")
    assert set(contents(folder)) == {"nodes.yaml", "ovn-ic-config.yaml", "subnets.yaml"}
    assert "'true'" not in (folder / "ovn-ic-config.yaml").read_text()


def test_deleting_one_of_several_objects_keeps_the_others(folder: Path) -> None:
    node = parse_manifests("kind: Node\nmetadata: {name: az1-n1}", "n.yaml")
    delete_manifests(folder, node)
    left = parse_manifests((folder / "nodes.yaml").read_text(), "nodes.yaml")
    assert [manifest["metadata"]["name"] for manifest in left] == ["az1-gw", "az1-n2"]


@pytest.mark.parametrize(
    "text", ["", "kind: Subnet", "a: [", "- 1", "kind: 1\nmetadata: {name: x}"]
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        parse_manifests(text, "s.yaml")


def test_a_subnet_of_another_vpc_makes_no_switch() -> None:
    (ours,) = parse_manifests(SUBNET, "s.yaml")
    (other,) = parse_manifests(SUBNET.replace("spec: {", "spec: {vpc: other, "), "s.yaml")
    subnet = read_subnet("az1", ours)
    assert subnet is not None
    assert str(subnet.gateways[0]) == "10.99.0.1/24"
    assert read_subnet("az1", other) is None


@pytest.mark.parametrize(
    ("sequence", "sent", "received", "gap_ms"),
    [
        ([1, 2, 3], 3, 3, 0),
        ([1, 4, 5], 5, 3, 20),
        ([3], 3, 1, 20),
        ([1], 4, 1, 30),
        ([], 4, 0, 40),
        ([2, 1, 3], 3, 3, 0),
        ([1, 1, 2], 2, 2, 0),
        ([1, 2, 3, 4], 2, 2, 0),
        ([*range(1, 65539), 65540, 65539], 65540, 65540, 0),
        ([*range(1, 65535), 65536, 65535, 65537], 65537, 65537, 0),
        ([*range(1, 65535), 65538], 65538, 65535, 30),
    ],
)
def test_replies_are_counted(sequence: list[int], sent: int, received: int, gap_ms: float) -> None:
    # Sequence numbers as ping prints them have 16 bits.
    replies = [(number / 100, number % 65536) for number in sequence]
    result = count_replies(replies, sent, 10, span_s=(0.01, (sent + 1) / 100))
    assert (result.received, result.lost) == (received, sent - received)
    assert result.longest_gap_ms == gap_ms


def test_a_gap_is_measured_by_the_clock_because_ping_slows_down() -> None:
    replies = [(0.01, 1), (0.02, 2), (0.52, 10), (0.53, 11)]
    result = count_replies(replies, 11, interval_ms=10, span_s=(0.01, 0.54))
    assert (result.lost, result.longest_gap_ms) == (7, 490)


def test_external_networks_have_an_address_for_everybody() -> None:
    lab = lab_of("protocol: dual\nsites: [{nodes: 2, external: true}, {nodes: 1}]")
    az1, az2 = lab.sites
    assert az2.external is None
    assert az1.external is not None
    assert [str(network) for network in az1.external.networks] == [
        "172.31.1.0/24",
        "fd00:172:31:1::/112",
    ]
    assert [str(a.ip) for a in lab.outside_addresses] == ["203.0.113.1", "2001:db8::1"]
    assert lab.outside_netns in lab.namespaces
    assert lab_of("sites: [{}]").outside_netns is None
    assert with_external(uniform_spec()).sites[1].external


def test_external_networks_of_all_sites_differ() -> None:
    lab = compute_lab(with_external(uniform_spec(sites=MAX_SITES, nodes=1)), DIRECTORY)
    networks = {str(site.external.networks[0]) for site in lab.sites if site.external}
    assert len(networks) == MAX_SITES
    bridges = {site.external.bridge for site in lab.sites if site.external}
    assert len(bridges) == MAX_SITES


def test_external_gateway_is_kube_ovns() -> None:
    (site,) = lab_of("sites: [{nodes: [gw, gw2, n1], gw_nodes: 'gw,gw2', external: true}]").sites
    words = " ".join(logical.join_commands(external_gateway.gateway_commands(site)))
    port = "ovn-cluster-ovn-external"
    assert f"lrp-add ovn-cluster {port} " in words
    assert "lsp-set-options localnet.ovn-external network_name=external" in words
    for i, node in enumerate(site.nodes[:2]):
        assert f"lrp-set-gateway-chassis {port} {node.system_id} {100 - i}" in words
    assert site.nodes[2].system_id not in words
    (without,) = lab_of("sites: [{}]").sites
    assert external_gateway.gateway_commands(without) == []
