"""Every rule of the planner: no-op, add, change, remove, foreign rows untouched."""

import copy
from dataclasses import replace

import pytest

from fake_mesh import Mesh, Site, wish
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db, Delete, Insert, Update
from ovnmesh.model.prefixes import parse_prefix
from ovnmesh.plan.leave import UNMARKED, UNMARKED_S, plan_forget, plan_leave
from ovnmesh.plan.site import plan_site


def rows(site: Site, table: str, db: Db = Db.NB) -> list[dict]:
    source = site.mesh.ic if db in (Db.IC_NB, Db.IC_SB) else site.db
    return list(source.tables[db].get(table, {}).values())


def by_name(site: Site, table: str, name: str) -> dict:
    return next(row for row in rows(site, table) if row["name"] == name)


def nb_options(site: Site) -> dict[str, str]:
    return rows(site, "NB_Global")[0]["options"]


def carriers(site: Site) -> list[str]:
    """Gateway chassis, most preferred first."""
    found = sorted(rows(site, "Gateway_Chassis"), key=lambda row: -row["priority"])
    return [row["chassis_name"] for row in found]


@pytest.fixture
def site() -> Site:
    return Site(Mesh())


def test_join_makes_the_documents_ports(site: Site) -> None:
    site.settle(wish())
    lrp = by_name(site, "Logical_Router_Port", "az1-ts")
    lsp = by_name(site, "Logical_Switch_Port", "ts-az1")
    assert lsp["type"] == "router"
    assert lsp["addresses"] == frozenset({"router"})
    assert lsp["options"]["router-port"] == "az1-ts"
    (network,) = lrp["networks"]
    assert network.startswith("169.254.100.")
    assert network.endswith("/24")
    assert rows(site, "NB_Global")[0]["name"] == "az1"
    assert nb_options(site)[keys.ROUTE_ADV] == "true"
    assert nb_options(site)[keys.ROUTE_LEARN] == "true"
    policies = {
        (p["priority"], p["match"], p["action"]) for p in rows(site, "Logical_Router_Policy")
    }
    assert (29500, 'outport == "az1-ts"', "allow") in policies
    assert (29000, "ip4.src == 10.16.0.2", "reroute") in policies


def test_healthy_site_needs_nothing(site: Site) -> None:
    site.settle(wish())
    plan = plan_site(wish(), site.observed)
    assert plan.batches == ()
    assert plan.findings == ()


def test_gateway_is_promoted_only_after_it_is_marked_and_published(site: Site) -> None:
    for _ in range(3):
        site.apply(plan_site(wish(), site.observed))
        site.ovn_ic()
    assert nb_options(site)[keys.GATEWAYS] == "chassis-gw"
    assert rows(site, "Gateway_Chassis") == []
    site.settle(wish())
    assert carriers(site) == ["chassis-gw"]


def test_gateway_appended_changes_one_row(site: Site) -> None:
    site.settle(wish("az1", "gw"))
    before = copy.deepcopy(rows(site, "Gateway_Chassis"))
    site.settle(wish("az1", "gw", "n1"))
    assert [row for row in rows(site, "Gateway_Chassis") if row in before] == before
    assert carriers(site) == ["chassis-gw", "chassis-n1"]


def bfd_members(site: Site) -> set[str]:
    return {row["chassis_name"] for row in rows(site, "HA_Chassis")}


def test_bfd_runs_between_the_gateway_and_witnesses_that_carry_no_traffic(site: Site) -> None:
    site.settle(wish("az1", "gw"))
    assert bfd_members(site) == {"chassis-gw", "chassis-n1", "chassis-n2"}
    assert carriers(site) == ["chassis-gw"]
    assert nb_options(site)[keys.GATEWAYS] == "chassis-gw", "a witness is not marked"
    port = by_name(site, "Logical_Switch_Port", keys.BFD_NAME)
    assert port["type"] == "external"
    assert port["ha_chassis_group"] in site.db.tables[Db.NB]["HA_Chassis_Group"]


