"""Networks of an address family that no transit switch carries.

Called by `plan.decisions`. ovn-ic advertises them all the same, without end
(`Quirk.UNCARRIED_FAMILY_CHURN`), so they are denied. Must not decide anything about families that
are carried.
"""

from collections.abc import Iterable, Mapping

from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.observed import Observed
from ovnmesh.model.prefixes import Prefix, is_link_local


def uncarried(switches: Iterable[str], observed: Observed) -> Mapping[Prefix, str]:
    """Own networks that nobody could reach by way of the transit switches in use, with the reason.

    Args:
        switches: the transit switches that the site uses; without any, nothing is uncarried.
        observed: the site and the mesh.
    """
    used = [observed.ic.transit_switches[ts] for ts in switches]
    carried = {subnet.version for switch in used for subnet in switch.subnets}
    if not carried or not observed.capabilities.has(Quirk.UNCARRIED_FAMILY_CHURN):
        return {}
    routed = (
        route.prefix
        for route in observed.nb.static_routes
        if not route.learned and route.policy != "src-ip" and route.prefix is not None
    )
    own = {*observed.own_prefixes, *(prefix for prefix in routed if prefix.length)}
    return {
        prefix: f"no transit switch of the site carries IPv{prefix.version}"
        for prefix in sorted(own)
        if prefix.version not in carried and not is_link_local(prefix)
    }
