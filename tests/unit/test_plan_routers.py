"""Sites with routers of their own names, one or several, as OpenStack has them."""

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.site_record import decode_desired, encode_desired
from ovnmesh.plan.decide.learned import storming, surplus
from ovnmesh.plan.site import plan_site

ONE = Router("neutron-1111", "router0")
TWO = Router("neutron-2222", "router1")


def ports(site: Site) -> dict[str, dict]:
    table = site.db.tables[Db.NB].get("Logical_Router_Port", {})
    return {row["name"]: row for row in table.values() if keys.OWNER in row["external_ids"]}


def switch_ports(site: Site) -> dict[str, dict]:
    table = site.db.tables[Db.NB].get("Logical_Switch_Port", {})
    return {row["name"]: row for row in table.values() if row["type"] == "router"}


def codes(site: Site, desired: Desired) -> list[str]:
    return [finding.code for finding in plan_site(desired, site.observed).findings]


def site_with(*routers: Router, switches: int = 1, mesh: Mesh | None = None) -> Site:
    site = Site(mesh or Mesh(switches))
    for index, router in enumerate(routers):
        site.add_router(router, f"192.168.{index + 1}.1/24")
    return site


def asked(*routers: Router, az: str = "os1") -> Desired:
    return wish(az, routers=routers, shared_database=True)


def router_uuid(site: Site, router: Router) -> str:
    table = site.db.tables[Db.NB]["Logical_Router"]
    return next(uuid for uuid, row in table.items() if row["name"] == router.name)


def route(
    site: Site, router: str, prefix: str, learned: bool = True, hop: str = "169.254.100.9"
) -> str:
    return site.db.add_child(
        Db.NB,
        ("Logical_Router", router, "static_routes"),
        "Logical_Router_Static_Route",
        ip_prefix=prefix,
        nexthop=hop,
        options={"origin": "connected"} if learned else {},
        external_ids={keys.LEARNED_ROUTE: "x"} if learned else {},
    )


def routes(site: Site) -> list[str]:
    table = site.db.tables[Db.NB].get("Logical_Router_Static_Route", {})
    return sorted(row["ip_prefix"] for row in table.values())


def router_row(site: Site, router: Router) -> dict:
    table = site.db.tables[Db.NB]["Logical_Router"]
    return next(row for row in table.values() if row["name"] == router.name)


def test_ports_have_the_documents_names_and_no_policy() -> None:
    site = site_with(ONE)
    before = list(site.db.tables[Db.NB]["Logical_Router_Policy"])
    site.settle(asked(ONE))
    assert set(ports(site)) == {"lrp-router0-ts"}
    assert set(switch_ports(site)) == {"lsp-ts-router0"}
    assert switch_ports(site)["lsp-ts-router0"]["options"]["router-port"] == "lrp-router0-ts"
    assert list(site.db.tables[Db.NB]["Logical_Router_Policy"]) == before
    advertised = {row["ip_prefix"] for row in site.mesh.ic.tables[Db.IC_SB]["Route"].values()}
    assert advertised == {"192.168.1.0/24"}


def test_record_brings_the_routers_back() -> None:
    desired = asked(ONE, Router("neutron-2222", "router1", ("ts1", "ts2")))
    assert decode_desired(encode_desired(desired), "r") == desired
    assert decode_desired(encode_desired(wish()), "r") == wish()


def test_each_router_has_a_transit_switch_of_its_own() -> None:
    site = site_with(ONE, TWO, switches=2)
    site.settle(asked(ONE, TWO))
    assert set(ports(site)) == {"lrp-router0-ts", "lrp-router1-ts1"}
    zone = site.mesh.ic.tables[Db.IC_SB]["Route"].values()
    by_switch = {(row["transit_switch"], row["ip_prefix"]) for row in zone}
    assert by_switch == {("ts", "192.168.1.0/24"), ("ts1", "192.168.2.0/24")}


