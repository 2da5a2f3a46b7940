"""From IDL rows to plain rows (`model.rows`).

Called by `ovsdb.database` with the connection's lock held. Must not know any table.
"""

import uuid
from typing import Any

from ovnmesh.model.rows import Atom, Row, Snapshot, Value


def read_snapshot(tables: Any) -> Snapshot:
    """Copy every replicated row of an `ovs.db.idl.Idl`'s tables.

    Args:
        tables: ``idl.tables``.

    Returns:
        Rows by table and UUID; references as UUID strings.
    """
    return {
        name: {str(row.uuid): _read_row(row) for row in table.rows.values()}
        for name, table in tables.items()
    }


def _read_row(row: Any) -> Row:
    # The IDL keeps each column as a Datum; going through Row.__getattr__ would resolve references
    # to Row objects, which costs three times as much and drops dangling ones.
    return {column: _read_datum(datum) for column, datum in row._data.items()}


def _read_datum(datum: Any) -> Value:
    kind = datum.type
    if kind.is_map():
        return {str(k.value): str(v.value) for k, v in datum.values.items()}
    if kind.n_min == 1 and kind.n_max == 1:
        return _read_atom(next(iter(datum.values)).value)
    return frozenset(_read_atom(key.value) for key in datum.values)


def _read_atom(value: Any) -> Atom:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str | int | bool | float):
        return value
    return str(value)
