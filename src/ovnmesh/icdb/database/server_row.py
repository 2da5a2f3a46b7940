"""What a server says of a database that it serves, alone or in a cluster.

Called by `upkeep` about other nodes, and by backup and restore about this one. Must not write.
"""

import json
from pathlib import Path
from typing import Any

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.database.files import IcDatabase
from ovnmesh.icdb.database.rpc import transact
from ovnmesh.ovsdb.question import Where

_TIMEOUT_S = 60.0


def private_socket(run_dir: Path, db: IcDatabase) -> Path:
    """The socket of a database's server that is there as long as it runs."""
    return run_dir / f"{db.base}.sock"


def read_server(where: Where, db: IcDatabase) -> dict[str, Any]:
    """What a server says of the database it serves (ovsdb-server(5), ``_Server``).

    Returns:
        ``cid`` and ``sid`` (empty if it serves alone), ``connected``, ``leader``, ``version`` of
        the schema.

    Raises:
        IcDbError: it does not answer, or does not serve it.
    """
    named = [["name", "==", db.schema]]
    select = {"op": "select", "table": "Database", "where": named}
    (result,) = transact(where, "_Server", [select], _TIMEOUT_S)
    if not result["rows"]:
        raise IcDbError(f"{where}: found no {db.schema}; expected it to be served there")
    (row,) = result["rows"]
    schema = row["schema"] if isinstance(row["schema"], str) else "{}"
    return {
        "cid": _uuid(row["cid"]),
        "sid": _uuid(row["sid"]),
        "connected": row["connected"],
        "leader": row["leader"],
        "version": json.loads(schema).get("version", "0"),
    }


def _uuid(value: list[Any]) -> str:
    # ["uuid", text], or an empty ["set", []].
    return str(value[1]) if value[0] == "uuid" else ""
