"""``ovnmesh ic-db`` with real ovsdb-servers: files, switches, refusals, signals. No root needed.

Real: the command as a process of its own, OVS's servers and tools, files in a temporary folder,
ports on the loopback.
"""

import json
import os
import signal
import socket
import subprocess

import pytest
from icdb_files import make_file, older_schema
from icdb_process import NB, SB, IcDb, alive

from ovnmesh.errors import IcDbError
from ovnmesh.icdb.database.files import DATABASES, IC_NB
from ovnmesh.icdb.serve import server
from ovnmesh.icdb.settings import Folders, parse_settings
from servers import wait_for


@pytest.fixture
def make(tmp_path):
    """Makes instances; ends whatever they left running."""
    made = []

    def make_one(name="one", **kwargs):
        made.append(IcDb(tmp_path / name, **kwargs))
        return made[-1]

    yield make_one
    for one in made:
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        wait_for(lambda one=one: not any(alive(pid) for pid in one.seen))


def test_first_start(make):
    one = make().start()
    assert one.switches() == {"ts": "169.254.100.0/24"}
    for port, db, table in ((one.nb_port, NB, "IC_NB_Global"), (one.sb_port, SB, "IC_SB_Global")):
        select = {"op": "select", "table": table, "where": []}
        assert len(one.transact(port, db, select)[0]["rows"]) == 1
    for name in ("ovn_ic_nb.sock", "ovn_ic_sb.sock", "ovn_ic_nb_db.sock", "ovn_ic_sb_db.sock"):
        assert (one.run / name).is_socket()
    show = ["ovn-ic-nbctl", f"--db=unix:{one.run}/ovn_ic_nb.sock", "--format=csv", "show"]
    assert subprocess.run(show, check=True, capture_output=True).stdout.startswith(
        b"Transit_Switch"
    )
    assert "ready: OVN_IC_Northbound on tcp 127.0.0.1:" in one.output()


def test_sigterm_ends_well_and_leaves_nothing(make):
    one = make().start()
    assert one.stop() == 0
    assert not any(alive(pid) for pid in one.seen)
    assert list(one.run.iterdir()) == []
    assert "ERROR" not in one.output()
    assert "WARNING" not in one.output()


def test_sigint_ends_well(make):
    one = make().start()
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(10) == 0


def test_sigterm_of_the_whole_group_ends_well(make):
    """As systemd does it: the servers may be seen to end before our own signal is handled."""
    one = make().start()
    for pid in [*one.seen, one.process.pid]:
        os.kill(pid, signal.SIGTERM)
    assert one.process.wait(10) == 0


def test_restart_keeps_every_row(make):
    one = make().start()
    one.add_switch("extra", subnet="10.99.0.0/24", claim="x")
    zone = {"op": "insert", "table": "Availability_Zone", "row": {"name": "az1"}}
    uuid = one.transact(one.sb_port, SB, zone)[0]["uuid"]
    assert one.stop() == 0
    one.start()
    assert one.switches() == {"ts": "169.254.100.0/24", "extra": "10.99.0.0/24"}
    select = {"op": "select", "table": "Availability_Zone", "where": [], "columns": ["_uuid"]}
    assert one.transact(one.sb_port, SB, select)[0]["rows"] == [{"_uuid": uuid}]


def test_healthy_restart_writes_nothing(make):
    one = make().start()
    one.stop()
    before = [db.file(one.data).read_bytes() for db in DATABASES]
    one.start()
    one.stop()
    assert [db.file(one.data).read_bytes() for db in DATABASES] == before


def test_more_switches_later_and_never_fewer(make):
    one = make().start("--ts-count", "3")
    wanted = {f"ts{i or ''}": f"169.254.10{i}.0/24" for i in range(3)}
    assert one.switches() == wanted
    one.stop()
    one.start()
    assert one.switches() == wanted


def test_subnet_of_a_live_switch_is_kept_with_a_warning(make):
    one = make().start()
    one.stop()
    one.start("--ts-cidr", "10.255.0.0/24")
    assert one.switches() == {"ts": "169.254.100.0/24"}
    assert "WARNING" in one.output()
    assert "keeps its subnet 169.254.100.0/24" in one.output()


def test_switch_without_subnet_gets_one_and_keeps_its_keys(make):
    one = make().start("--ts-name", "other", "--ts-cidr", "10.1.0.0/24")
    one.add_switch("ts", claim="x")
    one.stop()
    one.start()
    assert one.switches()["ts"] == "169.254.100.0/24"
    select = {"op": "select", "table": "Transit_Switch", "where": [["name", "==", "ts"]]}
    ids = dict(one.transact(one.nb_port, NB, select)[0]["rows"][0]["external_ids"][1])
    assert ids == {"claim": "x", "subnet": "169.254.100.0/24"}


def test_overlap_with_another_switch_is_refused(make):
    one = make().start()
    one.stop()
    code, output = one.fail("--ts-name", "mesh")
    assert code == 1
    assert "overlaps 169.254.100.0/24 of transit switch ts" in output
    one.start()
    assert one.switches() == {"ts": "169.254.100.0/24"}


def test_environment_of_kube_ovn(make):
    one = make().start(
        TS_NAME="mesh",
        TS_NUM="2",
        TS_CIDR="10.255.0.0/24,fd00:1::/112",
        PROTOCOL="dual",
        LOCAL_IP="127.0.0.1",
        NODE_IPS="127.0.0.1",
    )
    assert one.switches() == {
        "mesh": "10.255.0.0/24,fd00:1::/112",
        "mesh1": "10.255.1.0/24,fd00:1:1::/112",
    }


