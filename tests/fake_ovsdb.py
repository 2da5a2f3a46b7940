"""An in-memory stand-in for OVSDB that applies plan operations; only for unit and property tests.

It passes the same contract suite as real ovsdb-servers (tests/ovsdb/test_contract.py). It knows
references between tables, garbage collection of non-root rows and nothing else: no northd.
"""

import copy
import itertools
from collections.abc import Iterable, Mapping

from ovnmesh.model.changes import (
    Batch,
    Db,
    Delete,
    Expect,
    Insert,
    MergeKeys,
    Named,
    Operation,
    Update,
    Uuid,
)

Tables = dict[str, dict[str, dict[str, object]]]

#: Strong references from a parent's set column to non-root rows (ovn-nb.ovsschema).
CHILDREN = {
    ("Logical_Router", "ports"): "Logical_Router_Port",
    ("Logical_Router", "policies"): "Logical_Router_Policy",
    ("Logical_Router", "static_routes"): "Logical_Router_Static_Route",
    ("Logical_Switch", "ports"): "Logical_Switch_Port",
    ("Logical_Router_Port", "gateway_chassis"): "Gateway_Chassis",
    ("HA_Chassis_Group", "ha_chassis"): "HA_Chassis",
}


class Refused(Exception):
    """An `Expect` did not hold."""


class FakeOvsdb:
    """All databases of one site (and the mesh), as plain rows."""

    def __init__(self) -> None:
        self.tables: dict[Db, Tables] = {db: {} for db in Db}
        self._ids = (f"{n:08x}-0000-4000-8000-000000000000" for n in itertools.count(1))

    def add(self, db: Db, table: str, **columns: object) -> str:
        uuid = next(self._ids)
        self.tables[db].setdefault(table, {})[uuid] = dict(columns)
        return uuid

    def add_child(self, db: Db, parent: tuple[str, str, str], table: str, **columns: object) -> str:
        uuid = self.add(db, table, **columns)
        parent_table, parent_uuid, column = parent
        row = self.tables[db][parent_table][parent_uuid]
        row[column] = frozenset(row.get(column, frozenset())) | {uuid}
        return uuid

    def snapshot(self, db: Db) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
        return copy.deepcopy(self.tables[db])

    def apply(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            before = copy.deepcopy(self.tables[batch.db])
            try:
                self._apply(batch)
            except Exception:
                self.tables[batch.db] = before
                raise

    def _apply(self, batch: Batch) -> None:
        tables = self.tables[batch.db]
        names: dict[str, str] = {}

        def resolve(item: object) -> object:
            if isinstance(item, Uuid):
                return item.value
            if isinstance(item, Named):
                return names[item.name]
            if isinstance(item, frozenset):
                return frozenset(resolve(i) for i in item)
            if isinstance(item, Mapping):
                return dict(item)
            return item

        for op in batch.operations:
            if isinstance(op, Insert):
                names[op.name] = next(self._ids)
        for op in batch.operations:
            self._one(tables, op, names, resolve)
        self._check_references(tables)
        self._collect(tables)

    def _check_references(self, tables: Tables) -> None:
        """A root row that is still referred to cannot be deleted, not even with the referrer."""
        for row in tables.get("Logical_Switch_Port", {}).values():
            group = row.get("ha_chassis_group") or frozenset()
            if group and group not in tables.get("HA_Chassis_Group", {}):
                raise Refused("referential integrity violation")

    def _one(self, tables: Tables, op: Operation, names: dict[str, str], resolve) -> None:  # type: ignore[no-untyped-def]
        match op:
            case Insert(table, columns, name, parent):
                tables.setdefault(table, {})[names[name]] = {
                    c: resolve(v) for c, v in columns.items()
                }
                if parent is not None:
                    row = tables[parent.table][resolve(parent.row)]
                    row[parent.column] = frozenset(row.get(parent.column, frozenset())) | {
                        names[name]
                    }
            case Update(table, uuid, columns):
                if uuid in tables.get(table, {}):
                    tables[table][uuid].update({c: resolve(v) for c, v in columns.items()})
            case MergeKeys(table, uuid, column, put, remove):
                if uuid in tables.get(table, {}):
                    row = tables[table][uuid]
                    kept = {k: v for k, v in dict(row.get(column, {})).items() if k not in remove}
                    row[column] = {**kept, **put}
            case Delete(table, uuid, None):
                tables.get(table, {}).pop(uuid, None)
            case Delete(_, uuid, parent):
                assert parent is not None
                rows = tables.get(parent.table, {})
                for holder in rows if parent.row is None else [resolve(parent.row)]:
                    row = rows.get(holder, {})
                    row[parent.column] = frozenset(row.get(parent.column, frozenset())) - {uuid}
            case Expect(table, uuid, column, value):
                row = tables.get(table, {}).get(uuid, {})
                if row.get(column, {}) != resolve(value):
                    raise Refused(f"{table}.{column}")

    def _collect(self, tables: Tables) -> None:
        """Delete non-root rows nobody refers to, children of children too."""
        while True:
            gone = False
            for child in set(CHILDREN.values()):
                held = {
                    uuid
                    for (parent, column), table in CHILDREN.items()
                    if table == child
                    for row in tables.get(parent, {}).values()
                    for uuid in row.get(column, frozenset())
                }
                orphans = set(tables.get(child, {})) - held
                for uuid in orphans:
                    del tables[child][uuid]
                    gone = True
            if not gone:
                return
