"""A backup of both databases: a folder, or an archive of it.

Called by the commands ``ovnmesh ic-db backup`` and ``restore``. The two files in it are standalone
databases with the rows' own UUIDs, so the folder can serve as the data directory of a new
``ovnmesh ic-db``. Must not overwrite an earlier backup.
"""

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ovnmesh import __version__
from ovnmesh.errors import IcDbError
from ovnmesh.icdb.database.files import DATABASES, IcDatabase, backup_database, run_tool
from ovnmesh.icdb.database.server_row import private_socket, read_server

MANIFEST = "manifest.json"
_FORMAT = 1
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Backup:
    """An opened backup.

    Attributes:
        folder: where its files are.
        manifest: content of ``manifest.json``.
    """

    folder: Path
    manifest: dict[str, Any]


def make_backup(run_dir: Path, target: Path, now: datetime) -> dict[str, Any]:
    """Write a backup of what the servers of this node hold.

    Args:
        run_dir: where their sockets are.
        target: a folder that is empty or does not exist, or a file ``*.tar``, ``*.tar.gz``,
            ``*.tgz`` or ``*.tar.xz`` that does not exist.
        now: for the manifest.

    Returns:
        The manifest.

    Raises:
        IcDbError: a server does not answer, or the target cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise IcDbError(f"{target}: found it there already; expected a new name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.name.endswith(_ARCHIVES):
            target.mkdir(exist_ok=True)
            return _write(run_dir, target, now)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as scratch:
            manifest = _write(run_dir, Path(scratch), now)
            partial = Path(scratch) / "archive"
            with _new_archive(target, partial) as archive:
                for name in (MANIFEST, *(f"{db.base}.db" for db in DATABASES)):
                    archive.add(Path(scratch) / name, name)
            partial.replace(target)
    except OSError as error:
        raise IcDbError(f"{target}: cannot be written: {error}") from error
    return manifest


@contextmanager
def open_backup(path: Path) -> Iterator[Backup]:
    """Open a backup and make sure that it is whole.

    Args:
        path: a folder or an archive that `make_backup` wrote.

    Raises:
        IcDbError: it is not.
    """
    with tempfile.TemporaryDirectory(prefix="ovnmesh-restore-") as scratch:
        folder = path
        try:
            if path.is_file():
                folder = Path(scratch)
                with tarfile.open(path) as archive:
                    _unpack(archive, folder)
            manifest = json.loads((folder / MANIFEST).read_text())
            for db in DATABASES:
                entry = manifest["databases"][db.schema]
                if _digest(folder / entry["file"]) != entry["sha256"]:
                    raise IcDbError(
                        f"{path}: found another {entry['file']} than {MANIFEST} describes; "
                        "expected a backup as it was written. Take another one"
                    )
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise IcDbError(
                f"{path}: found no backup ({error}); expected one of ovnmesh ic-db backup"
            ) from error
        yield Backup(folder, manifest)


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Take out plain files, each under its name and nowhere else.

    Debian 12's Python (3.11.2) is older than tarfile's own filters, which came with 3.11.4.
    """
    for member in archive:
        source = archive.extractfile(member) if member.isfile() else None
        if source is not None and Path(member.name).name == member.name:
            with (folder / member.name).open("wb") as file:
                shutil.copyfileobj(source, file)


def read_tables(file: Path, db: IcDatabase, tables: tuple[str, ...]) -> dict[str, Any]:
    """Read tables of a database file.

    Returns:
        Rows by table, in OVSDB's JSON form.
    """
    operations = [{"op": "select", "table": table, "where": []} for table in tables]
    answer = run_tool("ovsdb-tool", "query", str(file), json.dumps([db.schema, *operations]))
    return {table: result["rows"] for table, result in zip(tables, json.loads(answer), strict=True)}


def _write(run_dir: Path, folder: Path, now: datetime) -> dict[str, Any]:
    databases = {}
    for db in DATABASES:
        socket = private_socket(run_dir, db)
        file = folder / f"{db.base}.db"
        state = read_server(socket, db)
        backup_database(f"unix:{socket}", db, file)
        databases[db.schema] = {
            "file": file.name,
            "sha256": _digest(file),
            "schema_version": run_tool("ovsdb-tool", "db-version", str(file)),
            "cluster": state["cid"],
            "server": state["sid"],
            "connected": state["connected"],
        }
    manifest = {
        "format": _FORMAT,
        "created": now.isoformat(timespec="seconds"),
        "ovnmesh": __version__,
        "databases": databases,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _new_archive(target: Path, partial: Path) -> tarfile.TarFile:
    if target.suffix == ".tar":
        return tarfile.open(partial, "w:")
    return (
        tarfile.open(partial, "w:xz") if target.suffix == ".xz" else tarfile.open(partial, "w:gz")
    )
