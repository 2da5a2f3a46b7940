"""Builds a lab's namespaces and what connects them.

Called by `runner` and `faults`. Makes links, addresses and routes through `lab.network.netns`;
starts no process. The underlay is a router namespace with one bridge for each site: nodes of a site
share a wire, sites reach each other and the interconnection databases at layer 3 only.
"""

from functools import partial
from ipaddress import IPv4Interface, IPv4Network

from ovnmesh.host.process import wait_until
from ovnmesh.lab.network import netns
from ovnmesh.lab.network.netns import Links, VethEnd
from ovnmesh.lab.values.layout import host, mac_of
from ovnmesh.lab.values.topology import (
    IC_NETWORK,
    POD_MTU_BYTES,
    IcNode,
    Interface,
    Lab,
    Node,
    Pod,
    Site,
    Subnet,
)
from ovnmesh.model.addresses import Network

_IC_BRIDGE = "br-ic"
_IC_CUT_PRIORITY = 100
"""Priority of the rules that cut sites off the databases; the kernel's begin at 32766."""
_PATH_CUT_PRIORITY = 200
"""Priority of the rules that cut paths between places."""


def make_namespaces(lab: Lab) -> None:
    """Make every namespace of a lab."""
    for name in lab.namespaces:
        netns.create(name)


def make_underlay(lab: Lab) -> None:
    """Make the router, the sites' bridges and every link of control nodes and nodes."""
    router_end = host(IC_NETWORK, 1)

    def build(links: Links) -> None:
        links.set_sysctl("ipv4/ip_forward", "1")
        ends = [(n.router_ifname, VethEnd(n.netns, "eth0", n.mac)) for n in lab.ic_nodes]
        _build_wire(links, _IC_BRIDGE, mac_of("ic", "router"), router_end, ends)
        for site in lab.sites:
            ends = [(site.control_ifname, VethEnd(site.control_netns, "eth0", site.control_mac))]
            ends += [
                (n.router_ifname, VethEnd(n.netns, "eth0", mac_of(site.name, "nic", n.name)))
                for n in site.nodes
            ]
            _build_wire(links, site.bridge, site.router_mac, site.router_address, ends)

    netns.inside(lab.router_netns, build)
    for ic in lab.ic_nodes:
        netns.inside(ic.netns, partial(_configure_end, address=ic.address, gateway=router_end))
    for site in lab.sites:
        netns.inside(
            site.control_netns,
            partial(_configure_end, address=site.control_address, gateway=site.router_address),
        )
        for node in site.nodes:
            netns.inside(node.netns, _prepare_node)


def _configure_end(links: Links, address: IPv4Interface, gateway: Interface) -> None:
    links.disable_tx_checksum_offload("eth0")
    links.set_link("eth0", up=True)
    links.add_addresses("eth0", [address])
    links.set_route(None, gateway.ip)


def _build_wire(
    links: Links, bridge: str, mac: str, address: Interface, ends: list[tuple[str, VethEnd]]
) -> None:
    """Make a bridge of the router's, its own address there, and a link to each end."""
    links.add_bridge(bridge, mac)
    links.add_addresses(bridge, [address])
    for ifname, end in ends:
        links.add_veth(ifname, mac_of(bridge, "port", ifname), end)
        links.disable_tx_checksum_offload(ifname)
        links.set_link(ifname, up=True, bridge=bridge)


def _prepare_node(links: Links) -> None:
    # The node's address is on br-phy, yet the kernel would answer ARP for it on the wire as well,
    # with the wrong hardware address (ip-sysctl, arp_ignore).
    links.set_sysctl("ipv4/conf/all/arp_ignore", "1")
    links.set_sysctl("ipv6/conf/eth0/disable_ipv6", "1")
    links.disable_tx_checksum_offload("eth0")
    links.set_link("eth0", up=True)