def test_bfd_group_follows_the_gateways() -> None:
    site = Site(Mesh(), nodes=("a", "b", "c", "d", "e"))
    site.settle(wish("az1", "e"))
    assert bfd_members(site) == {"chassis-e", "chassis-a", "chassis-b"}
    site.settle(wish("az1", "e", "d", "c", "b"))
    assert bfd_members(site) == {"chassis-b", "chassis-c", "chassis-d", "chassis-e"}


def test_a_single_chassis_has_no_bfd_group() -> None:
    site = Site(Mesh(), nodes=("gw",))
    site.settle(wish("az1", "gw"))
    assert rows(site, "HA_Chassis_Group") == []


def test_gateways_reordered_in_place(site: Site) -> None:
    site.settle(wish("az1", "gw", "n1"))
    uuids = set(site.db.tables[Db.NB]["Gateway_Chassis"])
    site.settle(wish("az1", "n1", "gw"))
    assert set(site.db.tables[Db.NB]["Gateway_Chassis"]) == uuids
    assert carriers(site) == ["chassis-n1", "chassis-gw"]


def test_gateway_replaced_only_when_the_new_one_is_ready(site: Site) -> None:
    site.settle(wish("az1", "gw"))
    plan = plan_site(wish("az1", "n1"), site.observed)
    assert not any(isinstance(op, Delete) for batch in plan.batches for op in batch.operations)
    site.settle(wish("az1", "n1"))
    assert carriers(site) == ["chassis-n1"]
    assert nb_options(site)[keys.GATEWAYS] == "chassis-n1"


def test_active_gateway_stays_marked_until_it_is_drained(site: Site) -> None:
    site.settle(wish("az1", "gw", "n1"))
    chassis = next(u for u, r in site.db.tables[Db.SB]["Chassis"].items() if r["hostname"] == "gw")
    binding = site.db.add(
        Db.SB, "Port_Binding", logical_port="cr-az1-ts", chassis=frozenset({chassis})
    )
    site.settle(wish("az1", "n1"))
    assert "chassis-gw" in nb_options(site)[keys.GATEWAYS]
    site.db.tables[Db.SB]["Port_Binding"][binding]["chassis"] = frozenset()
    site.settle(wish("az1", "n1"))
    assert nb_options(site)[keys.GATEWAYS] == "chassis-n1"


def test_unknown_gateway_is_reported_and_harms_nobody(site: Site) -> None:
    site.settle(wish("az1", "gw"))
    before = copy.deepcopy(rows(site, "Gateway_Chassis"))
    plan = site.settle(wish("az1", "nowhere"))
    assert rows(site, "Gateway_Chassis") == before
    assert [finding.code for finding in plan.findings] == ["gateway-unknown"]
    assert "gw, n1, n2" in plan.findings[0].message


def test_auto_route_false_neither_advertises_nor_learns(site: Site) -> None:
    site.settle(wish())
    site.settle(wish(auto_route=False))
    assert nb_options(site)[keys.ROUTE_ADV] == "false"
    assert nb_options(site)[keys.ROUTE_LEARN] == "false"
    assert by_name(site, "Logical_Router_Port", "az1-ts")


def test_deny_list_is_sorted_minimal_and_keeps_what_stood_there(site: Site) -> None:
    options = rows(site, "NB_Global")[0]["options"]
    options[keys.ROUTE_BLACKLIST] = "192.0.2.0/24"
    denied = {parse_prefix("10.199.0.0/16"): ("x",), parse_prefix("10.199.4.0/24"): ("y",)}
    site.settle(wish(denied=denied))
    assert nb_options(site)[keys.ROUTE_BLACKLIST] == "10.199.0.0/16,169.254.0.0/16,192.0.2.0/24"
    assert keys.ROUTE_DENYLIST not in nb_options(site)


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("23.03.1-20.27.0-70.6", {"ic-route-blacklist"}),
        # The ovn-ic we run may be older than the site's OVN, and knows the old name only.
        ("24.09.0-20.37.0", {"ic-route-blacklist", "ic-route-denylist"}),
        ("", {"ic-route-blacklist", "ic-route-denylist"}),
    ],
)
def test_deny_list_is_where_the_ovn_ic_we_run_looks(version: str, names: set[str]) -> None:
    site = Site(Mesh(), version=version)
    site.settle(wish())
    assert {name for name in nb_options(site) if name.endswith("list")} == names


