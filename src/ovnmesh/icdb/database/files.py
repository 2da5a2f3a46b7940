"""The two database files: created, upgraded, or refused and left as they are.

Called by `server` before the servers start, so that nobody holds the files. Names are those of
ovn-ctl(8), so that an existing installation is taken over. Must not replace or shorten a file
without a copy beside it: routes of live sites depend on the keys in it.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ovnmesh.errors import IcDbError
from ovnmesh.host.programs import program, schema_file

LOG = logging.getLogger(__name__)

_PACKAGES = "install OVN (packages ovn-common and openvswitch-common, or ovn)"
_TOOL_TIMEOUT_S = 300
_BACKUP_S = 60
# ovsdb(5), "File Formats": header of a record of a standalone database file.
_RECORD = re.compile(rb"OVSDB (JSON|CLUSTER) ([0-9]{1,15}) ([0-9a-f]{40})\n")
_RECORD_START = re.compile(rb"(?:\A|\n)OVSDB (?:JSON|CLUSTER) [0-9]+ [0-9a-f]{40}\n")


@dataclass(frozen=True, slots=True)
class IcDatabase:
    """One of the two interconnection databases; names as in ovn-ctl(8).

    Attributes:
        short: ``ic_nb`` or ``ic_sb``.
        schema: name of the schema.
        global_table: the table with exactly one row.
    """

    short: str
    schema: str
    global_table: str

    @property
    def base(self) -> str:
        """Base name of the file, sockets and pid file: ``ovn_ic_nb_db``."""
        return f"ovn_{self.short}_db"

    @property
    def schema_file(self) -> Path:
        """The installed schema."""
        return schema_file(f"ovn-{self.short.replace('_', '-')}")

    def file(self, data_dir: Path) -> Path:
        """The database file."""
        return data_dir / f"{self.base}.db"


IC_NB = IcDatabase("ic_nb", "OVN_IC_Northbound", "IC_NB_Global")
IC_SB = IcDatabase("ic_sb", "OVN_IC_Southbound", "IC_SB_Global")
DATABASES = (IC_NB, IC_SB)


def prepare_files(data_dir: Path, now: datetime) -> None:
    """Create the files that are missing, upgrade those of an older schema.

    Args:
        data_dir: where the files are; created if missing.
        now: for the names of copies.

    Raises:
        IcDbError: a file cannot be used; it is as it was.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        present = [db for db in DATABASES if db.file(data_dir).exists()]
        if len(present) == 1:
            missing = next(db for db in DATABASES if db not in present)
            raise IcDbError(
                f"{data_dir}: found {present[0].file(data_dir).name} without "
                f"{missing.file(data_dir).name}; expected both or none. Restore the other from a "
                "backup (a new one would cut off sites that run), or move this one away to begin "
                "anew"
            )
        for db in present:
            _check_file(db, db.file(data_dir), now)
        for db in present or DATABASES:
            file = db.file(data_dir)
            if not present:
                run_tool("ovsdb-tool", "create", str(file), str(db.schema_file))
                LOG.info("created %s", file)
            elif run_tool("ovsdb-tool", "needs-conversion", str(file), str(db.schema_file)) != "no":
                _upgrade(db, file, now)
    except OSError as error:
        raise IcDbError(
            f"data directory {data_dir}: {error}; expected to read and write there"
        ) from error


def scan_log(data: bytes) -> tuple[int, bool]:
    """Check every record of a database file.

    ovsdb-server itself stops at the first bad record, and loses all that follows with its next
    write.

    Args:
        data: content of the file.

    Returns:
        Length in bytes of the good part, and whether any record follows the bad one; without a
        bad record, the length of the file and False.
    """
    offset = 0
    while offset < len(data):
        header = _RECORD.match(data, offset)
        if not header:
            break
        end = header.end() + int(header[2])
        body = data[header.end() : end]
        digest = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        if end > len(data) or digest != header[3]:
            break
        offset = end
    return offset, _RECORD_START.search(data, offset + 1) is not None if offset < len(
        data
    ) else False


def find_lock_holder(path: Path) -> int | None:
    """Who holds a file's POSIX lock.

    Args:
        path: the lock file; may be missing.

    Returns:
        The process id, 0 if it is in another pid namespace; None if nobody holds it.

    Source: fcntl(2), F_GETLK; layout of struct flock on 64-bit Linux.
    """
    try:
        with path.open("rb") as opened:
            request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(opened, fcntl.F_GETLK, request)
    except OSError:
        return None
    kind, _, _, _, pid = struct.unpack("hhqqi", answer)
    return None if kind == fcntl.F_UNLCK else pid


def lock_file(file: Path) -> Path:
    """The file ovsdb-server locks while it serves a database file (ovs, lib/lockfile.c)."""
    real = file.resolve()
    return real.with_name(f".{real.name}.~lock~")


