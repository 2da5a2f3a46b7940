"""The site in few words, for every pass: what metrics and the Kubernetes status tell.

Called by the controller. Pure, and cheap enough for every pass; the whole story is `site_overview`.
Must not judge.
"""

from collections.abc import Iterable

from ovnmesh import ovn_keys as keys
from ovnmesh.model.observed import Observed
from ovnmesh.model.report import SiteView


def view_site(observed: Observed) -> SiteView:
    """Describe a site that is joined, joining or leaving."""
    nb, ic = observed.nb, observed.ic
    marked = nb.options.get(keys.GATEWAYS, "").split(",")
    active = {observed.sb.active.get(lrp.name, "") for lrp in nb.tagged_ports}
    own = sum(route.az == nb.name for route in ic.routes)
    return SiteView(
        az=nb.name,
        gateways=_nodes(observed, marked),
        active=_nodes(observed, active),
        peers=tuple(sorted({port.az for port in ic.ports} - {nb.name, ""})),
        advertised=own,
        remote=len(ic.routes) - own,
    )


def _nodes(observed: Observed, names: Iterable[str]) -> tuple[str, ...]:
    """Node names of chassis: ovn-controller's hostname, which is the Node's name."""
    known = (name for name in names if observed.sb.by_name(name) is not None)
    return tuple(sorted(observed.sb.gateway(name).node for name in known))