def test_ipv6_link_local_is_not_denied_where_that_blocks_all_ipv6() -> None:
    old, new = Site(Mesh()), Site(Mesh(), version="25.03.2-1")
    old.settle(wish())
    new.settle(wish())
    assert "fe80" not in nb_options(old)[keys.ROUTE_BLACKLIST]
    assert "fe80::/10" in nb_options(new)[keys.ROUTE_DENYLIST]


def test_second_site_with_the_same_name_is_refused_with_the_owner_named(site: Site) -> None:
    site.settle(wish())
    before = copy.deepcopy(site.mesh.ic.tables)
    rival = Site(site.mesh, "10.17.0.1/16", "100.65.0.1/16", number=2)
    plan = plan_site(wish(), rival.observed)
    assert plan.refused
    assert plan.batches == ()
    assert plan.findings[0].code == "az-name-taken"
    assert site.nb_global in plan.findings[0].message
    assert site.mesh.ic.tables == before


def test_name_of_a_site_run_by_hand_is_refused(site: Site) -> None:
    zone = site.mesh.foreign_zone("az1")
    site.mesh.foreign_port(zone, "ts-az1", "00:00:00:50:ac:8c 169.254.100.45/24")
    plan = plan_site(wish(), site.observed)
    assert plan.refused
    assert "ovnmesh does not run" in plan.findings[0].message


def test_addresses_of_others_are_respected_and_a_later_collision_moves_ours(site: Site) -> None:
    site.settle(wish())
    (network,) = by_name(site, "Logical_Router_Port", "az1-ts")["networks"]
    zone = site.mesh.foreign_zone("byhand")
    port = site.mesh.foreign_port(zone, "ts-byhand", f"00:00:00:50:ac:8c {network}")
    plan = plan_site(wish(), site.observed)
    assert "address-moved" in [finding.code for finding in plan.findings]
    site.settle(wish())
    (moved,) = by_name(site, "Logical_Router_Port", "az1-ts")["networks"]
    assert moved != network
    assert site.mesh.ic.tables[Db.IC_SB]["Port_Binding"][port]["address"].endswith(network)


def test_ports_made_by_kube_ovn_are_adopted_in_place(site: Site) -> None:
    rows(site, "NB_Global")[0]["name"] = "az1"
    site.ovn_ic()
    switch = next(iter(site.db.tables[Db.NB]["Logical_Switch"]))
    lrp = site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "ports"),
        "Logical_Router_Port",
        name="az1-ts",
        mac="00:00:00:50:AC:8C",
        networks=frozenset({"169.254.100.45/24"}),
        gateway_chassis=frozenset(),
        external_ids={},
    )
    lsp = site.db.add_child(
        Db.NB,
        ("Logical_Switch", switch, "ports"),
        "Logical_Switch_Port",
        name="ts-az1",
        type="router",
        addresses=frozenset({"router"}),
        options={"router-port": "az1-ts"},
        external_ids={"vendor": "kube-ovn"},
    )
    site.settle(wish())
    adopted = site.db.tables[Db.NB]["Logical_Router_Port"][lrp]
    assert adopted["networks"] == frozenset({"169.254.100.45/24"})
    assert adopted["mac"] == "00:00:00:50:AC:8C"
    assert site.db.tables[Db.NB]["Logical_Switch_Port"][lsp]["external_ids"]["vendor"] == "kube-ovn"
    assert len([r for r in rows(site, "Logical_Router_Port") if "ts" in r["name"].split("-")]) == 1


