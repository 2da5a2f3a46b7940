"""Removes a lab, however it ended.

Called by `runner` and the command line. Relies on nothing the lab has written: namespaces are found
by the prefix computed from the directory's name, processes by the namespace they are in. So what
``kill -9`` left behind at any moment is found too.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ovnmesh.errors import LabError
from ovnmesh.lab.boot.faults import kill_all
from ovnmesh.lab.network import netns
from ovnmesh.lab.state import is_lab_directory
from ovnmesh.lab.values.layout import prefix_of


@dataclass(frozen=True, slots=True)
class Removed:
    """What was found and removed.

    Attributes:
        processes: processes killed.
        namespaces: namespaces removed, and with them their links.
        directory: whether there was a run directory.
    """

    processes: int
    namespaces: int
    directory: bool


def down(directory: Path) -> Removed:
    """Remove a lab: processes, namespaces, links and files.

    Args:
        directory: its run directory, removed with all it holds.

    Raises:
        LabError: the directory is not a lab's; its content is left alone.
        ProcessError: a process cannot be killed.
    """
    directory = directory.resolve()
    namespaces = netns.names(f"{prefix_of(directory)}-")
    processes = kill_all(namespaces)
    for name in namespaces:
        netns.delete(name)
    exists = directory.exists()
    if exists:
        if not is_lab_directory(directory):
            raise LabError(
                f"{directory}: not a lab's directory; it is left alone, remove it by hand"
            )
        shutil.rmtree(directory)
    return Removed(processes, len(namespaces), exists)
