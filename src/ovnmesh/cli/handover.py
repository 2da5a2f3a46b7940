"""Becoming another program: from then on, its exit status, terminal and signals are the command's.

Called by `cli.mesh.passthrough` and `cli.kubectl.plugin`. Must not decide what to run.
"""

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from ovnmesh.errors import ProcessError

#: Signals that Python ignores; the program would inherit that (signal(7), Python's pylifecycle.c).
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def hand_over(argv: Sequence[str], hint: str) -> NoReturn:
    """Replace this process by a program.

    Args:
        argv: the program, looked up on PATH, and its arguments; no shell sees them.
        hint: how to install it, for the error's text.

    Raises:
        ProcessError: it is not installed or cannot be started.
    """
    path = shutil.which(argv[0])
    if path is None:
        raise ProcessError(f"{argv[0]}: not found on PATH. Install it: {hint}")
    sys.stdout.flush()
    sys.stderr.flush()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(path, list(argv))
    except OSError as error:
        raise ProcessError(f"{path}: cannot be started: {error}") from error
