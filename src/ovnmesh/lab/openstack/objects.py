"""What is in a lab's OpenStack: networks, routers, ports of VMs, made with openstacksdk.

Called by `site` and tests; imported only for labs with an OpenStack site, because the SDK is a
large package. Asks Neutron for what any user could ask for; OVN's rows are Neutron's business.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import SDKException

from ovnmesh.errors import LabError
from ovnmesh.lab.values.openstack_shape import REGION
from ovnmesh.lab.values.topology import PHYSICAL_NETWORK, Site
from ovnmesh.model.addresses import Network

EXTERNAL_NETWORK = "public"
"""Name of the external network (devstack's)."""
DEVICE_OWNER = "compute:nova"
"""Owner of a port that Nova has plugged."""

_FIRST_EXTERNAL_HOST, _LAST_EXTERNAL_HOST = 100, 199
"""Positions of the addresses that Neutron gives to routers and floating IPs."""


def connect(site: Site) -> Connection:
    """Connect to a site's OpenStack, by the lab's clouds.yaml.

    Raises:
        LabError: clouds.yaml is not as the lab wrote it.
    """
    cloud = site.require_openstack()
    try:
        # Variables of the caller's own cloud have no business here.
        config = OpenStackConfig(config_files=[str(cloud.clouds_yaml)], load_envvars=False)
        return Connection(config=config.get_one(cloud=site.name))
    except SDKException as error:
        raise LabError(f"site {site.name}: {cloud.clouds_yaml}: {error}") from error


def register_neutron(site: Site, connection: Connection) -> None:
    """Enter Neutron into Keystone's catalog.

    Raises:
        LabError: Keystone refuses.
    """
    url = site.require_openstack().neutron_url
    # The SDK's type allows for the second version of the API, which Keystone no longer has.
    identity: Any = connection.identity
    try:
        service = identity.create_service(type="network", name="neutron")
        identity.create_endpoint(
            service_id=service.id, interface="public", region_id=REGION, url=url
        )
    except SDKException as error:
        raise _refused(site, "the catalog's entry of Neutron", error) from error


@dataclass(frozen=True, slots=True)
class Made:
    """Ids in Neutron of what a new site has.

    Attributes:
        routers: of its routers, by name.
        ports: of its VMs' ports, by the name of the VM.
    """

    routers: dict[str, str]
    ports: dict[str, str]


def populate(site: Site, connection: Connection) -> Made:
    """Make the networks, routers and ports of a new site.

    The security group of the ports is the project's default one, which lets members reach each
    other, and nobody else in.

    Raises:
        LabError: Neutron refuses something.
    """
    try:
        external = _make_external(site, connection)
        routers = _make_routers(site, connection, external)
        networks = _make_networks(site, connection, routers)
        ports = _make_ports(site, connection, networks)
    except SDKException as error:
        raise _refused(site, "networks, routers and ports", error) from error
    return Made({name: router.id for name, router in routers.items()}, ports)


def _make_external(site: Site, connection: Connection) -> str | None:
    """Make the external network, and return its id; None if the site has none."""
    if site.external is None:
        return None
    network = connection.network.create_network(
        name=EXTERNAL_NETWORK,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=PHYSICAL_NETWORK,
    )
    for cidr, gateway in zip(site.external.networks, site.external.gateways, strict=True):
        first, last = cidr[_FIRST_EXTERNAL_HOST], cidr[_LAST_EXTERNAL_HOST]
        _make_subnet(
            connection,
            network,
            cidr,
            gateway_ip=str(gateway.ip),
            allocation_pools=[{"start": str(first), "end": str(last)}],
        )
    return str(network.id)


def _make_routers(site: Site, connection: Connection, external: str | None) -> dict[str, Any]:
    """Make routers; with a gateway they do SNAT unless told otherwise (enable_snat_by_default)."""
    gateway = {"external_gateway_info": {"network_id": external}} if external else {}
    names = site.require_openstack().routers
    return {name: connection.network.create_router(name=name, **gateway) for name in names}


def _make_networks(site: Site, connection: Connection, routers: dict[str, Any]) -> dict[str, Any]:
    """Make tenant networks with their subnets, each behind its router; the networks by name."""
    made: dict[str, Any] = {}
    for network in site.require_openstack().networks:
        at = made[network.name] = connection.network.create_network(name=network.name)
        for cidr in network.cidrs:
            subnet = _make_subnet(connection, at, cidr)
            router = routers[network.router]
            connection.network.add_interface_to_router(router, subnet=subnet)
    return made


def _make_subnet(connection: Connection, network: Any, cidr: Network, **options: Any) -> Any:
    return connection.network.create_subnet(
        name=f"{network.name}-v{cidr.version}",
        network_id=network.id,
        ip_version=cidr.version,
        cidr=str(cidr),
        # VMs of a lab have their addresses without asking.
        is_dhcp_enabled=False,
        **options,
    )


def _make_ports(site: Site, connection: Connection, networks: dict[str, Any]) -> dict[str, str]:
    """Make the VMs' ports as Nova does: with their host, which becomes ``requested-chassis``."""
    wanted = [
        {
            "name": vm.name,
            "network_id": networks[vm.subnet].id,
            "mac_address": vm.mac,
            "fixed_ips": [{"ip_address": str(address.ip)} for address in vm.addresses],
            "binding_host_id": vm.node,
            "device_owner": DEVICE_OWNER,
            "device_id": vm.name,
        }
        for vm in site.pods
    ]
    # All at once: each request costs Neutron a second or so.
    made = connection.network.create_ports(wanted) if wanted else ()
    return {port.name: port.id for port in made}


def allow_ingress(connection: Connection, networks: Iterable[Network]) -> tuple[str, ...]:
    """Let networks reach the VMs: ingress rules of the default security group.

    Args:
        connection: to the site.
        networks: those let in.

    Returns:
        Ids of the rules.
    """
    group = connection.network.find_security_group("default", ignore_missing=False)
    rules = (
        connection.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            ether_type=f"IPv{network.version}",
            remote_ip_prefix=str(network),
        )
        for network in networks
    )
    return tuple(rule.id for rule in rules)


def _refused(site: Site, what: str, exc: SDKException) -> LabError:
    return LabError(f"site {site.name}: cannot make {what}: {exc}; see: ovnmesh lab status")
