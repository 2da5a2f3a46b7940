"""The outside world of a lab, and the wires from it to the sites' nodes.

Called by `boot`. Makes links and OVS bridges only, and knows no cloud: what becomes of the physical
network `PHYSICAL_NETWORK` in a site's OVN is the business of whoever runs that site. The outside is
one namespace with a bridge for each site's external network, and one address beyond them all. It
forwards between external networks, but has routes to nothing else: what leaves a site with a pod's
own address is never answered.
"""

from collections.abc import Iterable

from ovnmesh.lab.daemons import vsctl
from ovnmesh.lab.network import netns
from ovnmesh.lab.network.netns import Links, VethEnd
from ovnmesh.lab.values.layout import mac_of
from ovnmesh.lab.values.topology import PHYSICAL_NETWORK, External, Lab, Node

BRIDGE = "br-ex"
"""The nodes' OVS bridge to the external network (Neutron's name; Kube-OVN's is ``br-external``)."""
INTERFACE = "eth1"
"""The nodes' link to the external network (Kube-OVN, ``external-gw-nic``)."""


def make_outside(lab: Lab) -> None:
    """Make the outside world and its wires to all nodes of sites with an external network."""
    if lab.outside_netns is None:
        return
    wires = [(site.external, site.nodes) for site in lab.sites if site.external]

    def build(links: Links) -> None:
        links.set_sysctl("ipv4/ip_forward", "1")
        links.set_sysctl("ipv6/conf/all/forwarding", "1")
        links.add_addresses("lo", lab.outside_addresses)
        for external, nodes in wires:
            _build_wire(links, external, nodes)

    netns.inside(lab.outside_netns, build)
    for _, nodes in wires:
        for node in nodes:
            netns.inside(node.netns, _prepare_node)


def _build_wire(links: Links, external: External, nodes: Iterable[Node]) -> None:
    links.add_bridge(external.bridge, external.mac)
    links.add_addresses(external.bridge, external.gateways)
    for node in nodes:
        end = VethEnd(node.netns, INTERFACE, mac_of(external.bridge, "nic", node.name))
        # The underlay router's end has the same name, in another namespace.
        links.add_veth(node.router_ifname, mac_of(external.bridge, "port", node.name), end)
        links.disable_tx_checksum_offload(node.router_ifname)
        links.set_link(node.router_ifname, up=True, bridge=external.bridge)


def _prepare_node(links: Links) -> None:
    links.set_sysctl(f"ipv6/conf/{INTERFACE}/disable_ipv6", "1")
    links.disable_tx_checksum_offload(INTERFACE)
    links.set_link(INTERFACE, up=True)


def configure_vswitch(node: Node) -> None:
    """Connect a node's OVS to the external network, and tell ovn-controller the bridge.

    ovn-controller makes the patch ports as soon as OVN has a localnet port of that network.
    """
    vsctl(
        node,
        *("--no-wait", "--may-exist", "add-br", BRIDGE),
        *("--", "set", "Bridge", BRIDGE, "datapath_type=netdev"),
        *("--", "--may-exist", "add-port", BRIDGE, INTERFACE),
        *("--", "set", "Open_vSwitch", "."),
        f"external_ids:ovn-bridge-mappings={PHYSICAL_NETWORK}:{BRIDGE}",
    )
