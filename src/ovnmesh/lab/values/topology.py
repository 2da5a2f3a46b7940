"""A lab as values: its sites, nodes, pods and subnets with all their names and addresses.

Called by all of `ovnmesh.lab`; `layout` computes the values. Pure: no I/O, and nothing here knows
whether the lab is running.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    ip_interface,
)
from pathlib import Path

from ovnmesh.errors import LabError
from ovnmesh.lab.values.openstack_shape import OpenStack
from ovnmesh.model.addresses import Network
from ovnmesh.ovn_keys import DEFAULT_ROUTER

Interface = IPv4Interface | IPv6Interface

ROUTER = DEFAULT_ROUTER
"""Kube-OVN's router of the default VPC (``--cluster-router``)."""
OVN_DEFAULT = "ovn-default"
"""Kube-OVN's default subnet (``--default-logical-switch``)."""
JOIN = "join"
"""Kube-OVN's subnet between nodes and pods (``--node-switch``)."""
IC_NETWORK = IPv4Network("192.168.65.0/24")
IC_ADDRESS = IPv4Interface("192.168.65.3/24")
"""The Interconnection Controller's address in the documents (``ic-db-host``)."""
OUTSIDE = "outside"
"""Name of the namespace that plays the outside world, for ``lab exec`` and ``lab ping``."""
OUTSIDE_ADDRESSES = tuple(ip_interface(text) for text in ("203.0.113.1/32", "2001:db8::1/128"))
"""Addresses of a host out there, beyond all external networks (RFC 5737, RFC 3849)."""
PHYSICAL_NETWORK = "external"
"""Name of external networks in ``ovn-bridge-mappings``: ``network_name`` of localnet ports,
Kube-OVN's ``--external-gateway-net``, Neutron's ``provider:physical_network``."""
API_PORT = 6443
"""TCP port of a site's Kubernetes API server (kube-apiserver, ``--secure-port``)."""
POD_MTU_BYTES = 1400
"""Kube-OVN subtracts 100 bytes for Geneve from the MTU of the node's link."""
VM_MTU_BYTES = 1442
"""Neutron subtracts 58 bytes, of which 38 are ``max_header_size``."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """A logical switch behind the site's router.

    Attributes:
        name: name of the Subnet and of the switch.
        cidrs: its networks, one for each address family.
        gateways: address of the router's port in each network.
        mac: hardware address of the router's port.
    """

    name: str
    cidrs: tuple[Network, ...]
    gateways: tuple[Interface, ...]
    mac: str


@dataclass(frozen=True, slots=True)
class External:
    """A site's external network: a wire from each of its nodes to the outside world.

    Attributes:
        networks: its networks, one for each address family.
        gateways: address of the outside in each network: the next hop to everywhere.
        mac: hardware address of the outside on the wire.
        bridge: name of the wire, a bridge in the outside's namespace.
    """

    networks: tuple[Network, ...]
    gateways: tuple[Interface, ...]
    mac: str
    bridge: str

    def address(self, position: int, version: int = 4) -> Interface:
        """Address at a position in a network of the site's, with its prefix length.

        Raises:
            LabError: there is no network of that family.
        """
        for network in self.networks:
            if network.version == version:
                return ip_interface(f"{network[position]}/{network.prefixlen}")
        raise LabError(f"external network {self.bridge}: has no IPv{version} network")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: a namespace with one link.

    Attributes:
        site: its site.
        name: its name, unique in the site.
        node: the node it runs on.
        subnet: the Subnet its addresses are from.
        addresses: one for each address family.
        mac: hardware address of its link.
        netns: its namespace.
        mtu_bytes: MTU of its link.
    """

    site: str
    name: str
    node: str
    subnet: str
    addresses: tuple[Interface, ...]
    mac: str
    netns: str
    mtu_bytes: int = POD_MTU_BYTES

    @property
    def port(self) -> str:
        """Name of its logical switch port (Kube-OVN: pod, dot, Kubernetes namespace)."""
        return f"{self.name}.default"

    @property
    def host_ifname(self) -> str:
        """Name of the node's end of its link."""
        return f"{self.name}_h"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: a namespace with OVS and ovn-controller.

    Attributes:
        name: its name, unique in the lab: chassis are found by it.
        address: underlay address, on ``br-phy``; the tunnels' end.
        mac: hardware address of ``br-phy``.
        join_addresses: addresses of ``ovn0``, one for each family; none without ``ovn0``.
        join_mac: hardware address of ``ovn0``.
        system_id: ``external_ids:system-id``, the chassis' name.
        netns: its namespace.
        directory: where its daemons keep database, sockets, pidfiles and logs.
        router_ifname: name of the underlay router's end of its link.
    """

    name: str
    address: IPv4Interface
    mac: str
    join_addresses: tuple[Interface, ...]
    join_mac: str
    system_id: str
    netns: str
    directory: Path
    router_ifname: str

    @property
    def port(self) -> str:
        """Name of its logical switch port (Kube-OVN: ``node-`` and the node's name)."""
        return f"node-{self.name}"

    @property
    def db_socket(self) -> Path:
        """Socket of its Open_vSwitch database."""
        return self.directory / "db.sock"


@dataclass(frozen=True, slots=True)
class IcNode:
    """A node of the interconnection databases: a namespace with ``ovnmesh ic-db``.

    Attributes:
        name: ``ic`` if it is the only one, else ``ic1``, ``ic2``, ...
        address: its address on the interconnection network.
        mac: hardware address of its link.
        netns: its namespace.
        directory: where its files are.
        router_ifname: name of the underlay router's end of its link.
    """

    name: str
    address: IPv4Interface
    mac: str
    netns: str
    directory: Path
    router_ifname: str

    @property
    def data_directory(self) -> Path:
        """Where its database files are."""
        return self.directory / "data"

    @property
    def run_directory(self) -> Path:
        """Where its sockets are."""
        return self.directory / "run"

    def socket(self, which: str) -> str:
        """Connection to its own server of ``ic_nb`` or ``ic_sb``."""
        return f"unix:{self.run_directory / f'ovn_{which}.sock'}"


@dataclass(frozen=True, slots=True)
class Site:
    """A site: an availability zone with its own databases, nodes and pods.

    Attributes:
        name: the availability zone.
        underlay: network of its nodes.
        router_address: the underlay router's address in it.
        router_mac: hardware address of the underlay router in it.
        bridge: the underlay router's bridge, the site's wire.
        control_netns: namespace of NB, SB, northd and the controller.
        control_address: underlay address of the control node.
        control_mac: its hardware address.
        control_ifname: name of the underlay router's end of its link.
        ovn_default: the pods' subnet; in OpenStack the first network of VMs.
        join: the subnet between nodes and pods; in OpenStack it has no networks.
        nodes: its nodes, the gateway first unless the specification says otherwise.
        pods: its pods, or VMs.
        gw_nodes: ``gw-nodes`` of ``ovn-ic-config``.
        auto_route: ``auto-route`` of ``ovn-ic-config``.
        enable_ic: ``enable-ic`` of ``ovn-ic-config``.
        directory: where everything of the site is kept.
        api_address: loopback address of its Kubernetes API server; None in a lab without.
        ic_db_host: ``ic-db-host`` of ``ovn-ic-config``.
        external: its external network; None if it has none.
        openstack: its OpenStack; None in a site like Kube-OVN's.
    """

    name: str
    underlay: IPv4Network
    router_address: IPv4Interface
    router_mac: str
    bridge: str
    control_netns: str
    control_address: IPv4Interface
    control_mac: str
    control_ifname: str
    ovn_default: Subnet
    join: Subnet
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    gw_nodes: tuple[str, ...]
    auto_route: bool
    enable_ic: bool
    directory: Path
    api_address: IPv4Address | None
    ic_db_host: str
    external: External | None
    openstack: OpenStack | None = None

    def require_openstack(self) -> OpenStack:
        """Its OpenStack.

        Raises:
            LabError: it has none.
        """
        if self.openstack is None:
            raise LabError(f"site {self.name}: not an OpenStack site (lab up --openstack)")
        return self.openstack

    @property
    def nb(self) -> str:
        """Connection to its northbound database."""
        return f"unix:{self.directory / 'nb.sock'}"

    @property
    def sb(self) -> str:
        """Connection to its southbound database."""
        return f"unix:{self.directory / 'sb.sock'}"

    @property
    def manifests(self) -> Path:
        """Folder of its manifests, which the controller watches; not used with an API server."""
        return self.directory / "manifests"

    @property
    def api_server(self) -> str:
        """URL of its API server, the same in its control node and on the machine."""
        return f"https://{self.api_address}:{API_PORT}"

    @property
    def api_directory(self) -> Path:
        """Where its API server's files are."""
        return self.directory / "api"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of its API's administrator."""
        return self.directory / "kubeconfig"

    @property
    def controller_kubeconfig(self) -> Path:
        """Kubeconfig of its controllers, who may do no more than in a cluster."""
        return self.api_directory / "controller.kubeconfig"

    def node(self, name: str) -> Node:
        """Find a node by name.

        Raises:
            LabError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise LabError(f"site {self.name}: no node {name!r}; expected one of {known}")

    def pod(self, name: str) -> Pod:
        """Find a pod by name.

        Raises:
            LabError: there is none.
        """
        for pod in self.pods:
            if pod.name == name:
                return pod
        known = ", ".join(pod.name for pod in self.pods) or "none: there are no pods"
        raise LabError(f"site {self.name}: no pod {name!r}; expected one of {known}")


@dataclass(frozen=True, slots=True)
class Lab:
    """A whole lab.

    Attributes:
        directory: its run directory.
        prefix: beginning of the names of all its namespaces, without the dash.
        sites: its sites.
        ts_count: number of transit switches.
        protocol: ``ipv4``, ``ipv6`` or ``dual``.
        ic_nodes: nodes of the interconnection databases; several form a cluster.
        router_netns: namespace of the underlay router.
    """

    directory: Path
    prefix: str
    sites: tuple[Site, ...]
    ts_count: int
    protocol: str
    ic_nodes: tuple[IcNode, ...]
    router_netns: str

    @property
    def outside_netns(self) -> str | None:
        """Namespace of the outside world; None if no site has an external network."""
        return f"{self.prefix}-{OUTSIDE}" if any(site.external for site in self.sites) else None

    @property
    def outside_addresses(self) -> tuple[Interface, ...]:
        """Addresses of the outside world beyond the external networks, of the families in use."""
        networks = [n for site in self.sites if site.external for n in site.external.networks]
        versions = {network.version for network in networks}
        return tuple(a for a in OUTSIDE_ADDRESSES if a.version in versions)

    @property
    def ic_netns(self) -> str:
        """Namespace of the first node of the interconnection databases."""
        return self.ic_nodes[0].netns

    @property
    def ic_directory(self) -> Path:
        """Where the files of the first node of the interconnection databases are."""
        return self.ic_nodes[0].directory

    @property
    def ic_nb(self) -> str:
        """Connection to the interconnection northbound database."""
        return ",".join(node.socket("ic_nb") for node in self.ic_nodes)

    @property
    def ic_sb(self) -> str:
        """Connection to the interconnection southbound database."""
        return ",".join(node.socket("ic_sb") for node in self.ic_nodes)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Names of all its namespaces."""
        names = [self.router_netns, *(node.netns for node in self.ic_nodes)]
        names += [self.outside_netns] if self.outside_netns else []
        for site in self.sites:
            names += [site.control_netns, *(n.netns for n in site.nodes)]
            names += [pod.netns for pod in site.pods]
        return tuple(names)

    def ic_node(self, name: str) -> IcNode | None:
        """Find a node of the interconnection databases by name; None if it is none of them."""
        return next((node for node in self.ic_nodes if node.name == name), None)

    def site(self, name: str) -> Site:
        """Find a site by name.

        Raises:
            LabError: there is none.
        """
        for site in self.sites:
            if site.name == name:
                return site
        known = ", ".join(site.name for site in self.sites)
        raise LabError(f"lab {self.directory}: no site {name!r}; expected one of {known}")
