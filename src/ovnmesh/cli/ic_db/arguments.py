"""Arguments that commands of ``ovnmesh ic-db`` share.

Declares; decides nothing.
"""

from pathlib import Path
from typing import Annotated

import typer

RunDir = Annotated[
    Path | None,
    typer.Option(
        help="Run directory of ovnmesh ic-db on this node (default: /run/ovn).", resolve_path=True
    ),
]


def pick_run_dir(ctx: typer.Context, run_dir: Path | None) -> Path:
    """The run directory that a command was given, else the one before it (``ic-db --run-dir``)."""
    before = ctx.find_object(Path)
    return run_dir or before or Path("/run/ovn")
