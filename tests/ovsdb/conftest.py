"""Real here: ovsdb-servers with OVN's own schemas, in a temporary folder. No root."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovnmesh.model.changes import Db
from servers import Server
from site_harness import Ic, SiteUnderTest, connected


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


@pytest.fixture
def ic(server) -> Ic:
    return Ic(server)


@pytest.fixture
def sites(server, ic, tmp_path):
    made = []

    def make(number: int) -> SiteUnderTest:
        site = SiteUnderTest(server, tmp_path / f"s{number}", ic, number)
        made.append(site)
        site.start()
        return site

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def pair(sites) -> tuple[SiteUnderTest, SiteUnderTest]:
    """Two sites, configured, controlled and marked: routes learned both ways."""
    one, two = sites(1), sites(2)
    for site in (one, two):
        site.configure()
        site.control()
        site.mark(f"az{site.number}-gw")
    connected(one, two)
    return one, two
