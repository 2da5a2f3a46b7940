"""What was written to an OVSDB database, and when, read from its file afterwards.

Called by the benchmarks: a standalone database is a log of transactions with the time of each in
milliseconds (ovsdb(5), "File Formats"), so a timeline costs the measured system nothing. Must not
connect to servers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction.

    Attributes:
        time: when it was written, in seconds of `time.time`, to the millisecond.
        tables: changed rows, by table and UUID: changed columns, or None for a deleted row.
    """

    time: float
    tables: dict[str, dict[str, dict[str, object] | None]]

    def rows(self, table: str) -> Iterator[dict[str, object]]:
        """Inserted and changed rows of a table."""
        for row in self.tables.get(table, {}).values():
            if row is not None:
                yield row

    def mentions(self, table: str, column: str, text: str = "") -> bool:
        """Whether a column of a table was written, with a value that contains a text."""
        return any(column in row and text in json.dumps(row[column]) for row in self.rows(table))


def read_since(file: Path, offset: int) -> list[Transaction]:
    """Transactions written after the file had `offset` bytes.

    Args:
        file: a standalone database's file.
        offset: its size, in bytes, at some moment at which it was not being written.
    """
    found = []
    with file.open("rb") as log:
        log.seek(offset)
        while header := log.readline():
            words = header.split()
            body = json.loads(log.read(int(words[2])))
            if "_date" not in body:  # the schema, after a compaction
                continue
            tables = {name: rows for name, rows in body.items() if not name.startswith("_")}
            found.append(Transaction(body["_date"] / 1000, tables))
    return found
