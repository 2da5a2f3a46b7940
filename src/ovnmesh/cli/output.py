"""How every command speaks: results to standard output, everything else to standard error.

Knows rich and JSON; knows nothing of OVN and decides nothing. rich is imported where something is
shown with it: it takes as long as all the rest of a command's start.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from ovnmesh.errors import OvnmeshError

if TYPE_CHECKING:
    from rich.console import Console


class Output(StrEnum):
    """Form of a command's result, chosen with ``-o``."""

    TABLE = "table"
    JSON = "json"


def stdout() -> "Console":
    """Console for results; coloured only on a terminal."""
    return _console(sys.stdout)


def stderr() -> "Console":
    """Console for progress, hints and errors; coloured only on a terminal."""
    return _console(sys.stderr)


def _console(file: TextIO, width: int | None = None) -> "Console":
    from rich.console import Console

    # Markup and emoji codes are off: "fd00:100:64::1" has one, and a name may have brackets.
    return Console(
        file=file, highlight=False, markup=False, emoji=False, soft_wrap=width is None, width=width
    )


def emit_json(value: Any) -> None:
    """Print plain data as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    # Piped, a row stays on one line, so that grep and awk find it whole.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 500
    _console(sys.stdout, width).print(made)


def error(exc: OvnmeshError) -> None:
    """Print an error, one line for each problem."""
    from rich.text import Text

    console = stderr()
    for line in str(exc).splitlines():
        console.print(Text("error: ", "bold red") + Text(line, "default"))


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show what a long command is doing, on standard error.

    On a terminal it is one line that changes; otherwise each step is a line of its own.

    Args:
        title: what the command does as a whole.

    Yields:
        A function to call with the name of each step.
    """
    console = stderr()
    if not console.is_terminal:
        said: list[str] = []

        def say(text: str) -> None:
            if text not in said[-1:]:
                said.append(text)
                console.print(f"{title}: {text}")

        yield say
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title)
        yield lambda text: bar.update(task, description=f"{title}: {text}")
