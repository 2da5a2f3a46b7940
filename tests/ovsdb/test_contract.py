"""The fake of the unit tests and a real ovsdb-server do the same with the same operations."""

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from fake_ovsdb import FakeOvsdb, Refused
from ovnmesh.errors import OvsdbError, StalePlan
from ovnmesh.model.changes import (
    Batch,
    Db,
    Delete,
    Expect,
    Insert,
    MergeKeys,
    Named,
    Operation,
    Parent,
    Update,
    Uuid,
)
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.schema import View
from servers import Server, wait_for

COLUMNS = {
    "NB_Global": ("name", "options", "external_ids"),
    "Logical_Router": ("name", "ports"),
    "Logical_Router_Port": ("name", "mac", "networks", "gateway_chassis"),
    "Gateway_Chassis": ("name", "chassis_name", "priority"),
    "HA_Chassis_Group": ("name",),
    "Logical_Switch": ("name", "ports"),
    "Logical_Switch_Port": ("name", "ha_chassis_group"),
}


class Store(Protocol):
    """What both are asked."""

    def apply(self, *operations: Operation) -> None: ...

    def rows(self, table: str) -> dict[str, dict[str, object]]: ...


class Fake:
    def __init__(self) -> None:
        self.fake = FakeOvsdb()
        self.fake.add(Db.NB, "NB_Global", name="", options={"a": "1"}, external_ids={})
        self.fake.add(Db.NB, "Logical_Router", name="ovn-cluster", ports=frozenset())

    def apply(self, *operations: Operation) -> None:
        try:
            self.fake.apply([Batch(Db.NB, operations)])
        except Refused as exc:
            raise StalePlan(str(exc)) from exc

    def rows(self, table: str) -> dict[str, dict[str, object]]:
        return dict(self.fake.snapshot(Db.NB).get(table, {}))  # type: ignore[arg-type]


class Real:
    def __init__(self, server: Server) -> None:
        server.transact(
            {"op": "insert", "table": "NB_Global", "row": {"options": ["map", [["a", "1"]]]}},
            {"op": "insert", "table": "Logical_Router", "row": {"name": "ovn-cluster"}},
        )
        self.database = Database(parse_remote(server.remote), View(Db.NB, COLUMNS))
        self.database.connect()

    def apply(self, *operations: Operation) -> None:
        self.database.apply(Batch(Db.NB, operations))

    def rows(self, table: str) -> dict[str, dict[str, object]]:
        return dict(self.database.snapshot()[table])  # type: ignore[arg-type]


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest, server: Callable[[Db], Server]) -> Iterator[Store]:
    if request.param == "fake":
        yield Fake()
        return
    real = Real(server(Db.NB))
    yield real
    real.database.close()


def only(store: Store, table: str) -> tuple[str, dict[str, object]]:
    ((uuid, row),) = store.rows(table).items()
    return uuid, row


def add_port(store: Store, name: str = "az1-ts") -> None:
    router, _ = only(store, "Logical_Router")
    store.apply(
        Insert(
            "Logical_Router_Port",
            {"name": name, "mac": "0a:00:00:00:00:01", "networks": frozenset({"10.0.0.1/24"})},
            "lrp",
            Parent("Logical_Router", Uuid(router), "ports"),
        ),
        Insert(
            "Gateway_Chassis",
            {"name": "gc", "chassis_name": "gw", "priority": 100},
            "gc",
            Parent("Logical_Router_Port", Named("lrp"), "gateway_chassis"),
        ),
    )


def test_insert_links_parents_and_children(store: Store) -> None:
    add_port(store)
    port, row = only(store, "Logical_Router_Port")
    gateway, gateway_row = only(store, "Gateway_Chassis")
    assert only(store, "Logical_Router")[1]["ports"] == frozenset({port})
    assert row["gateway_chassis"] == frozenset({gateway})
    assert gateway_row["priority"] == 100


