"""What to write so that running databases hold again what a backup holds.

Called by the command ``ovnmesh ic-db restore``. `plan_restore` is pure. IC-NB: what is missing is
added, nothing is taken away. IC-SB: its tunnel keys are in every site's switches, and
ovn-controllers keep stale ones when they change (measured: all traffic lost). So it is restored
where no site has registered yet, and left alone where the keys are those of the backup; anything
else needs force. Must not write a row that the databases of living sites contradict, unless forced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovnmesh import ovn_keys as keys
from ovnmesh.errors import IcDbError
from ovnmesh.icdb.backup.archive import Backup, read_tables
from ovnmesh.icdb.database.files import DATABASES, IC_NB, IcDatabase, version_key
from ovnmesh.icdb.database.rpc import TransactionRefused, transact
from ovnmesh.icdb.database.server_row import private_socket, read_server
from ovnmesh.ovsdb.encoding import JsonOperation

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

#: Tables with content of the mesh. Connection and SSL belong to the machine.
TABLES = {
    "OVN_IC_Northbound": ("IC_NB_Global", "Transit_Switch"),
    "OVN_IC_Southbound": (
        "Availability_Zone",
        "Encap",
        "Gateway",
        "Datapath_Binding",
        "Port_Binding",
        "Route",
    ),
}
_TRANSACT_TIMEOUT_S = 120.0
_MAPS = ("external_ids", "other_config", "options")


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore does to one database.

    Attributes:
        operations: of one transaction (RFC 7047, 5.2); none if there is nothing to do.
        changes: the same in words.
        kept: what differs from the backup and is left as it is, in words.
        refusal: why it is refused without force; empty if it is not.
    """

    operations: tuple[JsonOperation, ...] = ()
    changes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database, its rows as they were read, and what a restore does to them."""

    db: IcDatabase
    live: Rows
    plan: RestorePlan


def prepare_restore(run_dir: Path, backup: Backup, force: bool) -> list[Prepared]:
    """Compare both databases served on this node with a backup.

    Args:
        run_dir: where their sockets are.
        backup: the backup.
        force: as in `plan_restore`.

    Raises:
        IcDbError: one is not served, cannot be compared, or the restore is refused.
    """
    prepared = []
    for db in DATABASES:
        entry = backup.manifest["databases"][db.schema]
        state = read_server(private_socket(run_dir, db), db)
        if not state["connected"]:
            raise IcDbError(
                f"{db.schema}: found a cluster without a leader; expected one, because a majority "
                "has to agree; start the other nodes"
            )
        if version_key(entry["schema_version"]) > version_key(state["version"]):
            raise IcDbError(
                f"{db.schema}: found a backup of schema version {entry['schema_version']}; "
                f"expected {state['version']} or older, as served. Upgrade OVN here first"
            )
        tables = TABLES[db.schema]
        selects = [{"op": "select", "table": table, "where": []} for table in tables]
        results = _transact(run_dir, db, selects)
        live = {table: result["rows"] for table, result in zip(tables, results, strict=True)}
        stored = read_tables(backup.folder / entry["file"], db, tables)
        prepared.append(Prepared(db, live, plan_restore(db, live, stored, force)))
    refused = [each.plan.refusal for each in prepared if each.plan.refusal]
    if refused:
        raise IcDbError("\n".join(refused))
    return prepared


def apply_restore(run_dir: Path, prepared: Prepared) -> None:
    """Write what was planned, in one transaction.

    Raises:
        IcDbError: it is refused; nothing was changed.
    """
    if prepared.plan.operations:
        operations = [*_guard(prepared.db, prepared.live), *prepared.plan.operations]
        _transact(run_dir, prepared.db, operations)


def plan_restore(db: IcDatabase, live: Rows, backup: Rows, force: bool) -> RestorePlan:
    """Compare a running database with a backup.

    Args:
        db: which one.
        live: its rows by table.
        backup: those of the backup.
        force: put the backup's rows in the place of all others, come what may.
    """
    if force:
        return _replace(db, live, backup)
    if db is IC_NB:
        return _plan_north(live, backup)
    return _plan_south(db, live, backup)


# --- IC-NB ---------------------------------------------------------------------------------------


def _plan_north(live: Rows, backup: Rows) -> RestorePlan:
    operations: list[JsonOperation] = []
    changes: list[str] = []
    kept: list[str] = []
    switches = {row["name"]: row for row in live["Transit_Switch"]}
    for row in backup["Transit_Switch"]:
        name = row["name"]
        if name not in switches:
            operations.append(_insert("Transit_Switch", row))
            changes.append(f"transit switch {name} added")
    pairs: list[tuple[str, str, Row, Row]] = [
        ("Transit_Switch", f"transit switch {row['name']}", switches[row["name"]], row)
        for row in backup["Transit_Switch"]
        if row["name"] in switches
    ]
    for now, then in zip(live["IC_NB_Global"], backup["IC_NB_Global"], strict=False):
        pairs.append(("IC_NB_Global", "global row", now, then))
    for table, what, now, then in pairs:
        for column in _MAPS:
            if column not in now or column not in then:
                continue
            missing, different = _compare_maps(now[column], then[column])
            if missing:
                operations.append(_merge(table, now, column, missing))
                changes.append(f"{what}: {', '.join(missing)} added")
            kept += [f"{what}: {each}" for each in different]
    names = {row["name"] for row in backup["Transit_Switch"]}
    kept += [
        f"transit switch {name} is not in the backup" for name in switches if name not in names
    ]
    return RestorePlan(tuple(operations), tuple(changes), tuple(kept))


def _compare_maps(now: list[Any], then: list[Any]) -> tuple[dict[str, str], list[str]]:
    """Pairs that are missing, and in words those that stay as they are."""
    has, had = dict(now[1]), dict(then[1])
    taken = {value for key, value in has.items() if key.startswith(keys.ADDRESS_CLAIM)}
    missing, different = {}, []
    for key, value in had.items():
        if key in has:
            if has[key] != value:
                different.append(f'{key} is "{has[key]}", and "{value}" in the backup')
        elif key.startswith(keys.ADDRESS_CLAIM) and value in taken:
            different.append(f'{key} = "{value}" is left out: another site has that address now')
        else:
            missing[key] = value
    return missing, different


def _merge(table: str, row: Row, column: str, missing: Mapping[str, str]) -> JsonOperation:
    pairs = ["map", [[key, value] for key, value in missing.items()]]
    where = [["_uuid", "==", row["_uuid"]]]
    mutations = [[column, "insert", pairs]]
    return {"op": "mutate", "table": table, "where": where, "mutations": mutations}


# --- IC-SB ---------------------------------------------------------------------------------------


def _plan_south(db: IcDatabase, live: Rows, backup: Rows) -> RestorePlan:
    now, then = _tunnel_keys(live), _tunnel_keys(backup)
    zones = sorted(row["name"] for row in live["Availability_Zone"])
    if not zones and not now:
        return _replace(db, live, backup)
    wrong = [
        f"{what} has {now[what]}, and {key} in the backup"
        for what, key in then.items()
        if what in now and now[what] != key
    ]
    if wrong:
        return RestorePlan(
            refusal=(
                f"{db.schema}: found sites that use other tunnel keys than the backup "
                f"({'; '.join(wrong[:5])}{'; ...' if len(wrong) > 5 else ''}); expected the same "
                "keys, or no site. When keys change, ovn-controllers keep stale ones, and all "
                "traffic between sites is lost until each chassis has run ovn-appctl -t "
                "ovn-controller inc-engine/recompute. --force does it all the same"
            )
        )
    gone = [f"{what} is not in use any more" for what in then if what not in now]
    same = f"the tunnel keys in use are those of the backup; {', '.join(zones) or 'the sites'} keep"
    return RestorePlan(kept=(f"{same} the other rows up to date themselves", *gone))


def _tunnel_keys(rows: Rows) -> dict[str, int]:
    switches = {
        f"transit switch {row['transit_switch']}": row["tunnel_key"]
        for row in rows["Datapath_Binding"]
    }
    ports = {f"port {row['logical_port']}": row["tunnel_key"] for row in rows["Port_Binding"]}
    return switches | ports


# --- both ----------------------------------------------------------------------------------------


def _replace(db: IcDatabase, live: Rows, backup: Rows) -> RestorePlan:
    """All rows of the backup, with their own UUIDs, in the place of those there are."""
    operations: list[JsonOperation] = []
    changes: list[str] = []
    for table in TABLES[db.schema]:
        now = {row["_uuid"][1]: row for row in live[table]}
        then = {row["_uuid"][1]: row for row in backup[table]}
        if table == "IC_NB_Global":
            # One row, which also refers to what belongs to the machine, and keeps its UUID.
            pairs = list(zip(now.values(), then.values(), strict=False))
            gone, new = [], []
        else:
            pairs = [(now[uuid], then[uuid]) for uuid in now if uuid in then]
            gone = [row for uuid, row in now.items() if uuid not in then]
            new = [row for uuid, row in then.items() if uuid not in now]
        updates = [_update(table, row, then_row) for row, then_row in pairs]
        updates = [operation for operation in updates if operation["row"]]
        operations += [
            {"op": "delete", "table": table, "where": [["_uuid", "==", row["_uuid"]]]}
            for row in gone
        ]
        operations += [*updates, *(_insert(table, row) for row in new)]
        if gone or new or updates:
            counts = f"{len(gone)} rows removed, {len(new)} added, {len(updates)} changed"
            changes.append(f"{table}: {counts}")
    return RestorePlan(tuple(operations), tuple(changes))


def _update(table: str, now: Row, then: Row) -> JsonOperation:
    columns = _MAPS if table == "IC_NB_Global" else tuple(_content(then))
    row = {name: then[name] for name in columns if name in now and name in then}
    row = {name: value for name, value in row.items() if now[name] != value}
    return {"op": "update", "table": table, "where": [["_uuid", "==", now["_uuid"]]], "row": row}


def _insert(table: str, row: Row) -> JsonOperation:
    # The row's own UUID: claims and references rest on it (ovsdb-server(7), 5.2.1, since OVS 3.1).
    return {"op": "insert", "table": table, "uuid": row["_uuid"][1], "row": _content(row)}


def _content(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _guard(db: IcDatabase, live: Rows) -> list[JsonOperation]:
    """Operations that let a transaction fail if the rows compared have changed meanwhile."""
    tables = ("Transit_Switch",) if db is IC_NB else ("Availability_Zone", "Datapath_Binding")
    return [
        {
            "op": "wait",
            "table": table,
            "where": [],
            "columns": ["_uuid"],
            "until": "==",
            "rows": [{"_uuid": row["_uuid"]} for row in live[table]],
            "timeout": 0,
        }
        for table in tables
    ]


def _transact(run_dir: Path, db: IcDatabase, operations: Sequence[JsonOperation]) -> list[Any]:
    where = private_socket(run_dir, db)
    try:
        return transact(where, db.schema, operations, _TRANSACT_TIMEOUT_S)
    except TransactionRefused as error:
        raise IcDbError(f"{error}. Rows may have changed meanwhile: try again") from error
