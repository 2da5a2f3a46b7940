"""What must hold for the planner whatever is configured and whatever the databases hold."""

import copy
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ownership import WatchedSite, signatures

from fake_mesh import CLUSTER_ROUTER, Mesh, Site, bind
from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import Db
from ovnmesh.model.denied import collect_reasons
from ovnmesh.model.desired import Desired, GatewayPolicy, Router
from ovnmesh.model.prefixes import Prefix, minimal, parse_prefix
from ovnmesh.model.remote import parse_remote
from ovnmesh.model.site_record import decode_desired, encode_desired
from ovnmesh.plan.decide.stages import is_parked
from ovnmesh.plan.site import plan_site

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

az_names = st.sampled_from(["az1", "prod-east", "a_b", "x.y"])
gateways = st.lists(st.sampled_from(["gw", "n1", "n2", "ghost"]), min_size=1, unique=True).map(
    tuple
)
prefixes = st.sampled_from(
    ["10.199.0.0/16", "10.16.0.0/24", "192.0.2.1/32", "fd00:10::/64", "10.0.0.0/8"]
).map(parse_prefix)
policies = st.builds(
    GatewayPolicy,
    active_active=st.booleans(),
    preempt=st.booleans(),
    bfd_min_rx_ms=st.sampled_from([100, 300]),
)


def wishes_with(policy: st.SearchStrategy[GatewayPolicy]) -> st.SearchStrategy[Desired]:
    return st.builds(
        Desired,
        az_name=az_names,
        gw_nodes=gateways,
        auto_route=st.booleans(),
        denied=st.dictionaries(prefixes, st.just(("opt-out",)), max_size=3),
        local=st.frozensets(prefixes, max_size=2),
        gateways=policy,
        routers=st.just((CLUSTER_ROUTER,)),
    )


wishes = wishes_with(policies)
#: In active-active, a gateway keeps what it has: then history shows, on purpose (ADR 0019).
wishes_without_memory = wishes_with(st.builds(GatewayPolicy, bfd_min_rx_ms=st.just(200)))


def connected_site(switches: int = 1) -> Site:
    mesh = Mesh(switches)
    zone = mesh.foreign_zone("other")
    mesh.foreign_port(zone, "ts-other", "00:00:00:50:ac:8c 169.254.100.45/24")
    mesh.route(zone, "10.40.0.0/16")
    return Site(mesh)


def foreign_rows(site: Site) -> dict:
    """Rows that are not ours, without the references parents hold to rows of ours."""
    tables = copy.deepcopy(site.db.tables[Db.NB])
    kept: dict = {}
    for table, rows in tables.items():
        for uuid, row in rows.items():
            ours = keys.OWNER in dict(row.get("external_ids", {}))
            if ours or table in ("NB_Global", "Gateway_Chassis", "Logical_Switch"):
                continue
            row.pop("ports", None)
            row.pop("policies", None)
            kept[table, uuid] = row
    return kept


@SLOW
@given(wishes, st.integers(1, 3))
def test_applying_a_plan_and_planning_again_gives_nothing(wish: Desired, switches: int) -> None:
    site = connected_site(switches)
    site.settle(wish)
    assert plan_site(wish, site.observed).batches == ()


@SLOW
@given(st.lists(wishes_without_memory, min_size=1, max_size=5))
def test_any_history_ends_in_the_rows_of_a_fresh_join(history: list[Desired]) -> None:
    """Same last wish, same rows: what came before does not show.

    Gateway rows are compared without those of unknown nodes: with no usable gateway the last good
    one is kept on purpose.
    """
    travelled, fresh = connected_site(), connected_site()
    for wish in history:
        travelled.settle(wish)
    last = history[-1]
    fresh.settle(last)
    assert essence(travelled, last) == essence(fresh, last)


