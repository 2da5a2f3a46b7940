"""With OVN_PREFIX, programs and schemas are those of the prefix, and nothing else is taken.

The prefix is a tree of links to the host's OVN, with schemas of a version of its own. The host's
programs are hidden by some of the same names, which leave a note when they are started.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from icdb_process import IcDb

from ovnmesh.controller.ovn_ic import OvnIc, OvnIcArguments
from ovnmesh.host.process import command_line
from ovnmesh.icdb.database.files import DATABASES
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import parse_remote
from servers import Server, wait_for

VERSION = "99.1.0"
PROGRAMS = ("ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovs-appctl", "ovn-ic", "ovn-nbctl")
FAKE = """#!/bin/sh
echo "$0 $*" >> {note}
exit 9
"""


class Prefix:
    """A prefix, and the host's programs hidden."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.note = folder / "prefix", folder / "note"
        hidden = folder / "hidden"
        hidden.mkdir()
        for name in PROGRAMS:
            found = shutil.which(name)
            assert found is not None
            link = self.folder / Path(found).parent.name / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(found)
            fake = hidden / name
            fake.write_text(FAKE.format(note=self.note))
            fake.chmod(0o755)
        for package in ("ovn", "openvswitch"):
            (self.folder / "share" / package).mkdir(parents=True)
            for file in Path("/usr/share", package).glob("*.ovsschema"):
                schema = json.loads(file.read_text()) | {"version": VERSION}
                # The server would complain that it is not the sum of what is there.
                schema.pop("cksum", None)
                (self.folder / "share" / package / file.name).write_text(json.dumps(schema))
        self.path = f"{hidden}{os.pathsep}{os.environ['PATH']}"

    def strangers(self) -> str:
        return self.note.read_text() if self.note.exists() else ""

    def has(self, pid: int) -> bool:
        """Whether a process was started from the prefix."""
        return Path(command_line(pid)[0]).is_relative_to(self.folder)


@pytest.fixture
def prefix(tmp_path, monkeypatch) -> Prefix:
    made = Prefix(tmp_path)
    monkeypatch.setenv("OVN_PREFIX", str(made.folder))
    monkeypatch.setenv("PATH", made.path)
    for name in ("OVN_PKGDATADIR", "OVS_PKGDATADIR"):
        monkeypatch.setenv(name, "/nonexistent")
    return made


def version(prefix: Prefix, remote: str, db: str) -> str:
    client = [str(prefix.folder / "bin/ovsdb-client"), "get-schema-version", remote, db]
    return subprocess.run(client, check=True, capture_output=True, text=True).stdout.strip()


def test_ic_db_takes_programs_and_schemas_of_the_prefix_alone(prefix, tmp_path):
    served = IcDb(tmp_path / "ic")
    try:
        served.start()
        assert list(served.switches()) == ["ts"]
        for db, pid in zip(DATABASES, served.servers(), strict=True):
            assert prefix.has(pid)
            assert version(prefix, f"unix:{served.run}/ovn_{db.short}.sock", db.schema) == VERSION
    finally:
        assert served.stop() == 0
    assert prefix.strangers() == ""


def test_ic_db_does_not_fall_back_to_the_hosts_programs(prefix, tmp_path):
    (tool,) = prefix.folder.glob("*/ovsdb-tool")
    tool.unlink()
    code, said = IcDb(tmp_path / "ic").fail()
    assert code == 1
    assert f"{prefix.folder}/bin/ovsdb-tool: no such program" in said
    assert prefix.strangers() == ""


def test_ovn_ic_and_the_servers_of_tests_come_from_the_prefix(prefix, tmp_path):
    nb = Server(tmp_path, Db.NB)
    ovn_ic = OvnIc(tmp_path, lambda: None, time.monotonic)
    nobody = parse_remote(f"unix:{tmp_path}/nobody")
    try:
        nb.start()
        assert version(prefix, nb.remote, Db.NB.value) == VERSION
        ovn_ic.ensure(OvnIcArguments(parse_remote(nb.remote), nobody, nobody, nobody))
        # Until then it is setpriv, which becomes ovn-ic.
        wait_for(lambda: ovn_ic.pid is not None and prefix.has(ovn_ic.pid))
    finally:
        ovn_ic.stop()
        nb.stop()
    assert prefix.strangers() == ""


def test_passthrough_runs_the_tool_of_the_prefix(prefix, tmp_path):
    (tool,) = prefix.folder.glob("*/ovn-nbctl")
    tool.unlink()
    tool.write_text('#!/bin/sh\necho "of the prefix: $*"\n')
    tool.chmod(0o755)
    sites = tmp_path / "sites.yaml"
    sites.write_text('sites: {az1: {nb: "unix:/nb", sb: "unix:/sb"}}\n')
    words = ["ovnmesh", "nbctl", "--sites-file", str(sites), "az1", "show"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout == "of the prefix: --db=unix:/nb show\n"
    assert prefix.strangers() == ""
