"""One look at a site's databases, for whoever reads once.

Connects, reads whole (routes too), and closes. Must not format, must not decide.
"""

from collections.abc import Sequence
from types import TracebackType

from ovnmesh import ovn_keys as keys
from ovnmesh.access.interconnect import interconnect_of, unreachable
from ovnmesh.access.mesh import MeshSession
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Batch
from ovnmesh.model.desired import Router
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
        address: how to reach the site.

    Attributes:
        ic_error: why the interconnection databases do not answer, "" if they do or none are known.
    """

    def __init__(self, address: SiteAddress) -> None:
        self.address = address
        self.ic_error = ""
        self._nb = Database(address.nb, schema.whole(schema.northbound(address.router)))
        self._sb = Database(address.sb, schema.southbound())
        self._mesh: MeshSession | None = None

    def __enter__(self) -> "Session":
        """Connect to the site; the interconnection databases may be missing.

        Raises:
            OvsdbUnavailable: the site's own databases cannot be reached.
        """
        try:
            self._nb.connect()
            self._sb.connect()
            ic_nb, ic_sb = interconnect_of(self.address, self.northbound)
        except OvsdbUnavailable as error:
            self.close()
            raise unreachable(self.address, error) from error
        if ic_nb and ic_sb:
            mesh = MeshSession(ic_nb, ic_sb)
            try:
                mesh.connect()
                self._mesh = mesh
            except OvsdbUnavailable as error:
                self.ic_error = str(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self.close()

    def close(self) -> None:
        """Disconnect."""
        for connected in (self._nb, self._sb, self._mesh):
            if connected is not None:
                connected.close()

    @property
    def has_ic(self) -> bool:
        """Whether the interconnection databases are known and answer."""
        return self._mesh is not None

    def has_controller(self) -> bool:
        """Whether a controller holds the lock by which controllers of a site agree who acts."""
        probe = Database(self.address.nb, schema.lock_probe(), lock=keys.CONTROLLER_LOCK)
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
        return observe_northbound(self._nb.snapshot(), self.address.router, wanted)

    def observe(self, wanted: Sequence[Router] = ()) -> Observed:
        """The site now; the mesh is empty if the interconnection databases do not answer."""
        ic = observe_interconnect({}, {}) if self._mesh is None else self._mesh.read()
        return Observed(self.northbound(wanted), observe_southbound(self._sb.snapshot()), ic)

    def apply(self, batch: Batch) -> None:
        """Apply one batch.

        Raises:
            OvsdbUnavailable: the database is not connected, or does not answer any more.
            OvsdbRejected: it refuses the batch.
            StalePlan: rows changed since they were read.
        """
        own = next((each for each in (self._nb, self._sb) if each.db is batch.db), self._mesh)
        if own is None:
            raise OvsdbUnavailable(
                f"site {self.address.name}: {batch.db.value} is not connected "
                f"({self.ic_error or 'nothing names it'}); expected the interconnection databases "
                "to answer, or to be named by ic_nb and ic_sb of the sites file"
            )
        own.apply(batch)
