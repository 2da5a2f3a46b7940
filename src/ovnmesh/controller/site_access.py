"""The site's own databases, northbound and southbound, as the controller sees them.

Called by the reconciler. Replicates only what the planner needs: which rows that is depends on
the transit switches, so it is told once they are known. Must not plan.
"""

from collections.abc import Callable

from ovnmesh import ovn_keys as keys
from ovnmesh.controller.intent import Intent
from ovnmesh.controller.links import Links
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.model.observed import Interconnect, Northbound, Observed
from ovnmesh.model.reading import observe_northbound, observe_southbound
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database


class SiteAccess:
    """Connections to the site's own databases.

    Args:
        settings: how to reach the site.
        wake: called from threads when something changed.
    """

    def __init__(self, settings: ControllerSettings, wake: Callable[[], None]) -> None:
        self._router = settings.router
        view = schema.northbound(settings.router)
        self.nb = Database(settings.nb, view, wake, keys.CONTROLLER_LOCK)
        self.sb = Database(settings.sb, schema.southbound(), wake)
        self._links = Links((self.nb, self.sb), wake)

    @property
    def live(self) -> bool:
        """Whether both answer right now."""
        return self._links.live

    @property
    def connecting(self) -> bool:
        """Whether the first connection is still being made, and nothing has gone wrong yet."""
        return not self._links.ready and not self._links.error

    @property
    def error(self) -> str:
        """Why they do not answer."""
        return self._links.error

    def northbound(self) -> Northbound:
        """The northbound database as replicated so far."""
        return observe_northbound(self.nb.snapshot(), self._router)

    def observe(self, intent: Intent, ic: Interconnect) -> Observed | None:
        """The site and the mesh, or None while rows are still on their way."""
        nb = self.northbound()
        switches = set(ic.transit_switches) | nb.served_switches()
        az = intent.desired.az_name if intent.desired is not None else nb.name
        ports = {keys.lsp_name(az, ts) for ts in switches}
        owner = (keys.OWNER, nb.site_id)
        conditions = dict(schema.transit_conditions(switches, ports, owner))
        routes = schema.LEARNED_ROUTES if intent.leave else schema.OWN_ROUTES
        conditions["Logical_Router_Static_Route"] = routes
        if self.nb.set_conditions(conditions) or not self.nb.settled():
            return None
        return Observed(nb, observe_southbound(self.sb.snapshot()), ic)

    def close(self) -> None:
        """Disconnect."""
        self._links.close()
