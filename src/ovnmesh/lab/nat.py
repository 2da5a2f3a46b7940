"""Adds and removes SNAT and EIP while a lab runs.

Called by the command line and tests. What is translated is written in the site's northbound
database and nowhere else, so nothing has to be remembered.
"""

import json
from ipaddress import ip_address

from ovnmesh.errors import LabError
from ovnmesh.lab import daemons
from ovnmesh.lab.values import external_gateway, logical
from ovnmesh.lab.values.topology import External, Interface, Pod, Site, Subnet


def add_snat(site: Site, subnet: Subnet) -> tuple[Interface, ...]:
    """Have a subnet's pods reach the outside with an address of the external network.

    Args:
        site: the site.
        subnet: the subnet.

    Returns:
        The addresses, one for each family.

    Raises:
        LabError: the site has no external network, or the subnet has SNAT already.
    """
    external = _external(site)
    if any(f"{cidr}" in _nats(site, "snat") for cidr in subnet.cidrs):
        raise LabError(f"site {site.name}: Subnet {subnet.name} has SNAT already")
    addresses = _free_addresses(site, external)
    commands = []
    for cidr in subnet.cidrs:
        address = next(a for a in addresses if a.version == cidr.version)
        commands += external_gateway.snat_commands(external, cidr, address)
    daemons.nbctl(site, "--wait=hv", *logical.join_commands(commands))
    return addresses


def delete_snat(site: Site, subnet: Subnet) -> None:
    """Undo `add_snat`; nothing happens if the subnet has none."""
    commands = []
    for cidr in subnet.cidrs:
        commands += external_gateway.snat_delete_commands(cidr)
    daemons.nbctl(site, "--wait=hv", *logical.join_commands(commands))


def add_eip(site: Site, pod: Pod, *, distributed: bool = False) -> tuple[Interface, ...]:
    """Give a pod an address of its own in the external network, both ways.

    Args:
        site: the pod's site.
        pod: the pod.
        distributed: translate on the pod's node instead of the gateway.

    Returns:
        The addresses, one for each family.

    Raises:
        LabError: the site has no external network, or the pod has an EIP already.
    """
    external = _external(site)
    if any(str(a.ip) in _nats(site, "dnat_and_snat") for a in pod.addresses):
        raise LabError(f"{site.name}/{pod.name}: has an EIP already")
    addresses = _free_addresses(site, external)
    commands = []
    for address in addresses:
        commands += external_gateway.eip_commands(external, pod, address, distributed=distributed)
    daemons.nbctl(site, "--wait=hv", *logical.join_commands(commands))
    return addresses


def delete_eip(site: Site, pod: Pod) -> None:
    """Undo `add_eip`; nothing happens if the pod has none."""
    nats = _nats(site, "dnat_and_snat")
    commands = []
    for address in pod.addresses:
        if str(address.ip) in nats:
            commands += external_gateway.eip_delete_commands(
                pod, nats[str(address.ip)], address.version
            )
    if commands:
        daemons.nbctl(site, "--wait=hv", *logical.join_commands(commands))


def _external(site: Site) -> External:
    if site.external is None:
        raise LabError(
            f"site {site.name}: has no external network; expected 'external: true' in the "
            "topology, or: ovnmesh lab up --external"
        )
    return site.external


def _nats(site: Site, kind: str) -> dict[str, str]:
    """External address of each logical one, of one type (ovn-nb(5), NAT)."""
    words = ["--format=json", "--columns=logical_ip,external_ip", "find", "NAT", f"type={kind}"]
    return dict(json.loads(daemons.nbctl(site, *words))["data"])


def _free_addresses(site: Site, external: External) -> tuple[Interface, ...]:
    """The first addresses of the external network that no NAT uses, at the same position."""
    used = {
        ip_address(address)
        for kind in ("snat", "dnat_and_snat")
        for address in _nats(site, kind).values()
    }
    position = external_gateway.FIRST_NAT_HOST
    while any(external.address(position, n.version).ip in used for n in external.networks):
        position += 1
    return tuple(external.address(position, n.version) for n in external.networks)
