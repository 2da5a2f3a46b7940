"""Where a database is, and who we are to its servers.

Every connection takes a `Remote`, and so do ovn-ic and OVN's tools. Pure: looks up no name, opens
nothing. The only place that writes connection methods of TCP (ovsdb(7), "Connection Methods").
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ovnmesh.errors import ConfigError, Problem
from ovnmesh.model.addresses import Address

#: A connection method that names a host: its kind, the host, and the port.
METHOD_OF_HOST = re.compile(r"(?P<kind>tcp|ssl):(?P<host>\[[^\]]*\]|[^:\[\]]+):(?P<port>[0-9]+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """Files in PEM by which we show who we are, and by which we know the servers.

    Attributes:
        private_key: our private key.
        certificate: our certificate.
        ca_certificate: certificates of those who may sign the servers' certificates.
    """

    private_key: Path
    certificate: Path
    ca_certificate: Path


@dataclass(frozen=True, slots=True)
class Remote:
    """The servers of a database; one without methods is false, and stands for "none named".

    Attributes:
        methods: their OVSDB connection methods: ``tcp:[fd00::1]:6645``, ``unix:/run/ovn/nb.sock``.
        identity: by which we connect; None for TCP and sockets. TLS is not offered yet, so nothing
            makes one, and whoever connects refuses it (`methods_in_clear`).
    """

    methods: tuple[str, ...] = ()
    identity: Identity | None = None

    def __bool__(self) -> bool:
        return bool(self.methods)

    def __str__(self) -> str:
        """Comma-separated, as programs of OVN take them."""
        return ",".join(self.methods)

    def methods_in_clear(self) -> tuple[str, ...]:
        """The connection methods, for a connection that can show no identity.

        Raises:
            ConfigError: an identity is asked for.
        """
        if self.identity is not None:
            found = f"an identity ({self.identity.certificate})"
            raise ConfigError([Problem(str(self), found, "none: TLS is not offered yet")])
        return self.methods


NOWHERE = Remote()


def parse_remote(text: str) -> Remote:
    """Connection methods as programs of OVN take them, comma-separated; "" for none."""
    return Remote(tuple(method.strip() for method in text.split(",") if method.strip()))


def endpoint(address: Address, port: int) -> str:
    """An address and a port as connection methods have them: ``[fd00::1]:6645``."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def tcp_method(address: Address, port: int) -> str:
    """How to connect to a server: ``tcp:[fd00::1]:6645``."""
    return f"tcp:{endpoint(address, port)}"


def tcp_remote(hosts: Iterable[Address], port: int) -> Remote:
    """Servers that all listen on the same port: ``tcp:192.168.65.3:6645,tcp:[fd00::1]:6645``."""
    return Remote(tuple(tcp_method(host, port) for host in hosts))


def ptcp_method(port: int, address: Address | None = None) -> str:
    """How a server listens: ``ptcp:6645:[fd00::1]``; on all addresses of IPv4 if none is named."""
    if address is None:
        return f"ptcp:{port}"
    return f"ptcp:{port}:[{address}]" if address.version == 6 else f"ptcp:{port}:{address}"


def endpoint_of(method: str) -> tuple[Address, int] | None:
    """Address and port of one connection method; None if it is none of a host by its address."""
    found = METHOD_OF_HOST.fullmatch(method)
    if found is None:
        return None
    try:
        return ipaddress.ip_address(found["host"].strip("[]")), int(found["port"])
    except ValueError:
        return None
