"""What is resolved once for each observation: our ports, own networks, gateways, learned routes."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import try_parse_address
from ovnmesh.model.changes import Db
from ovnmesh.model.observed import Hop, Learned
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.model.southbound import Gateway


@pytest.fixture
def site() -> Site:
    mesh = Mesh(2)
    zone = mesh.foreign_zone("other")
    mesh.foreign_port(zone, "ts-other", "00:00:00:50:ac:8c 169.254.100.45/24")
    joined = Site(mesh)
    joined.settle(wish())
    return joined


def untag(site: Site, name: str) -> None:
    for row in site.db.tables[Db.NB]["Logical_Router_Port"].values():
        if row["name"] == name:
            row["external_ids"] = {}


def route(site: Site, prefix: str, nexthop: str, learned: bool) -> None:
    site.db.add(
        Db.NB,
        "Logical_Router_Static_Route",
        ip_prefix=prefix,
        nexthop=nexthop,
        external_ids={keys.LEARNED_ROUTE: "x"} if learned else {},
    )


def test_a_tagged_port_is_ours_whatever_the_name(site: Site) -> None:
    observed = site.observed.under("another")
    assert {ts: port.name for ts, port in observed.ports.items()} == {
        "ts": "az1-ts",
        "ts1": "az1-ts1",
    }


def test_an_untagged_port_is_ours_by_its_documented_name(site: Site) -> None:
    untag(site, "az1-ts")
    assert site.observed.ports["ts"].name == "az1-ts"
    assert "ts" not in site.observed.nb.tagged
    other = site.observed.under("another")
    assert "ts" not in other.ports
    assert "az1-ts" in {port.name for port in other.other_ports}


def test_own_networks_are_those_beside_the_transit_ports(site: Site) -> None:
    own = {parse_prefix("10.16.0.0/16"), parse_prefix("100.64.0.0/16")}
    assert site.observed.own_prefixes == own
    untag(site, "az1-ts")
    assert site.observed.own_prefixes == own


def test_what_was_learned_tells_from_whom_and_by_which_way(site: Site) -> None:
    route(site, "10.40.0.0/16", "169.254.100.45", learned=True)
    route(site, "10.41.0.0/16", "169.254.100.45", learned=False)
    route(site, "10.42.0.0/16", "169.254.100.99", learned=True)
    hop = try_parse_address("169.254.100.45")
    assert hop is not None
    assert site.observed.hops[hop] == Hop("other", "ts")
    learned = Learned(parse_prefix("10.40.0.0/16"), "other", "ts", hop)
    assert site.observed.learned == (learned,)


def test_hops_are_known_from_the_site_s_own_database_too(site: Site) -> None:
    site.mesh.ic.tables[Db.IC_SB]["Port_Binding"].clear()
    site.db.add(
        Db.NB,
        "Logical_Switch_Port",
        name="ts1-far",
        type="remote",
        addresses=frozenset({"00:00:00:50:ac:8d 169.254.101.46/24"}),
        options={},
        external_ids={},
    )
    assert {str(address): hop for address, hop in site.observed.hops.items()} == {
        "169.254.101.46": Hop("far", "ts1")
    }


def test_a_gateway_is_a_node_and_its_chassis(site: Site) -> None:
    sb = site.observed.sb
    assert sb.gateways(["n1", "chassis-gw", "ghost"]) == (
        Gateway("n1", "chassis-n1"),
        Gateway("chassis-gw", "chassis-gw"),
        Gateway("ghost", ""),
    )
    assert sb.gateway("chassis-n1") == Gateway("n1", "chassis-n1")
    assert sb.gateway("gone") == Gateway("gone", "gone")
