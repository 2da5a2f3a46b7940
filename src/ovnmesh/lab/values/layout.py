"""Computes every name and address of a lab from its specification.

Called by `runner` and `state`. Pure: the same specification and directory always give the same lab,
so nothing but the specification has to be remembered to find, show or remove a lab. Names and
addresses are those of the documents: sites ``az1``, ``az2``; nodes ``az1-gw``, ``az1-n1``; pods
``pod0``, ``pod1``; 10.16.0.0/16 and 100.64.0.0/16 in az1, 10.17.0.0/16 and 100.65.0.0/16 in az2.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_interface, ip_network
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from ovnmesh.errors import ConfigError, LabError, Problem
from ovnmesh.lab.values.openstack_shape import OpenStack, TenantNetwork
from ovnmesh.lab.values.spec import MAX_SITES, LabSpec, NetworkSpec, OpenStackSpec, SiteSpec
from ovnmesh.lab.values.topology import (
    IC_ADDRESS,
    IC_NETWORK,
    JOIN,
    OVN_DEFAULT,
    VM_MTU_BYTES,
    External,
    IcNode,
    Interface,
    Lab,
    Node,
    Pod,
    Site,
    Subnet,
)
from ovnmesh.model.addresses import Network

_FIRST_NODE_HOST = 10
_CONTROL_HOST = 2
_FIRST_VM_HOST = 10
"""Position of the first VM's address in its network; Neutron's own come first."""
_MAX_POD_NAME = 13
"""The node's end of a pod's link is the pod's name and ``_h``; a link's name has 15 characters."""


def prefix_of(directory: Path) -> str:
    """Prefix of a lab's namespaces: the same for the same directory, so leftovers are found."""
    return f"om{hashlib.sha256(str(directory).encode()).hexdigest()[:6]}"


def compute_lab(spec: LabSpec, directory: Path) -> Lab:
    """Compute every name and address of a lab.

    Args:
        spec: what was asked for.
        directory: absolute path of the run directory.

    Raises:
        ConfigError: two things would have the same name, or a network has too few addresses.
    """
    prefix = prefix_of(directory)
    count = len(spec.sites) + len(spec.openstack)
    if not 1 <= count <= MAX_SITES:
        expected = f"from 1 to {MAX_SITES}, those of OpenStack included"
        raise ConfigError([Problem("sites", f"{count} sites", expected)])
    sites = tuple(
        _compute_site(spec, index, directory, prefix) for index in range(1, len(spec.sites) + 1)
    )
    sites += tuple(
        _compute_openstack_site(spec, position, directory, prefix)
        for position in range(1, len(spec.openstack) + 1)
    )
    lab = Lab(
        directory=directory,
        prefix=prefix,
        sites=sites,
        ts_count=spec.ts_count,
        protocol=spec.protocol,
        ic_nodes=compute_ic_nodes(spec.ic_nodes, directory, prefix),
        router_netns=f"{prefix}-router",
    )
    places = [site.name for site in sites] + [node.name for node in lab.ic_nodes[1:]]
    _check_names([("site", name) for name in places])
    _check_names([("node", node.name) for site in sites for node in site.nodes])
    _check_names([("namespace", name) for name in lab.namespaces])
    return lab


def compute_ic_nodes(count: int, directory: Path, prefix: str) -> tuple[IcNode, ...]:
    """Compute the nodes of the interconnection databases, from the documents' address upwards."""
    # No site can have this name: it has an underscore.
    folder = directory / "ic_db"
    names = [f"ic{i}" for i in range(1, count + 1)] if count > 1 else ["ic"]
    return tuple(
        IcNode(
            name=name,
            address=IPv4Interface(f"{IC_ADDRESS.ip + i}/{IC_NETWORK.prefixlen}"),
            mac=mac_of(name),
            netns=f"{prefix}-{name}",
            directory=folder / name if count > 1 else folder,
            router_ifname=f"{name}-port",
        )
        for i, name in enumerate(names)
    )


def compute_pod(prefix: str, site: str, name: str, node: str, place: tuple[Subnet, int]) -> Pod:
    """Compute a pod.

    Args:
        prefix: prefix of the lab's namespaces.
        site: its site.
        name: its name.
        node: the node it runs on.
        place: its subnet, and the position of its addresses counted from the network's own.

    Raises:
        LabError: its name is too long, or the subnet has no such address.
    """
    if len(name) > _MAX_POD_NAME:
        raise LabError(f"pod {name!r}: expected a name of at most {_MAX_POD_NAME} characters")
    subnet, position = place
    return Pod(
        site=site,
        name=name,
        node=node,
        subnet=subnet.name,
        addresses=tuple(host(cidr, position) for cidr in subnet.cidrs),
        mac=mac_of(site, "pod", name),
        netns=f"{prefix}-{site}-{name}",
    )


