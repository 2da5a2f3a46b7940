"""Our ports on the transit switches, and the policy that lets traffic reach them.

Called by `plan.site` and `plan.leave`. The switch port is made first and gets its tunnel key from
ovn-ic while no chassis has the switch; the router port follows (`Quirk.STALE_TUNNEL_KEYS`). Both
are deleted in one transaction: a switch port that has lost its router port makes a storm
(`Quirk.ROUTE_STORM`; one that never had it does not: ovn-ic.c, route_run, external_ids:router-id).
Existing ports of the documented names are adopted in place. Must not touch gateway chassis.
"""

from collections.abc import Iterable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.addresses import Endpoint
from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.changes import (
    Content,
    Delete,
    Insert,
    Named,
    Operation,
    Parent,
    Update,
    Uuid,
    merge,
    symbol,
)
from ovnmesh.model.northbound import Northbound, RouterPort, SwitchPort
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.routers import Attachment
from ovnmesh.plan.decide.wanted_ports import WantedPort

_TS = keys.TRANSIT_SWITCH
LRP_TABLE = "Logical_Router_Port"
LSP_TABLE = "Logical_Switch_Port"
POLICY_TABLE = "Logical_Router_Policy"
SWITCH_TABLE = "Logical_Switch"
OWNS = (
    f"{LRP_TABLE}[on a transit switch]",
    f"{LSP_TABLE}[on a transit switch]",
    f"{SWITCH_TABLE}[of a transit switch]",
    POLICY_TABLE,
)


def policy_match(lrp: str) -> str:
    """Match of the allow policy: whatever routing has sent towards the transit switch.

    Routing runs before policies (ovn-northd(8), Ingress Tables 13 to 15), so one policy per
    transit switch always equals the learned routes, and the manual ones, without listing them.
    """
    return f'outport == "{lrp}"'


def plan_ports(wanted: Mapping[str, WantedPort], observed: Observed) -> tuple[Operation, ...]:
    """Ensure LSP, LRP and policy on each transit switch; ovn-ic has made these already.

    Args:
        wanted: the ports, by transit switch.
        observed: the site.
    """
    return tuple(operation for port in wanted.values() for operation in _plan_port(port, observed))


def _plan_port(port: WantedPort, observed: Observed) -> list[Operation]:
    nb = observed.nb
    attachment, endpoint = port.attachment, port.endpoint
    ts, name = attachment.ts, attachment.lrp
    tags = {keys.OWNER: nb.site_id, keys.TRANSIT_SWITCH: ts}
    lrp = router_port(nb, attachment)
    lsp = _switch_port(nb, attachment, lrp)
    operations: list[Operation] = []
    if lsp is None:
        operations.append(_new_switch_port(nb, attachment, tags))
    if awaits_key(observed, attachment):
        return operations
    if lrp is None:
        options = port.options.items()
        operations.append(
            Insert(
                LRP_TABLE,
                {
                    "name": name,
                    "mac": endpoint.mac,
                    "networks": frozenset(map(str, endpoint.networks)),
                    "options": {key: value for key, value in options if value is not None},
                    "external_ids": tags,
                },
                new_port(ts).name,
                Parent("Logical_Router", Uuid(attachment.router), "ports"),
            )
        )
    else:
        operations += _mend_lrp(lrp, name, endpoint, tags)
        operations += _mend_options(lrp, port.options)
    if lsp is not None:
        operations += _mend_lsp(lsp, attachment.lsp, name, tags)
    operations += _plan_policy(nb, attachment, tags)
    return operations


def new_port(ts: str) -> Named:
    """The router port that is made in the same transaction."""
    return Named(f"lrp_{symbol(ts)}")


def awaits_key(observed: Observed, attachment: Attachment) -> bool:
    """Whether the router port has to wait for the switch port's tunnel key."""
    if not observed.capabilities.has(Quirk.STALE_TUNNEL_KEYS):
        return False
    lrp = router_port(observed.nb, attachment)
    return lrp is None and not _has_key(_switch_port(observed.nb, attachment, lrp))


def router_port(nb: Northbound, attachment: Attachment) -> RouterPort | None:
    """The router port as it is, None if it is to be made."""
    return nb.tagged.get(attachment.ts) or nb.lrp_by_name(attachment.lrp)


def _switch_port(
    nb: Northbound, attachment: Attachment, lrp: RouterPort | None
) -> SwitchPort | None:
    peer = nb.switch_port_of(attachment.lrp if lrp is None else lrp.name)
    return peer or nb.switch_ports.get(attachment.lsp)


def _has_key(lsp: SwitchPort | None) -> bool:
    return lsp is not None and keys.REQUESTED_TNL_KEY in lsp.options


def _new_switch_port(nb: Northbound, attachment: Attachment, tags: Mapping[str, str]) -> Insert:
    return Insert(
        LSP_TABLE,
        {
            "name": attachment.lsp,
            "type": "router",
            "addresses": frozenset({"router"}),
            "options": {keys.ROUTER_PORT: attachment.lrp},
            "external_ids": tags,
        },
        f"lsp_{symbol(attachment.ts)}",
        Parent("Logical_Switch", Uuid(nb.switches[attachment.ts].uuid), "ports"),
    )