def essence(site: Site, wish: Desired) -> dict:
    nb = site.db.tables[Db.NB]
    glob = next(iter(nb["NB_Global"].values()))
    ports = {
        row["name"]: (row["mac"].lower(), row["networks"])
        for row in nb["Logical_Router_Port"].values()
    }
    usable = set(wish.gw_nodes) - {"ghost"}
    chassis = {
        (row["name"], row["chassis_name"], row["priority"])
        for row in nb.get("Gateway_Chassis", {}).values()
    }
    options = dict(glob["options"])
    if not usable:
        chassis, options = set(), {k: v for k, v in options.items() if k != keys.GATEWAYS}
    ic = site.mesh.ic.tables
    zones = {u: r["name"] for u, r in ic[Db.IC_SB]["Availability_Zone"].items()}
    return {
        "name": glob["name"],
        "options": options,
        "ports": ports,
        "chassis": chassis,
        "lsps": {
            row["name"]: (row["type"], row.get("options", {}))
            for row in nb.get("Logical_Switch_Port", {}).values()
            if row["type"] == "router"
        },
        "bfd": {(row["chassis_name"], row["priority"]) for row in nb.get("HA_Chassis", {}).values()}
        if usable
        else set(),
        "policies": {
            (row["priority"], row["match"]) for row in nb["Logical_Router_Policy"].values()
        },
        "zones": set(zones.values()),
        "routes": {
            (zones[r["availability_zone"]], r["ip_prefix"])
            for r in ic[Db.IC_SB].get("Route", {}).values()
        },
        "claims": next(iter(ic[Db.IC_NB]["IC_NB_Global"].values()))["external_ids"],
    }


@SLOW
@given(st.lists(wishes, min_size=1, max_size=4))
def test_foreign_rows_survive_everything(history: list[Desired]) -> None:
    site = connected_site()
    before = foreign_rows(site)
    ic = copy.deepcopy(
        {t: r for t, r in site.mesh.ic.tables[Db.IC_SB].items() if t != "Datapath_Binding"}
    )
    for wish in history:
        site.settle(wish)
        assert foreign_rows(site) == before
    site.leave()
    assert foreign_rows(site) == before
    after = site.mesh.ic.tables[Db.IC_SB]
    for table, rows in ic.items():
        for uuid, row in rows.items():
            assert after[table][uuid] == row


@SLOW
@given(st.lists(wishes, min_size=1, max_size=3))
def test_leaving_after_joining_restores_to_the_letter(history: list[Desired]) -> None:
    site = connected_site()
    nb = copy.deepcopy(site.db.tables[Db.NB])
    ic_nb = copy.deepcopy(site.mesh.ic.tables[Db.IC_NB])
    for wish in history:
        site.settle(wish)
    site.leave()
    after = {table: rows for table, rows in site.db.tables[Db.NB].items() if rows}
    assert after == {table: rows for table, rows in nb.items() if rows}
    assert site.mesh.ic.tables[Db.IC_NB] == ic_nb


@SLOW
@given(wishes, st.integers(0, 6), st.integers(0, 6))
def test_a_crash_between_any_two_transactions_does_not_matter(
    wish: Desired, passes: int, batches: int
) -> None:
    """Stop after any transaction of any pass; a new controller ends in the same rows."""
    crashed, fresh = connected_site(), connected_site()
    for _ in range(passes):
        crashed.apply(plan_site(wish, crashed.observed))
        crashed.agents()
        crashed.ovn_ic()
    plan = plan_site(wish, crashed.observed)
    for batch in plan.batches[:batches]:
        (crashed.mesh.ic if batch.db in (Db.IC_NB, Db.IC_SB) else crashed.db).apply([batch])
    crashed.settle(wish)
    fresh.settle(wish)
    assert essence(crashed, wish) == essence(fresh, wish)


switch_events = st.lists(
    st.tuples(st.sampled_from(["add", "drain", "undrain", "pass"]), st.integers(0, 2)),
    max_size=12,
)


