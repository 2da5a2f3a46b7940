"""``ovnmesh ic-db`` with real ovsdb-servers: files, switches, refusals, signals. No root needed.

Real: the command as a process of its own, OVS's servers and tools, files in a temporary folder,
ports on the loopback.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ovnmesh.errors import ConfigError, IcDbError
from ovnmesh.icdb.files import DATABASES, IC_NB, IC_SB, prepare_files, scan_log
from ovnmesh.icdb.settings import Folders, TransitSwitch, parse_settings
from ovnmesh.icdb.switches import plan_switches

NB = "OVN_IC_Northbound"
SB = "OVN_IC_Southbound"
KUBE_OVN_NAMES = [
    *("TS_NAME", "TS_NUM", "TS_CIDR", "PROTOCOL", "LOCAL_IP"),
    *("NODE_IPS", "LEADER_IP", "ENABLE_SSL", "NOTIFY_SOCKET"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class IcDb:
    """The command, its folders and ports."""

    base: Path
    data: Path = None
    nb_port: int = field(default_factory=free_port)
    sb_port: int = field(default_factory=free_port)
    process: subprocess.Popen = None
    seen: list = field(default_factory=list)

    def __post_init__(self):
        self.base.mkdir(exist_ok=True)
        self.data = self.data or self.base / "data"
        self.run = self.base / "run"
        self.ready = self.run / "ic-db.ready"

    def spawn(self, *flags, **env):
        clean = {k: v for k, v in os.environ.items() if k not in KUBE_OVN_NAMES}
        address = [] if "LOCAL_IP" in env or "--address" in flags else ["--address", "127.0.0.1"]
        words = [sys.executable, "-m", "ovnmesh", "ic-db", *address]
        words += ["--data-dir", str(self.data), "--run-dir", str(self.run)]
        words += ["--nb-port", str(self.nb_port), "--sb-port", str(self.sb_port), *flags]
        with self._log().open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, env=clean | {"COLUMNS": "1000"} | env
            )
        return self

    def start(self, *flags, **env):
        self.spawn(*flags, **env)
        wait_until(lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output()
        self.seen += self.servers()
        return self

    def stop(self):
        self.process.terminate()
        return self.process.wait(10)

    def fail(self, *flags, **env):
        """Start in vain; the exit code and the message."""
        self._log().unlink(missing_ok=True)
        code = self.spawn(*flags, **env).process.wait(15)
        assert not self.ready.exists()
        return code, self.output()

    def output(self):
        return re.sub(r"\s+", " ", self._log().read_text())

    def servers(self):
        return [int((self.run / f"{db.base}.pid").read_text()) for db in DATABASES]

    def transact(self, port, db, *operations):
        request = json.dumps([db, *operations])
        done = subprocess.run(
            ["ovsdb-client", "--timeout=5", "transact", f"tcp:127.0.0.1:{port}", request],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def switches(self):
        select = {"op": "select", "table": "Transit_Switch", "where": []}
        rows = self.transact(self.nb_port, NB, select)[0]["rows"]
        return {row["name"]: dict(row["external_ids"][1]).get("subnet") for row in rows}

    def add_switch(self, name, **external_ids):
        row = {"name": name, "external_ids": ["map", list(external_ids.items())]}
        insert = {"op": "insert", "table": "Transit_Switch", "row": row}
        assert "uuid" in self.transact(self.nb_port, NB, insert)[0]

    def _log(self):
        return self.base / "out.log"


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
        wait_until(lambda one=one: not any(alive(pid) for pid in one.seen))


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


def test_log_directory(make, tmp_path):
    one = make().start("--log-dir", str(tmp_path / "log"))
    logs = {path.name for path in (tmp_path / "log").iterdir()}
    assert logs == {"ovsdb-server-ic-nb.log", "ovsdb-server-ic-sb.log"}
    assert one.stop() == 0


def test_systemd_is_told(make, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(5)
        one = make().start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert notify.recv(100) == b"READY=1"
        one.stop()
        assert notify.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("which", ["nb", "sb"])
def test_used_port(make, which):
    one = make()
    port = getattr(one, f"{which}_port")
    with socket.create_server(("127.0.0.1", port)):
        code, output = one.fail()
    assert code == 1
    assert f"port {port}: found pid {os.getpid()} (" in output
    assert f"--{which}-port" in output
    assert not one.data.exists(), "nothing may be touched"


def test_foreign_address(make):
    code, output = make().fail("--address", "192.0.2.1")
    assert code == 1
    assert "expected an address of this machine" in output


def test_second_start_on_the_same_files(make):
    one = make().start()
    two = make("two", data=one.data)
    code, output = two.fail()
    assert code == 1
    assert f"found it locked by pid {one.servers()[0]} (ovsdb-server)" in output
    assert one.switches() == {"ts": "169.254.100.0/24"}


def test_second_start_in_the_same_run_directory(make):
    one = make().start()
    two = make("two")
    two.run = one.run
    code = two.spawn().process.wait(15)
    assert code == 1
    assert f"found a running server, pid {one.servers()[0]}" in two.output()
    assert one.ready.exists()
    assert one.switches()


def older_schema(db, tmp_path, version="0.9.0"):
    """The installed schema with another version and without a column that it has."""
    schema = json.loads(db.schema_file.read_text())
    schema["version"] = version
    del schema["cksum"]
    del schema["tables"][db.global_table]["columns"]["options"]
    path = tmp_path / f"{db.short}-{version}.ovsschema"
    path.write_text(json.dumps(schema))
    return path


def make_file(db, data, schema):
    data.mkdir(exist_ok=True)
    subprocess.run(["ovsdb-tool", "create", db.file(data), schema], check=True)


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


def test_damage_is_reported_by_the_command(make, data):
    IC_NB.file(data).write_bytes(b"garbage\n")
    one = make(data=data)
    code, output = one.fail()
    assert code == 1
    assert "found damage at byte 0 of 8" in output


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
    wait_until(lambda: not any(alive(pid) for pid in one.seen))


@pytest.mark.parametrize("index", [0, 1])
def test_death_of_a_server_ends_everything(make, index):
    one = make().start()
    os.kill(one.seen[index], signal.SIGKILL)
    assert one.process.wait(10) == 1
    assert f"ovsdb-server of {(NB, SB)[index]} was killed by signal 9" in one.output()
    assert not any(alive(pid) for pid in one.seen)
    assert not one.ready.exists()


def test_wrong_settings_are_exit_code_2(make):
    code, output = make().fail("--ts-count", "0", NODE_IPS="10.0.0.1,10.0.0.2", PROTOCOL="ipv5")
    assert code == 2
    assert 'NODE_IPS (environment): found "10.0.0.1,10.0.0.2"; expected one instance' in output
    assert '--ts-count: found "0"' in output
    assert 'PROTOCOL (environment): found "ipv5"' in output


# --- settings and switches: pure -----------------------------------------------------------------


def settings_of(env=None, **flags):
    return parse_settings(
        {name.replace("_", "-"): value for name, value in flags.items()}, env or {}, Folders()
    )


def subnets_of(env=None, **flags):
    return {switch.name: switch.subnet for switch in settings_of(env, **flags).switches}


def test_defaults():
    settings = settings_of()
    assert (str(settings.address), settings.nb_port, settings.sb_port) == ("::", 6645, 6646)
    assert settings.folders == Folders(Path("/etc/ovn"), Path("/run/ovn"), None)
    assert subnets_of() == {"ts": "169.254.100.0/24"}


def test_names_and_subnets_of_further_switches():
    assert subnets_of(ts_count="2", protocol="ipv6") == {
        "ts": "fd00:a9fe:64::/112",
        "ts1": "fd00:a9fe:65::/112",
    }
    assert subnets_of(ts_count="2", protocol="dual") == {
        "ts": "169.254.100.0/24,fd00:a9fe:64::/112",
        "ts1": "169.254.101.0/24,fd00:a9fe:65::/112",
    }
    many = subnets_of(ts_count="128")
    assert many["ts127"] == "169.254.227.0/24"


def test_flags_win_over_the_environment_and_empty_is_unset():
    env = {"TS_NAME": "x", "TS_NUM": "3", "PROTOCOL": "ipv6", "LOCAL_IP": "10.0.0.1", "TS_CIDR": ""}
    settings = settings_of(env, ts_name="y", ts_count="1", protocol="ipv4", address="10.0.0.2")
    assert str(settings.address) == "10.0.0.2"
    assert settings.switches == (settings.switches[0],)
    assert (settings.switches[0].name, settings.switches[0].subnet) == ("y", "169.254.100.0/24")


def test_protocol_follows_the_subnet():
    assert subnets_of(ts_cidr="fd00::/64") == {"ts": "fd00::/64"}
    assert subnets_of(ts_cidr="10.0.0.0/24, fd00::/64") == {"ts": "10.0.0.0/24,fd00::/64"}


@pytest.mark.parametrize(
    ("flags", "env", "where", "text"),
    [
        ({"nb_port": "0"}, {}, "--nb-port", "1 to 65535"),
        ({"sb_port": "65536"}, {}, "--sb-port", "1 to 65535"),
        ({"sb_port": "6645"}, {}, "--sb-port", "another port"),
        ({"nb_port": "x"}, {}, "--nb-port", '"x"'),
        ({"address": "localhost"}, {}, "--address", "IPv4 or IPv6"),
        ({"address": "[::]"}, {}, "--address", "without brackets"),
        ({}, {"LOCAL_IP": "eth0"}, "LOCAL_IP (environment)", '"eth0"'),
        ({"ts_count": "129"}, {}, "--ts-count", "1 to 128"),
        ({}, {"TS_NUM": "ts"}, "TS_NUM (environment)", '"ts"'),
        ({"ts_name": "t s"}, {}, "--ts-name", "a space at position 2"),
        ({"ts_name": ""}, {}, "--ts-name", "an empty name"),
        ({}, {"TS_CIDR": "10.0.0.1/24"}, "TS_CIDR (environment)", '"10.0.0.0/24"'),
        ({"ts_cidr": "10.0.0.0"}, {}, "--ts-cidr", "prefix length"),
        ({"ts_cidr": "10.0.0.0/31"}, {}, "--ts-cidr", "4 or more"),
        ({"ts_cidr": "127.0.0.0/24"}, {}, "--ts-cidr", "unicast"),
        ({"ts_cidr": "224.0.0.0/24"}, {}, "--ts-cidr", "unicast"),
        ({"ts_cidr": "fe80:a9fe:64::/112"}, {}, "--ts-cidr", "learns no routes via link-local"),
        ({"ts_cidr": "10.0.0.0/24,10.1.0.0/24"}, {}, "--ts-cidr", "at most one IPv4"),
        ({"ts_cidr": "10.0.0.0/24", "protocol": "dual"}, {}, "--ts-cidr", 'protocol "dual"'),
        ({"ts_cidr": "255.255.255.0/24", "ts_count": "2"}, {}, "--ts-cidr", "do not suffice"),
        ({"protocol": "IPv4"}, {}, "--protocol", '"ipv4", "ipv6" or "dual"'),
        ({}, {"NODE_IPS": "10.0.0.1, 10.0.0.2"}, "NODE_IPS (environment)", "not offered yet"),
        ({}, {"LEADER_IP": "10.0.0.1"}, "LEADER_IP (environment)", "not offered yet"),
        ({}, {"ENABLE_SSL": "true"}, "ENABLE_SSL (environment)", "TLS is not offered yet"),
    ],
)
def test_wrong_setting(flags, env, where, text):
    with pytest.raises(ConfigError) as caught:
        settings_of(env, **flags)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert text in str(problem)


def test_plan_over_a_healthy_database_is_empty():
    wanted = settings_of(ts_count="2").switches
    stored = {"ts": "169.254.100.0/24", "ts1": "169.254.101.0/24", "foreign": None}
    plan = plan_switches(wanted, stored)
    assert (plan.operations, plan.changes, plan.warnings) == ((), (), ())


def test_order_within_a_stored_subnet_does_not_matter():
    wanted = settings_of(protocol="dual").switches
    plan = plan_switches(wanted, {"ts": "fd00:a9fe:64::/112, 169.254.100.0/24"})
    assert plan.warnings == ()


def test_stored_nonsense_is_kept_with_a_warning():
    (switch,) = settings_of().switches
    assert isinstance(switch, TransitSwitch)
    plan = plan_switches([switch], {"ts": "nonsense", "other": "10.0.0.0/99"})
    assert plan.operations == ()
    assert "keeps its subnet nonsense" in plan.warnings[0]
