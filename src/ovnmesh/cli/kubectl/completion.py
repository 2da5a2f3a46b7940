"""`kubectl_complete-ovnmesh`: what kubectl's shell completion asks after `kubectl ovnmesh`.

Called by kubectl (1.26 or newer) with the words so far, the last one incomplete. Answers from the
commands of this package, without asking the cluster.
"""

import io
import os
import shlex
import sys
from contextlib import redirect_stdout, suppress

from ovnmesh.access.sites import SITES_VARIABLE
from ovnmesh.cli.kubectl.plugin import KUBECTL_FLAGS, REFUSED, TOOLS, in_pod, parse
from ovnmesh.cli.main import app

#: Do not go on with file names (cobra, ShellCompDirectiveNoFileComp).
_NO_FILES = ":4"


def main() -> None:
    """Print completions, one a line with its description after a tab, and a directive."""
    *words, incomplete = sys.argv[1:] or [""]
    found: list[str] = []
    with suppress(SystemExit):  # words that do not parse yet, such as a flag without its value
        command = parse(words).command
        found = _complete(command, incomplete)
        if not command:
            found = [line for line in found if line.partition("\t")[0] not in REFUSED]
        if not command or command[0] not in TOOLS:
            flags = [f"--{name}" for name in ("namespace", *KUBECTL_FLAGS)]
            found += [f for f in flags if incomplete.startswith("-") and f.startswith(incomplete)]
    sys.stdout.write("".join(f"{line}\n" for line in (*found, _NO_FILES)))


def _complete(command: list[str], incomplete: str) -> list[str]:
    words = shlex.join(["ovnmesh", *(in_pod(command) if command else ())])
    last = shlex.quote(incomplete) if incomplete else ""
    os.environ |= {
        # How the completion script that Typer makes for fish asks; its lines are kubectl's, too.
        "_OVNMESH_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": f"{words} {last}",
        # The sites of this machine are not those of the cluster.
        SITES_VARIABLE: os.devnull,
    }
    said = io.StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        app(prog_name="ovnmesh")
    return [line for line in said.getvalue().splitlines() if line]
