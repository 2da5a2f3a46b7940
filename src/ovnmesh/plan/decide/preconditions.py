"""What must hold before anything is written: a router, the right databases, a name of our own.

Called by `plan.site`. What is missed refuses the whole plan, and the last good state stays. Must
not look at anything that only part of a plan depends on.
"""

from ovnmesh import ovn_keys as keys
from ovnmesh.model.desired import Desired
from ovnmesh.model.finding import Code, Finding
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.routers import decide_attachments


def check_preconditions(desired: Desired, observed: Observed) -> Finding | None:
    """Why the site must stay as it is, None if it may be changed."""
    nb, ic = observed.nb, observed.ic
    if not any(router.uuid for router in nb.routers) and keys.SITE_RECORD not in nb.external_ids:
        return decide_attachments(desired, observed).findings[0]
    if not ic.global_uuid:
        return Finding(
            Code.IC_EMPTY,
            "IC_NB_Global",
            "the interconnection northbound database is not initialised. Run `ovnmesh ic-db`, or "
            "`ovn-ic-nbctl init`.",
        )
    missing = sorted(set(nb.switches) - set(ic.transit_switches))
    if nb.tagged_ports and missing and not ic.transit_switches:
        return Finding(
            Code.IC_EMPTY,
            ", ".join(missing),
            f"the interconnection databases hold no transit switch, but this site is connected to "
            f"{', '.join(missing)}: they are not those that the site joined. Everything is kept as "
            "it is. Bring the old database files back, from a backup (ovnmesh ic-db backup) for "
            "example, or leave and join again.",
        )
    return _check_az_name(desired.az_name, observed)


def _check_az_name(az: str, observed: Observed) -> Finding | None:
    """A finding if the AZ name belongs to another site, None if it is free or ours."""
    nb, ic = observed.nb, observed.ic
    owner = ic.az_owner.get(az)
    if owner == nb.site_id:
        return None
    if owner is not None:
        return Finding(
            Code.AZ_NAME_TAKEN,
            az,
            f'az-name "{az}" is claimed by site {owner}{_gateways_of(az, ic)}. Expected: every '
            "site has a name of its own. Choose another az-name. If that site is gone for good, "
            f"remove what it has left: ovnmesh forget {az}",
        )
    if nb.name == az:
        strangers = [
            p.name for p in ic.ports if p.az == az and not _is_local_port(p.name, observed)
        ]
    else:
        strangers = [p.name for p in ic.ports if p.az == az]
        strangers += [g.hostname for g in ic.gateways if g.az == az]
    if not strangers:
        return None
    return Finding(
        Code.AZ_NAME_TAKEN,
        az,
        f'az-name "{az}" is in use by a site that ovnmesh does not run{_gateways_of(az, ic)}. '
        "Expected: every site has a name of its own. Choose another az-name. If that site is gone "
        f"for good, remove what it has left: ovnmesh forget {az}",
    )


def _is_local_port(name: str, observed: Observed) -> bool:
    port = observed.nb.switch_ports.get(name)
    return port is not None and port.type == "router"


def _gateways_of(az: str, ic: Interconnect) -> str:
    hosts = sorted({gateway.hostname for gateway in ic.gateways if gateway.az == az})
    return f" (gateways: {', '.join(hosts)})" if hosts else ""
