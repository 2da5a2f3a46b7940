"""Tells the OpenStack provider when Neutron has written rows of the site's routers.

Wired up by `ovnmesh controller`; called by the provider, from its threads. A connection of its own
replicates a handful of rows, however many routers the cloud has. Must not interpret them.
"""

import threading
from collections.abc import Callable, Collection
from contextlib import suppress

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.remote import Remote
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.links import Links


class NeutronEvents:
    """Implements `providers.openstack.provider.RouterEvents` on a northbound database.

    Args:
        nb: where it is.
    """

    def __init__(self, nb: Remote) -> None:
        self._nb = nb
        self._database: Database | None = None

    def follow(self, routers: Collection[str]) -> None:
        """Names of routers and of their Logical_Routers to be told about."""
        # Not connected yet: the connection is an event too, after which this is called again.
        if self._database is not None and self._database.connected:
            with suppress(OvsdbUnavailable):
                self._database.set_conditions(schema.router_rows(routers))

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever such a row has changed, until `stop` is set."""
        self._database = Database(self._nb, schema.neutron_routers(), on_change)
        links = Links((self._database,), on_change)
        stop.wait()
        links.close()