def test_a_child_is_deleted_whoever_holds_it(store: Store) -> None:
    add_port(store)
    store.apply(Insert("Logical_Router", {"name": "stranger"}, "stranger"))
    port, _ = only(store, "Logical_Router_Port")
    store.apply(Delete("Logical_Router_Port", port, Parent("Logical_Router", None, "ports")))
    assert store.rows("Logical_Router_Port") == {}
    assert sorted(row["name"] for row in store.rows("Logical_Router").values())[1] == "stranger"


def test_deleting_a_port_takes_its_gateways_with_it(store: Store) -> None:
    add_port(store)
    port, _ = only(store, "Logical_Router_Port")
    router, _ = only(store, "Logical_Router")
    store.apply(
        Delete("Logical_Router_Port", port, Parent("Logical_Router", Uuid(router), "ports"))
    )
    assert store.rows("Logical_Router_Port") == {}
    assert store.rows("Gateway_Chassis") == {}
    assert only(store, "Logical_Router")[1]["ports"] == frozenset()


def test_update_overwrites_named_columns_only(store: Store) -> None:
    add_port(store)
    port, before = only(store, "Logical_Router_Port")
    store.apply(Update("Logical_Router_Port", port, {"networks": frozenset({"10.0.0.2/24"})}))
    after = only(store, "Logical_Router_Port")[1]
    assert after["networks"] == frozenset({"10.0.0.2/24"})
    assert after["mac"] == before["mac"]


def test_merge_sets_removes_and_leaves_alone(store: Store) -> None:
    uuid, _ = only(store, "NB_Global")
    store.apply(MergeKeys("NB_Global", uuid, "options", {"b": "2", "c": "3"}))
    store.apply(MergeKeys("NB_Global", uuid, "options", {"b": "4"}, frozenset({"c", "absent"})))
    assert only(store, "NB_Global")[1]["options"] == {"a": "1", "b": "4"}


def test_expect_holds_or_nothing_is_changed(store: Store) -> None:
    uuid, _ = only(store, "NB_Global")
    store.apply(
        Expect("NB_Global", uuid, "external_ids", {}),
        MergeKeys("NB_Global", uuid, "external_ids", {"claim": "me"}),
    )
    with pytest.raises(StalePlan):
        store.apply(
            Update("NB_Global", uuid, {"name": "az1"}),
            Expect("NB_Global", uuid, "external_ids", {}),
        )
    wait_for(lambda: only(store, "NB_Global")[1]["external_ids"] == {"claim": "me"})
    assert only(store, "NB_Global")[1]["name"] == ""


def test_changing_rows_that_are_gone_changes_nothing(store: Store) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    before = store.rows("NB_Global")
    store.apply(
        Update("NB_Global", gone, {"name": "x"}),
        MergeKeys("NB_Global", gone, "options", {"x": "y"}),
        Delete("Logical_Router_Port", gone, Parent("Logical_Router", Uuid(gone), "ports")),
    )
    assert store.rows("NB_Global") == before


def test_a_row_that_is_referred_to_goes_only_after_the_reference(store: Store) -> None:
    store.apply(
        Insert("HA_Chassis_Group", {"name": "g"}, "g"),
        Insert("Logical_Switch", {"name": "s"}, "s"),
        Insert(
            "Logical_Switch_Port",
            {"name": "p", "type": "external", "ha_chassis_group": Named("g")},
            "p",
            Parent("Logical_Switch", Named("s"), "ports"),
        ),
    )
    group, switch, port = (
        only(store, t)[0] for t in ("HA_Chassis_Group", "Logical_Switch", "Logical_Switch_Port")
    )
    both = (Delete("Logical_Switch", switch), Delete("HA_Chassis_Group", group))
    with pytest.raises(OvsdbError):
        store.apply(*both)
    store.apply(Update("Logical_Switch_Port", port, {"ha_chassis_group": frozenset()}), *both)
    assert store.rows("HA_Chassis_Group") == {}
    assert store.rows("Logical_Switch_Port") == {}
