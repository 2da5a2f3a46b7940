"""The files of ``ovnmesh ic-db``: created, upgraded, or refused and untouched. No root needed.

Real: OVS's tools and servers, files in a temporary folder.
"""

import json
import subprocess
from datetime import UTC, datetime

import pytest
from icdb_files import make_file, older_schema

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.database.files import DATABASES, IC_NB, IC_SB, prepare_files, scan_log
from ovnmesh.icdb.database.ovsdb_server import OvsdbServer
from ovnmesh.icdb.settings import Folders

NB = "OVN_IC_Northbound"


def refused(data):
    """What `prepare_files` says, having left every file as it was."""
    before = {path: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(IcDbError) as caught:
        prepare_files(data, datetime.now(UTC))
    after = {path: path.read_bytes() for path in data.iterdir() if "lock" not in path.name}
    assert after == {path: text for path, text in before.items() if "lock" not in path.name}
    return str(caught.value)


@pytest.fixture
def data(tmp_path):
    """A data directory with both files, and three transit switches in IC-NB."""
    folder = tmp_path / "data"
    for db in DATABASES:
        make_file(db, folder, db.schema_file)
    for name in ("ts", "ts1", "ts2"):
        insert = [NB, {"op": "insert", "table": "Transit_Switch", "row": {"name": name}}]
        subprocess.run(
            ["ovsdb-tool", "transact", IC_NB.file(folder), json.dumps(insert)],
            check=True,
            capture_output=True,
        )
    return folder


def test_newer_schema_is_refused(data, tmp_path):
    IC_SB.file(data).unlink()
    make_file(IC_SB, data, older_schema(IC_SB, tmp_path, "9.0.0"))
    message = refused(data)
    assert "ovn_ic_sb_db.db: found schema version 9.0.0; expected" in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "damage at byte 0 of 0"),
        (b"garbage\n", "damage at byte 0 of 8"),
        (b"OVSDB JSON 5 " + b"0" * 40 + b"\n{}", "damage at byte 0"),
        (b"OVSDB CLUSTER 3 " + b"0" * 40 + b"\n{}\n", "a member of a RAFT cluster"),
    ],
)
def test_what_is_no_database_is_refused(data, content, found):
    IC_NB.file(data).write_bytes(content)
    assert found in refused(data)


def test_damage_in_the_middle_is_refused(data):
    """ovsdb-server would start, and lose the two later records with its next write."""
    file = IC_NB.file(data)
    file.write_bytes(file.read_bytes().replace(b'"ts1"', b'"xxx"'))
    assert "damage at byte" in refused(data)


@pytest.mark.parametrize("lost", [1, 20, 115, 150])
def test_write_that_a_crash_cut_off_is_dropped_and_copied(data, lost):
    file = IC_NB.file(data)
    whole = file.read_bytes()
    torn = whole[:-lost]
    file.write_bytes(torn)
    prepare_files(data, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert whole.startswith(file.read_bytes())
    assert scan_log(file.read_bytes())[0] == len(file.read_bytes())
    assert b'"ts1"' in file.read_bytes()
    assert (data / "ovn_ic_nb_db.db.torn-20260102T030405").read_bytes() == torn


def test_one_file_without_the_other_is_refused(data):
    IC_SB.file(data).unlink()
    assert "found ovn_ic_nb_db.db without ovn_ic_sb_db.db" in refused(data)


def test_swapped_files_are_refused(data):
    nb, sb = (db.file(data) for db in DATABASES)
    scratch = data / "scratch"
    nb.rename(scratch)
    sb.rename(nb)
    scratch.rename(sb)
    assert "found database OVN_IC_Southbound; expected OVN_IC_Northbound" in refused(data)


def test_data_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IcDbError, match="expected to read and write there"):
        prepare_files(tmp_path / "file", datetime.now(UTC))


def test_server_that_finds_its_file_locked_after_all(data, tmp_path):
    """The check before the start can be too early; then the server's own words are reported."""
    servers = []
    try:
        for name in ("one", "two"):
            folders = Folders(data, tmp_path / name, None)
            folders.run.mkdir()
            servers.append(OvsdbServer(IC_NB, folders, lambda: None))
            if name == "one":
                servers[0].wait_until_serving(lambda: False)
        with pytest.raises(IcDbError, match="cannot lock file because it is already locked"):
            servers[1].wait_until_serving(lambda: False)
    finally:
        for server in servers:
            server.stop()
