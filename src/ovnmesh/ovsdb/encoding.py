"""From plan operations to OVSDB operations, and from selected rows to plain ones (RFC 7047, 5).

Called by `ovsdb.applier`, by `ovsdb.database`, and by ic-db, which talks to its servers without a
replica. Pure. Must not decide what to write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ovnmesh.model.changes import (
    Content,
    Delete,
    Expect,
    Insert,
    Item,
    MergeKeys,
    Named,
    Operation,
    Parent,
    Reference,
    Update,
    Uuid,
)
from ovnmesh.model.rows import Atom, Table, Value

Json = Any
#: One operation of a "transact" request.
JsonOperation = dict[str, Json]


def encode_operations(operations: Iterable[Operation]) -> list[JsonOperation]:
    """The operations as the JSON objects of a "transact" request."""
    encoded: list[JsonOperation] = []
    for operation in operations:
        encoded += _encode(operation)
    return encoded


def decode_rows(rows: Iterable[Mapping[str, Json]]) -> Table:
    """Rows of a "select", by UUID. An optional value that is there is the value itself."""
    return {
        str(row["_uuid"][1]): {
            column: _decode(value) for column, value in row.items() if column != "_uuid"
        }
        for row in rows
    }


def _decode(value: Json) -> Value:
    match value:
        case ["map", pairs]:
            return {str(key): str(_decode(item)) for key, item in pairs}
        case ["set", items]:
            return frozenset(item[1] if isinstance(item, list) else item for item in items)
        case ["uuid", uuid]:
            return str(uuid)
    atom: Atom = value
    return atom


def _encode(operation: Operation) -> list[JsonOperation]:
    match operation:
        case Insert(table, columns, name, parent):
            insert = {
                "op": "insert",
                "table": table,
                "row": {column: _content(value) for column, value in columns.items()},
                "uuid-name": name,
            }
            return [insert, *_link(parent, Named(name), "insert")]
        case Update(table, uuid, columns):
            row = {column: _content(value) for column, value in columns.items()}
            return [{"op": "update", "table": table, "where": _where(uuid), "row": row}]
        case MergeKeys(table, uuid, column, put, remove):
            mutations = []
            # "insert" into a map does not overwrite (RFC 7047, section 5.1): delete first.
            stale = sorted(set(remove) | set(put))
            mutations.append([column, "delete", ["set", stale]])
            if put:
                mutations.append([column, "insert", _content(put)])
            return [{"op": "mutate", "table": table, "where": _where(uuid), "mutations": mutations}]
        case Delete(table, uuid, parent):
            if parent is not None:
                return _link(parent, Uuid(uuid), "delete")
            return [{"op": "delete", "table": table, "where": _where(uuid)}]
        case Expect(table, uuid, column, value):
            return [
                {
                    "op": "wait",
                    "timeout": 0,
                    "table": table,
                    "where": _where(uuid),
                    "columns": [column],
                    "until": "==",
                    "rows": [{column: _content(value)}],
                }
            ]


def _link(parent: Parent | None, child: Reference, mutator: str) -> list[JsonOperation]:
    if parent is None:
        return []
    return [
        {
            "op": "mutate",
            "table": parent.table,
            "where": [["_uuid", "==", _item(parent.row)]] if parent.row is not None else [],
            "mutations": [[parent.column, mutator, ["set", [_item(child)]]]],
        }
    ]


def _where(uuid: str) -> Json:
    return [["_uuid", "==", ["uuid", uuid]]]


def _content(value: Content) -> Json:
    if isinstance(value, Mapping):
        return ["map", [[key, item] for key, item in sorted(value.items())]]
    if isinstance(value, frozenset):
        return ["set", [_item(item) for item in sorted(value, key=str)]]
    return _item(value)


def _item(value: Item) -> Json:
    if isinstance(value, Uuid):
        return ["uuid", value.value]
    if isinstance(value, Named):
        return ["named-uuid", value.name]
    return value
