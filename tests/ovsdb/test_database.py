"""`ovsdb.database` against real servers: reading, writing, conflicts, loss and return."""

import json
import threading

import pytest

from ovnmesh.errors import OvsdbRejected, OvsdbUnavailable, StalePlan
from ovnmesh.model.changes import (
    Batch,
    Db,
    Delete,
    Expect,
    Insert,
    MergeKeys,
    Named,
    Parent,
    Update,
    Uuid,
)
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.schema import LEARNED, Selection, View, northbound
from servers import wait_for

ROUTES = "Logical_Router_Static_Route"
WHOLE = View(
    Db.NB,
    {
        "NB_Global": ("name", "options", "external_ids"),
        "Logical_Router": ("name", "ports"),
        "Logical_Router_Port": ("name", "mac", "networks", "gateway_chassis", "external_ids"),
        "Gateway_Chassis": ("name", "chassis_name", "priority"),
        "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "options", "external_ids"),
    },
)


@pytest.fixture
def nb(server):
    started = server(Db.NB)
    started.transact(
        {"op": "insert", "table": "NB_Global", "row": {"options": ["map", [["mine", "1"]]]}},
        {"op": "insert", "table": "Logical_Router", "row": {"name": "ovn-cluster"}},
    )
    return started


@pytest.fixture
def database(nb):
    made = Database(parse_remote(nb.remote), WHOLE)
    made.connect()
    yield made
    made.close()


def only(database: Database, table: str) -> tuple[str, dict]:
    ((uuid, row),) = database.snapshot()[table].items()
    return uuid, dict(row)


def test_insert_with_parent_and_child_in_one_transaction(database: Database) -> None:
    router, _ = only(database, "Logical_Router")
    port = Insert(
        "Logical_Router_Port",
        {
            "name": "az1-ts",
            "mac": "0a:00:00:00:00:01",
            "networks": frozenset({"169.254.100.45/24"}),
            "external_ids": {"a": "b"},
        },
        "lrp",
        Parent("Logical_Router", Uuid(router), "ports"),
    )
    gateway = Insert(
        "Gateway_Chassis",
        {"name": "az1-ts_gw", "chassis_name": "gw", "priority": 100},
        "gc",
        Parent("Logical_Router_Port", Named("lrp"), "gateway_chassis"),
    )
    database.apply(Batch(Db.NB, (port, gateway)))
    uuid, row = only(database, "Logical_Router_Port")
    gc, gc_row = only(database, "Gateway_Chassis")
    assert row["networks"] == frozenset({"169.254.100.45/24"})
    assert row["gateway_chassis"] == frozenset({gc})
    assert gc_row == {"name": "az1-ts_gw", "chassis_name": "gw", "priority": 100}
    assert only(database, "Logical_Router")[1]["ports"] == frozenset({uuid})
    database.apply(
        Batch(
            Db.NB,
            (Delete("Logical_Router_Port", uuid, Parent("Logical_Router", Uuid(router), "ports")),),
        )
    )
    assert database.snapshot()["Logical_Router_Port"] == {}
    assert database.snapshot()["Gateway_Chassis"] == {}


def test_merge_keys_keeps_a_rivals_keys(database: Database, nb) -> None:
    uuid, _ = only(database, "NB_Global")
    nb.transact(
        {
            "op": "mutate",
            "table": "NB_Global",
            "where": [],
            "mutations": [["options", "insert", ["map", [["rival", "2"]]]]],
        }
    )
    database.apply(
        Batch(Db.NB, (MergeKeys("NB_Global", uuid, "options", {"mine": "3"}, frozenset({"x"})),))
    )
    assert only(database, "NB_Global")[1]["options"] == {"mine": "3", "rival": "2"}


def test_expect_refuses_when_a_rival_was_faster(database: Database, nb) -> None:
    uuid, _row = only(database, "NB_Global")
    change = (
        Expect("NB_Global", uuid, "external_ids", {}),
        MergeKeys("NB_Global", uuid, "external_ids", {"claim": "me"}),
    )
    nb.transact(
        {
            "op": "update",
            "table": "NB_Global",
            "where": [],
            "row": {"external_ids": ["map", [["claim", "rival"]]]},
        }
    )
    with pytest.raises(StalePlan):
        database.apply(Batch(Db.NB, change))
    wait_for(lambda: only(database, "NB_Global")[1]["external_ids"] == {"claim": "rival"})


