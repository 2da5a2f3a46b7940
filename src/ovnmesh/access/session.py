"""One look at a site's databases, for commands that read once.

Called by `cli.site.status`, `cli.site.change` and `cli.site.passthrough`. Connects, reads whole
(routes too), and closes. Must not format, must not decide.
"""

from collections.abc import Callable, Sequence
from types import TracebackType

from ovnmesh import ovn_keys as keys
from ovnmesh.access.sites import SiteAccess
from ovnmesh.config import InterconnectConfig, recorded_config
from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Batch, Db
from ovnmesh.model.desired import Router, decode_record
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.reading import observe_interconnect, observe_northbound, observe_southbound
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database

#: Seconds granted to the server to say whether a lock is free.
LOCK_ANSWER_S = 1.0


class Session:
    """Connections to one site for the length of a command.

    Args:
        access: how to reach the site.
    """

    def __init__(self, access: SiteAccess) -> None:
        self.access = access
        self._nb = Database(access.nb, schema.whole(schema.northbound(access.router)))
        self._sb = Database(access.sb, schema.southbound())
        self._ic: tuple[Database, Database] | None = None
        self.ic_error = ""

    def __enter__(self) -> "Session":
        """Connect to the site; the interconnection databases may be missing.

        Raises:
            OvsdbUnavailable: the site's own databases cannot be reached.
        """
        self._nb.connect()
        self._sb.connect()
        ic_nb, ic_sb = _ic_remotes(self.access, self.northbound)
        if ic_nb and ic_sb:
            try:
                self._ic = connect_interconnect(ic_nb, ic_sb)
            except OvsdbUnavailable as exc:
                self.ic_error = str(exc)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        for database in (self._nb, self._sb, *(self._ic or ())):
            database.close()

    @property
    def has_ic(self) -> bool:
        """Whether the interconnection databases are known and answer."""
        return self._ic is not None

    def has_controller(self) -> bool:
        """Whether a controller holds the lock by which controllers of a site agree who acts."""
        probe = Database(self.access.nb, schema.lock_probe(), lock=keys.CONTROLLER_LOCK)
        probe.connect()
        try:
            return not probe.lock_is_free(LOCK_ANSWER_S)
        finally:
            probe.close()

    def northbound(self, wanted: Sequence[Router] = ()) -> Northbound:
        """The northbound database now.

        Args:
            wanted: routers of the site that its record does not name yet.
        """
        return observe_northbound(self._nb.snapshot(), self.access.router, wanted)

    def observe(self, wanted: Sequence[Router] = ()) -> Observed:
        """The site now; the mesh is empty if the interconnection databases do not answer."""
        ic = observe_interconnect({}, {})
        if self._ic is not None:
            ic = read_interconnect(self._ic)
        return Observed(self.northbound(wanted), observe_southbound(self._sb.snapshot()), ic)

    def apply(self, batch: Batch) -> None:
        """Apply one batch."""
        for database in (self._nb, self._sb, *(self._ic or ())):
            if database.db is batch.db:
                database.apply(batch)
                return
        raise OvsdbUnavailable(f"{batch.db.value} is not connected: {self.ic_error}")


def read_ic_remotes(access: SiteAccess) -> tuple[str, str]:
    """Where a site's interconnection databases are, without connecting to them.

    Returns:
        Connection methods of northbound and southbound, as the sites file names them or, connecting
        to the site's northbound database, as its record there does; empty if nothing does.

    Raises:
        OvsdbUnavailable: only the record can say, and cannot be read.
    """

    def northbound() -> Northbound:
        # The record alone: a whole northbound database can be large.
        nb = Database(access.nb, schema.View(Db.NB, {"NB_Global": ("external_ids",)}))
        nb.connect()
        try:
            return observe_northbound(nb.snapshot(), access.router)
        finally:
            nb.close()

    return _ic_remotes(access, northbound)


def _ic_remotes(access: SiteAccess, northbound: Callable[[], Northbound]) -> tuple[str, str]:
    if access.ic_nb and access.ic_sb:
        return access.ic_nb, access.ic_sb
    config = taken_config(northbound())
    if config is None or not config.ic_db_hosts:
        return "", ""
    return config.ic_nb_remotes(), config.ic_sb_remotes()


def taken_config(nb: Northbound) -> InterconnectConfig | None:
    """The configuration that a site's controller has taken; None if it has not joined."""
    return recorded_config(decode_record(nb.external_ids.get(keys.SITE_RECORD, "")))


def connect_interconnect(ic_nb: str, ic_sb: str) -> tuple[Database, Database]:
    """Connect to the interconnection databases.

    Raises:
        OvsdbUnavailable: they cannot be reached.
    """
    databases = (
        Database(ic_nb, schema.interconnect_northbound()),
        Database(ic_sb, schema.interconnect_southbound()),
    )
    for database in databases:
        database.connect()
    return databases


def read_interconnect(databases: tuple[Database, Database]) -> Interconnect:
    """What the interconnection databases hold now."""
    return observe_interconnect(databases[0].snapshot(), databases[1].snapshot())
