"""Docstrings of modules: who is said to call a module imports it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
CALLERS = re.compile(
    r"\b(?:[Cc]alled|[Mm]ade|[Rr]ead|[Ww]ritten|[Aa]pplied|[Bb]uilt from plain rows) by "
    r"((?:`+[^`]*`+|[^.;:`])*)"
)
QUOTED = re.compile(r"`+([^`]*)`+")
#: A module as docstrings name it: `plan.site`, or only `site`; not a flag, nor a console script.
MODULE = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


TREES = {name_of(path): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}


@cache
def imported_by(module: str) -> frozenset[str]:
    """Modules of ours that a module imports, anywhere in its text, or names to have imported."""
    found: set[str] = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found & TREES.keys())


def inside(name: str) -> set[str]:
    """A module, or all modules of a package."""
    return {module for module in TREES if module == name or module.startswith(name + ".")}


def named(text: str) -> set[str]:
    """Modules that a docstring may mean by a name."""
    return {module for module in TREES if f".{module}".endswith(f".{text}")}


@cache
def commands() -> frozenset[str]:
    """Everything that commands import, themselves or by others."""
    found: set[str] = set()
    ahead = inside("ovnmesh.cli")
    while ahead:
        found |= ahead
        ahead = {each for module in ahead for each in imported_by(module)} - found
    return frozenset(found)


def claims() -> list[tuple[str, str]]:
    return [
        (module, caller)
        for module, tree in TREES.items()
        for sentence in CALLERS.findall(" ".join((ast.get_docstring(tree) or "").split()))
        for caller in QUOTED.findall(sentence.partition(", which")[0])
        if MODULE.fullmatch(caller) or caller.startswith("ovnmesh ")
    ]


@pytest.mark.parametrize(("module", "caller"), claims())
def test_who_is_said_to_call_a_module_imports_it(module: str, caller: str) -> None:
    if caller.startswith("ovnmesh "):
        assert inside(module) & commands(), f"no command needs {module}"
        return
    callers = named(caller)
    assert callers, f"{module} is called by {caller}, which does not exist"
    found = {each for name in callers for one in inside(name) for each in imported_by(one)}
    assert found & inside(module), f"{caller} does not import {module}"


def test_claims_are_found() -> None:
    assert ("ovnmesh.plan.deny", "plan.decisions") in claims()
    assert len(claims()) > 100
