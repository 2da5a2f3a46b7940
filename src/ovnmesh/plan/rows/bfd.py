"""Keeps BFD running between gateways, apart from the ports that carry traffic.

Called by `plan.site` and `plan.leave`. OVN runs BFD only between members of one HA chassis group,
and takes a gateway that sees no BFD peer up for isolated (ovn-controller, ha-chassis.c). So a
group that grows from one gateway to two drops all traffic until BFD is up (measured: 0.8 s), and a
group of several members is claimed by nobody until then (measured: 1 s later at join).

Therefore a group of its own, with a port that nobody uses: its BFD sessions are up long before a
second gateway is promoted, and a lone survivor still sees a peer. Ports with one gateway keep a
group of one, which needs no BFD to be claimed.

The gateways of the other sites are members too. Where both sites have each other in such a group,
BFD runs on the tunnels between them: a site of two chassis fails over, because the survivor still
sees a peer abroad, and a dead path between sites is noticed (docs/adr/0020). Must not touch transit
ports.
"""

from collections.abc import Iterable

from ovnmesh import ovn_keys as keys
from ovnmesh.model.changes import (
    Content,
    Delete,
    Insert,
    Named,
    Operation,
    Parent,
    Reference,
    Update,
    Uuid,
    symbol,
)
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed

GROUP_TABLE = "HA_Chassis_Group"
MEMBER_TABLE = "HA_Chassis"
OWNS = (
    GROUP_TABLE,
    MEMBER_TABLE,
    "Logical_Switch[for BFD]",
    "Logical_Switch_Port[for BFD]",
)
#: Members that are enough: one may be down, and another still sees a peer.
ENOUGH_MEMBERS = 3


def choose_members(candidates: Iterable[str], observed: Observed) -> tuple[str, ...]:
    """Gateway nodes, filled up with other chassis of the site as witnesses, by name.

    Args:
        candidates: chassis names of the gateway nodes.
        observed: the site.

    Returns:
        Own members and, after them, gateways of other sites to which there are tunnels. Fewer than
        two members are no group at all: then nothing.
    """
    members = sorted(set(candidates))
    if not members:
        return ()
    local = sorted(chassis.name for chassis in observed.sb.chassis if not chassis.is_remote)
    others = [name for name in local if name not in members]
    members += others[: max(0, ENOUGH_MEMBERS - len(members))]
    published = {gateway.name for gateway in observed.ic.gateways if gateway.az != observed.nb.name}
    members += sorted(c.name for c in observed.sb.chassis if c.is_remote and c.name in published)
    return tuple(members) if len(members) > 1 else ()


def plan_bfd(candidates: Iterable[str], observed: Observed) -> tuple[Operation, ...]:
    """Ensure the group, its members, and the port that makes northd publish it."""
    nb = observed.nb
    members = choose_members(candidates, observed)
    if not members:
        return ()  # no gateway can be resolved, or there is no second chassis: as it is
    if not any(lrp.gateway_chassis for lrp in nb.tagged_ports):
        return ()  # joining comes first: setting BFD up keeps every node busy (measured: 0.1 s)
    tags = {keys.OWNER: nb.site_id}
    named: dict[str, Content] = {"name": keys.BFD_NAME, "external_ids": tags}
    operations: list[Operation] = []
    group: Reference = Uuid(nb.bfd.group) if nb.bfd.group else Named("bfd_group")
    switch: Reference = Uuid(nb.bfd.switch) if nb.bfd.switch else Named("bfd_switch")
    if not nb.bfd.group:
        operations.append(Insert(GROUP_TABLE, named, "bfd_group"))
    for chassis in (name for name in members if name not in nb.bfd.members):
        row: dict[str, Content] = {
            "chassis_name": chassis,
            "priority": 1,  # who would serve the unused port does not matter
            "external_ids": tags,
        }
        parent = Parent(GROUP_TABLE, group, "ha_chassis")
        operations.append(Insert(MEMBER_TABLE, row, f"bfd_{symbol(chassis)}", parent))
    operations += [
        Delete(MEMBER_TABLE, uuid, Parent(GROUP_TABLE, group, "ha_chassis"))
        for chassis, uuid in sorted(nb.bfd.members.items())
        if chassis not in members
    ]
    if not nb.bfd.switch:
        operations.append(Insert("Logical_Switch", named, "bfd_switch"))
    if not nb.bfd.port:
        port: dict[str, Content] = {**named, "type": "external", "ha_chassis_group": group}
        parent = Parent("Logical_Switch", switch, "ports")
        operations.append(Insert("Logical_Switch_Port", port, "bfd_port", parent))
    return tuple(operations)


def plan_bfd_removal(nb: Northbound) -> tuple[Operation, ...]:
    """Delete all of it; members and port go with their parents."""
    operations: list[Operation] = []
    if nb.bfd.port:
        # ovsdb-server counts references before it collects what hangs on deleted rows.
        nothing: dict[str, Content] = {"ha_chassis_group": frozenset()}
        operations.append(Update("Logical_Switch_Port", nb.bfd.port, nothing))
    rows = (("Logical_Switch", nb.bfd.switch), (GROUP_TABLE, nb.bfd.group))
    operations += [Delete(table, uuid) for table, uuid in rows if uuid]
    return tuple(operations)