def test_ipv6_address(make):
    one = make()
    one.start("--address", "::1", "--protocol", "ipv6")
    for port in (one.nb_port, one.sb_port):
        with socket.create_connection(("::1", port), 5):
            pass
    assert f"[::1]:{one.nb_port}" in one.output()


def test_log_directory_and_systemd(make, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(5)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        one = make().start("--log-dir", str(tmp_path / "log"), **env)
        assert notify.recv(100) == b"READY=1"
        one.stop()
        assert notify.recv(100) == b"STOPPING=1"
    logs = {path.name for path in (tmp_path / "log").iterdir()}
    assert logs == {"ovsdb-server-ic-nb.log", "ovsdb-server-ic-sb.log"}


def test_used_port(make):
    one = make()
    with socket.create_server(("127.0.0.1", one.nb_port)):
        code, output = one.fail()
    assert code == 1
    assert f"port {one.nb_port}: found pid {os.getpid()} (" in output
    assert "--nb-port" in output
    assert not one.data.exists(), "nothing may be touched"


@pytest.fixture
def conflict(monkeypatch):
    """What `refuse_what_is_in_use` says about an instance, at once."""
    monkeypatch.setattr(server, "_PATIENCE_S", 0)

    def conflict_of(one):
        flags = {"address": "127.0.0.1"}
        flags |= {"nb-port": str(one.nb_port), "sb-port": str(one.sb_port)}
        settings = parse_settings(flags, {}, Folders(one.data, one.run, None))
        with pytest.raises(IcDbError) as caught:
            server.refuse_what_is_in_use(settings)
        return str(caught.value)

    return conflict_of


def test_used_port_of_the_other_database(make, conflict):
    one = make()
    with socket.create_server(("127.0.0.1", one.sb_port)):
        assert f"port {one.sb_port}: found pid {os.getpid()} (" in conflict(one)


def test_foreign_address(make):
    code, output = make().fail("--address", "192.0.2.1")
    assert code == 1
    assert "expected an address of this machine" in output


def test_second_start_on_the_same_files_or_run_directory(make, conflict):
    one = make().start()
    pid = one.servers()[0]
    two = make("two", data=one.data)
    code, output = two.fail()
    assert code == 1
    assert f"found it locked by pid {pid} (ovsdb-server)" in output
    three = make("three")
    three.run = one.run
    assert f"found a running server, pid {pid} (ovsdb-server)" in conflict(three)
    assert one.ready.exists()
    assert one.switches() == {"ts": "169.254.100.0/24"}


def test_upgrade_of_an_older_schema(make, tmp_path):
    one = make()
    for db in DATABASES:
        make_file(db, one.data, older_schema(db, tmp_path))
    row = {"name": "ts", "external_ids": ["map", [["subnet", "10.5.0.0/24"]]]}
    insert = [NB, {"op": "insert", "table": "Transit_Switch", "row": row}]
    subprocess.run(
        ["ovsdb-tool", "transact", IC_NB.file(one.data), json.dumps(insert)],
        check=True,
        capture_output=True,
    )
    before = IC_NB.file(one.data).read_bytes()
    one.start()
    assert one.switches() == {"ts": "10.5.0.0/24"}
    for db in DATABASES:
        version = ["ovsdb-tool", "db-version", db.file(one.data)]
        installed = ["ovsdb-tool", "schema-version", db.schema_file]
        assert subprocess.check_output(version) == subprocess.check_output(installed)
    (copy,) = one.data.glob("ovn_ic_nb_db.db.backup0.9.0-*")
    assert copy.read_bytes() == before
    one.stop()
    one.start()
    assert len(list(one.data.glob("*.backup*"))) == 2


def test_damage_is_reported_by_the_command(make):
    one = make()
    for db in DATABASES:
        make_file(db, one.data, db.schema_file)
    IC_NB.file(one.data).write_bytes(b"garbage\n")
    code, output = one.fail()
    assert code == 1
    assert "found damage at byte 0 of 8" in output


def test_kill_9_leaves_no_server_and_a_restart_at_once_works(make):
    one = make().start()
    one.process.kill()
    one.process.wait()
    one.ready.unlink()
    first = list(one.seen)
    one.start()
    assert not any(alive(pid) for pid in first)
    assert one.switches() == {"ts": "169.254.100.0/24"}
    one.process.kill()
    one.process.wait()
    wait_for(lambda: not any(alive(pid) for pid in one.seen))


@pytest.mark.parametrize("index", [0, 1])
def test_death_of_a_server_ends_everything(make, index):
    one = make().start()
    os.kill(one.seen[index], signal.SIGKILL)
    assert one.process.wait(10) == 1
    assert f"ovsdb-server of {(NB, SB)[index]} was killed by signal 9" in one.output()
    assert not any(alive(pid) for pid in one.seen)
    assert not one.ready.exists()


def test_wrong_settings_are_exit_code_2(make):
    code, output = make().fail("--ts-count", "0", ENABLE_SSL="true", PROTOCOL="ipv5")
    assert code == 2
    assert "ENABLE_SSL (environment)" in output
    assert '--ts-count: found "0"' in output
    assert 'PROTOCOL (environment): found "ipv5"' in output
