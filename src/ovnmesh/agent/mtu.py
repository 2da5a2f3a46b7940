"""The largest IP packet that fits into a node's tunnels.

Called by `agent.paths`. Asks the kernel; must not write anything.
"""

import socket
from collections.abc import Iterable
from contextlib import suppress

from ovnmesh.agent.tunnels import Tunnel

#: Path MTU of a connected socket: level and name of the option (ip(7), ipv6(7); linux/in.h,
#: linux/in6.h, because the socket module does not name them).
_OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, 14),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 24),
}
#: Geneve (RFC 8926, section 3.3): the route to the tunnel's end may depend on the port.
_PORT = 6081


def tunnel_mtu(tunnels: Iterable[Tunnel]) -> int | None:
    """The largest inner IP packet, in bytes, that fits into each of some tunnels.

    Tunnels of a kind we do not know, and those to which there is no route, do not count.

    Returns:
        None if no tunnel counts.
    """
    fitting = []
    for tunnel in tunnels:
        outer, overhead = path_mtu(tunnel.local_ip, tunnel.remote_ip), tunnel.overhead_bytes
        if outer is not None and overhead is not None:
            fitting.append(outer - overhead)
    return min(fitting, default=None)


def path_mtu(local_ip: str, remote_ip: str) -> int | None:
    """The largest packet, in bytes, that the kernel would send to an address in one piece.

    That is the least of: MTU of the route's link, MTU of the route, and what routers on the way
    have answered (ip(7), IP_MTU). Where OVS itself forwards the packets, the address is on a
    bridge, and OVS gives a bridge the least MTU of its ports (ofproto.c, update_mtu).

    Returns:
        None without a route.
    """
    family = socket.AF_INET6 if ":" in remote_ip else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        if local_ip:
            probe.bind((local_ip, 0))
        probe.connect((remote_ip, _PORT))  # sends nothing: UDP
        return probe.getsockopt(*_OPTIONS[family])
    return None
