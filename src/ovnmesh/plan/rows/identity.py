"""Who we are in IC-SB: renaming an availability zone, and moving it to another database.

Called by `plan.site` and `plan.leave`. ovn-ic cannot follow a site to a new name
(`Quirk.RENAME_LOSES_ROWS`). So, with ovn-ic paused, the zone and the port bindings are renamed in
place: everything that refers to them by UUID, routes and gateways, stays as it is.

Tunnel keys are part of that identity: a site that moves to interconnection databases which do not
know it yet brings the keys its switches and ports already use (`Quirk.STALE_TUNNEL_KEYS`). And so
is the router behind a port, which is forgotten when the port has lost it. Must not delete rows but
those of a zone that leaves.
"""

from collections.abc import Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.model.capabilities import Quirk
from ovnmesh.model.changes import (
    Content,
    Delete,
    Insert,
    MergeKeys,
    Named,
    Operation,
    Reference,
    Update,
    Uuid,
)
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.observed import Observed
from ovnmesh.plan.decide.learned import storming_ports
from ovnmesh.plan.decide.routers import Attachment

OWNS = ("Availability_Zone", "Port_Binding", "Datapath_Binding", "Gateway")


def renames(az: str, observed: Observed) -> bool:
    """Whether reaching that AZ name means renaming a site that is already joined, by ourselves."""
    nb = observed.nb
    joined = bool(nb.name) and nb.name != az and bool(nb.tagged_ports)
    return joined and observed.capabilities.has(Quirk.RENAME_LOSES_ROWS)


def plan_identity(
    az: str, attachments: Mapping[str, Attachment], observed: Observed
) -> tuple[Operation, ...]:
    """Rename our rows of the interconnection southbound database in place.

    Args:
        az: the wanted AZ name.
        attachments: wanted names of the ports, by transit switch.
        observed: the site and the mesh.
    """
    nb, ic = observed.nb, observed.ic
    if not renames(az, observed):
        return ()
    operations: list[Operation] = []
    old = ic.zone_uuid(nb.name)
    if old and not ic.zone_uuid(az):
        operations.append(Update("Availability_Zone", old, {"name": az}))
    names = {port.name for port in ic.ports}
    for port in ic.ports:
        ours = port.az == nb.name and port.name in nb.switch_ports
        wanted = attachments[port.ts].lsp if port.ts in attachments else port.name
        if ours and port.name != wanted and wanted not in names:
            operations.append(Update("Port_Binding", port.uuid, {"logical_port": wanted}))
    return tuple(operations)


def plan_lost_routers(observed: Observed) -> tuple[Operation, ...]:
    """Have ovn-ic forget the routers of ports that lost them; it finds them anew with the port.

    Until then it neither writes nor withdraws routes by way of such a port. ovn-ic must not run
    meanwhile.
    """
    remove = frozenset({keys.IC_ROUTER})
    return tuple(
        MergeKeys("Port_Binding", port.uuid, "external_ids", remove=remove)
        for port in storming_ports(observed)
    )


def plan_seed(az: str, observed: Observed) -> tuple[Operation, ...]:
    """Bring the tunnel keys in use to databases that do not know this site."""
    nb, ic = observed.nb, observed.ic
    if renames(az, observed) or not observed.capabilities.has(Quirk.STALE_TUNNEL_KEYS):
        return ()  # during a rename the rows still carry the old names
    operations: list[Operation] = []
    used = set(ic.datapaths.values())
    for ts, switch in sorted(nb.switches.items()):
        key = switch.tunnel_key
        if key and key not in used and ts in ic.transit_switches and ts not in ic.datapaths:
            row: dict[str, Content] = {"transit_switch": ts, "tunnel_key": key}
            operations.append(Insert("Datapath_Binding", row, f"datapath_{len(operations)}"))
    known = {port.name for port in ic.ports}
    taken = {(port.ts, port.tunnel_key) for port in ic.ports}
    ports: list[Operation] = []
    zone: Reference = Uuid(ic.zone_uuid(az)) if ic.zone_uuid(az) else Named("zone")
    for lrp in nb.tagged_ports:
        ts = lrp.external_ids[keys.TRANSIT_SWITCH]
        lsp = nb.switch_port_of(lrp.name)
        key = int(lsp.options.get(keys.REQUESTED_TNL_KEY, "0")) if lsp else 0
        if lsp and key and lsp.name not in known and (ts, key) not in taken:
            row = {  # ovn-ic fills in the rest
                "transit_switch": ts,
                "logical_port": lsp.name,
                "tunnel_key": key,
                "availability_zone": zone,
            }
            ports.append(Insert("Port_Binding", row, f"port_{len(ports)}"))
    if ports and isinstance(zone, Named):
        operations.append(Insert("Availability_Zone", {"name": az}, zone.name))
    return (*operations, *ports)


def plan_zone_removal(az: str, ic: Interconnect) -> tuple[Operation, ...]:
    """Delete an availability zone; first what refers to it, but for its routes."""
    ports = (Delete("Port_Binding", port.uuid) for port in ic.ports if port.az == az)
    gateways = (Delete("Gateway", gateway.uuid) for gateway in ic.gateways if gateway.az == az)
    return (*ports, *gateways, Delete("Availability_Zone", ic.zone_uuid(az)))
