"""The interconnection databases for the length of a command, without any site's own.

Called by commands about the mesh as a whole. Finds the databases, connects, reads, and closes. Must
not format, must not decide.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovnmesh.access.session import connect_interconnect, read_ic_remotes, read_interconnect
from ovnmesh.access.sites import SiteAccess, interconnect_remotes, pick_sites
from ovnmesh.errors import ConfigError, OvsdbUnavailable, Problem
from ovnmesh.model.changes import Batch
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.ovsdb.database import Database


class MeshSession:
    """Connections to both interconnection databases; made by `open_mesh`."""

    def __init__(self, databases: tuple[Database, Database]) -> None:
        self._databases = databases

    def read(self) -> Interconnect:
        """What the databases hold now."""
        return read_interconnect(self._databases)

    def find(self, name: str) -> TransitSwitch | None:
        """The transit switch of that name now, None if there is none."""
        return self.read().transit_switches.get(name)

    def apply(self, batch: Batch) -> None:
        """Apply one batch."""
        next(each for each in self._databases if each.db is batch.db).apply(batch)


@contextmanager
def open_mesh(sites_file: Path | None) -> Iterator[MeshSession]:
    """Connect to the interconnection databases that something names.

    Raises:
        ConfigError: nothing names any.
        OvsdbUnavailable: they cannot be reached.
    """
    ic_nb, ic_sb = _find_interconnect(pick_sites([], sites_file))
    if not ic_nb:
        expected = "--sites-file, or OVN_IC_NB_DB and OVN_IC_SB_DB"
        raise ConfigError([Problem("interconnection databases", "none named", expected)])
    databases = connect_interconnect(ic_nb, ic_sb)
    try:
        yield MeshSession(databases)
    finally:
        for database in databases:
            database.close()


def _find_interconnect(accesses: list[SiteAccess]) -> tuple[str, str]:
    """The interconnection databases, as something names them, else as any site's record does."""
    named = interconnect_remotes(accesses)
    for access in accesses if not all(named) else ():
        try:
            recorded = read_ic_remotes(access)
        except OvsdbUnavailable:
            continue  # another site may know
        if all(recorded):
            return recorded
    return named