def test_the_router_port_waits_for_the_switch_port_s_tunnel_key(site: Site) -> None:
    """Made together, the gateway may keep northd's key, and the site stays dark (ADR 0011)."""
    nb = site.db.tables[Db.NB]
    site.apply(plan_site(wish(), site.observed))
    site.ovn_ic()
    site.apply(plan_site(wish(), site.observed))
    assert by_name(site, "Logical_Switch_Port", "ts-az1")
    names = {row["name"] for row in nb["Logical_Router_Port"].values()}
    assert "az1-ts" not in names
    waiting = plan_site(wish(), site.observed)
    assert (waiting.batches, waiting.waiting) == ((), ("ts",))
    site.ovn_ic()
    site.ovn_ic()
    site.apply(plan_site(wish(), site.observed))
    assert by_name(site, "Logical_Router_Port", "az1-ts")
    assert plan_site(wish(), site.observed).waiting == ()


def test_leaving_before_the_tunnel_key_came_takes_the_switch_port_away(site: Site) -> None:
    nb = site.db.tables[Db.NB]
    before = {table: dict(rows) for table, rows in nb.items()}
    site.apply(plan_site(wish(), site.observed))
    site.ovn_ic()
    site.apply(plan_site(wish(), site.observed))
    site.leave()
    assert {table: dict(rows) for table, rows in nb.items() if rows} == before


def test_transit_switch_deleted_before_the_tunnel_key_came(site: Site) -> None:
    """The switch is not replicated any more, and goes with ovn-ic; the plan must not stumble."""
    site.apply(plan_site(wish(), site.observed))
    site.ovn_ic()
    site.apply(plan_site(wish(), site.observed))
    assert site.observed.nb.served_switches() == {"ts"}
    observed = site.observed
    gone = replace(observed, nb=replace(observed.nb, switches={}))
    gone = replace(gone, ic=replace(gone.ic, transit_switches={}))
    assert plan_site(wish(), gone).waiting == ()
    assert plan_leave(gone, {UNMARKED: UNMARKED_S}).batches


def test_rename_changes_rows_in_place_with_ovn_ic_paused(site: Site) -> None:
    site.settle(wish("az1"))
    nb, ic = site.db.tables[Db.NB], site.mesh.ic.tables[Db.IC_SB]
    before = {table: set(nb[table]) for table in nb}
    zones = set(ic["Availability_Zone"])
    routes = set(ic["Route"])
    plan = plan_site(wish("prod-east"), site.observed)
    assert plan.pause_ovn_ic
    assert not any(isinstance(o, Delete | Insert) for b in plan.batches for o in b.operations)
    site.settle(wish("prod-east"))
    assert {table: set(nb[table]) for table in nb} == before
    assert set(ic["Availability_Zone"]) == zones
    assert set(ic["Route"]) == routes
    assert [row["name"] for row in ic["Availability_Zone"].values()] == ["prod-east"]
    assert by_name(site, "Logical_Router_Port", "prod-east-ts")
    lsp = by_name(site, "Logical_Switch_Port", "ts-prod-east")
    assert lsp["options"]["router-port"] == "prod-east-ts"
    claims = rows(site, "IC_NB_Global", Db.IC_NB)[0]["external_ids"]
    assert claims == {keys.AZ_CLAIM + "prod-east": site.nb_global}


def test_transit_switch_added_leaves_the_first_alone(site: Site) -> None:
    site.settle(wish())
    before = copy.deepcopy(by_name(site, "Logical_Router_Port", "az1-ts"))
    site.mesh.add_switch(1)
    site.settle(wish())
    assert by_name(site, "Logical_Router_Port", "az1-ts") == before
    assert by_name(site, "Logical_Router_Port", "az1-ts1")