def test_one_router_is_on_every_switch() -> None:
    site = site_with(ONE, switches=2)
    site.settle(asked(ONE))
    assert set(ports(site)) == {"lrp-router0-ts", "lrp-router0-ts1"}


def test_switches_that_are_named_are_used() -> None:
    site = site_with(ONE, TWO, switches=3)
    named = Router(ONE.name, ONE.ports_named_after, ("ts2",))
    site.settle(asked(named, TWO))
    assert set(ports(site)) == {"lrp-router0-ts2", "lrp-router1-ts"}


def test_too_few_switches_are_told() -> None:
    site = site_with(ONE, TWO)
    site.settle(asked(ONE, TWO))
    assert set(ports(site)) == {"lrp-router0-ts"}
    assert codes(site, asked(ONE, TWO)) == ["router-without-switch"]
    site.mesh.add_switch(1)
    site.settle(asked(ONE, TWO))
    assert set(ports(site)) == {"lrp-router0-ts", "lrp-router1-ts1"}


def test_a_new_order_of_routers_moves_nothing() -> None:
    site = site_with(ONE, TWO, switches=2)
    site.settle(asked(ONE, TWO))
    before = ports(site)
    site.settle(asked(TWO, ONE))
    assert ports(site) == before


def test_a_switch_given_to_another_router_moves_there() -> None:
    site = site_with(ONE, TWO, switches=2)
    site.settle(asked(ONE, TWO))
    address = {n for row in ports(site).values() for n in row["networks"]}
    site.settle(
        asked(
            Router(ONE.name, ONE.ports_named_after, ("ts1",)),
            Router(TWO.name, TWO.ports_named_after, ("ts",)),
        )
    )
    assert set(ports(site)) == {"lrp-router0-ts1", "lrp-router1-ts"}
    assert {n for row in ports(site).values() for n in row["networks"]} == address


def test_a_router_no_longer_named_is_disconnected_and_its_switch_is_free() -> None:
    site = site_with(ONE, TWO, switches=2)
    site.settle(asked(ONE, TWO))
    site.routers = (ONE,)  # TWO is known from the record
    site.settle(asked(Router(ONE.name, ONE.ports_named_after, ("ts",))))
    assert set(ports(site)) == {"lrp-router0-ts"}
    ts1 = site.observed.ic.transit_switches["ts1"]
    assert not ts1.claims


def test_disabled_router_is_taken_off_and_comes_back_with_its_address() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    networks = ports(site)["lrp-router0-ts"]["networks"]
    router_row(site, ONE)["enabled"] = False
    site.settle(asked(ONE))
    assert (ports(site), switch_ports(site)) == ({}, {})
    assert codes(site, asked(ONE)) == ["router-disabled"]
    router_row(site, ONE)["enabled"] = frozenset({True})
    site.settle(asked(ONE))
    assert ports(site)["lrp-router0-ts"]["networks"] == networks


def test_router_that_is_deleted_leaves_no_orphan_on_the_transit_switch() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    tables = site.db.tables[Db.NB]
    uuid = router_uuid(site, ONE)
    for port in tables["Logical_Router"].pop(uuid)["ports"]:
        del tables["Logical_Router_Port"][port]
    assert set(switch_ports(site)) == {"lsp-ts-router0"}
    site.settle(asked(ONE))
    assert switch_ports(site) == {}
    assert codes(site, asked(ONE)) == ["router-missing"]
    assert not plan_site(asked(ONE), site.observed).refused


def test_port_that_somebody_deletes_comes_back_as_it_was() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    before = ports(site)["lrp-router0-ts"]
    tables = site.db.tables[Db.NB]
    uuid = next(u for u, r in tables["Logical_Router_Port"].items() if r == before)
    del tables["Logical_Router_Port"][uuid]
    router_row(site, ONE)["ports"] -= {uuid}
    site.settle(asked(ONE))
    after = ports(site)["lrp-router0-ts"]
    assert (after["mac"], after["networks"]) == (before["mac"], before["networks"])


