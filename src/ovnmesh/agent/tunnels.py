"""A node's tunnels as its Open_vSwitch database tells them, and what they cost in bytes.

Called by `agent.chassis` and `agent.paths`. Pure. Must not read the clock or the kernel.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from ovnmesh import ovn_keys as keys
from ovnmesh.model.rows import Row, Snapshot, mapping, strings, text

#: Bytes of an encapsulation between the outer IP header and the inner IP packet: UDP 8 (RFC 768),
#: the encapsulation's own header, inner Ethernet header 14 (IEEE 802.3, without a VLAN tag).
#: Geneve: 8 (RFC 8926, section 3.4) and OVN's one option, 8 (ovn-architecture(7), "Tunnel
#: Encapsulations"). VXLAN: 8 (RFC 7348, section 5).
ENCAPSULATION_BYTES: Mapping[str, int] = {"geneve": 8 + 8 + 8 + 14, "vxlan": 8 + 8 + 14}
#: IP headers without options, RFC 791 and RFC 8200.
IP_HEADER_BYTES: Mapping[int, int] = {4: 20, 6: 40}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One tunnel.

    Attributes:
        chassis: name of the chassis at its other end.
        remote_ip: address of the other end.
        local_ip: address of this end; "" leaves it to the kernel.
        kind: "geneve", "vxlan" or whatever else OVS knows (ovs-vswitchd.conf.db(5)).
        bfd: whether BFD is enabled on it.
        up: what BFD says; None if it never came up, or does not run.
    """

    chassis: str
    remote_ip: str
    local_ip: str
    kind: str
    bfd: bool
    up: bool | None

    @property
    def overhead_bytes(self) -> int | None:
        """What the outer packet is longer than the inner; None for a kind we do not know."""
        inner = ENCAPSULATION_BYTES.get(self.kind)
        header = IP_HEADER_BYTES[ip_address(self.remote_ip).version]
        return None if inner is None else header + inner


def read_tunnels(snapshot: Snapshot, local_ips: str) -> tuple[Tunnel, ...]:
    """The tunnels that ovn-controller made.

    It tags their ports with ``ovn-chassis-id=CHASSIS@REMOTE_IP``, later versions append
    ``%LOCAL_IP`` (ovn-controller, encaps.c, encaps_tunnel_id_create).

    Args:
        snapshot: rows of the Open_vSwitch database.
        local_ips: the node's own ends, Open_vSwitch external_ids:ovn-encap-ip, comma-separated.
    """
    return tuple(sorted(_tunnels(snapshot, local_ips), key=lambda t: (t.chassis, t.remote_ip)))


def _tunnels(snapshot: Snapshot, local_ips: str) -> Iterator[Tunnel]:
    interfaces = snapshot.get("Interface", {})
    for port in snapshot.get("Port", {}).values():
        chassis = mapping(port, "external_ids").get(keys.TUNNEL_CHASSIS, "").partition("@")[0]
        for uuid in strings(port, "interfaces") if chassis else ():
            row = interfaces.get(uuid, {})
            options = mapping(row, "options")
            remote_ip = options.get("remote_ip", "")
            if _version(remote_ip):
                local_ip = options.get("local_ip") or _like(remote_ip, local_ips.split(","))
                bfd = mapping(row, "bfd").get("enable") == "true"
                up = read_up(row) if bfd else None
                yield Tunnel(chassis, remote_ip, local_ip, text(row, "type"), bfd, up)


def read_up(interface: Row) -> bool | None:
    """What BFD says of a tunnel.

    "forwarding" is what ovn-controller itself judges tunnels by (bfd.c). "flap_count" counts its
    changes from "false", where a session starts (OVS, lib/bfd.c, bfd_forwarding__): a session that
    is not up and has counted none never was up, as when the other end runs no BFD.
    """
    status = mapping(interface, "bfd_status")
    if status.get("forwarding") == "true":
        return True
    return False if status.get("flap_count", "0") != "0" else None


def relevant(tunnels: Iterable[Tunnel], remote: Collection[str]) -> tuple[Tunnel, ...]:
    """Tunnels whose paths are reported: those with BFD, and those to other sites' gateways.

    Args:
        tunnels: all tunnels of the node.
        remote: names of the chassis of other sites.
    """
    return tuple(tunnel for tunnel in tunnels if tunnel.bfd or tunnel.chassis in remote)


def _version(address: str) -> int | None:
    try:
        return ip_address(address).version
    except ValueError:
        return None  # "flow", or a name: no tunnel of ovn-controller's


def _like(remote_ip: str, local_ips: Iterable[str]) -> str:
    """The first of our addresses that is of the same family."""
    version = _version(remote_ip)
    return next((ip for each in local_ips if _version(ip := each.strip()) == version), "")
