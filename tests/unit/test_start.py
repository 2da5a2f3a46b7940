"""What a command's start imports: what declares it, and nothing that only its work needs."""

import subprocess
import sys
from importlib import import_module

import pytest

from ovnmesh.cli.main import COMMANDS

#: Packages that take long, and that no command needs to say what it is.
HEAVY = ("ovs", "ovsdbapp", "yaml", "msgspec", "openstack", "lightkube", "kopf", "rich.progress")
#: Declared by what they work with: the lab's values, the site file's place.
EXEMPT = {"ovnmesh.cli.lab.commands", "ovnmesh.cli.mesh.openstack"}
PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(" ".join(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize("module", sorted({module for module, _ in COMMANDS.values()} - EXEMPT))
def test_a_command_is_declared_without_what_it_works_with(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *HEAVY], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_exempt_are_commands() -> None:
    assert {module for module, _ in COMMANDS.values()} >= EXEMPT
    assert all(import_module(module) for module in EXEMPT)