@SLOW
@given(switch_events, st.booleans())
def test_switches_come_and_go_and_one_always_serves(
    events: list[tuple[str, int]], patient: bool
) -> None:
    """A site that serves goes on serving while one switch is not to be drained."""
    site, wish = Site(Mesh()), Desired("az1", ("gw",), True, routers=(CLUSTER_ROUTER,))
    site.settle(wish)
    for what, index in events:
        rows = site.mesh.ic.tables[Db.IC_NB]["Transit_Switch"]
        name = f"ts{index or ''}"
        row = next((row for row in rows.values() if row["name"] == name), None)
        kept = {r["name"] for r in rows.values() if keys.DRAINING not in r["external_ids"]}
        if what == "add" and row is None:
            site.mesh.add_switch(index)
        elif what == "drain" and row is not None and (serving(site) & kept) - {name}:
            row["external_ids"] = {**row["external_ids"], keys.DRAINING: "true"}
        elif what == "undrain" and row is not None:
            row["external_ids"].pop(keys.DRAINING, None)
        pending = plan_site(wish, site.observed).pending if patient else {}
        site.apply(plan_site(wish, site.observed, pending))
        site.ovn_ic()
        bind(site)
        assert serving(site)
    for _ in range(3):
        site.settle(wish)
        bind(site)
    assert plan_site(wish, site.observed).batches == ()
    switches = site.observed.ic.transit_switches
    wanted = {name for name, ts in switches.items() if not ts.draining}
    assert serving(site) == wanted
    assert {name for name, ts in switches.items() if ts.claims} == wanted


def serving(site: Site) -> set[str]:
    ports = site.observed.under("az1").ports
    return {ts for ts, port in ports.items() if not is_parked(port)}


@SLOW
@given(st.permutations([0, 1, 2]), st.lists(az_names, min_size=3, max_size=3, unique=True))
def test_sites_never_share_an_address_whatever_the_order(
    order: list[int], names: list[str]
) -> None:
    mesh = Mesh()
    sites = [
        Site(mesh, f"10.{20 + n}.0.1/16", f"100.{70 + n}.0.1/16", number=n + 1) for n in range(3)
    ]
    for n in order:
        sites[n].settle(Desired(names[n], ("gw",), True, routers=(CLUSTER_ROUTER,)))
    addresses = [row["address"] for row in mesh.ic.tables[Db.IC_SB]["Port_Binding"].values()]
    macs = {address.split()[0] for address in addresses}
    assert len(addresses) == 3
    assert len({address.split()[1] for address in addresses}) == 3
    assert len(macs) == 3


#: Whatever text a database can hold: no halves of characters.
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
anywhere = st.one_of(
    st.builds(
        lambda first, length: Prefix(4, first, 32).widened(length),
        st.integers(0, 2**32 - 1),
        st.integers(1, 32),
    ),
    st.builds(
        lambda first, length: Prefix(6, first, 128).widened(length),
        st.integers(0, 2**128 - 1),
        st.integers(1, 128),
    ),
)
anything = st.builds(
    Desired,
    az_name=words,
    gw_nodes=st.lists(words).map(tuple),
    auto_route=st.booleans(),
    denied=st.lists(st.tuples(anywhere, words)).map(collect_reasons),
    local=st.frozensets(anywhere),
    gateways=st.from_type(GatewayPolicy),
    routers=st.lists(st.from_type(Router)).map(tuple),
    shared_database=st.booleans(),
    ic_nb=words.map(parse_remote),
    ic_sb=words.map(parse_remote),
)


@given(st.one_of(wishes, anything))
def test_record_round_trip(wish: Desired) -> None:
    text = encode_desired(wish)
    record = decode_desired(text, "another")
    assert record == wish
    assert encode_desired(record) == text


@given(st.one_of(st.text(max_size=60), st.recursive(st.none() | words, st.lists).map(json.dumps)))
def test_any_text_as_record_is_harmless(text: str) -> None:
    assert decode_desired(text, "r") is None


@given(st.lists(prefixes, max_size=6))
def test_minimal_list_denies_exactly_the_same(given_prefixes: list) -> None:
    kept = minimal(given_prefixes)
    assert all(any(k.contains(p) for k in kept) for p in given_prefixes)
    assert set(kept) <= set(given_prefixes)
    assert kept == minimal(reversed(given_prefixes))


@SLOW
@given(st.lists(wishes, min_size=1, max_size=4), st.integers(1, 2))
def test_every_row_is_written_by_the_module_that_owns_it(
    history: list[Desired], switches: int
) -> None:
    with signatures() as ledger:
        site = WatchedSite(connected_site(switches).mesh, ledger=ledger)
        for wish in history:
            site.settle(wish)
        site.leave()
