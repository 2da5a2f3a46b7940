"""Nodes of the interconnection databases in a lab, and the places between which paths are cut."""

from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from ovnmesh.errors import ConfigError, LabError
from ovnmesh.lab import daemons
from ovnmesh.lab.boot import faults
from ovnmesh.lab.kubernetes.manifests import first_manifests
from ovnmesh.lab.network import wiring as network
from ovnmesh.lab.values.layout import compute_lab
from ovnmesh.lab.values.spec import parse_spec_text, uniform_spec
from ovnmesh.lab.values.topology import Lab

DIRECTORY = Path("/run/a-lab")


@pytest.fixture
def cluster() -> Lab:
    return compute_lab(uniform_spec(ic_nodes=3), DIRECTORY)


def test_one_node_is_as_in_the_documents() -> None:
    lab = compute_lab(uniform_spec(), DIRECTORY)
    (node,) = lab.ic_nodes
    assert (node.name, node.address) == ("ic", IPv4Interface("192.168.65.3/24"))
    assert lab.ic_nb == "unix:/run/a-lab/ic_db/run/ovn_ic_nb.sock"


def test_a_cluster_has_a_namespace_an_address_and_a_folder_for_each_node(cluster) -> None:
    nodes = cluster.ic_nodes
    assert [node.name for node in nodes] == ["ic1", "ic2", "ic3"]
    assert [str(node.address.ip) for node in nodes] == [f"192.168.65.{i}" for i in (3, 4, 5)]
    for what in ("netns", "directory", "router_ifname", "mac"):
        assert len({getattr(node, what) for node in nodes}) == 3
    assert {node.netns for node in nodes} <= set(cluster.namespaces)
    assert cluster.ic_sb.count("unix:") == 3


def test_sites_are_given_all_addresses(cluster) -> None:
    for site in cluster.sites:
        config = next(m for m in first_manifests(site) if m["kind"] == "ConfigMap")
        assert config["data"]["ic-db-host"] == "192.168.65.3,192.168.65.4,192.168.65.5"


@pytest.mark.parametrize("count", [0, 8, "three"])
def test_wrong_numbers_are_refused(count) -> None:
    with pytest.raises(ConfigError, match="ic_nodes"):
        parse_spec_text(f"{{sites: [{{}}], ic_nodes: {count}}}", "t.yaml")


def test_a_site_cannot_have_the_name_of_a_node_of_the_databases() -> None:
    with pytest.raises(ConfigError, match="ic2"):
        compute_lab(parse_spec_text("{sites: [{name: ic2}], ic_nodes: 3}", "t"), DIRECTORY)


@pytest.fixture
def cuts(monkeypatch) -> list[tuple[str, str, str]]:
    """Cuts as (where, one, other), instead of being made."""
    made: list[tuple[str, str, str]] = []

    def router(lab, first, second, *, up) -> None:
        made.append(("router", str(first), str(second)))

    def node(node, peer, *, up) -> None:
        made.append(("node", node.name, peer.name))

    monkeypatch.setattr(network, "set_path", router)
    monkeypatch.setattr(daemons, "set_path", node)
    return made


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (
            ("az1/az1-gw", "az2/az2-n1"),
            [("router", "192.168.42.10/32", "192.168.43.11/32")],
        ),
        (("az1", "az2"), [("router", "192.168.42.0/24", "192.168.43.0/24")]),
        (("az1/control", "ic2"), [("router", "192.168.42.2/32", "192.168.65.4/32")]),
        (
            ("az1/az1-gw", "az1/az1-n1"),
            [("node", "az1-gw", "az1-n1"), ("node", "az1-n1", "az1-gw")],
        ),
    ],
)
def test_paths_are_cut_where_they_pass(cluster, cuts, places, expected) -> None:
    faults.fault_path(cluster, *places)
    assert cuts == expected


@pytest.mark.parametrize(
    "places",
    [
        ("ic1", "ic2"),
        ("az1", "az1/az1-gw"),
        ("az1/az1-gw", "az1/control"),
        ("az1/az1-gw", "az1/az1-gw"),
        ("az1/nope", "az2"),
        ("az9", "az2"),
    ],
)
def test_places_that_cannot_be_cut_are_refused(cluster, cuts, places) -> None:
    with pytest.raises(LabError):
        faults.fault_path(cluster, *places)
    assert cuts == []


def test_a_daemon_that_a_place_does_not_have_is_refused(cluster) -> None:
    with pytest.raises(LabError, match="ic1, ic2, ic3 with ic-db"):
        faults.fault_daemon(cluster, "az1", "ic-db", lambda site: ())
