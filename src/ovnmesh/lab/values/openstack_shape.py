"""What an OpenStack site has that another has not, as values.

Part of `topology.Site`, computed by `layout`. Pure: no I/O, and nothing here knows whether the site
is running.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from ovnmesh.model.addresses import Network

NEUTRON_PORT = 9696
"""TCP port of Neutron's API (neutron.conf, ``bind_port``)."""
KEYSTONE_PORT = 5000
"""TCP port of Keystone's API (its installation guide)."""
REGION = "RegionOne"
"""Region of the catalog, the usual one (keystone-manage bootstrap, ``--bootstrap-region-id``)."""
MARIADB, KEYSTONE, NEUTRON, FORWARD = "mariadb", "keystone", "neutron", "forward"
"""Daemons of a site, as `lab status` and `lab fault kill` call them."""
ROUTER_PREFIX = "neutron-"
"""Of the name of a Logical_Router, before the router's id (neutron, ovn_name)."""
APPLICATIONS = {
    KEYSTONE: "keystone.wsgi.api:application",
    NEUTRON: "neutron.wsgi.api:application",
}
"""WSGI application of each API; Neutron 29 has no program ``neutron-server``."""


@dataclass(frozen=True, slots=True)
class TenantNetwork:
    """A network of VMs behind a router.

    Attributes:
        name: name of the Neutron network; its subnets are ``NAME-v4`` and ``NAME-v6``.
        cidrs: its networks, one for each address family.
        router: name of the router.
    """

    name: str
    cidrs: tuple[Network, ...]
    router: str


@dataclass(frozen=True, slots=True)
class OpenStack:
    """The OpenStack of a site.

    Attributes:
        address: loopback address of the APIs, the same in the control node and on the machine.
        directory: where MariaDB, Neutron and Keystone keep everything.
        clouds_yaml: the lab's clouds.yaml; the cloud has the name of the site.
        networks: networks of VMs.
        keystone: whether there is a Keystone; without it Neutron asks nobody who calls.
    """

    address: IPv4Address
    directory: Path
    clouds_yaml: Path
    networks: tuple[TenantNetwork, ...]
    keystone: bool

    @property
    def routers(self) -> tuple[str, ...]:
        """Names of its routers, each once."""
        return tuple(dict.fromkeys(network.router for network in self.networks))

    @property
    def neutron_url(self) -> str:
        """Root of Neutron's API."""
        return f"http://{self.address}:{NEUTRON_PORT}"

    @property
    def keystone_url(self) -> str:
        """Root of Keystone's API."""
        return f"http://{self.address}:{KEYSTONE_PORT}"

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports of its APIs."""
        return (NEUTRON_PORT, KEYSTONE_PORT) if self.keystone else (NEUTRON_PORT,)

    @property
    def daemons(self) -> tuple[str, ...]:
        """What runs in the control node besides OVN's and ours, in the order it starts."""
        return (MARIADB, *((KEYSTONE,) if self.keystone else ()), NEUTRON, FORWARD)

    @property
    def site_file(self) -> Path:
        """The site file of its controller, in a folder of its own, which the controller watches."""
        return self.directory.parent / "site" / "openstack.yaml"

    @property
    def routers_file(self) -> Path:
        """Where OVN's names of its routers are, once Neutron has made them."""
        return self.directory / "routers.json"

    @property
    def venv(self) -> Path:
        """Link to the virtual environment its services run in."""
        return self.directory / "venv"
