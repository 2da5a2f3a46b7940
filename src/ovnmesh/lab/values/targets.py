"""What people write for a place in a lab: ``az1/pod0``, ``os1/vm-0``, ``az1/control``, ``outside``.

Called by `runner`. Pure: knows names, namespaces and addresses, runs nothing.
"""

from ovnmesh.errors import LabError
from ovnmesh.lab.values.topology import OUTSIDE, Interface, Lab, Site


def netns_of(lab: Lab, target: str) -> str:
    """Namespace of a place; see `runner.LabRunner.netns_of`."""
    ic_node = lab.ic_node(target)
    if ic_node is not None:
        return ic_node.netns
    if target == "router":
        return lab.router_netns
    if target == OUTSIDE:
        return _outside(lab)
    site, name = split(lab, target)
    if name == "control":
        return site.control_netns
    for node in site.nodes:
        if node.name == name:
            return node.netns
    return site.pod(name).netns


def address_of(lab: Lab, target: str, version: int | None) -> str:
    """Address of a place; see `runner.LabRunner.address_of`."""
    if "/" not in target and target != OUTSIDE:
        return target
    addresses = _addresses(lab, target)
    for address in addresses:
        if version in (None, address.version):
            return str(address.ip)
    raise LabError(f"{target}: has no IPv{version} address, only {addresses}")


def split(lab: Lab, target: str) -> tuple[Site, str]:
    """The site of ``SITE/NAME``, and the name.

    Raises:
        LabError: there is no such site, or no slash.
    """
    site, slash, name = target.partition("/")
    if not slash:
        raise LabError(f"{target!r}: expected SITE/NAME, for example az1/pod0")
    return lab.site(site), name


def _addresses(lab: Lab, target: str) -> tuple[Interface, ...]:
    if target == OUTSIDE:
        _outside(lab)
        return lab.outside_addresses
    site, name = split(lab, target)
    nodes = {node.name: node for node in site.nodes}
    return (nodes[name].address,) if name in nodes else site.pod(name).addresses


def _outside(lab: Lab) -> str:
    if lab.outside_netns is None:
        raise LabError(
            "outside: not in this lab; expected a site with 'external: true' in the topology, "
            "or: ovnmesh lab up --external"
        )
    return lab.outside_netns