def make_pod_link(site: Site, pod: Pod, subnet: Subnet) -> None:
    """Connect a pod's namespace to its node's, with addresses and a default route."""
    node = site.node(pod.node)

    def build(links: Links) -> None:
        links.add_veth("eth0", pod.mac, VethEnd(node.netns, pod.host_ifname, mac_of(pod.netns)))
        links.disable_tx_checksum_offload("eth0")
        links.set_link("eth0", up=True, mtu_bytes=pod.mtu_bytes)
        links.add_addresses("eth0", pod.addresses)

    def attach(links: Links) -> None:
        links.set_sysctl(f"ipv6/conf/{pod.host_ifname}/disable_ipv6", "1")
        links.disable_tx_checksum_offload(pod.host_ifname)
        links.set_link(pod.host_ifname, up=True, mtu_bytes=pod.mtu_bytes)

    def route(links: Links) -> None:
        for gateway in subnet.gateways:
            links.set_route(None, gateway.ip)

    netns.inside(pod.netns, build)
    netns.inside(node.netns, attach)
    # A link has a carrier, and so takes IPv6 routes, once both ends are up.
    netns.inside(pod.netns, route)


def configure_node(site: Site, node: Node, networks: tuple[Network, ...]) -> None:
    """Give the links that ovs-vswitchd makes their addresses; again after each restart of it.

    Args:
        site: the node's site.
        node: the node.
        networks: networks of the pods, which the node reaches through ``ovn0``.

    Raises:
        ProcessError: ovs-vswitchd did not make the links.
    """

    def configure(links: Links) -> None:
        joins = bool(node.join_addresses)
        for ifname in ("br-phy", *(("ovn0",) if joins else ())):
            wait_until(
                partial(links.exists, ifname),
                f"node {node.name}: ovs-vswitchd has made {ifname}",
                timeout_s=10,
            )
        links.set_link("br-phy", up=True)
        links.add_addresses("br-phy", [node.address])
        links.set_route(None, site.router_address.ip)
        if joins:
            links.set_link("ovn0", up=True, mtu_bytes=POD_MTU_BYTES)
            links.add_addresses("ovn0", node.join_addresses)
            _route_networks(links, site, networks)

    netns.inside(node.netns, configure)


def route_networks(site: Site, networks: tuple[Network, ...]) -> None:
    """Have every node reach networks of pods through its ``ovn0``, as Kube-OVN's daemon does."""
    for node in site.nodes:
        netns.inside(node.netns, lambda links: _route_networks(links, site, networks))


def unroute_networks(site: Site, networks: tuple[Network, ...]) -> None:
    """Undo `route_networks`."""

    def unroute(links: Links) -> None:
        for network in networks:
            links.delete_route(network)

    for node in site.nodes:
        netns.inside(node.netns, unroute)


def _route_networks(links: Links, site: Site, networks: tuple[Network, ...]) -> None:
    for network in networks:
        for gateway in site.join.gateways:
            if gateway.version == network.version:
                links.set_route(network, gateway.ip)


def set_node_link(lab: Lab, node: Node | IcNode, *, up: bool) -> None:
    """Pull or plug the cable of a node: both ends lose or gain their carrier."""
    netns.inside(lab.router_netns, lambda links: links.set_link(node.router_ifname, up=up))


def set_ic_path(lab: Lab, site: Site, *, up: bool) -> None:
    """Cut a site's control node off the interconnection databases, silently, or heal that.

    Traffic between nodes is left alone.
    """
    control = IPv4Network(f"{site.control_address.ip}/32")
    _set_path(lab, (control, IC_NETWORK), _IC_CUT_PRIORITY, up=up)


def set_path(lab: Lab, first: IPv4Network, second: IPv4Network, *, up: bool) -> None:
    """Cut the path between two places on different wires, silently and both ways, or heal it."""
    _set_path(lab, (first, second), _PATH_CUT_PRIORITY, up=up)


def _set_path(lab: Lab, ends: tuple[IPv4Network, IPv4Network], priority: int, *, up: bool) -> None:
    def change(links: Links) -> None:
        if up:
            links.undrop_between(*ends, priority)
        else:
            links.drop_between(*ends, priority)

    netns.inside(lab.router_netns, change)
