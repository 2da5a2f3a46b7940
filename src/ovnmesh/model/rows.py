"""Rows of an OVSDB database as plain Python values.

Made by `ovsdb.reader`, read by `model.reading`. One shape for real databases and for the fakes
of the tests, so that everything above is a function of data. Must not know any table.
"""

from collections.abc import Mapping

#: Scalars are themselves; sets (optional columns too) are frozensets; maps are mappings;
#: references are UUID strings (RFC 7047, section 5.1).
Atom = str | int | bool | float
Value = Atom | frozenset[Atom] | Mapping[str, str]
Row = Mapping[str, Value]
#: Rows of one table by UUID.
Table = Mapping[str, Row]
#: Tables of one database by name.
Snapshot = Mapping[str, Table]


def text(row: Row, column: str) -> str:
    """The value of a string column; "" if the column is absent or an empty optional."""
    value = row.get(column, "")
    if isinstance(value, str):
        return value
    if isinstance(value, frozenset):
        return str(next(iter(value), ""))
    return str(value)


def strings(row: Row, column: str) -> frozenset[str]:
    """The members of a set column as strings; a set of one may be its member (RFC 7047, 5.1)."""
    value = row.get(column, frozenset())
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(str(item) for item in value) if isinstance(value, frozenset) else frozenset()


def mapping(row: Row, column: str) -> Mapping[str, str]:
    """The value of a map column; empty if absent."""
    value = row.get(column, {})
    # A dict is told at once; asking the abstract class for tens of thousands of them is not.
    return value if isinstance(value, dict | Mapping) else {}


def number(row: Row, column: str) -> int:
    """The value of an integer column; 0 if absent."""
    value = row.get(column, 0)
    if isinstance(value, frozenset):
        value = next(iter(value), 0)
    return int(value) if isinstance(value, int | str | float) else 0
