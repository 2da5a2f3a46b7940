"""Every role runs with the packages of its extra and no others.

Each role is a Python of its own, which finds no other package: those of other roles are refused as
if they were not installed.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

from ovnmesh.cli.main import COMMANDS, EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Modules that need more than every role has; the longest name that fits counts.
NEEDS = {
    "ovnmesh.cli.lab": "lab",
    "ovnmesh.lab": "lab",
    "ovnmesh.operate.openstack": "openstack",
    "ovnmesh.providers.kubernetes": "kubernetes",
    "ovnmesh.providers.openstack.api": "openstack",
    "ovnmesh.providers.openstack.checks": "openstack",
    "ovnmesh.providers.openstack.objects": "openstack",
    "ovnmesh.providers.openstack.provider": "openstack",
    "ovnmesh.web": "web",
}
#: Finds no package that is not allowed, as if it were not installed; then comes a program.
BEGIN = """
import importlib, sys
from importlib.machinery import PathFinder

hidden = set(sys.argv.pop(1).split())

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.partition(".")[0] not in hidden
        return super().find_spec(name, path, target) if known else None

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""
IMPORT = """
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
COMMAND = """
from ovnmesh.cli.main import main
main()
"""
HELP = """
from ovnmesh.cli.main import main
for name in sys.argv[1:]:
    sys.argv[1:] = [name, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, name
"""


def name_of(requirement: str) -> str:
    """The distribution's name, as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def declared(extra: str) -> list[str]:
    """What a role asks for, beyond what every role has."""
    return PROJECT["optional-dependencies"][extra] if extra else []


def closure(extra: str) -> set[str]:
    """Distributions that come with a role."""
    found: set[str] = set()
    todo = [*PROJECT["dependencies"], *declared(extra)]
    while todo:
        requirement = todo.pop()
        inner = re.match(r"ovnmesh\[(.*)\]", requirement)
        if inner:
            todo += [line for each in inner[1].split(",") for line in declared(each)]
        elif "extra ==" not in requirement and name_of(requirement) not in found:
            try:
                todo += distribution(name_of(requirement)).requires or []
            except PackageNotFoundError:  # for another system, or an older Python
                continue
            found.add(name_of(requirement))
    return found


def run(extra: str, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a Python that has the packages of one role."""
    allowed = closure(extra) | {"ovnmesh"}
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not allowed & {name_of(owner) for owner in owners}
    ]
    argv = [sys.executable, "-W", "ignore", "-c", BEGIN + program, " ".join(hidden), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def need_of(module: str) -> str:
    """The extra that a module needs."""
    fits = [name for name in NEEDS if f"{module}.".startswith(f"{name}.")]
    return NEEDS[max(fits, key=len)] if fits else ""


def modules() -> list[str]:
    """Every module of ovnmesh but the one that runs when it is imported."""
    found = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for path in sorted((ROOT / "src/ovnmesh").rglob("*.py"))
    ]
    return [name.removesuffix(".__init__") for name in found if name != "ovnmesh.__main__"]


@pytest.mark.parametrize("extra", ["", *EXTRAS], ids=lambda extra: extra or "every role")
def test_modules_need_the_packages_of_their_role_only(extra):
    names = [name for name in modules() if need_of(name) == extra]
    assert names
    done = run(extra, IMPORT, *names)
    assert done.returncode == 0, done.stderr


def test_help_needs_no_extra():
    done = run("", COMMAND, "--help")
    assert done.returncode == 0, done.stderr
    shown = set(re.findall(r"^[│|] ([a-z-]+)", done.stdout, re.M))
    assert shown >= set(COMMANDS) - {"lab"}
    assert "lab" not in shown


def test_help_of_every_command_needs_no_extra():
    done = run("", HELP, *(name for name in COMMANDS if name != "lab"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["controller", "--kubernetes"], "kubernetes"),
        (["controller", "--openstack", "site.yaml"], "openstack"),
        (["controller", "--config", "site", "--metrics-port", "9476"], "web"),
        (["agent", "--metrics-port", "9477"], "web"),
        (["openstack", "leave", "site.yaml"], "openstack"),
        (["lab", "up"], "lab"),
    ],
)
def test_a_missing_extra_is_named(words, extra, tmp_path):
    if words[0] == "controller":
        words = [*words, "--run-dir", str(tmp_path)]
    done = run("", COMMAND, *words)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f"ovnmesh {words[0]}: found no Python package " in said
    assert f"pip install 'ovnmesh[{extra}]'" in said
    assert "Traceback" not in said


def test_names_of_packages_are_those_of_the_extras():
    owners = packages_distributions()
    for extra, packages in EXTRAS.items():
        expected = {name_of(line) for line in declared(extra) if "ovnmesh[" not in line}
        found = {name_of(owner) for package in packages for owner in owners[package]}
        assert expected <= found
        assert len(packages) == len(expected)
