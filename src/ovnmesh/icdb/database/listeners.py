"""Whether a TCP port of this machine is free, and words for ports and processes.

Called by `server`, before it starts. Must not keep a port or end anybody.
"""

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from ovnmesh.errors import IcDbError
from ovnmesh.model.addresses import Address
from ovnmesh.model.remote import endpoint_of


def parse_raft_address(text: str) -> tuple[Address, int] | None:
    """Read a RAFT address: ``tcp:10.0.0.1:6647``; Kube-OVN writes ``tcp:[10.0.0.1]:6647``.

    Returns:
        Address and port, None if it is something else.
    """
    return endpoint_of(text) if text.startswith("tcp:") else None


def is_port_busy(address: Address, port: int) -> bool:
    """Whether somebody listens on an address and port.

    Raises:
        IcDbError: this machine cannot listen on the address at all.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # As OVS does: an IPv6 wildcard socket takes IPv4 connections as well.
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind((str(address), port))
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return True
        raise IcDbError(
            f"--address {address}, port {port}: {error.strerror}; expected an address of "
            "this machine (0.0.0.0 for all IPv4 addresses, where IPv6 is off)"
        ) from error
    return False


def describe_process(pid: int) -> str:
    """A process in words: ``pid 42 (ovsdb-server)``; 0 is one in another pid namespace."""
    if not pid:
        return "a process of another container"
    try:
        return f"pid {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return f"pid {pid}"


def describe_processes(pids: Iterable[int]) -> str:
    """Some processes in words; none are "another process"."""
    return ", ".join(describe_process(pid) for pid in pids) or "another process"
