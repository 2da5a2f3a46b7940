"""The interconnection databases for the length of a command, without any site's own.

Finds the databases, connects, reads, and closes. Must not format, must not decide.
"""

from pathlib import Path
from types import TracebackType

from ovnmesh.access.interconnect import find_interconnect
from ovnmesh.access.sites import pick_sites
from ovnmesh.errors import ConfigError, OvsdbUnavailable, Problem
from ovnmesh.model.changes import Batch, Db
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.model.reading import observe_interconnect
from ovnmesh.model.remote import Remote
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database


class MeshSession:
    """Connections to both interconnection databases.

    Args:
        ic_nb: where the northbound one is.
        ic_sb: the same, southbound.
    """

    def __init__(self, ic_nb: Remote, ic_sb: Remote) -> None:
        self._nb = Database(ic_nb, schema.interconnect_northbound())
        self._sb = Database(ic_sb, schema.interconnect_southbound())

    def __enter__(self) -> "MeshSession":
        """Connect.

        Raises:
            OvsdbUnavailable: a database cannot be reached.
        """
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self.close()

    def connect(self) -> None:
        """Connect.

        Raises:
            OvsdbUnavailable: a database cannot be reached; then none is connected.
        """
        try:
            self._nb.connect()
            self._sb.connect()
        except OvsdbUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        self._nb.close()
        self._sb.close()

    def read(self) -> Interconnect:
        """What the databases hold now."""
        return observe_interconnect(self._nb.snapshot(), self._sb.snapshot())

    def find(self, name: str) -> TransitSwitch | None:
        """The transit switch of that name now, None if there is none."""
        return self.read().transit_switches.get(name)

    def apply(self, batch: Batch) -> None:
        """Apply one batch."""
        (self._nb if batch.db is Db.IC_NB else self._sb).apply(batch)


def open_mesh(sites_file: Path | None) -> MeshSession:
    """The interconnection databases that something names, to be entered.

    Args:
        sites_file: as given on the command line; None for the one that applies.

    Raises:
        ConfigError: nothing names any.
    """
    ic_nb, ic_sb = find_interconnect(pick_sites([], sites_file))
    if not ic_nb:
        expected = "--sites-file, or OVN_IC_NB_DB and OVN_IC_SB_DB"
        raise ConfigError([Problem("interconnection databases", "none named", expected)])
    return MeshSession(ic_nb, ic_sb)
