"""Text where an address should stand: nothing fails, nothing of ours is lost."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import decode_endpoint
from ovnmesh.model.changes import Db
from ovnmesh.plan.leave import plan_leave
from ovnmesh.plan.site import plan_site
from ovnmesh.views.site_overview import site_overview


@pytest.fixture
def site() -> Site:
    joined = Site(Mesh())
    joined.settle(wish())
    return joined


def lrp(site: Site, name: str) -> dict:
    return next(
        row for row in site.db.tables[Db.NB]["Logical_Router_Port"].values() if row["name"] == name
    )


@pytest.mark.parametrize("extra", [True, False])
def test_a_network_of_our_port_that_is_none_is_written_anew(site: Site, extra: bool) -> None:
    port = lrp(site, "az1-ts")
    before = port["networks"]
    port["networks"] = (before if extra else frozenset()) | {"nonsense"}
    site.settle(wish())
    assert lrp(site, "az1-ts")["networks"] == before


def test_an_adopted_port_whose_network_cannot_be_read_gets_an_address(site: Site) -> None:
    transit = site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"]
    (ts,) = transit.values()
    ts["external_ids"] = {"subnet": ts["external_ids"]["subnet"]}
    lrp(site, "az1-ts")["networks"] = frozenset({"nonsense"})
    site.settle(wish())
    assert all(n.startswith("169.254.100.") for n in lrp(site, "az1-ts")["networks"])


def test_the_same_networks_in_other_words_are_left_alone(site: Site) -> None:
    site = Site(Mesh(subnets=("fd00:a9fe:{n}::/112",)))
    site.settle(wish())
    port = lrp(site, "az1-ts")
    port["networks"] = frozenset(network.upper() for network in port["networks"])
    assert plan_site(wish(), site.observed).batches == ()


def test_a_foreign_port_whose_network_cannot_be_read_harms_nobody(site: Site) -> None:
    lrp(site, "ovn-cluster-join")["networks"] = frozenset({"100.64.0.1/16", "nonsense"})
    assert plan_site(wish(), site.observed).batches == ()
    shown = site_overview(site.observed).routes
    assert ("100.64.0.0/16", "advertised") in {(line.prefix, line.state) for line in shown}


def test_static_routes_that_lead_to_no_address_are_nobody_s(site: Site) -> None:
    for prefix, hop in (("10.77.0.0/16", "discard"), ("nonsense", "10.16.0.9")):
        site.db.add(
            Db.NB, "Logical_Router_Static_Route", ip_prefix=prefix, nexthop=hop, policy="dst-ip"
        )
    assert plan_site(wish(), site.observed).batches == ()


def test_an_advertised_prefix_that_is_none_goes_with_its_zone(site: Site) -> None:
    """IC-SB refuses to delete a zone to which a route still refers."""
    zones = site.mesh.ic.tables[Db.IC_SB]["Availability_Zone"]
    (zone,) = zones
    mine = site.mesh.route(zone, "nonsense")
    other = site.mesh.route(site.mesh.foreign_zone("other"), "nonsense")
    plan = plan_leave(site.observed, {})
    deleted = {operation.uuid for batch in plan.batches for operation in batch.operations}
    assert mine in deleted
    assert other not in deleted


def test_a_transit_switch_with_one_subnet_that_is_none_is_reported_with_its_text(
    site: Site,
) -> None:
    (ts,) = site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values()
    ts["external_ids"] = {**ts["external_ids"], "subnet": "169.254.100.0/24,nonsense"}
    found = plan_site(wish(), site.observed).findings[0]
    assert found.code == "transit-switch-unusable"
    assert '"169.254.100.0/24, nonsense"' in found.message


def test_a_claim_that_cannot_be_read_takes_nothing(site: Site) -> None:
    (ts,) = site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values()
    ts["external_ids"][keys.ADDRESS_CLAIM + "other"] = "00:00:00:00:00:01 nonsense"
    assert plan_site(wish(), site.observed).batches == ()


def test_a_port_whose_address_cannot_be_read_is_shown_as_it_is(site: Site) -> None:
    site.mesh.foreign_port(site.mesh.foreign_zone("other"), "ts-other", "nonsense")
    assert "nonsense" in {line.address for line in site_overview(site.observed).ports}


@pytest.mark.parametrize(
    "text", ["", "unknown", "00:00:00:00:00:01", "00:00:00:00:00:01 10.0.0.1/33", "x 10.0.0.1"]
)
def test_what_is_no_endpoint(text: str) -> None:
    assert decode_endpoint(text) is None


def test_an_endpoint_reads_and_writes_the_same() -> None:
    text = "00:00:00:00:00:0a 169.254.100.2/24 fd00::2/64"
    endpoint = decode_endpoint(text.upper())
    assert endpoint is not None
    assert endpoint.encode() == text
