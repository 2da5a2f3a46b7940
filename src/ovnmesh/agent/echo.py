"""ICMP echo (RFC 792, RFC 4443): sends requests from one address, tells which were answered.

Called by `agent.prober`. Uses the kernel's ping sockets, which need no right where
``net.ipv4.ping_group_range`` names a group of this process (icmp(7)), else raw sockets, which need
CAP_NET_RAW. Must not wait.
"""

import os
import socket
import struct

_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
#: What a raw socket lets through: echo replies only, or every ping to this host would wake us.
#: raw(7), ICMP_FILTER (linux/icmp.h), a bit for each type that is kept out;
#: RFC 3542, section 3.2, ICMP6_FILTER, on Linux likewise (linux/icmpv6.h).
_FILTER = {socket.AF_INET: (255, 1), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 1)}
#: Type, code, checksum, identifier, sequence number.
_HEADER = struct.Struct("!BBHHH")
_PAYLOAD = bytes(8)


class Echo:
    """Requests from one local address, and their answers.

    Args:
        local: the address; "" leaves it to the kernel.
        version: of IP, 4 or 6.

    Raises:
        OSError: neither kind of socket is permitted, or there is no such address.
    """

    def __init__(self, local: str, version: int) -> None:
        self._family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self._raw = False
        try:
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM, _PROTOCOL[self._family])
        except PermissionError:
            self._raw = True
            self._socket = socket.socket(self._family, socket.SOCK_RAW, _PROTOCOL[self._family])
            self._socket.setsockopt(*_FILTER[self._family], only(_REPLY[self._family], version))
        self._socket.setblocking(False)
        #: Of raw sockets only: a ping socket has one of its own and sees its own answers only.
        self._id = os.getpid() % 2**16
        try:
            self._socket.bind((local, 0))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The socket's descriptor, to wait for answers."""
        return self._socket.fileno()

    def send(self, remote: str, number: int) -> None:
        """Send a request.

        Args:
            remote: an IP address.
            number: sequence number, 16 bits.

        Raises:
            OSError: there is no route.
        """
        kind = _REQUEST[self._family]
        header = _HEADER.pack(kind, 0, 0, self._id, number)
        if self._raw and self._family == socket.AF_INET:
            # In all other cases the kernel does it (icmp(7); RFC 3542, section 3.1).
            header = _HEADER.pack(kind, 0, checksum(header), self._id, number)
        self._socket.sendto(header + _PAYLOAD, (remote, 0))

    def receive(self) -> tuple[str, int] | None:
        """Address and sequence number of an answer that has come; None for anything else."""
        try:
            packet, (source, *_) = self._socket.recvfrom(256)
        except OSError:  # nothing there, or an error that the next request meets again
            return None
        # Only raw sockets of IPv4 show the IP header (raw(7)), whose length is in words.
        start = 4 * (packet[0] & 0xF) if self._raw and self._family == socket.AF_INET else 0
        if len(packet) < start + _HEADER.size:
            return None
        kind, _, _, identifier, number = _HEADER.unpack_from(packet, start)
        ours = not self._raw or identifier == self._id
        return (source, number) if ours and kind == _REPLY[self._family] else None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total ^ 0xFFFF


def only(kind: int, version: int) -> bytes:
    """A filter that lets one type of message pass and nothing else.

    Args:
        kind: type of the message.
        version: of IP, 4 or 6.
    """
    kept_out = 2**256 - 1 - 2**kind
    size = 8 if version == 6 else 1
    return struct.pack(f"={size}I", *(kept_out >> 32 * word & 0xFFFFFFFF for word in range(size)))
