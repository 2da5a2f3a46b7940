"""Every port on the transit switches, ours and other sites'.

Called by `site_overview` and `mesh_overview`. Pure. Must not format.
"""

from dataclasses import dataclass

from ovnmesh.model.interconnect import Interconnect


@dataclass(frozen=True, slots=True)
class PortLine:
    """A port on a transit switch, ours or a remote site's."""

    ts: str
    port: str
    az: str
    address: str
    gateway: str


def mesh_ports(ic: Interconnect) -> tuple[PortLine, ...]:
    """Every port of the mesh, as the interconnection databases tell it."""
    hosts = {gateway.name: gateway.hostname for gateway in ic.gateways}
    return tuple(
        sorted(
            (
                PortLine(p.ts, p.name, p.az, p.written, hosts.get(p.gateway, p.gateway))
                for p in ic.ports
            ),
            key=lambda line: (line.ts, line.az),
        )
    )
