"""What a site says of itself in IC-NB: its AZ name, and its address, MAC and MTU on each switch.

Called by `plan.site`. A claim is a key on a row of the interconnection northbound database,
written by compare-and-swap, so that the loser of a race plans again before it goes live.
Must not touch claims of other sites.
"""

from collections.abc import Iterable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.changes import Expect, MergeKeys, Operation
from ovnmesh.model.interconnect import Interconnect, TransitSwitch
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.mtu import tunnel_mtus

OWNS = (
    f"IC_NB_Global.external_ids:{keys.AZ_CLAIM}*",
    f"Transit_Switch.external_ids:{keys.ADDRESS_CLAIM}*",
    f"Transit_Switch.external_ids:{keys.MTU_CLAIM}*",
)


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


def plan_mtu_claims(
    switches: Iterable[str], gateways: Iterable[str], observed: Observed
) -> tuple[Operation, ...]:
    """Publish what our gateways can carry; without a report, what was published stays.

    Args:
        switches: transit switches that we are on.
        gateways: chassis names of our gateways.
        observed: the site.
    """
    mtus = tunnel_mtus(gateways, observed)
    if not mtus:
        return ()
    key, value = keys.MTU_CLAIM + observed.nb.site_id, str(min(mtus.values()))
    return tuple(
        MergeKeys("Transit_Switch", ts.uuid, "external_ids", {key: value})
        for name in switches
        if (ts := observed.ic.transit_switches[name]).external_ids.get(key) != value
    )


def plan_release(site_id: str, ic: Interconnect) -> tuple[Operation, ...]:
    """Give up every claim of a site."""
    names = frozenset(keys.AZ_CLAIM + az for az, owner in ic.az_owner.items() if owner == site_id)
    operations: list[Operation] = []
    if names:
        operations.append(MergeKeys("IC_NB_Global", ic.global_uuid, "external_ids", remove=names))
    for ts in ic.transit_switches.values():
        operations += _release_switch(site_id, ts)
    return tuple(operations)


def plan_release_switches(names: Iterable[str], observed: Observed) -> tuple[Operation, ...]:
    """Give up what we claim and publish on some transit switches."""
    switches = observed.ic.transit_switches
    return tuple(
        operation
        for name in sorted(names)
        for operation in _release_switch(observed.nb.site_id, switches[name])
    )


def _release_switch(site_id: str, ts: TransitSwitch) -> tuple[Operation, ...]:
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