def compute_subnet(site: str, name: str, cidrs: tuple[Network, ...]) -> Subnet:
    """Compute the switch of a Subnet; the router has the first address of each network.

    Raises:
        LabError: a network has no room for the router.
    """
    gateways = tuple(host(cidr, 1) for cidr in cidrs)
    return Subnet(name=name, cidrs=cidrs, gateways=gateways, mac=mac_of(site, "subnet", name))


def first_subnets(site: Site) -> tuple[Subnet, ...]:
    """The subnets that the pods or VMs of a new site are in."""
    if site.openstack is None:
        return (site.ovn_default,)
    networks = site.openstack.networks
    return tuple(compute_subnet(site.name, network.name, network.cidrs) for network in networks)


def host(network: Network, position: int) -> Interface:
    """Address at a position in a network, with the network's prefix length.

    Raises:
        LabError: the network is too small.
    """
    if position >= network.num_addresses - (1 if network.version == 4 else 0):
        raise LabError(f"network {network}: no address number {position}; use a larger network")
    return ip_interface(f"{network[position]}/{network.prefixlen}")


def mac_of(*what: str) -> str:
    """Hardware address of something by its name: locally administered, the same every time."""
    digest = hashlib.sha256("/".join(what).encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x0A, *digest[:5]))


def _check_names(named: list[tuple[str, str]]) -> None:
    problems = [
        Problem("sites", f"{count} {kind}s named {name!r}", "different names")
        for (kind, name), count in Counter(named).items()
        if count > 1
    ]
    if problems:
        raise ConfigError(problems)


def _compute_site(lab: LabSpec, index: int, directory: Path, prefix: str) -> Site:
    spec, protocol = lab.sites[index - 1], lab.protocol
    name = spec.name or f"az{index}"
    where = f"sites[{index - 1}]"
    ovn_default = spec.ovn_default or _default_cidrs(
        protocol, f"10.{15 + index}.0.0/16", f"fd00:10:{15 + index}::/112"
    )
    join = spec.join or _default_cidrs(
        protocol, f"100.{63 + index}.0.0/16", f"fd00:100:{63 + index}::/112"
    )
    _check_families(protocol, {f"{where}.ovn_default": ovn_default, f"{where}.join": join})
    try:
        subnet = compute_subnet(name, OVN_DEFAULT, ovn_default)
        join_subnet = compute_subnet(name, JOIN, join)
        nodes = _compute_nodes(spec.nodes, index, name, join_subnet, (directory, prefix))
        pods = tuple(
            compute_pod(prefix, name, f"pod{i}", nodes[i % len(nodes)].name, (subnet, 2 + i))
            for i in range(spec.pods * len(nodes))
        )
    except LabError as error:
        raise ConfigError([Problem(where, str(error), "room for every node and pod")]) from error
    site = _bare_site(lab, spec, (index, name), (directory, prefix))
    return replace(
        site,
        ovn_default=subnet,
        join=join_subnet,
        nodes=nodes,
        pods=pods,
        gw_nodes=spec.gw_nodes if spec.gw_nodes is not None else (nodes[0].name,),
        api_address=_api_address(prefix, index) if lab.kubernetes else None,
    )


def _compute_openstack_site(lab: LabSpec, position: int, directory: Path, prefix: str) -> Site:
    """Compute an OpenStack site; they come after the others, so that those keep their addresses."""
    spec, index = lab.openstack[position - 1], len(lab.sites) + position
    name = spec.name or f"os{position}"
    where = f"openstack[{position - 1}]"
    networks = tuple(
        _compute_network(lab.protocol, network, (position, i), where)
        for i, network in enumerate(spec.networks)
    )
    _check_names([("network", network.name) for network in networks])
    nowhere = Subnet(JOIN, (), (), mac_of(name, "subnet", JOIN))
    try:
        subnets = [compute_subnet(name, network.name, network.cidrs) for network in networks]
        nodes = _compute_nodes(spec.nodes, index, name, nowhere, (directory, prefix))
        vms = tuple(
            compute_pod(
                *(prefix, name, f"vm-{n * spec.vms + i}", nodes[i % len(nodes)].name),
                (subnet, _FIRST_VM_HOST + i),
            )
            for n, subnet in enumerate(subnets)
            for i in range(spec.vms)
        )
    except LabError as error:
        raise ConfigError([Problem(where, str(error), "room for every node and VM")]) from error
    site = _bare_site(lab, spec, (index, name), (directory, prefix))
    openstack = OpenStack(
        address=_api_address(prefix, index),
        directory=site.directory / "openstack",
        clouds_yaml=directory / "clouds.yaml",
        networks=networks,
        keystone=spec.keystone,
    )
    return replace(
        site,
        ovn_default=subnets[0],
        join=nowhere,
        nodes=nodes,
        pods=tuple(replace(vm, mtu_bytes=VM_MTU_BYTES) for vm in vms),
        gw_nodes=spec.gw_nodes if spec.gw_nodes is not None else (nodes[0].name,),
        openstack=openstack,
    )


