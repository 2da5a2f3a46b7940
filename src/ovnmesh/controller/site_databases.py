"""The site's own databases, northbound and southbound, as the controller sees them.

Called by the reconciler. Replicates only what the planner needs: which rows that is depends on
the transit switches, so it is told once they are known. Must not plan.
"""

from collections.abc import Callable

from ovnmesh import ovn_keys as keys
from ovnmesh.controller.intent import Intent
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.reading import observe_northbound, observe_southbound
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.links import Links
from ovnmesh.plan.decide.learned import storming, surplus

AUDIT_S = 10.0
"""How long learned routes are looked at once there was a reason to. ovn-ic may add some a last
time, acting on rows that it has not yet heard are gone."""


class SiteDatabases:
    """Connections to the site's own databases.

    Args:
        settings: how to reach the site.
        wake: called from threads when something changed.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._router = settings.router
        view = schema.northbound(settings.router)
        self.nb = Database(settings.nb, view, wake, keys.CONTROLLER_LOCK)
        self.sb = Database(settings.sb, schema.southbound(), wake)
        self._wake = wake
        self._clock = clock
        self._audit_until = 0.0
        self._served: frozenset[str] | None = None
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

    def northbound(self, intent: Intent | None = None) -> Northbound:
        """The northbound database as replicated so far, with the routers of an intent."""
        desired = intent.desired if intent is not None else None
        wanted = desired.routers if desired is not None else ()
        return observe_northbound(self.nb.snapshot(), self._router, wanted)

    def observe(self, intent: Intent, ic: Interconnect, ovn_ic: str) -> Observed | None:
        """The site and the mesh, or None while rows are still on their way.

        Args:
            intent: what the site is to do.
            ic: the mesh.
            ovn_ic: what the ovn-ic that runs here says of its version.
        """
        nb = self.northbound(intent)
        switches = set(ic.transit_switches) | nb.served_switches()
        az = intent.desired.az_name if intent.desired is not None else nb.name
        wishes = [router.wish for router in nb.routers]
        ports = {wish.lsp_name(az, ts) for wish in wishes for ts in switches}
        owner = (keys.OWNER, nb.site_id)
        routers = {wish.name for wish in wishes}
        conditions = dict(schema.transit_conditions(routers, switches, ports, owner))
        routes = schema.LEARNED_ROUTES if intent.leave else schema.OWN_ROUTES
        if self._auditing and not intent.leave:
            routes = (*schema.OWN_ROUTES, *schema.LEARNED_ROUTES)
        conditions["Logical_Router_Static_Route"] = routes
        if self.nb.set_conditions(conditions) or not self.nb.settled():
            return None
        observed = Observed(nb, observe_southbound(self.sb.snapshot()), ic, ovn_ic)
        if self._must_audit(observed, intent):
            if not self._auditing:
                self._wake()
            self._audit_until = self._clock() + AUDIT_S
        return observed

    @property
    def _auditing(self) -> bool:
        return self._clock() < self._audit_until

    def _must_audit(self, observed: Observed, intent: Intent) -> bool:
        """Whether there is a reason to look at learned routes from the next pass on.

        Not from this one: a storm has to be ended before its routes can be counted. A process that
        starts does not know what has happened before, which matters where others change routers.
        """
        before, self._served = self._served, observed.nb.served_switches()
        wish = intent.desired or observed.nb.record
        shared = wish is not None and wish.shared_database
        if storming(observed) or (shared if before is None else before - self._served):
            return True
        return self._auditing and bool(surplus((), observed))

    def close(self) -> None:
        """Disconnect."""
        self._links.close()