def test_surplus_of_learned_routes_is_removed_and_written_ones_stay() -> None:
    site = site_with(ONE)
    uuid = router_uuid(site, ONE)
    zone = site.mesh.foreign_zone("other")
    site.mesh.route(zone, "10.40.0.0/16")
    route(site, uuid, "203.0.113.0/24", learned=False)
    site.settle(asked(ONE))
    for _ in range(3):
        route(site, uuid, "10.40.0.0/16")
    assert len(surplus({}, site.observed)) == 2
    site.settle(asked(ONE))
    assert routes(site) == ["10.40.0.0/16", "203.0.113.0/24"]


def test_a_switch_that_went_to_another_router_leaves_routes_with_the_first_one_only() -> None:
    """Equal routes, but for the router: the second one's are in use."""
    site = site_with(ONE, TWO)
    site.settle(asked(ONE))
    zone = site.mesh.foreign_zone("other")
    site.mesh.route(zone, "10.40.0.0/16")
    site.settle(asked(TWO))
    left = {route(site, router_uuid(site, ONE), "10.40.0.0/16") for _ in range(3)}
    used = route(site, router_uuid(site, TWO), "10.40.0.0/16")
    assert {each.uuid for each in surplus({}, site.observed)} == left
    site.apply(plan_site(asked(TWO), site.observed))
    assert router_row(site, ONE)["static_routes"] == frozenset()
    assert router_row(site, TWO)["static_routes"] == {used}


def test_learned_routes_and_advertisements_of_a_disconnected_router_go() -> None:
    site = site_with(ONE, TWO, switches=2)
    site.settle(asked(ONE, TWO))
    route(site, router_uuid(site, TWO), "10.40.0.0/16", hop="169.254.101.9")
    for _ in range(2):
        route(site, router_uuid(site, ONE), "10.40.0.0/16")
    router_row(site, ONE)["enabled"] = False
    plan = plan_site(asked(ONE, TWO), site.observed)
    assert storming(site.observed)
    assert plan.pause_ovn_ic
    site.apply(plan)
    assert not storming(site.observed)
    advertised = {r["transit_switch"] for r in site.mesh.ic.tables[Db.IC_SB]["Route"].values()}
    assert advertised == {"ts", "ts1"}, "ovn-ic leaves them, and so do we while the port is there"
    site.apply(plan_site(asked(ONE, TWO), site.observed))
    advertised = {r["transit_switch"] for r in site.mesh.ic.tables[Db.IC_SB]["Route"].values()}
    assert advertised == {"ts1"}
    site.settle(asked(ONE, TWO))
    assert routes(site) == ["10.40.0.0/16"]


@pytest.mark.parametrize("noticed", [False, True])
def test_ovn_ic_forgets_the_router_of_a_port_that_lost_it_until_there_is_a_new_port(
    noticed: bool,
) -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    (binding,) = site.mesh.ic.tables[Db.IC_SB]["Port_Binding"].values()
    binding["external_ids"]["somebody"] = "else's"
    tables = site.db.tables[Db.NB]
    name = next(u for u, r in tables["Logical_Router_Port"].items() if r["name"].endswith("-ts"))
    del tables["Logical_Router_Port"][name]
    router_row(site, ONE)["ports"] -= {name}
    if noticed:  # ovn-ic has taken the address away, and writes routes as fast as it can
        site.ovn_ic()
        assert not binding["address"]
    assert storming(site.observed)
    plan = plan_site(asked(ONE), site.observed)
    assert plan.pause_ovn_ic
    assert plan.run_ovn_ic
    site.apply(plan)
    assert not storming(site.observed)
    assert binding["external_ids"] == {"somebody": "else's"}
    site.settle(asked(ONE))
    assert binding["address"]
    assert binding["external_ids"][keys.IC_ROUTER] == router_uuid(site, ONE)


