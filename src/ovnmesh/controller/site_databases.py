"""The site's own databases, northbound and southbound, as the controller sees them.

Called by the reconciler. Replicates only what the planner needs: which rows that is depends on
the transit switches, so it is told once they are known. Must not plan.
"""

from collections.abc import Callable
from dataclasses import replace

from ovnmesh import ovn_keys as keys
from ovnmesh.controller.audit import Audit
from ovnmesh.controller.intent import Intent
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.reading import (
    observe_learned_routes,
    observe_northbound,
    observe_southbound,
)
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.links import Links
from ovnmesh.plan.decide.learned import storming, surplus


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
        self._audit = Audit(clock)
        self._stormed = False
        self._served: frozenset[tuple[str, str]] | None = None
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
        conditions["Logical_Router_Static_Route"] = routes
        if self.nb.set_conditions(conditions) or not self.nb.settled():
            return None
        observed = Observed(nb, observe_southbound(self.sb.snapshot()), ic, ovn_ic)
        if intent.leave:  # learned routes are replicated, and all of them go
            self._audit.end()
            return observed
        if self._audit.due:
            learned = observe_learned_routes(self.nb.select(*schema.LEARNED))
            with_learned = replace(nb, static_routes=(*nb.static_routes, *learned))
            observed = replace(observed, nb=with_learned)
            self._audit.looked(len(surplus({}, observed)))
        if self._must_audit(observed, intent):
            self._audit.begin()
        return observed

    @property
    def again_s(self) -> float | None:
        """Seconds until there is something to look for, whatever happens; None if never."""
        return self._audit.again_s

    def _must_audit(self, observed: Observed, intent: Intent) -> bool:
        """Whether there is a new reason to look at learned routes.

        A storm has to be ended before its routes can be counted. A process that starts does not
        know what has happened before, which matters where others change routers.
        """
        served = {(port.transit_switch, port.router) for port in observed.nb.tagged_ports}
        stormed, self._stormed = self._stormed, storming(observed)
        before, self._served = self._served, frozenset(served)
        if before is None:
            wish = intent.desired or observed.nb.record
            return self._stormed or (wish is not None and wish.shared_database)
        return stormed != self._stormed or bool(before - self._served)

    def close(self) -> None:
        """Disconnect."""
        self._links.close()