def test_two_claimants_race_and_exactly_one_wins(nb) -> None:
    first, second = (Database(parse_remote(nb.remote), WHOLE) for _ in range(2))
    first.connect()
    second.connect()
    uuid, _ = only(first, "NB_Global")
    won: list[str] = []
    barrier = threading.Barrier(2)

    def claim(database: Database, name: str) -> None:
        change = (
            Expect("NB_Global", uuid, "external_ids", {}),
            MergeKeys("NB_Global", uuid, "external_ids", {"claim": name}),
        )
        barrier.wait()
        try:
            database.apply(Batch(Db.NB, change))
            won.append(name)
        except StalePlan:
            pass

    threads = [
        threading.Thread(target=claim, args=(first, "a")),
        threading.Thread(target=claim, args=(second, "b")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert only(first, "NB_Global")[1]["external_ids"] == {"claim": won[0]}
    first.close()
    second.close()


def test_rejected_transaction_changes_nothing(database: Database) -> None:
    uuid, before = only(database, "NB_Global")
    change = (
        Update("NB_Global", uuid, {"name": "az1"}),
        Update("NB_Global", uuid, {"no_such_column": "x"}),
    )
    with pytest.raises(OvsdbRejected, match="no_such_column"):
        database.apply(Batch(Db.NB, change, "try"))
    assert only(database, "NB_Global")[1] == before


def test_unmonitored_column_of_the_router_can_be_written(nb) -> None:
    database = Database(parse_remote(nb.remote), northbound("ovn-cluster"))
    database.connect()
    router, row = only(database, "Logical_Router")
    assert "static_routes" not in row
    parent = Parent("Logical_Router", Uuid(router), "static_routes")
    columns = {
        "ip_prefix": "10.17.0.0/16",
        "nexthop": "169.254.100.2",
        "options": {"origin": "connected"},  # as ovn-ic writes it
    }
    route = Insert("Logical_Router_Static_Route", columns, "r", parent)
    database.apply(Batch(Db.NB, (route,)))
    assert "10.17.0.0/16" in nb.dump("Logical_Router_Static_Route")
    assert database.snapshot()["Logical_Router_Static_Route"] == {}, "learned: not replicated"
    own = Insert("Logical_Router_Static_Route", {**columns, "options": {}}, "r", parent)
    database.apply(Batch(Db.NB, (own,)))
    assert len(database.snapshot()["Logical_Router_Static_Route"]) == 1
    database.close()


def test_conditions_can_be_widened_and_narrowed(nb) -> None:
    nb.transact(
        {"op": "insert", "table": "Logical_Switch", "row": {"name": "ts"}},
        {"op": "insert", "table": "Logical_Switch", "row": {"name": "other"}},
    )
    changes: list[int] = []
    database = Database(
        parse_remote(nb.remote), northbound("ovn-cluster"), lambda: changes.append(1)
    )
    database.connect()
    assert database.snapshot()["Logical_Switch"] == {}
    assert database.set_conditions({"Logical_Switch": (("name", "==", "ts"),)})
    wait_for(database.settled)
    assert [row["name"] for row in database.snapshot()["Logical_Switch"].values()] == ["ts"]
    assert not database.set_conditions({"Logical_Switch": (("name", "==", "ts"),)})
    database.set_conditions({"Logical_Switch": (False,)})
    wait_for(database.settled)
    assert database.snapshot()["Logical_Switch"] == {}
    assert changes
    database.close()


def test_rows_that_are_not_replicated_can_be_asked_for_and_look_the_same(nb) -> None:
    for prefix, origin in (("10.1.0.0/16", "connected"), ("10.2.0.0/16", "static"), ("::/0", "")):
        options = ["map", [["origin", origin]] if origin else []]
        route = {"ip_prefix": prefix, "nexthop": "169.254.0.9", "options": options}
        nb.transact(
            {"op": "insert", "table": ROUTES, "row": route, "uuid-name": "r"},
            {"op": "mutate", "table": "Logical_Router", "where": [],
             "mutations": [["static_routes", "insert", ["set", [["named-uuid", "r"]]]]]},
        )  # fmt: skip
    whole = Database(parse_remote(nb.remote), WHOLE)
    narrow = Database(parse_remote(nb.remote), northbound("ovn-cluster"))
    whole.connect()
    narrow.connect()
    try:
        replicated = whole.snapshot()[ROUTES]
        assert len(narrow.snapshot()[ROUTES]) == 1
        asked = narrow.select(*LEARNED)[ROUTES]
        assert set(asked) == {uuid for uuid, row in replicated.items() if row.get("options")}
        for uuid, row in asked.items():
            assert {column: row[column] for column in replicated[uuid]} == dict(replicated[uuid])
        with pytest.raises(OvsdbRejected):
            narrow.select(Selection(ROUTES, ("colour",)))
        nb.stop()
        with pytest.raises(OvsdbUnavailable):
            narrow.select(*LEARNED)
    finally:
        whole.close()
        narrow.close()


def test_changes_wake_and_loss_is_noticed_and_mended(database: Database, nb) -> None:
    woken = threading.Event()
    database._link.idl._on_change = woken.set
    nb.transact({"op": "update", "table": "NB_Global", "where": [], "row": {"name": "x"}})
    assert woken.wait(10)
    woken.clear()
    nb.stop(kill=True)
    assert woken.wait(10)
    wait_for(lambda: not database.connected)
    assert only(database, "NB_Global")[1]["name"] == "x"
    with pytest.raises(OvsdbUnavailable):
        database.apply(Batch(Db.NB, ()))
    nb.start()
    wait_for(lambda: database.connected, 15)
    nb.transact({"op": "update", "table": "NB_Global", "where": [], "row": {"name": "y"}})
    wait_for(lambda: only(database, "NB_Global")[1]["name"] == "y")


def test_one_of_two_holds_the_lock_and_the_other_inherits_it(nb) -> None:
    first, second = (
        Database(parse_remote(nb.remote), WHOLE, lock="ovnmesh_controller") for _ in range(2)
    )
    first.connect()
    wait_for(lambda: first.has_lock)
    second.connect()
    assert not second.has_lock
    uuid, _ = only(second, "NB_Global")
    with pytest.raises(OvsdbRejected):
        second.apply(Batch(Db.NB, (Update("NB_Global", uuid, {"name": "stolen"}),)))
    first.close()
    wait_for(lambda: second.has_lock)
    second.close()


def test_two_databases_at_once_do_not_share_a_connection(server) -> None:
    first, second = server(Db.NB), server(Db.IC_NB)
    first.transact({"op": "insert", "table": "NB_Global", "row": {"name": "one"}})
    second.transact({"op": "insert", "table": "Transit_Switch", "row": {"name": "ts"}})
    one = Database(parse_remote(first.remote), WHOLE)
    two = Database(parse_remote(second.remote), View(Db.IC_NB, {"Transit_Switch": ("name",)}))
    one.connect()
    two.connect()
    assert only(one, "NB_Global")[1]["name"] == "one"
    assert only(two, "Transit_Switch")[1]["name"] == "ts"
    one.close()
    two.close()


@pytest.mark.parametrize(
    "remote", ["unix:/nonexistent/nb.sock", "tcp:127.0.0.1:1", "tcp:127.0.0.1:1,tcp:127.0.0.1:2"]
)
def test_unreachable_database_is_a_clear_error(remote: str) -> None:
    with pytest.raises(OvsdbUnavailable, match="OVN_Northbound cannot be reached"):
        Database(parse_remote(remote), WHOLE).connect()


def test_wrong_database_is_a_clear_error(nb) -> None:
    with pytest.raises(OvsdbUnavailable, match="OVN_IC_Northbound"):
        Database(parse_remote(nb.remote), View(Db.IC_NB, {"Transit_Switch": ("name",)})).connect()


def test_snapshot_is_plain_data(database: Database) -> None:
    uuid, row = only(database, "NB_Global")
    assert json.dumps({uuid: {k: v for k, v in row.items() if k == "options"}})
