"""The rows Kube-OVN makes for its external gateway, SNAT and EIP, as ovn-nbctl commands.

Called by `boot` when a site starts, and by `nat`. Pure: returns commands, runs none. The names
and shapes are Kube-OVN's: the switch, its localnet port and the router's port with its gateways
(pkg/controller external_gw.go; pkg/ovs ovn-nb.go, CreateGatewayLogicalSwitch), the policy that
sends a pod's traffic there (pod.go, handleAddOrUpdatePod; pkg/util const.go) and the NAT rows,
which never name a gateway port (pkg/ovs ovn-nb-nat.go).
"""

from ovnmesh.lab.values.layout import mac_of
from ovnmesh.lab.values.logical import VENDOR, Command, policy_commands
from ovnmesh.lab.values.topology import PHYSICAL_NETWORK, ROUTER, External, Interface, Pod, Site
from ovnmesh.model.addresses import Network

SWITCH = "ovn-external"
"""Kube-OVN's switch to the external network (``--external-gateway-switch``)."""
ROUTER_PORT = f"{ROUTER}-{SWITCH}"
"""The router's port there."""
POLICY_PRIORITY = 29250
"""What a pod with SNAT or EIP sends leaves by the external gateway
(NorthGatewayRoutePolicyPriority)."""
ROUTER_HOST = 2
"""Position of the router's address in the external network."""
FIRST_NAT_HOST = 10
"""Position of the first address for SNAT and EIP in the external network."""

_HIGHEST_PRIORITY = 100
"""Priority of the first gateway chassis (CreateGatewayChassises)."""


def gateway_commands(site: Site) -> list[Command]:
    """Make a site's external gateway, on its gateway nodes; nothing without external network."""
    external = site.external
    if external is None:
        return []
    lsp, localnet = f"{SWITCH}-{ROUTER}", f"localnet.{SWITCH}"
    addresses = [str(external.address(ROUTER_HOST, n.version)) for n in external.networks]
    gateways = [node.system_id for node in site.nodes if node.name in site.gw_nodes]
    return [
        ["ls-add", SWITCH],
        ["set", "Logical_Switch", SWITCH, VENDOR],
        ["lsp-add", SWITCH, localnet],
        ["lsp-set-type", localnet, "localnet"],
        ["lsp-set-addresses", localnet, "unknown"],
        ["lsp-set-options", localnet, f"network_name={PHYSICAL_NETWORK}"],
        ["lrp-add", ROUTER, ROUTER_PORT, mac_of(site.name, ROUTER_PORT), *addresses],
        ["set", "Logical_Router_Port", ROUTER_PORT, VENDOR],
        *(
            ["lrp-set-gateway-chassis", ROUTER_PORT, chassis, str(_HIGHEST_PRIORITY - i)]
            for i, chassis in enumerate(gateways)
        ),
        ["lsp-add", SWITCH, lsp],
        ["lsp-set-type", lsp, "router"],
        ["lsp-set-addresses", lsp, "router"],
        ["lsp-set-options", lsp, f"router-port={ROUTER_PORT}"],
    ]


def snat_commands(external: External, network: Network, address: Interface) -> list[Command]:
    """Translate what a subnet sends to the outside, as its source.

    Kube-OVN makes the NAT row for an OvnSnatRule; the policy is what an administrator writes into
    ``policyRoutes`` of the Vpc, because pods of the default one leave by their nodes otherwise.

    Args:
        external: the site's external network.
        network: the subnet's network.
        address: the source that the outside sees, of the same family.
    """
    return [
        ["lr-nat-add", ROUTER, "snat", str(address.ip), str(network)],
        *_reroute(external, str(network), network.version),
    ]


def snat_delete_commands(network: Network) -> list[Command]:
    """Undo `snat_commands`."""
    return [
        ["--if-exists", "lr-nat-del", ROUTER, "snat", str(network)],
        _unroute(str(network), network.version),
    ]


def eip_commands(
    external: External, pod: Pod, address: Interface, *, distributed: bool
) -> list[Command]:
    """Give a pod an address of its own in the external network.

    Args:
        external: the site's external network.
        pod: the pod.
        address: the address that the outside sees.
        distributed: translate on the pod's node instead of the gateway (Kube-OVN,
            ``type: distributed`` in ``ovn-external-gw-config``).
    """
    inside = _address(pod, address.version)
    words = ["lr-nat-add", ROUTER, "dnat_and_snat", str(address.ip), inside]
    if distributed:
        words = ["--stateless", *words, pod.port, pod.mac]
    return [words, *_reroute(external, inside, address.version)]


def eip_delete_commands(pod: Pod, address: str, version: int) -> list[Command]:
    """Undo `eip_commands`."""
    return [
        ["--if-exists", "lr-nat-del", ROUTER, "dnat_and_snat", address],
        _unroute(_address(pod, version), version),
    ]


def _address(pod: Pod, version: int) -> str:
    return next(str(a.ip) for a in pod.addresses if a.version == version)


def _reroute(external: External, source: str, version: int) -> list[Command]:
    gateway = next(g for g in external.gateways if g.version == version)
    match = f"ip{version}.src == {source}"
    return policy_commands(f"nat_{source}", POLICY_PRIORITY, match, str(gateway.ip), {})


def _unroute(source: str, version: int) -> Command:
    match = f"ip{version}.src == {source}"
    return ["--if-exists", "lr-policy-del", ROUTER, str(POLICY_PRIORITY), match]
