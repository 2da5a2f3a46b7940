"""Names of hosts in OVSDB connection methods -> addresses.

Called by `database`. The ovs package resolves names only with the module `unbound`, and without it
silently takes any name for localhost (ovs/socket_util.py); libunbound, which ovn-ic uses, knows
nothing of search domains or /etc/hosts. So names are looked up here, as the host does it.
"""

import ipaddress
import re
import socket

from ovnmesh.errors import OvsdbUnavailable

_METHOD = re.compile(r"(?P<kind>tcp|ssl):(?P<host>\[[^\]]*\]|[^:\[\]]+):(?P<port>[0-9]+)")


def resolve(remote: str) -> str:
    """The same connection methods with addresses in the place of names.

    Args:
        remote: OVSDB connection methods, comma-separated (ovsdb(7)).

    Raises:
        OvsdbUnavailable: a name cannot be resolved now.
    """
    return ",".join(_resolve_one(method) for method in remote.split(","))


def endpoint_of(method: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int] | None:
    """Address and port of one connection method; None if it is none of a host by its address."""
    found = _METHOD.fullmatch(method)
    if found is None:
        return None
    try:
        return ipaddress.ip_address(found["host"].strip("[]")), int(found["port"])
    except ValueError:
        return None


def _resolve_one(method: str) -> str:
    found = _METHOD.fullmatch(method)
    if found is None:
        return method  # a socket, or something the ovs package will complain about
    host = found["host"].strip("[]")
    try:
        ipaddress.ip_address(host)
        return method
    except ValueError:
        pass
    try:
        answers = socket.getaddrinfo(host, int(found["port"]), type=socket.SOCK_STREAM)
    except OSError as error:
        raise OvsdbUnavailable(
            f"{method}: the name {host} cannot be resolved ({error.strerror or error}); expected "
            "an address or a name this host knows"
        ) from error
    address = str(answers[0][4][0])
    shown = f"[{address}]" if ":" in address else address
    return f"{found['kind']}:{shown}:{found['port']}"