def test_transit_switch_deleted_takes_our_dangling_port_away(site: Site) -> None:
    site.mesh.add_switch(1)
    site.settle(wish())
    nb, icnb = site.db.tables[Db.NB], site.mesh.ic.tables[Db.IC_NB]
    for table in (nb["Logical_Switch"], icnb["Transit_Switch"]):
        for uuid, row in list(table.items()):
            if row["name"] == "ts1":
                del table[uuid]
    site.settle(wish())
    names = {row["name"] for row in rows(site, "Logical_Router_Port")}
    assert "az1-ts" in names
    assert "az1-ts1" not in names


def test_empty_interconnection_database_is_refused(site: Site) -> None:
    site.settle(wish())
    site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].clear()
    plan = plan_site(wish(), site.observed)
    assert plan.refused
    assert plan.batches == ()
    assert not plan.run_ovn_ic, "it would delete the switch under the traffic"


def test_transit_switch_without_subnet_is_reported(site: Site) -> None:
    next(iter(site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"].values()))["external_ids"] = {}
    plan = site.settle(wish())
    assert [finding.code for finding in plan.findings][:1] == ["transit-switch-unusable"]


def test_dual_stack_transit_switch_gets_both_addresses() -> None:
    site = Site(Mesh(subnets=("169.254.{n}.0/24", "fd00:a9fe:{n}::/112")))
    site.settle(wish())
    networks = by_name(site, "Logical_Router_Port", "az1-ts")["networks"]
    assert len(networks) == 2


def test_missing_router_is_reported_and_nothing_written(site: Site) -> None:
    del site.db.tables[Db.NB]["Logical_Router"][site.router]
    plan = plan_site(wish(), site.observed)
    assert plan.refused
    assert not plan.batches
    assert plan.findings[0].code == "router-missing"


def test_moving_to_fresh_interconnection_databases_brings_the_tunnel_keys(site: Site) -> None:
    site.mesh.foreign_zone("other")
    site.settle(wish())
    lsp = by_name(site, "Logical_Switch_Port", "ts-az1")
    lsp["options"]["requested-tnl-key"] = "7"
    key = by_name(site, "Logical_Switch", "ts")["other_config"][keys.REQUESTED_TNL_KEY]
    site.mesh = Mesh()
    site.apply(plan_site(wish(), site.observed))
    ic = site.mesh.ic.tables[Db.IC_SB]
    assert [row["tunnel_key"] for row in ic["Datapath_Binding"].values()] == [int(key)]
    (port,) = ic["Port_Binding"].values()
    assert (port["logical_port"], port["tunnel_key"]) == ("ts-az1", 7)
    assert ic["Availability_Zone"][port["availability_zone"]]["name"] == "az1"


def test_leave_restores_the_databases_to_the_letter(site: Site) -> None:
    site.ovn_ic()
    nb, sb = copy.deepcopy(site.db.tables[Db.NB]), copy.deepcopy(site.db.tables[Db.SB])
    ic = copy.deepcopy(site.mesh.ic.tables[Db.IC_NB])
    site.settle(wish())
    site.leave()

    def without_empty(tables: dict) -> dict:
        return {name: table for name, table in tables.items() if table}

    assert without_empty(site.db.tables[Db.NB]) == without_empty(nb)
    for row in site.db.tables[Db.SB]["Chassis"].values():
        row["other_config"].pop(keys.IS_INTERCONN)
    assert without_empty(site.db.tables[Db.SB]) == without_empty(sb)
    assert site.mesh.ic.tables[Db.IC_NB] == ic
    left = site.mesh.ic.tables[Db.IC_SB]
    assert not any(left.get(t) for t in ("Route", "Port_Binding", "Gateway", "Availability_Zone"))


def test_leave_keeps_other_sites_and_foreign_rows(site: Site) -> None:
    other = Site(site.mesh, "10.17.0.1/16", "100.65.0.1/16", number=2)
    other.settle(wish("az2"))
    ic = {
        t: set(rows) for t, rows in site.mesh.ic.tables[Db.IC_SB].items() if t != "Datapath_Binding"
    }
    site.settle(wish("az1"))
    site.leave()
    after = {t: set(r) for t, r in site.mesh.ic.tables[Db.IC_SB].items() if t != "Datapath_Binding"}
    assert after == ic
    assert plan_site(wish("az2"), other.observed).batches == ()


def test_nothing_to_leave_is_nothing_to_do(site: Site) -> None:
    assert site.leave().batches == ()


def test_no_update_names_a_foreign_row(site: Site) -> None:
    foreign = {uuid for table in site.db.tables[Db.NB].values() for uuid in table}
    plan = plan_site(wish(), site.observed)
    for batch in plan.batches:
        if batch.db is Db.NB:
            for op in batch.operations:
                if isinstance(op, Update | Delete):
                    assert op.uuid not in foreign - {site.nb_global}


def static_route(site: Site, prefix: str, nexthop: str, **more: object) -> str:
    return site.db.add_child(
        Db.NB,
        ("Logical_Router", site.router, "static_routes"),
        "Logical_Router_Static_Route",
        ip_prefix=prefix,
        nexthop=nexthop,
        options={},
        external_ids={},
        **more,
    )


def test_manual_routes_to_a_transit_switch_are_never_advertised(site: Site) -> None:
    static_route(site, "10.17.0.0/24", "169.254.100.31")
    static_route(site, "10.42.1.1", "100.64.0.2")
    site.settle(wish())
    denied = nb_options(site)[keys.ROUTE_BLACKLIST].split(",")
    assert "10.17.0.0/24" in denied
    assert not any(entry.startswith("10.42") for entry in denied)


def test_a_local_static_route_counts_as_ours_in_conflicts(site: Site) -> None:
    static_route(site, "10.40.0.0/16", "100.64.0.2")
    static_route(site, "10.16.0.2", "100.64.0.2", policy=frozenset({"src-ip"}))
    static_route(site, "0.0.0.0/0", "100.64.0.1")
    zone = site.mesh.foreign_zone("byhand")
    site.mesh.foreign_port(zone, "ts-byhand", "00:00:00:50:ac:8c 169.254.100.45/24")
    site.mesh.route(zone, "10.40.0.0/16")
    plan = plan_site(wish(), site.observed)
    assert [finding.code for finding in plan.findings if "conflict" in finding.code] == [
        "cidr-conflict"
    ]


def test_static_routes_of_other_routers_are_not_ours(site: Site) -> None:
    static_route(site, "10.40.0.0/16", "192.0.2.1")
    zone = site.mesh.foreign_zone("byhand")
    site.mesh.foreign_port(zone, "ts-byhand", "00:00:00:50:ac:8c 169.254.100.45/24")
    site.mesh.route(zone, "10.40.0.0/16")
    assert not any("conflict" in f.code for f in plan_site(wish(), site.observed).findings)


def test_a_manual_route_wider_than_a_subnet_of_ours_does_not_withdraw_it(site: Site) -> None:
    static_route(site, "10.0.0.0/8", "169.254.100.31")
    plan = site.settle(wish())
    assert "10.0.0.0/8" not in nb_options(site)[keys.ROUTE_BLACKLIST].split(",")
    assert [finding.code for finding in plan.findings] == ["manual-route-wide"]


def test_forgetting_a_site_that_is_gone_frees_its_name(site: Site) -> None:
    site.settle(wish())
    other = Site(site.mesh, "10.17.0.1/16", "100.65.0.1/16", number=2)
    other.settle(wish("az2"))
    for batch in plan_forget("az1", other.observed.ic):
        site.mesh.ic.apply([batch])
    ic = other.observed.ic
    assert set(ic.zones.values()) == {"az2"}
    assert {route.az for route in ic.routes} == {"az2"}
    assert set(ic.az_owner) == {"az2"}
    assert all(site.nb_global not in ts.claims for ts in ic.transit_switches.values())
    assert plan_forget("az1", ic) == ()
    assert plan_site(wish("az2"), other.observed).batches == ()
