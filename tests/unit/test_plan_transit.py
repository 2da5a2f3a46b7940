"""The life of a transit switch: parked until it can carry traffic, parked again before it goes."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from fake_mesh import Mesh, Site, bind, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.errors import ConfigError, IcDbError
from ovnmesh.icdb.settings import parse_switch
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.northbound import RouterPort
from ovnmesh.plan.ask.switch_subnets import next_subnet
from ovnmesh.plan.decide.stages import REMOVE, SERVE, SETTLE_S, is_parked, parking_network
from ovnmesh.plan.leave import UNMARKED, UNMARKED_S, plan_leave
from ovnmesh.plan.site import plan_site
from ovnmesh.views.switch_members import switch_members, without_other

PARKED = "100::"


def step(site: Site, settled: bool = True) -> Plan:
    """One pass; with time for every step that is ripe, or with none."""
    bind(site)
    pending = plan_site(wish(), site.observed).pending if settled else {}
    plan = plan_site(wish(), site.observed, pending)
    site.apply(plan)
    site.agents()
    site.ovn_ic()
    return plan


def networks(site: Site, ts: str) -> str:
    lrp = site.observed.under("az1").ports.get(ts)
    return " ".join(map(str, lrp.networks)) if lrp is not None else ""


def drain(site: Site, ts: str, value: str = "true") -> None:
    for row in site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values():
        if row["name"] == ts:
            row["external_ids"] = {**row["external_ids"], keys.DRAINING: value}


@pytest.fixture
def site() -> Site:
    made = Site(Mesh())
    made.settle(wish())
    bind(made)
    return made


def warming(site: Site) -> None:
    """Bring a second switch so far that only time is missing."""
    site.mesh.add_switch(1)
    for _ in range(4):
        step(site, settled=False)
    bind(site)


def test_first_switches_are_in_service_at_once() -> None:
    made = Site(Mesh(2))
    made.settle(wish())
    assert networks(made, "ts").startswith("169.254.100.")
    assert networks(made, "ts1").startswith("169.254.101.")


def test_further_switch_is_parked_until_it_has_settled(site: Site) -> None:
    before = networks(site, "ts")
    warming(site)
    assert networks(site, "ts1").startswith(PARKED)
    step(site, settled=False)  # records who is active
    plan = plan_site(wish(), site.observed)
    assert plan.batches == ()
    assert plan.waiting == ()
    assert set(plan.pending) == {(SERVE, "ts1")}
    step(site)
    assert networks(site, "ts1").startswith("169.254.101.")
    assert networks(site, "ts") == before
    site.settle(wish())
    assert plan_site(wish(), site.observed).batches == ()
    assert plan_site(wish(), site.observed).pending == {}


def test_unbound_port_is_not_ripe(site: Site) -> None:
    warming(site)
    site.db.tables[Db.SB]["Port_Binding"].clear()
    assert plan_site(wish(), site.observed).pending == {}
    settled = {(SERVE, "ts1"): SETTLE_S}
    assert plan_site(wish(), site.observed, settled).batches == ()


def test_port_that_ovn_ic_has_not_published_is_not_ripe(site: Site) -> None:
    warming(site)
    for row in site.mesh.ic.tables[Db.IC_SB]["Port_Binding"].values():
        row["gateway"] = ""
    assert plan_site(wish(), site.observed).pending == {}


@pytest.mark.parametrize(
    ("address", "ripe"),
    [
        ("00:00:00:50:ac:8c 169.254.101.45/24", False),
        ("00:00:00:50:ac:8c 100::50:ac8c/128", True),
    ],
)
def test_other_sites_port_in_service_must_be_bound_a_parked_one_need_not(
    site: Site, address: str, ripe: bool
) -> None:
    warming(site)
    zone = site.mesh.foreign_zone("other")
    site.mesh.foreign_port(zone, "ts1-other", address, ts="ts1")
    assert bool(plan_site(wish(), site.observed).pending) is ripe


def test_adopted_port_that_carries_traffic_is_not_parked(site: Site) -> None:
    """A site that was connected by other means keeps its second switch in service."""
    warming(site)
    step(site)
    nb = site.db.tables[Db.NB]
    for row in nb["Logical_Router_Port"].values():
        row["external_ids"] = {}
    site.settle(wish())
    assert networks(site, "ts1").startswith("169.254.101.")


def test_draining_parks_then_removes_then_releases(site: Site) -> None:
    warming(site)
    step(site)
    drain(site, "ts1")
    step(site, settled=False)
    assert networks(site, "ts1").startswith(PARKED)
    assert networks(site, "ts").startswith("169.254.100.")
    plan = plan_site(wish(), site.observed)
    assert set(plan.pending) == {(REMOVE, "ts1")}
    assert plan.batches == ()
    site.apply(plan_site(wish(), site.observed, plan.pending))
    assert networks(site, "ts1") == ""
    assert "ts1-az1" not in site.observed.nb.switch_ports
    ts1 = site.observed.ic.transit_switches["ts1"]
    assert ts1.claims, "the claim outlives the port"
    site.apply(plan_site(wish(), site.observed))
    assert not site.observed.ic.transit_switches["ts1"].claims
    assert plan_site(wish(), site.observed).batches == ()
    assert plan_site(wish(), site.observed).waiting == ()


def test_advertised_routes_hold_the_removal_up(site: Site) -> None:
    warming(site)
    step(site)
    drain(site, "ts1")
    step(site, settled=False)
    (zone,) = site.mesh.ic.tables[Db.IC_SB]["Availability_Zone"]
    site.mesh.route(zone, "fd00:10:16::/112", ts="ts1", nexthop="100::50:ac8c")
    assert set(plan_site(wish(), site.observed).pending) == {(REMOVE, "ts1")}
    site.mesh.route(zone, "10.16.0.0/16", ts="ts1")
    assert plan_site(wish(), site.observed).pending == {}


def test_draining_that_is_called_off_puts_the_port_back(site: Site) -> None:
    warming(site)
    step(site)
    drain(site, "ts1")
    step(site, settled=False)
    drain(site, "ts1", "false")
    step(site)
    assert networks(site, "ts1").startswith("169.254.101.")


def test_settled_for_service_is_not_settled_for_removal(site: Site) -> None:
    warming(site)
    drain(site, "ts1")
    plan = plan_site(wish(), site.observed, {(SERVE, "ts1"): SETTLE_S})
    assert (SERVE, "ts1") not in plan.pending
    site.apply(plan)
    assert networks(site, "ts1").startswith(PARKED)


def test_parked_port_takes_over_when_nothing_else_serves(site: Site) -> None:
    warming(site)
    drain(site, "ts")
    site.apply(plan_site(wish(), site.observed))
    site.apply(plan_site(wish(), site.observed))
    assert networks(site, "ts1").startswith("169.254.101.")


def test_leaving_from_a_parked_port_leaves_nothing(site: Site) -> None:
    warming(site)
    site.leave()
    assert plan_leave(site.observed, {UNMARKED: UNMARKED_S}).batches == ()
    assert "az1-ts1" not in {port.name for port in site.observed.nb.router_ports}
    assert not site.observed.ic.transit_switches["ts1"].claims


def test_parking_network_is_a_discarded_address_of_the_mac() -> None:
    assert str(parking_network("0a:1d:9d:c8:8a:0c")) == "100::a1d:9dc8:8a0c/128"
    mac = "0A:1D:9D:C8:8A:0C"
    port = RouterPort("u", "p", mac, (parking_network(mac),), frozenset(), {})
    assert is_parked(port)
    assert not is_parked(replace(port, networks=(ip_interface("fe80:a9fe:64::5/112"),)))


def test_members_and_who_would_be_cut_off(site: Site) -> None:
    zone = site.mesh.foreign_zone("other")
    site.mesh.foreign_port(zone, "ts-other", "00:00:00:50:ac:8c 169.254.100.45/24")
    warming(site)
    ic = site.observed.ic
    on_ts = {m.az: (m.state, m.managed) for m in switch_members(ic.transit_switches["ts"], ic)}
    assert on_ts == {"az1": ("in service", True), "other": ("in service", False)}
    assert [m.state for m in switch_members(ic.transit_switches["ts1"], ic)] == ["warming"]
    assert without_other(ic.transit_switches["ts"], ic) == ("az1", "other")
    assert without_other(ic.transit_switches["ts1"], ic) == ()
    drain(site, "ts1")
    ic = site.observed.ic
    assert [m.state for m in switch_members(ic.transit_switches["ts1"], ic)] == ["draining"]


def test_next_subnet_counts_on_from_those_there_are() -> None:
    assert next_subnet({"ts": "169.254.100.0/24"}) == "169.254.101.0/24"
    stored = {"ts": "169.254.100.0/24,fd00:a9fe:64::/112", "ts2": "169.254.101.0/25", "x": None}
    assert next_subnet(stored) == "169.254.102.0/24,fd00:a9fe:65::/112"
    with pytest.raises(IcDbError):
        next_subnet({"x": None})


def test_named_switch_is_checked_like_those_of_ic_db() -> None:
    assert parse_switch("ts1", "10.9.0.0/24").subnet == "10.9.0.0/24"
    with pytest.raises(ConfigError) as raised:
        parse_switch("bad name", "10.9.0.0/99")
    assert {problem.where for problem in raised.value.problems} == {"NAME", "--cidr"}
