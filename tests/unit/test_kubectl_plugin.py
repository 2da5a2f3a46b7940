"""`kubectl ovnmesh`, with a kubectl that only writes down how it was called. A real kubectl, if one
is on PATH, shows that it finds the plugin.
"""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from ovnmesh.cli.kubectl import completion as kubectl_completion
from ovnmesh.cli.kubectl.plugin import (
    KUBECTL_FLAGS,
    REFUSED,
    SITE_COMMANDS,
    in_pod,
    parse,
    pick_pod,
)
from ovnmesh.cli.main import app

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

#: Writes its arguments down, lists pods, and runs the command of `exec` here instead of in a pod.
FAKE = """\
#!{python}
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
words = [word for word in sys.argv[1:] if not word.startswith("--")]
if "exec" in words:
    command = sys.argv[sys.argv.index("--") + 1 :]
    if (here / "exit").exists():
        sys.exit(int((here / "exit").read_text()))
    os.execv(sys.executable, [sys.executable, "-m", *command])
answer = here / words[1]
if not answer.exists():
    print(f"Error from server: no {{words[1]}}", file=sys.stderr)
    sys.exit(1)
sys.stdout.write(answer.read_text())
"""
SCRIPT = """\
#!{python}
from {module} import {function}
{function}()
"""


def pod(name: str, ready: bool = True, running: bool = True, **metadata: str) -> dict:
    state = {"running": {}} if running else {"waiting": {"reason": "CrashLoopBackOff"}}
    return {
        "metadata": {"name": name, **metadata},
        "status": {
            "phase": "Running" if running else "Pending",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "controller", "state": state}],
        },
    }


