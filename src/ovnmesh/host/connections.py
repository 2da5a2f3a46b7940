"""Tells where a process is connected to, by asking the kernel.

Called by the controller about its child ovn-ic, which has no command that would say so. Must not
open connections.
"""

import os
import re
import sys
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

_ESTABLISHED = "01"
_SOCKET = re.compile(r"socket:\[(?P<inode>[0-9]+)\]")

Endpoint = tuple[IPv4Address | IPv6Address, int]


def tcp_peers(pid: int) -> frozenset[Endpoint]:
    """Address and port of the other end of a process's established TCP connections.

    Args:
        pid: a process of ours; those of other users cannot be looked into.

    Returns:
        Nothing if there is no such process.

    Source: proc(5), ``/proc/PID/fd`` and ``/proc/net/tcp``.
    """
    inodes = _socket_inodes(pid)
    found: set[Endpoint] = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):  # the process is gone, or the kernel has no IPv6
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _ESTABLISHED and words[9] in inodes:
                    found.add(_endpoint(words[2]))
    return frozenset(found)


def _socket_inodes(pid: int) -> frozenset[str]:
    found = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):  # closed meanwhile
                match = _SOCKET.fullmatch(os.readlink(entry.path))
                if match is not None:
                    found.add(match["inode"])
    return frozenset(found)


def _endpoint(text: str) -> Endpoint:
    """Parse ``0100007F:19F6``: words of four bytes in the machine's order, the port as written."""
    address, port = text.split(":")
    words = (int(address[i : i + 8], 16) for i in range(0, len(address), 8))
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    if len(raw) == 4:
        return IPv4Address(raw), int(port, 16)
    long = IPv6Address(raw)
    return long.ipv4_mapped or long, int(port, 16)
