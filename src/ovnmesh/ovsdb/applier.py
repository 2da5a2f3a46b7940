"""From plan operations to OVSDB operations (RFC 7047, section 5.2), in one transaction.

Called by `ovsdb.database`. Uses the IDL's raw operations, so that columns that are too large to
replicate can still be mutated. Must not decide what to write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ovs.db import idl
from ovsdbapp.backend.ovs_idl import transaction

from ovnmesh.errors import OvsdbRejected, StalePlan
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

Json = Any


class OneShot(transaction.Transaction):  # type: ignore[misc]
    """An ovsdbapp transaction of raw operations that is tried exactly once.

    ovsdbapp's own waits for a further change when the server says "try again", and then repeats
    the same commands. A plan must instead be made anew from what is there now, at once.

    Args:
        api: the ovsdbapp backend.
        operations: what to do.
    """

    def __init__(self, api: Any, operations: Iterable[Operation]) -> None:
        super().__init__(api, api.ovsdb_connection, check_error=True, log_errors=False)
        self._operations = tuple(operations)

    def do_commit(self) -> list[object]:
        """Send everything; runs in the connection's thread.

        Raises:
            StalePlan: an expectation did not hold, or the connection was lost on the way.
            OvsdbRejected: the server refused.
        """
        txn = idl.Transaction(self.api.idl)
        for operation in encode_operations(self._operations):
            txn.add_op(operation)
        status = txn.commit_block()
        if status in (txn.SUCCESS, txn.UNCHANGED):
            return []
        if status == txn.TRY_AGAIN:
            raise StalePlan("rows changed between reading and writing; planning again")
        if status == txn.NOT_LOCKED:
            raise OvsdbRejected("another controller holds the lock of this database")
        raise OvsdbRejected(str(txn.get_error()))


def encode_operations(operations: Iterable[Operation]) -> list[dict[str, Json]]:
    """The operations as the JSON objects of a "transact" request."""
    encoded: list[dict[str, Json]] = []
    for operation in operations:
        encoded += _encode(operation)
    return encoded


def _encode(operation: Operation) -> list[dict[str, Json]]:
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


def _link(parent: Parent | None, child: Reference, mutator: str) -> list[dict[str, Json]]:
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
