"""What people are shown of a site and of the mesh, from rows."""

import pytest

from fake_mesh import Mesh, Site, bind, wish
from ovnmesh.model.changes import (
    Batch,
    Db,
    Delete,
    Expect,
    Insert,
    MergeKeys,
    Named,
    Update,
    Uuid,
)
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.plan.ask.gateway import plan_drain
from ovnmesh.views.batches import describe_batch
from ovnmesh.views.mesh_overview import foreign_prefixes, mesh_overview
from ovnmesh.views.serving_gateways import active_node, serving_gateways
from ovnmesh.views.site_overview import site_overview, to_json
from ovnmesh.views.site_summary import view_site

TWO = wish("az1", "gw", "n1")


@pytest.fixture
def site() -> Site:
    mesh = Mesh()
    zone = mesh.foreign_zone("byhand")
    mesh.foreign_port(zone, "ts-byhand", "00:00:00:50:ac:8c 169.254.100.45/24")
    mesh.route(zone, "10.40.0.0/16")
    joined = Site(mesh)
    joined.settle(wish())
    bind(joined)
    joined.settle(TWO)
    return joined


def test_gateways_are_shown_first_in_line_first(site: Site) -> None:
    lines = [(line.ts, line.node, line.state) for line in serving_gateways(site.observed)]
    assert lines == [("ts", "gw", "active"), ("ts", "n1", "standby")]
    assert active_node(site.observed, "ts") == "gw"
    assert active_node(site.observed, "ts9") == ""


def test_a_drained_gateway_is_shown_as_drained_once_another_serves(site: Site) -> None:
    site.db.apply([plan_drain(site.observed, "n1")])
    states = {line.node: line.state for line in serving_gateways(site.observed)}
    assert states == {"gw": "active", "n1": "drained"}


def test_a_gateway_whose_chassis_is_gone_is_shown_by_the_chassis_name(site: Site) -> None:
    chassis = site.db.tables[Db.SB]["Chassis"]
    (gone,) = [uuid for uuid, row in chassis.items() if row["hostname"] == "n1"]
    del chassis[gone]
    assert "chassis-n1" in {line.node for line in serving_gateways(site.observed)}


def test_the_mesh_is_told_without_any_site_s_own_databases(site: Site) -> None:
    seen = mesh_overview(site.observed.ic)
    zones = [(zone.az, zone.managed, zone.gateways, zone.routes) for zone in seen.zones]
    assert zones == [("az1", True, ("gw", "n1"), 2), ("byhand", False, (), 1)]
    assert [(port.az, port.gateway) for port in seen.ports] == [
        ("az1", "gw"),
        ("byhand", ""),
    ]
    assert foreign_prefixes(site.observed.ic, "az1") == (parse_prefix("10.40.0.0/16"),)


def test_the_summary_names_nodes_and_counts_routes(site: Site) -> None:
    seen = view_site(site.observed)
    assert (seen.az, seen.gateways, seen.active) == ("az1", ("gw", "n1"), ("gw",))
    assert (seen.peers, seen.advertised, seen.remote) == (("byhand",), 2, 1)


def test_the_overview_says_who_serves_and_what_becomes_of_routes(site: Site) -> None:
    seen = site_overview(site.observed)
    assert (seen.az, seen.count("advertised"), seen.count("refused")) == ("az1", 2, 1)
    assert [(line.node, line.active, line.marked) for line in seen.gateways] == [
        ("gw", True, True),
        ("n1", False, True),
    ]
    assert to_json(seen)["az"] == "az1"


def test_a_port_without_a_gateway_is_a_finding(site: Site) -> None:
    site.db.tables[Db.SB]["Port_Binding"].clear()
    assert "no-active-gateway" in {
        finding.code for finding in site_overview(site.observed).findings
    }


def test_every_kind_of_change_has_words() -> None:
    batch = Batch(
        Db.NB,
        (
            Expect("T", "u1", "name", "x"),
            Insert("T", {"name": "a", "refs": frozenset({Named("new"), Uuid("u2")})}, "n"),
            Update("T", "u1", {"ids": {"b": "2", "a": "1"}, "none": {}}),
            MergeKeys("T", "u1", "ids", {"k": "v"}, frozenset({"z", "y"})),
            Delete("T", "u1"),
        ),
    )
    assert list(describe_batch(batch)) == [
        "insert T name=a refs=[the new new, u2]",
        "set T u1 ids=a=1 b=2 none={}",
        "set T.ids k=v",
        "remove T.ids y, z",
        "delete T u1",
    ]