def _compute_network(
    protocol: str, spec: NetworkSpec, place: tuple[int, int], where: str
) -> TenantNetwork:
    """Compute a network of VMs.

    Args:
        protocol: of the lab.
        spec: what was asked for.
        place: number of the OpenStack site, from 1, and of the network in it, from 0.
        where: the site in the topology, for errors.
    """
    site, number = place
    # The documents' 192.168.1.0/24 in the first site; further networks are not in the documents.
    v4 = f"192.168.{site}.0/24" if number == 0 else f"10.{200 + site}.{number}.0/24"
    cidrs = spec.cidr or _default_cidrs(protocol, v4, f"fd00:192:168:{site}{number:02}::/64")
    _check_families(protocol, {f"{where}.networks[{number}].cidr": cidrs})
    return TenantNetwork(spec.name, cidrs, spec.router)


def _bare_site(
    lab: LabSpec,
    spec: SiteSpec | OpenStackSpec,
    identity: tuple[int, str],
    place: tuple[Path, str],
) -> Site:
    """Compute what sites of every shape have; they add the rest."""
    (index, name), (directory, prefix) = identity, place
    underlay = _underlay(index)
    nothing = Subnet("", (), (), "")
    return Site(
        name=name,
        underlay=underlay,
        router_address=IPv4Interface(f"{underlay[1]}/24"),
        router_mac=mac_of(name, "router"),
        bridge=f"br-s{index}",
        control_netns=f"{prefix}-{name}-control",
        control_address=IPv4Interface(f"{underlay[_CONTROL_HOST]}/24"),
        control_mac=mac_of(name, "control"),
        control_ifname=f"s{index}-control",
        ovn_default=nothing,
        join=nothing,
        nodes=(),
        pods=(),
        gw_nodes=(),
        auto_route=spec.auto_route,
        enable_ic=spec.enable_ic,
        directory=directory / name,
        api_address=None,
        ic_db_host=",".join(str(IC_ADDRESS.ip + i) for i in range(lab.ic_nodes)),
        external=_compute_external(lab.protocol, index, name) if spec.external else None,
    )


def _compute_external(protocol: str, index: int, site: str) -> External:
    """Compute the external network of the site at a position: 172.31.1.0/24 first."""
    networks = _default_cidrs(protocol, f"172.31.{index}.0/24", f"fd00:172:31:{index}::/112")
    return External(
        networks=networks,
        gateways=tuple(host(network, 1) for network in networks),
        mac=mac_of(site, "outside"),
        bridge=f"br-x{index}",
    )


def _api_address(prefix: str, index: int) -> IPv4Address:
    """Loopback address of an API server: another for each site of each lab.

    All of 127.0.0.0/8 is the machine's own (RFC 1122, 3.2.1.3); the lower half is left to others.
    """
    number = int(prefix[-4:], 16)
    return IPv4Address(bytes((127, 128 | number >> 9, number >> 1 & 0xFF, index)))


def _compute_nodes(
    wanted: int | tuple[str, ...], index: int, site: str, join: Subnet, place: tuple[Path, str]
) -> tuple[Node, ...]:
    directory, prefix = place
    names = (
        tuple(f"{site}-gw" if i == 0 else f"{site}-n{i}" for i in range(wanted))
        if isinstance(wanted, int)
        else wanted
    )
    underlay = _underlay(index)
    return tuple(
        Node(
            name=name,
            address=IPv4Interface(f"{underlay[_FIRST_NODE_HOST + i]}/24"),
            mac=mac_of(site, "node", name),
            join_addresses=tuple(host(cidr, 2 + i) for cidr in join.cidrs),
            join_mac=mac_of(site, "join", name),
            system_id=str(uuid5(NAMESPACE_DNS, name)),
            netns=f"{prefix}-{name}",
            directory=directory / site / "nodes" / name,
            router_ifname=f"s{index}-node{i}",
        )
        for i, name in enumerate(names)
    )


def _underlay(index: int) -> IPv4Network:
    """Underlay of the site at a position: 192.168.42.0/24 first, never the IC databases' own."""
    third = 41 + index
    network = IPv4Network(f"192.168.{third}.0/24")
    # The sites after it move up by one, so that no two have the same.
    return network if network < IC_NETWORK else IPv4Network(f"192.168.{third + 1}.0/24")


def _default_cidrs(protocol: str, v4: str, v6: str) -> tuple[Network, ...]:
    chosen = {"ipv4": (v4,), "ipv6": (v6,), "dual": (v4, v6)}[protocol]
    return tuple(ip_network(cidr) for cidr in chosen)


def _check_families(protocol: str, networks: dict[str, tuple[Network, ...]]) -> None:
    wanted = {"ipv4": [4], "ipv6": [6], "dual": [4, 6]}[protocol]
    problems = [
        Problem(where, ",".join(map(str, cidrs)), f"one network of each family of {protocol}")
        for where, cidrs in networks.items()
        if sorted(cidr.version for cidr in cidrs) != wanted
    ]
    if problems:
        raise ConfigError(problems)