def run_tool(tool: str, *args: str) -> str:
    """Run one of OVS's tools.

    Args:
        tool: name of the program.
        args: its arguments.

    Returns:
        What it printed, without the final newline.

    Raises:
        IcDbError: it is not installed, failed or did not end.
    """
    try:
        done = subprocess.run(
            [program(tool), *args],
            capture_output=True,
            text=True,
            check=True,
            timeout=_TOOL_TIMEOUT_S,
        )
    except FileNotFoundError as error:
        raise IcDbError(f"{program(tool)}: no such program; {_PACKAGES}") from error
    except subprocess.CalledProcessError as error:
        raise IcDbError(f"{tool} {args[0]} failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise IcDbError(f"{tool} {args[0]} did not end in {_TOOL_TIMEOUT_S} s") from error
    return done.stdout.rstrip("\n")


def backup_database(remote: str, db: IcDatabase, target: Path) -> None:
    """Write what a running server holds into a standalone database file, rows' UUIDs and all.

    Args:
        remote: where the server listens, e.g. ``unix:/run/ovn/ovn_ic_nb.sock``.
        db: the database.
        target: the file; replaced if it exists, whole or not at all.

    Raises:
        IcDbError: the server does not answer, or the file cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    command = ["ovsdb-client", "-vconsole:off", "--no-leader-only", f"--timeout={_BACKUP_S}"]
    try:
        with partial.open("wb") as opened:
            subprocess.run(
                [*command, "backup", remote, db.schema],
                check=True,
                stdout=opened,
                stderr=subprocess.PIPE,
                text=True,
            )
            os.fsync(opened.fileno())
        partial.replace(target)
    except FileNotFoundError as error:
        raise IcDbError(f"{error.filename}: no such file or program; {_PACKAGES}") from error
    except subprocess.CalledProcessError as error:
        partial.unlink(missing_ok=True)
        raise IcDbError(f"{remote}: no answer: {error.stderr.strip()}") from error
    except OSError as error:
        raise IcDbError(f"{target}: cannot be written: {error.strerror}") from error


def _check_file(db: IcDatabase, file: Path, now: datetime) -> None:
    header = _RECORD.match(file.read_bytes())
    if header and header[1] == b"CLUSTER":
        raise IcDbError(
            f"{file}: found a member of a RAFT cluster; expected a standalone database, because "
            "no other nodes are named. Name them (NODE_IPS, --nodes), or convert the file with "
            "ovsdb-tool cluster-to-standalone"
        )
    problem = drop_torn_end(file, now)
    if problem:
        raise IcDbError(
            f"{file}: found {problem}; expected an OVSDB database. The file is left as it is. "
            "Restore it from a backup; the last resort is ovsdb-tool(1)"
        )
    _check_schema(db, file)


def drop_torn_end(file: Path, now: datetime) -> str:
    """Check a database file, and drop an unfinished write at its end.

    A write that a crash cut off was never acknowledged; ovsdb-server drops it, too.

    Args:
        file: standalone or clustered.
        now: for the name of the copy that is made first.

    Returns:
        The damage, in words, which is left as it is; empty if there is none.
    """
    data = file.read_bytes()
    good, more = scan_log(data)
    if good == 0 or more:
        return f"damage at byte {good} of {len(data)}"
    if good < len(data):
        copy = copy_file(file, "torn", now)
        os.truncate(file, good)
        LOG.warning(
            "%s: dropped %d bytes of an unfinished write; a copy of the file as it was: %s",
            file,
            len(data) - good,
            copy,
        )
    return ""


def _check_schema(db: IcDatabase, file: Path) -> None:
    name = run_tool("ovsdb-tool", "db-name", str(file))
    if name != db.schema:
        raise IcDbError(
            f"{file}: found database {name}; expected {db.schema}. Are the files swapped?"
        )
    stored = run_tool("ovsdb-tool", "db-version", str(file))
    installed = run_tool("ovsdb-tool", "schema-version", str(db.schema_file))
    if version_key(stored) > version_key(installed):
        raise IcDbError(
            f"{file}: found schema version {stored}; expected {installed} or older, as installed "
            "here. Install the OVN that wrote it, or a newer one; going back would lose data"
        )


def _upgrade(db: IcDatabase, file: Path, now: datetime) -> None:
    stored = run_tool("ovsdb-tool", "db-version", str(file))
    copy = copy_file(file, f"backup{stored}", now)
    run_tool("ovsdb-tool", "convert", str(file), str(db.schema_file))
    LOG.info("upgraded %s from schema version %s; the file as it was: %s", file, stored, copy)


def copy_file(file: Path, what: str, now: datetime) -> Path:
    """Copy a file to ``<file>.<what>-<time>`` beside it, onto the disk."""
    copy = file.with_name(f"{file.name}.{what}-{now:%Y%m%dT%H%M%S}")
    shutil.copy2(file, copy)
    with copy.open("rb") as opened:
        os.fsync(opened.fileno())
    return copy


def version_key(text: str) -> tuple[int, ...]:
    """A schema version, to be compared."""
    return tuple(int(part) for part in re.findall("[0-9]+", text))
