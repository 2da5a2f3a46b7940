"""Tells where a process is connected to and who listens on a port, by asking the kernel (psutil).

Called by the controller about its child ovn-ic, which has no command that would say so, and by
ic-db about its ports. Must not open connections.
"""

from ipaddress import ip_address

import psutil

from ovnmesh.model.addresses import Address

Endpoint = tuple[Address, int]


def tcp_peers(pid: int) -> frozenset[Endpoint]:
    """Address and port of the other end of a process's established TCP connections.

    Args:
        pid: a process of ours, in our network namespace; those of other users cannot be looked
            into.

    Returns:
        Nothing if there is no such process.
    """
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return frozenset()
    return frozenset(
        (_unmapped(connection.raddr.ip), connection.raddr.port)
        for connection in connections
        if connection.status == psutil.CONN_ESTABLISHED
    )


def listeners(port: int) -> tuple[int, ...]:
    """Processes that listen on a TCP port; only those that this user may look into."""
    found = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    }
    return tuple(sorted(pid for pid in found if pid is not None))


def _unmapped(text: str) -> Address:
    """An IPv4 address that an IPv6 socket shows as mapped is the IPv4 address."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
