"""Names of hosts in OVSDB connection methods -> addresses.

Called by `database`. The ovs package resolves names only with the module `unbound`, and without it
silently takes any name for localhost (ovs/socket_util.py); libunbound, which ovn-ic uses, knows
nothing of search domains or /etc/hosts. So names are looked up here, as the host does it.
"""

import ipaddress
import socket
from dataclasses import replace

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.remote import METHOD_OF_HOST, Remote, endpoint


def resolve(remote: Remote) -> Remote:
    """The same remote with addresses in the place of names.

    Raises:
        OvsdbUnavailable: a name cannot be resolved now.
    """
    return replace(remote, methods=tuple(_resolve_one(method) for method in remote.methods))


def _resolve_one(method: str) -> str:
    found = METHOD_OF_HOST.fullmatch(method)
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
    address = ipaddress.ip_address(answers[0][4][0])
    return f"{found['kind']}:{endpoint(address, int(found['port']))}"
