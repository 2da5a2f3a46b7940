"""`ovnmesh nbctl` and its siblings, as processes, with OVN's own tools on real databases."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ovnmesh import ovn_keys as keys
from ovnmesh.config import parse_config
from ovnmesh.model.changes import Db
from ovnmesh.model.desired import Desired
from ovnmesh.model.site_record import encode_desired
from servers import wait_for

OVNMESH = [sys.executable, "-m", "ovnmesh"]
#: What an operator's shell may hold, and what must not lead to another database.
VARIABLES = ("OVN_NB_DB", "OVN_SB_DB", "OVN_IC_NB_DB", "OVN_IC_SB_DB", "OVNMESH_SITES")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without any site."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    source = Path(__file__).parents[2] / "src"
    return kept | {
        "PYTHONPATH": str(source),
        "OVNMESH_LAB_DIR": str(tmp_path / "nolab"),
        "OVN_RUNDIR": str(tmp_path / "norun"),
    }


@pytest.fixture
def run(environment):
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*OVNMESH, *words],
            env=environment | changes,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )

    return run


@pytest.fixture
def sites_file(tmp_path: Path):
    def write(**sites: dict[str, str]) -> str:
        path = tmp_path / "sites.yaml"
        path.write_text(yaml.safe_dump({"sites": sites}))
        return str(path)

    return write


@pytest.fixture
def site(server, sites_file) -> dict[str, str]:
    """Environment that names a site az1 with databases of its own."""
    nb, sb = server(Db.NB), server(Db.SB)
    subprocess.run(["ovn-nbctl", f"--db={nb.remote}", "init"], check=True)
    return {"OVNMESH_SITES": sites_file(az1={"nb": nb.remote, "sb": sb.remote})}


def test_each_tool_runs_on_its_own_database(server, ic, sites_file, run) -> None:
    nb, sb = server(Db.NB), server(Db.SB)
    entry = {"nb": nb.remote, "sb": sb.remote, "ic_nb": ic.nb.remote, "ic_sb": ic.sb.remote}
    named = sites_file(az0={"nb": "unix:/none", "sb": "unix:/none"}, az1=entry)
    assert run("nbctl", "--sites-file", named, "az1", "ls-add", "one").returncode == 0
    assert "one" in nb.dump("Logical_Switch")
    shown = run("sbctl", "az1", "--bare", "get-connection", OVNMESH_SITES=named)
    assert (shown.returncode, shown.stdout) == (0, "")
    run("sbctl", "az1", "set-connection", "ptcp:6642", OVNMESH_SITES=named)
    assert "ptcp:6642" in sb.dump("Connection")
    assert "ts" in run("icnbctl", "az1", "ts-list", OVNMESH_SITES=named).stdout
    added = run("icsbctl", "az1", "create", "Availability_Zone", "name=az9", OVNMESH_SITES=named)
    assert added.returncode == 0, added.stderr
    assert "az9" in ic.sb.dump("Availability_Zone")


def test_what_looks_like_an_option_reaches_the_tool(site, run) -> None:
    done = run("nbctl", "az1", "--format=json", "--columns=name", "list", "NB_Global", **site)
    assert json.loads(done.stdout) == {"data": [[""]], "headings": ["name"]}
    words = ["--", "--id=@ls", "create", "Logical_Switch", "name=-h", "--", "ls-add", "--help"]
    done = run("nbctl", "az1", *words, **site)
    assert done.returncode == 0, done.stderr
    done = run("nbctl", "az1", "--bare", "--columns", "name", "list", "Logical_Switch", **site)
    assert sorted(done.stdout.split()) == ["--help", "-h"]
    text = "two words; $(id) `id` * \" ' \\ é"
    quoted = json.dumps(text, ensure_ascii=False)
    done = run("nbctl", "az1", "set", "NB_Global", ".", f"external_ids:x={quoted}", **site)
    assert done.returncode == 0, done.stderr
    done = run("nbctl", "az1", "--data=bare", "get", "NB_Global", ".", "external_ids:x", **site)
    assert json.loads(done.stdout) == text
    assert "ovn-nbctl: OVN northbound DB management utility" in (
        run("nbctl", "az1", "--help", **site).stdout
    )
    assert "Usage: ovnmesh nbctl" in run("nbctl", "--help", **site).stdout


def test_exit_status_and_messages_are_the_tools(site, run) -> None:
    direct = subprocess.run(["ovn-nbctl", "nonsense"], capture_output=True, text=True, check=False)
    done = run("nbctl", "az1", "nonsense", **site)
    assert (done.returncode, done.stderr) == (direct.returncode, direct.stderr)
    done = run("nbctl", "az1", "ls-del", "none", **site)
    assert done.returncode == 1
    assert "none: switch name not found" in done.stderr
    assert run("nbctl", "az1", "--if-exists", "ls-del", "none", **site).returncode == 0


def test_signals_end_the_tool_itself(site, environment) -> None:
    command = [*OVNMESH, "nbctl", "az1", "wait-until", "Logical_Switch", "never", "name=never"]
    # A shell that starts the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=environment | site)
    signal.signal(signal.SIGINT, before)
    program = Path(f"/proc/{process.pid}/exe")
    try:
        wait_for(lambda: program.resolve().name == "ovn-nbctl")
        ignored = next(
            line
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("SigIgn")
        )
        # Of the two signals that Python ignores, ovn-nbctl ignores SIGPIPE by itself.
        assert not int(ignored.split()[1], 16) & 1 << (signal.SIGXFSZ - 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()


def test_several_remotes_are_one_argument(site, sites_file, run) -> None:
    entry = yaml.safe_load(Path(site["OVNMESH_SITES"]).read_text())["sites"]["az1"]
    remotes = f"unix:/nobody/here,{entry['nb']}"
    named = sites_file(raft={"nb": remotes, "sb": entry["sb"]})
    done = run("nbctl", "raft", "--timeout=10", "ls-add", "raft", OVNMESH_SITES=named)
    assert done.returncode == 0, done.stderr


def test_a_daemon_of_another_database_is_not_asked(site, server, run, tmp_path: Path) -> None:
    folder = tmp_path / "o"
    folder.mkdir()
    other = server(Db.NB, folder)
    socket = str(folder / "d.ctl")
    daemon = ["ovn-nbctl", f"--db={other.remote}", "--detach", "--no-chdir", f"--unixctl={socket}"]
    subprocess.run(daemon, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        added = run("nbctl", "az1", "ls-add", "mine", **site, OVN_NB_DAEMON=socket)
        assert added.returncode == 0, added.stderr
        assert "mine" not in other.dump("Logical_Switch")
        assert "mine" in run("nbctl", "az1", "show", **site).stdout
    finally:
        subprocess.run(["ovs-appctl", "-t", socket, "exit"], check=True)


def test_interconnection_is_found_by_the_sites_own_record(site, ic, run) -> None:
    data = {
        "enable-ic": "true",
        "az-name": "az1",
        "ic-db-host": "127.0.0.1",
        "ic-nb-port": str(ic.ports["nb"]),
        "ic-sb-port": str(ic.ports["sb"]),
        "gw-nodes": "az1-gw",
        "auto-route": "true",
    }
    unknown = run("icnbctl", "az1", "ts-list", **site)
    assert unknown.returncode == 2
    assert "none named; expected ic_nb and ic_sb in the sites file" in unknown.stderr
    config = parse_config(data, "data")
    remotes = (config.ic_nb_remote(), config.ic_sb_remote())
    wish = Desired("az1", ("az1-gw",), True, ic_nb=remotes[0], ic_sb=remotes[1])
    escaped = json.dumps(encode_desired(wish))
    done = run(
        "nbctl",
        "az1",
        "set",
        "NB_Global",
        ".",
        f"external_ids:{keys.SITE_RECORD}={escaped}",
        **site,
    )
    assert done.returncode == 0, done.stderr
    assert "ts" in run("icnbctl", "az1", "ts-list", **site).stdout
    done = run("icsbctl", "az1", "--bare", "list", "IC_SB_Global", **site)
    assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr


def test_database_that_must_tell_and_does_not_answer(sites_file, run) -> None:
    named = sites_file(az1={"nb": "unix:/nobody/here", "sb": "unix:/nobody/here"})
    done = run("icnbctl", "az1", "ts-list", OVNMESH_SITES=named)
    assert done.returncode == 1
    assert "error: site az1: OVN_Northbound cannot be reached" in done.stderr
    assert "nb and sb of the sites file" in done.stderr


def test_tool_that_is_not_installed(site, run, tmp_path: Path) -> None:
    done = run("nbctl", "az1", "show", **site, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "ovn-nbctl: not found on PATH" in done.stderr
    assert "apt-get install ovn-common" in done.stderr


def test_unknown_site_and_completion(site, run) -> None:
    done = run("sbctl", "az7", "show", **site)
    assert done.returncode == 2
    assert 'found "az7"; expected one of: az1' in done.stderr
    completion = {"_OVNMESH_COMPLETE": "complete_bash", "COMP_WORDS": "ovnmesh sbctl a"}
    # `python -m ovnmesh` and the script complete alike: the program is named in the code.
    done = run(**site, **completion, COMP_CWORD="2")
    assert done.stdout.split() == ["az1"]
    done = run(**site, **completion | {"COMP_WORDS": "ovnmesh sbctl az1 a"}, COMP_CWORD="3")
    assert done.stdout.split() == []


def test_local_site_of_the_environment(site, run) -> None:
    entry = yaml.safe_load(Path(site["OVNMESH_SITES"]).read_text())["sites"]["az1"]
    done = run("nbctl", "local", "ls-add", "here", OVN_NB_DB=entry["nb"])
    assert done.returncode == 0, done.stderr