def _mend_lrp(
    lrp: RouterPort, name: str, endpoint: Endpoint, tags: Mapping[str, str]
) -> list[Operation]:
    columns: dict[str, Content] = {}
    if lrp.name != name:
        columns["name"] = name
    if lrp.mac.lower() != endpoint.mac:
        columns["mac"] = endpoint.mac
    if lrp.unreadable or frozenset(lrp.networks) != frozenset(endpoint.networks):
        columns["networks"] = frozenset(map(str, endpoint.networks))
    operations: list[Operation] = [Update(LRP_TABLE, lrp.uuid, columns)] if columns else []
    operations += merge(LRP_TABLE, lrp.uuid, "external_ids", lrp.external_ids, tags)
    return operations


def _mend_options(lrp: RouterPort, options: Mapping[str, str | None]) -> tuple[Operation, ...]:
    wanted = {key: value for key, value in options.items() if value is not None}
    gone = frozenset(options) - frozenset(wanted)
    return merge(LRP_TABLE, lrp.uuid, "options", lrp.options, wanted, gone)


def _mend_lsp(lsp: SwitchPort, name: str, peer: str, tags: Mapping[str, str]) -> list[Operation]:
    columns: dict[str, Content] = {}
    if lsp.name != name:
        columns["name"] = name
    if lsp.type != "router":
        columns["type"] = "router"
    if lsp.addresses != ("router",):
        columns["addresses"] = frozenset({"router"})
    operations: list[Operation] = [Update(LSP_TABLE, lsp.uuid, columns)] if columns else []
    operations += merge(LSP_TABLE, lsp.uuid, "options", lsp.options, {keys.ROUTER_PORT: peer})
    operations += merge(LSP_TABLE, lsp.uuid, "external_ids", lsp.external_ids, tags)
    return operations


def _plan_policy(
    nb: Northbound, attachment: Attachment, tags: Mapping[str, str]
) -> list[Operation]:
    wanted, ts = policy_match(attachment.lrp), attachment.ts
    existing = [p for p in nb.policies if p.external_ids.get(keys.TRANSIT_SWITCH) == ts]
    if not attachment.bypass:
        return [_delete_policy(policy.uuid) for policy in existing]
    if not existing:
        return [
            Insert(
                POLICY_TABLE,
                {
                    "priority": keys.POLICY_PRIORITY,
                    "match": wanted,
                    "action": "allow",
                    "external_ids": dict(tags),
                },
                f"policy_{symbol(ts)}",
                Parent("Logical_Router", Uuid(attachment.router), "policies"),
            )
        ]
    first, *surplus = existing
    columns: dict[str, Content] = {}
    if first.match != wanted:
        columns["match"] = wanted
    if first.priority != keys.POLICY_PRIORITY:
        columns["priority"] = keys.POLICY_PRIORITY
    if first.action != "allow":
        columns["action"] = "allow"
    operations: list[Operation] = [Update(POLICY_TABLE, first.uuid, columns)] if columns else []
    operations += [_delete_policy(policy.uuid) for policy in surplus]
    return operations


def plan_port_removals(switches: Iterable[str], nb: Northbound) -> tuple[Operation, ...]:
    """Delete our LRP, LSP and policy of some transit switches, in one transaction."""
    return tuple(operation for ts in sorted(switches) for operation in _plan_removal(nb, ts))


def plan_switch_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Delete the switches that ovn-ic has made for transit switches."""
    return tuple(Delete(SWITCH_TABLE, switch.uuid) for switch in nb.switches.values())


def _plan_removal(nb: Northbound, ts: str) -> list[Operation]:
    operations: list[Operation] = [
        _delete_lsp(nb, ts, lsp)
        for lsp in nb.waiting_lsps()
        if lsp.external_ids[_TS] == ts and ts in nb.switches
    ]
    for lrp in nb.tagged_ports:
        if lrp.external_ids.get(keys.TRANSIT_SWITCH) != ts:
            continue
        lsp = nb.switch_port_of(lrp.name)
        if lsp is not None and ts in nb.switches:
            operations.append(_delete_lsp(nb, ts, lsp))
        operations.append(
            Delete(LRP_TABLE, lrp.uuid, Parent("Logical_Router", Uuid(lrp.router), "ports"))
        )
    operations += [
        _delete_policy(policy.uuid)
        for policy in nb.policies
        if policy.external_ids.get(keys.TRANSIT_SWITCH) == ts
    ]
    return operations


def _delete_lsp(nb: Northbound, ts: str, lsp: SwitchPort) -> Delete:
    return Delete(
        LSP_TABLE, lsp.uuid, Parent("Logical_Switch", Uuid(nb.switches[ts].uuid), "ports")
    )


def _delete_policy(uuid: str) -> Delete:
    """Delete a policy; which router has it is not replicated."""
    return Delete(POLICY_TABLE, uuid, Parent("Logical_Router", None, "policies"))