class Plugin:
    """The plugin's scripts and a kubectl, in a folder that is first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        self.script("kubectl", FAKE)
        for name, target in SCRIPTS.items():
            if name.startswith("kubectl"):
                module, _, function = target.partition(":")
                self.script(name, SCRIPT, module=module, function=function)
        self.pods(pod("ovnmesh-controller-a"))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OVN", "KUBE"))}
        self.environment = kept | {
            "PATH": f"{self.path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "OVNMESH_LAB_DIR": str(folder / "nolab"),
            "OVN_RUNDIR": str(folder / "norun"),
            "KUBECONFIG": str(folder / "no-kubeconfig"),
        }

    def script(self, name: str, text: str, **values: str) -> None:
        (self.path / name).write_text(text.format(python=sys.executable, **values))
        (self.path / name).chmod(0o755)

    def pods(self, *pods: dict) -> None:
        (self.path / "pods").write_text(json.dumps({"items": pods}))

    def exits(self, status: int) -> None:
        (self.path / "exit").write_text(str(status))

    def run(self, *words: str, by: tuple[str, ...] = ("kubectl-ovnmesh",), **options):
        options = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(
            [str(self.path / by[0]), *by[1:], *words],
            env=self.environment,
            text=True,
            check=False,
            timeout=60,
            **options,
        )

    def calls(self) -> list[list[str]]:
        file = self.path / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def test_command_runs_in_a_controllers_pod(plugin: Plugin) -> None:
    plugin.exits(0)
    done = plugin.run("status", "-o", "json", "--context", "az2", "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert plugin.calls() == [
        [
            *("--namespace=ovnmesh", "--context=az2", "get", "pods"),
            "--selector=app.kubernetes.io/name=ovnmesh,app.kubernetes.io/component=controller",
            "--output=json",
        ],
        [
            *("--namespace=ovnmesh", "--context=az2", "exec", "ovnmesh-controller-a"),
            *("--container=controller", "--", "ovnmesh", "status", "-o", "json", "--wait"),
        ],
    ]


FLAGS = ["--kubeconfig", "/k", "--context=c", "--cluster", "x", "--user=u", "-n", "other"]
PASSED = ["--namespace=other", "--kubeconfig=/k", "--context=c", "--cluster=x", "--user=u"]


@pytest.mark.parametrize(
    "words",
    [
        [*FLAGS, "--request-timeout", "5s", "routes", "-ojson"],
        ["routes", *FLAGS, "--request-timeout=5s", "-ojson"],
        ["--request-timeout=5s", "routes", "-ojson", *FLAGS],
    ],
    ids=["before", "between", "around"],
)
def test_flags_of_kubectl_before_and_after_the_command(plugin: Plugin, words: list[str]) -> None:
    plugin.exits(0)
    assert plugin.run(*words).returncode == 0
    listing, execution = plugin.calls()
    passed = [*PASSED, "--request-timeout=5s"]
    assert listing[: len(passed)] == execution[: len(passed)] == passed
    assert execution[execution.index("--") + 1 :] == ["ovnmesh", "routes", "local", "-ojson"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("nbctl show", "nbctl local show"),
        ("nbctl --format=json -n x --user u", "nbctl local --format=json -n x --user u"),
        ("-n x icsbctl -- list Route", "icsbctl local -- list Route"),
        ("routes -o json", "routes local -o json"),
        ("route add 10.0.0.0/8 --via az2", "route add local 10.0.0.0/8 --via az2"),
        ("route", "route"),
        ("leave --user u --force", "leave local --force"),
        ("status --help", "status --help"),
        ("status --timeout 5 -ojson", "status --timeout 5 -ojson"),
        ("diagnose --deep -n x", "diagnose --deep"),
        ("--version", "--version"),
        ("forget az3 -- --user u", "forget az3 -- --user u"),
    ],
)
def test_the_rest_is_the_commands(words: str, command: str) -> None:
    assert in_pod(parse(words.split()).command) == command.split()


def test_words_are_not_split_joined_or_expanded(plugin: Plugin) -> None:
    plugin.exits(0)
    words = ["set", "NB_Global", ".", "external_ids:x=a b;$(id) `id` '\"\\", ""]
    plugin.run("nbctl", *words)
    assert plugin.calls()[1][-len(words) :] == words


@pytest.mark.parametrize("status", [0, 2])
def test_exit_status_is_that_of_the_command(plugin: Plugin, status: int) -> None:
    plugin.exits(status)
    assert plugin.run("status").returncode == status


def test_command_line_in_the_pod_understands_what_it_gets(plugin: Plugin) -> None:
    done = plugin.run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "ovnmesh")
    done = plugin.run("routes", "--help")
    assert done.returncode == 0
    assert "Show the routes of a site" in done.stdout
    unknown = plugin.run("heal")
    assert unknown.returncode == 2
    assert "No such command 'heal'" in unknown.stderr


def leaves(command, *words: str):
    """All commands with the words that lead to them."""
    if not hasattr(command, "list_commands"):
        yield words, command
        return
    for name in command.list_commands(None):
        yield from leaves(command.get_command(None, name), *words, name)


def test_every_command_that_takes_one_site_is_given_it() -> None:
    for words, command in leaves(typer.main.get_command(app)):
        if words[0] in REFUSED:
            continue
        names = [param.name for param in command.params if param.param_type_name == "argument"]
        assert (names[:1] == ["site"]) == (in_pod(words)[len(words) :] == ["local"]), words
    assert set(SITE_COMMANDS) | set(REFUSED) <= set(app_commands())


def app_commands() -> list[str]:
    return typer.main.get_command(app).list_commands(None)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_command_that_makes_no_sense_in_a_pod(plugin: Plugin, name: str) -> None:
    done = plugin.run(name, "--context", "c")
    assert done.returncode == 2
    assert f'found "{name}"; expected a command that looks at a cluster; ' in done.stderr
    assert plugin.calls() == []


def test_help_needs_no_cluster(plugin: Plugin) -> None:
    done = plugin.run("--help")
    assert done.returncode == 0
    assert "kubectl ovnmesh nbctl lr-route-list ovn-cluster" in done.stdout
    assert "--kubeconfig" in done.stdout
    assert plugin.run().returncode == 2
    assert plugin.calls() == []
    # Its examples are commands.
    for line in re.findall(r"^  kubectl ovnmesh (.*)$", done.stdout, re.M):
        assert parse(line.split()).command[0] in app_commands(), line


def test_flags_are_in_the_reference() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.partition("\n## kubectl ovnmesh\n")[2].partition("\n## ")[0]
    flags = {"namespace", *KUBECTL_FLAGS, "help"}
    assert set(re.findall(r"`--([a-z-]+)`", section)) == flags


def test_flag_without_its_value(plugin: Plugin) -> None:
    done = plugin.run("status", "--context")
    assert done.returncode == 2
    assert "argument --context: expected one argument" in done.stderr
    assert plugin.calls() == []


def test_which_pod_is_asked() -> None:
    gone = pod("gone", deletionTimestamp="2026-01-01T00:00:00Z")
    crashed, late = pod("crashed", ready=False, running=False), pod("late", ready=False)
    chosen = pick_pod([gone, crashed, late, pod("ready"), pod("other")])
    assert chosen is not None
    assert chosen["metadata"]["name"] == "ready"
    assert pick_pod([gone, crashed, late]) == late
    assert pick_pod([gone, crashed]) is None
    assert pick_pod([{"metadata": {"name": "new"}}]) is None


def test_pod_that_runs_but_is_not_ready_is_asked_and_named(plugin: Plugin) -> None:
    plugin.exits(1)
    plugin.pods(pod("late", ready=False))
    done = plugin.run("status")
    assert done.returncode == 1
    assert "no controller is ready; asking late" in done.stderr


def test_without_a_pod_status_shows_what_was_left(plugin: Plugin) -> None:
    plugin.pods(pod("ovnmesh-controller-x", running=False))
    (plugin.path / "interconnections.ovnmesh.io").write_text("AZ   READY\naz1  False\n")
    done = plugin.run("status", "-n", "net")
    assert done.returncode == 1
    assert "namespace net: found ovnmesh-controller-x (Pending); expected a running pod" in (
        done.stderr
    )
    assert done.stdout == "AZ   READY\naz1  False\n"
    assert plugin.calls()[1][-3:] == ["interconnections.ovnmesh.io", "default", "--output=wide"]


@pytest.mark.parametrize("form", ["-ojson", "-o json", "--output=json", "--output json"])
def test_without_a_pod_the_form_asked_for_is_given(plugin: Plugin, form: str) -> None:
    plugin.pods()
    (plugin.path / "interconnections.ovnmesh.io").write_text('{"kind": "Interconnection"}')
    done = plugin.run("status", *form.split())
    assert done.returncode == 1
    assert "found no pod of a controller" in done.stderr
    assert json.loads(done.stdout) == {"kind": "Interconnection"}
    assert plugin.calls()[1][-1] == "--output=json"


def test_without_a_pod_and_without_the_resource(plugin: Plugin) -> None:
    plugin.pods()
    done = plugin.run("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no interconnections.ovnmesh.io" in done.stderr
    done = plugin.run("routes")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(plugin.calls()) == 3


def test_cluster_that_cannot_be_asked(plugin: Plugin) -> None:
    (plugin.path / "pods").unlink()
    done = plugin.run("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error from server: no pods\n"
    (plugin.path / "pods").write_text("proxy says hello")
    assert "answered no list of pods" in plugin.run("status").stderr


def test_no_kubectl(plugin: Plugin) -> None:
    (plugin.path / "kubectl").unlink()
    plugin.environment["PATH"] = str(plugin.path)
    done = plugin.run("status")
    assert done.returncode == 1
    assert "error: kubectl: cannot be started" in done.stderr


def test_terminal_is_given_to_the_command(plugin: Plugin) -> None:
    plugin.exits(0)
    ours, theirs = pty.openpty()
    try:
        plugin.run("forget", "az3", stdin=theirs)
        terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        plugin.run("forget", "az3", **terminal, capture_output=False)
    finally:
        os.close(ours)
        os.close(theirs)
    _, piped, _, whole = plugin.calls()
    assert "--stdin" in piped
    assert "--tty" not in piped, "carriage returns in a pipe"
    assert whole[whole.index("--") - 2 : whole.index("--")] == ["--stdin", "--tty"]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    sites = tmp_path / "sites.yaml"
    sites.write_text("sites: {az1: {nb: x, sb: y}}")
    monkeypatch.setattr(os, "environ", os.environ.copy() | {"OVNMESH_SITES": str(sites)})

    def complete(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["kubectl_complete-ovnmesh", *words])
        kubectl_completion.main()
        *found, directive = capsys.readouterr().out.splitlines()
        assert directive == ":4"
        return [line.partition("\t")[0] for line in found]

    return complete


def test_completion(complete) -> None:
    assert complete("") == [name for name in app_commands() if name not in REFUSED]
    assert complete("--context", "c", "ro") == ["routes", "route"]
    assert complete("route", "") == ["add", "del"]
    assert complete("status", "-o", "") == ["table", "json"]
    assert complete("status", "") == [], "the sites of this machine are no answer"
    assert complete("status", "--co") == ["--context"]
    assert "--via" in complete("route", "add", "-")
    assert complete("--con") == ["--context"]
    assert complete("--context", "") == []
    assert complete("nbctl", "--con") == [], "it is the tool's"


def test_scripts_of_the_package_exist() -> None:
    assert {"kubectl-ovnmesh", "kubectl_complete-ovnmesh"} <= set(SCRIPTS)
    for target in SCRIPTS.values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


@pytest.fixture
def real_kubectl() -> str:
    # scripts/kubectl.sh puts one beside Python where the system has none that is new enough.
    places = (str(Path(sys.executable).parent), os.environ["PATH"])
    found = shutil.which("kubectl", path=os.pathsep.join(places))
    if found is None:
        pytest.skip("no kubectl: that it finds the plugin is not shown")
    return found


def test_real_kubectl_finds_the_plugin(plugin: Plugin, real_kubectl: str) -> None:
    plugin.exits(3)
    words = ("ovnmesh", "--context", "az2", "routes", "-o", "json", "-n", "net")
    done = plugin.run(*words, by=(real_kubectl,))
    assert done.returncode == 3, done.stderr
    assert plugin.calls()[1] == [
        *("--namespace=net", "--context=az2", "exec", "ovnmesh-controller-a"),
        *("--container=controller", "--", "ovnmesh", "routes", "local", "-o", "json"),
    ]
    assert str(plugin.path / "kubectl-ovnmesh") in (
        plugin.run("plugin", "list", by=(real_kubectl,)).stdout
    )


def test_real_kubectl_completes_the_plugin(plugin: Plugin, real_kubectl: str) -> None:
    told = plugin.run("version", "--client", "-o", "json", by=(real_kubectl,)).stdout
    minor = int(re.sub(r"\D.*", "", json.loads(told)["clientVersion"]["minor"]))
    if minor < 26:
        pytest.skip(f"kubectl 1.{minor} does not complete plugins; 1.26 does")
    done = plugin.run("__complete", "ovnmesh", "ro", by=(real_kubectl,))
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [
        "routes",
        "route",
        ":4",
    ]