def test_a_port_that_is_there_again_before_northd_knows_it_makes_no_storm() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    (binding,) = site.mesh.ic.tables[Db.IC_SB]["Port_Binding"].values()
    binding["address"] = ""
    plan = plan_site(asked(ONE), site.observed)
    assert plan.pause_ovn_ic
    site.apply(plan)
    assert not plan_site(asked(ONE), site.observed).pause_ovn_ic


def test_a_new_port_makes_no_storm() -> None:
    fresh = site_with(ONE)
    for _ in range(6):
        assert not storming(fresh.observed)
        fresh.apply(plan_site(asked(ONE), fresh.observed))
        fresh.agents()
        fresh.ovn_ic()


def test_routers_of_the_same_name_at_two_sites_have_ports_of_different_names() -> None:
    mesh = Mesh()
    first, second = site_with(ONE, mesh=mesh), Site(mesh, number=2)
    second.add_router(ONE, "192.168.7.1/24")
    first.settle(asked(ONE, az="os1"))
    second.settle(asked(ONE, az="os2"))
    assert set(switch_ports(first)) == {"lsp-ts-router0"}
    assert set(switch_ports(second)) == {"lsp-ts-router0-os2"}
    first.settle(asked(ONE, az="os1"))
    assert set(switch_ports(first)) == {"lsp-ts-router0"}


def test_a_router_that_is_renamed_keeps_its_ports() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    before = ports(site)
    site.routers = ()
    site.settle(asked(Router(ONE.name, "core")))
    assert ports(site) == before
    assert set(switch_ports(site)) == {"lsp-ts-router0"}


def test_availability_zone_is_renamed_without_touching_the_ports() -> None:
    site = site_with(ONE)
    site.settle(asked(ONE))
    before = ports(site)
    site.settle(asked(ONE, az="os9"))
    assert ports(site) == before


def test_ports_made_by_hand_are_adopted() -> None:
    site = site_with(ONE)
    site.db.tables[Db.NB]["NB_Global"][site.nb_global]["name"] = "os1"
    site.ovn_ic()
    uuid = router_uuid(site, ONE)
    mac, network = "00:02:ef:11:39:4f", "169.254.100.73/24"
    site.db.add_child(
        Db.NB,
        ("Logical_Router", uuid, "ports"),
        "Logical_Router_Port",
        name="lrp-router0-ts",
        mac=mac,
        networks=frozenset({network}),
        gateway_chassis=frozenset(),
        external_ids={},
    )
    site.settle(asked(ONE))
    assert ports(site)["lrp-router0-ts"]["mac"] == mac
    assert ports(site)["lrp-router0-ts"]["networks"] == frozenset({network})


def test_leaving_takes_all_of_ours_and_nothing_of_the_clouds() -> None:
    site = site_with(ONE, TWO, switches=2)
    foreign = {u: dict(r) for u, r in site.db.tables[Db.NB]["Logical_Router_Port"].items()}
    site.settle(asked(ONE, TWO))
    site.routers = ()  # a fresh process knows them from the record
    site.leave()
    assert (ports(site), switch_ports(site)) == ({}, {})
    assert site.db.tables[Db.NB]["Logical_Router_Port"] == foreign


@pytest.mark.parametrize("options", ["enable-chassis-as-gw", "x,enable-chassis-as-gw"])
def test_chassis_that_the_cloud_allows_are_the_gateways(options: str) -> None:
    site = site_with(ONE)
    word = wish("os1", keys.ENABLE_AS_GATEWAY, routers=(ONE,))
    assert codes(site, word) == ["gateway-unknown"]
    for row in site.db.tables[Db.SB]["Chassis"].values():
        if row["hostname"] != "gw":
            row["other_config"] = {keys.CMS_OPTIONS: options}
    marked = plan_site(word, site.observed).batches
    merged = [
        op.put[keys.GATEWAYS]
        for batch in marked
        for op in batch.operations
        if keys.GATEWAYS in getattr(op, "put", {})
    ]
    assert merged == ["chassis-n1,chassis-n2"]
