"""Tells the OpenStack provider when Neutron has written rows of the site's routers.

Wired up by `ovnmesh controller`; called by the provider, from its threads. A connection of its own
replicates a handful of rows, however many routers the cloud has. Must not interpret them.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import Remote
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.links import Links

#: external_ids of a Logical_Router: the name its user gave it; of its ports: the Logical_Router
#: (neutron.common.ovn.constants, OVN_ROUTER_NAME_EXT_ID_KEY). Read only.
ROUTER_NAME = "neutron:router_name"


def router_view() -> schema.View:
    """What Neutron writes of routers, to hear of changes; which routers, `router_rows` says.

    Neutron counts a revision in external_ids up with every change (neutron.common.ovn.constants,
    OVN_REV_NUM_EXT_ID_KEY). Ports of ours and static routes do not show here.
    """
    return schema.View(
        Db.NB,
        {
            "Logical_Router": ("name", "enabled", "external_ids"),
            "Logical_Router_Port": ("name", "networks", "external_ids"),
        },
        router_rows(()),
    )


def router_rows(routers: Iterable[str]) -> Mapping[str, schema.Condition]:
    """Conditions of `router_view`.

    Args:
        routers: names that users gave to routers, and names of Logical_Routers.
    """
    named = [("external_ids", "includes", ("map", ((ROUTER_NAME, r),))) for r in sorted(routers)]
    rows = [("name", "==", router) for router in sorted(routers)]
    return {
        "Logical_Router": (*rows, *named) or schema.NOTHING,
        # Of a port, the same key names the Logical_Router.
        "Logical_Router_Port": tuple(named) or schema.NOTHING,
    }


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
                self._database.set_conditions(router_rows(routers))

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever such a row has changed, until `stop` is set."""
        self._database = Database(self._nb, router_view(), on_change)
        links = Links((self._database,), on_change)
        stop.wait()
        links.close()
