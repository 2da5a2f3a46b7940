"""The controller's connections, made in the background so that the loop never waits for a host.

Called by the reconciler. Must not read or write rows.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.backoff import Backoff
from ovnmesh.ovsdb.database import Database

LOG = logging.getLogger(__name__)

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0


class Links:
    """A set of databases that are usable only together.

    Args:
        databases: not yet connected.
        on_change: called from a thread when one more is connected, or fails anew.
    """

    def __init__(self, databases: Sequence[Database], on_change: Callable[[], None]) -> None:
        self.databases = tuple(databases)
        self.error = ""
        self._on_change = on_change
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether every database has been loaded once."""
        return self._ready.is_set()

    @property
    def live(self) -> bool:
        """Whether every database answers right now."""
        return self.ready and all(database.connected for database in self.databases)

    def close(self) -> None:
        """Disconnect; a connection attempt that hangs ends by its own time limit."""
        self._stop.set()
        if self._ready.is_set():
            self._close_databases()

    def _close_databases(self) -> None:
        for database in self.databases:
            database.close()

    def _connect(self) -> None:
        backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S)
        pending = list(self.databases)
        while pending and not self._stop.is_set():
            try:
                pending[0].connect()
                pending.pop(0)
            except OvsdbUnavailable as error:
                if str(error) != self.error:
                    self.error = str(error)
                    LOG.warning("%s; retrying", error)
                    self._on_change()
                self._stop.wait(backoff.failed())
            except Exception:
                # The thread's top: a mistake of a library must not end the attempts for ever.
                LOG.exception("%s: connecting failed unexpectedly", pending[0].remote)
                self._stop.wait(LAST_RETRY_S)
        if not pending:
            self.error = ""
            self._ready.set()
        # Asked after that: what is ready by then is closed by `close`, everything else here.
        if self._stop.is_set():
            self._close_databases()
        else:
            self._on_change()
