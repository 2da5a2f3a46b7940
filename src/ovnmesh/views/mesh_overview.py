"""The whole mesh as the interconnection databases tell it, without any site's own databases.

Called by `ovnmesh status`. Pure. Must not format.
"""

from dataclasses import dataclass

from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.prefixes import Prefix
from ovnmesh.views.mesh_ports import PortLine, mesh_ports


@dataclass(frozen=True, slots=True)
class ZoneLine:
    """One availability zone of the mesh.

    Attributes:
        az: its name.
        managed: whether ovnmesh runs it; others are run by hand or by Kube-OVN's controller.
        gateways: host names of its gateways.
        routes: number of prefixes it advertises.
    """

    az: str
    managed: bool
    gateways: tuple[str, ...]
    routes: int


@dataclass(frozen=True, slots=True)
class MeshOverview:
    """All zones and all ports on transit switches."""

    zones: tuple[ZoneLine, ...]
    ports: tuple[PortLine, ...]


def mesh_overview(ic: Interconnect) -> MeshOverview:
    """Describe the mesh."""
    return MeshOverview(
        tuple(
            ZoneLine(
                az,
                az in ic.az_owner,
                tuple(sorted(gw.hostname for gw in ic.gateways if gw.az == az)),
                len({route.prefix for route in ic.routes if route.az == az}),
            )
            for az in sorted(ic.zones.values())
        ),
        mesh_ports(ic),
    )


def foreign_prefixes(ic: Interconnect, az: str) -> tuple[Prefix, ...]:
    """What all sites but one advertise.

    Args:
        ic: the interconnection databases.
        az: AZ name of that one.
    """
    return tuple(sorted({route.prefix for route in ic.routes if route.az != az}))


def mesh_to_json(mesh: MeshOverview | None) -> dict[str, object]:
    """The mesh as JSON data; field names are stable."""
    zones = mesh.zones if mesh is not None else ()
    ports = mesh.ports if mesh is not None else ()
    return {
        "zones": [
            {"az": z.az, "managed": z.managed, "gateways": list(z.gateways), "routes": z.routes}
            for z in zones
        ],
        "mesh": [
            {
                "transit_switch": port.ts,
                "port": port.port,
                "az": port.az,
                "address": port.address,
                "gateway": port.gateway,
            }
            for port in ports
        ],
    }
