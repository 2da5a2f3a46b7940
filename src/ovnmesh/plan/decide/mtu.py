"""The largest packet towards other sites: `options:gateway_mtu` of our transit ports.

Called by `plan.decisions`. Each gateway's agent reports what fits into its tunnels; a site
publishes the least of its gateways' values on each transit switch, and its ports get the least of
all sites' values, so that a sender is told "packet too big" rather than losing packets. Must not
write anything: `plan.rows.claims` publishes, `plan.rows.ports` sets the option.
"""

from collections.abc import Iterable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.interconnect import TransitSwitch
from ovnmesh.model.observed import Observed


def tunnel_mtus(gateways: Iterable[str], observed: Observed) -> Mapping[str, int]:
    """Largest packet in bytes that fits into the tunnels of each gateway that reports one."""
    reports = observed.sb.reports
    return {
        name: mtu
        for name in sorted(gateways)
        if name in reports and (mtu := reports[name].tunnel_mtu_bytes) is not None
    }


def gateway_mtu(
    wanted_bytes: int | None, ts: TransitSwitch, gateways: Iterable[str], observed: Observed
) -> Mapping[str, str | None]:
    """The option that a port on a transit switch must have, or must not (None).

    Args:
        wanted_bytes: as configured: None to find out, 0 for no limit.
        ts: the transit switch.
        gateways: chassis names of our gateways.
        observed: the site.

    Returns:
        Nothing at all where nobody knows: what stands there stays.
    """
    if wanted_bytes is not None:
        return {keys.GATEWAY_MTU: str(wanted_bytes) if wanted_bytes else None}
    own = tunnel_mtus(gateways, observed).values()
    known = [mtu for site, mtu in ts.mtus.items() if site != observed.nb.site_id or not own]
    known += own
    return {keys.GATEWAY_MTU: str(min(known))} if known else {}


def check_mtu(gateways: Iterable[str], observed: Observed) -> tuple[Finding, ...]:
    """Warn where gateways, or sites, can carry packets of different size."""
    nb, ic = observed.nb, observed.ic
    mtus = tunnel_mtus(gateways, observed)
    findings = []
    if len(set(mtus.values())) > 1:
        nodes = {name: observed.sb.gateway(name).node for name in mtus}
        each = ", ".join(f"{nodes[name]} {mtu}" for name, mtu in mtus.items())
        findings.append(_differ("gateways", f"this site's gateways carry packets of {each} bytes"))
    az_of = {owner: az for az, owner in ic.az_owner.items()}
    claims = {
        az_of.get(site, site): mtu
        for ts in ic.transit_switches.values()
        for site, mtu in ts.mtus.items()
        if site in az_of
    }
    if nb.name in claims and len(set(claims.values())) > 1:
        each = ", ".join(f"{az} {mtu}" for az, mtu in sorted(claims.items()))
        findings.append(_differ("sites", f"sites carry packets of {each} bytes"))
    return tuple(findings)


def _differ(subject: str, found: str) -> Finding:
    return Finding(
        Code.MTU_DIFFERS,
        subject,
        f"{found}. The least counts for all traffic between sites. Expected: the same underlay MTU "
        "on every gateway. Raise the low one, or set gateway-mtu.",
        Severity.WARNING,
    )
