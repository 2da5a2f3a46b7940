"""NB_Global of a joined site: name, options, gateway list, and our own records.

Called by `plan.site`, `plan.leave` and `plan.ask.gateway`. Keys are merged, never replaced as a
column: Neutron and Kube-OVN keep their own there. Must not touch ports.
"""

from collections.abc import Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Capabilities, Quirk
from ovnmesh.model.changes import Expect, MergeKeys, Operation, Update, merge
from ovnmesh.model.denied import encode_denied
from ovnmesh.model.desired import Desired
from ovnmesh.model.gateway_state import GatewayState, encode_gateway_state
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.restore_record import Restore, decode_restore, encode_restore
from ovnmesh.model.site_record import encode_desired
from ovnmesh.plan.decide.gateways import Gateways
from ovnmesh.plan.deny import Denied

#: Options of NB_Global that a join overwrites and a leave puts back.
SITE_OPTIONS = (
    *(keys.ROUTE_ADV, keys.ROUTE_LEARN, keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST),
    *(keys.BFD_MIN_RX, keys.BFD_MIN_TX, keys.BFD_MULT),
)

#: Records of ours in external_ids.
RECORDS = (keys.SITE_RECORD, keys.RESTORE, keys.DENIED, keys.GATEWAY_STATE)

OWNS = (
    "NB_Global.name",
    *(f"NB_Global.options:{key}" for key in (*SITE_OPTIONS, keys.GATEWAYS)),
    *(f"NB_Global.external_ids:{key}" for key in RECORDS),
)


def deny_keys(capabilities: Capabilities) -> tuple[str, ...]:
    """The options that hold the deny list."""
    if capabilities.has(Quirk.DENY_LIST_BY_OLD_NAME):
        return (keys.ROUTE_BLACKLIST,)
    return (keys.ROUTE_BLACKLIST, keys.ROUTE_DENYLIST)


def plan_global(
    desired: Desired, observed: Observed, denied: Denied, gateways: Gateways
) -> tuple[Operation, ...]:
    """Bring NB_Global to the wanted name, options and records, remembering what stood there.

    An option of `SITE_OPTIONS` that is not wanted is removed.

    Args:
        desired: the wish.
        observed: the site and the mesh.
        denied: what is kept out.
        gateways: who is to be marked, and who leads.
    """
    nb, uuid = observed.nb, observed.nb.global_uuid
    options = _options(desired, denied, gateways, observed.capabilities)
    records = {
        keys.SITE_RECORD: encode_desired(desired),
        keys.DENIED: encode_denied(denied.reasons, desired.denied),
        keys.GATEWAY_STATE: encode_gateway_state(gateways.state),
    }
    if keys.RESTORE not in nb.external_ids:
        records[keys.RESTORE] = encode_restore(_before(observed))
    gone = frozenset(key for key in SITE_OPTIONS if key in nb.options and key not in options)
    return (
        *merge("NB_Global", uuid, "external_ids", nb.external_ids, records),
        *merge("NB_Global", uuid, "options", nb.options, options, gone),
        *_plan_name(nb, desired.az_name),
    )


def _options(
    desired: Desired, denied: Denied, gateways: Gateways, capabilities: Capabilities
) -> Mapping[str, str]:
    auto = "true" if desired.auto_route else "false"
    policy = desired.gateways
    listed = ",".join(map(str, denied.listed))
    return {
        keys.ROUTE_ADV: auto,
        keys.ROUTE_LEARN: auto,
        keys.GATEWAYS: ",".join(gateways.marked),
        keys.BFD_MIN_RX: str(policy.bfd_min_rx_ms),
        keys.BFD_MIN_TX: str(policy.bfd_min_tx_ms),
        keys.BFD_MULT: str(policy.bfd_mult),
        **dict.fromkeys(deny_keys(capabilities), listed),
    }


def _before(observed: Observed) -> Restore:
    """What leaving puts back.

    Nothing, if the site was interconnected by other means before: leaving then means to disconnect
    it, not to put the old interconnection back.
    """
    nb = observed.nb
    adopted = observed.under(nb.name or observed.az).ports
    options = {key: nb.options[key] for key in SITE_OPTIONS if key in nb.options}
    return Restore() if adopted else Restore(nb.name, options)


def _plan_name(nb: Northbound, name: str) -> tuple[Operation, ...]:
    return () if nb.name == name else (Update("NB_Global", nb.global_uuid, {"name": name}),)


def plan_gateway_state(nb: Northbound, state: GatewayState) -> tuple[Operation, ...]:
    """Change the record of who leads, unless somebody else has changed a record meanwhile."""
    put = {keys.GATEWAY_STATE: encode_gateway_state(state)}
    return (
        Expect("NB_Global", nb.global_uuid, "external_ids", dict(nb.external_ids)),
        MergeKeys("NB_Global", nb.global_uuid, "external_ids", put),
    )


def plan_gateway_list_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Name no gateway any more: agents then take the marks away."""
    if keys.GATEWAYS not in nb.options:
        return ()
    return merge("NB_Global", nb.global_uuid, "options", nb.options, {keys.GATEWAYS: ""})


def plan_erasure(nb: Northbound) -> tuple[Operation, ...]:
    """Remove our records, and the gateway list."""
    gone, uuid = frozenset({keys.GATEWAYS}), nb.global_uuid
    return (
        *merge("NB_Global", uuid, "external_ids", nb.external_ids, {}, frozenset(RECORDS)),
        *merge("NB_Global", uuid, "options", nb.options, {}, gone),
    )


def plan_restore(nb: Northbound) -> tuple[Operation, ...]:
    """Put name and options back as they stood before the join; without a record, leave them."""
    if keys.RESTORE not in nb.external_ids:
        return ()
    before = decode_restore(nb.external_ids.get(keys.RESTORE, ""))
    name, options = before.name, before.options
    gone = frozenset(key for key in SITE_OPTIONS if key not in options)
    options_back = merge("NB_Global", nb.global_uuid, "options", nb.options, options, gone)
    return (*options_back, *_plan_name(nb, name))
