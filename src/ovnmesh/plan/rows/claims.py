"""Claims in IC-NB: one owner for each AZ name, each address and each MAC of a transit switch.

Called by `plan.site`. A claim is a key on a row of the interconnection northbound database,
written by compare-and-swap, so that the loser of a race plans again before it goes live.
Must not touch claims of other sites.
"""

from collections.abc import Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.changes import Expect, MergeKeys, Operation
from ovnmesh.model.finding import Code, Finding
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.model.observed import Observed


def check_az_name(az: str, observed: Observed) -> Finding | None:
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


def plan_az_claim(az: str, observed: Observed) -> tuple[Operation, ...]:
    """Claim the AZ name and release every other name of ours."""
    ic, site_id = observed.ic, observed.nb.site_id
    stale = frozenset(
        keys.AZ_CLAIM + name
        for name, owner in ic.az_owner.items()
        if owner == site_id and name != az
    )
    put = {} if ic.az_owner.get(az) == site_id else {keys.AZ_CLAIM + az: site_id}
    return _guarded("IC_NB_Global", ic.global_uuid, ic.global_external_ids, put, stale)


def plan_address_claims(
    endpoints: Mapping[str, Endpoint], observed: Observed
) -> tuple[Operation, ...]:
    """Claim our endpoint on each transit switch, by switch name."""
    operations: list[Operation] = []
    for name, endpoint in endpoints.items():
        ts = observed.ic.transit_switches[name]
        key = keys.ADDRESS_CLAIM + observed.nb.site_id
        if ts.external_ids.get(key) != endpoint.encode():
            operations += _guarded(
                "Transit_Switch", ts.uuid, ts.external_ids, {key: endpoint.encode()}, frozenset()
            )
    return tuple(operations)


def plan_release(site_id: str, ic: Interconnect) -> tuple[Operation, ...]:
    """Give up every claim of a site."""
    names = frozenset(keys.AZ_CLAIM + az for az, owner in ic.az_owner.items() if owner == site_id)
    operations: list[Operation] = []
    if names:
        operations.append(MergeKeys("IC_NB_Global", ic.global_uuid, "external_ids", remove=names))
    for ts in ic.transit_switches.values():
        operations += plan_release_switch(site_id, ts)
    return tuple(operations)


def plan_release_switch(site_id: str, ts: TransitSwitch) -> tuple[Operation, ...]:
    """Give up what a site claims and publishes on one transit switch."""
    ours = {keys.ADDRESS_CLAIM + site_id, keys.MTU_CLAIM + site_id} & set(ts.external_ids)
    if not ours:
        return ()
    return (MergeKeys("Transit_Switch", ts.uuid, "external_ids", remove=frozenset(ours)),)


def _guarded(
    table: str,
    uuid: str,
    seen: Mapping[str, str],
    put: Mapping[str, str],
    remove: frozenset[str],
) -> tuple[Operation, ...]:
    if not put and not remove:
        return ()
    return (
        Expect(table, uuid, "external_ids", dict(seen)),
        MergeKeys(table, uuid, "external_ids", dict(put), remove),
    )
