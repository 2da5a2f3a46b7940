"""Which rows carry a decision. Pure.

Each module names in OWNS what it writes, and writes nothing else: "Table", "Table[some rows]",
"Table.column" or "Table.column:key", where a key may end in "*". No two modules own the same
(tests/unit/test_ownership.py).
"""
