"""Real here: ovsdb-servers with OVN's own schemas, in a temporary folder. No root."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovnmesh.plan.operations import Db
from servers import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; all are stopped at the end."""
    started: list[Server] = []
    # Unix socket paths are short (108 bytes, unix(7)); pytest's folders are not.
    short = Path(os.path.relpath(tmp_path)) if len(str(tmp_path)) > 80 else tmp_path

    def start(db: Db, folder: Path | None = None) -> Server:
        made = Server(folder or short, db)
        started.append(made)
        made.start()
        return made

    yield start
    for made in started:
        made.stop()
