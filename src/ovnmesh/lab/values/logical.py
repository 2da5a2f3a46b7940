"""The rows Kube-OVN would make in a site's northbound database, as ovn-nbctl commands.

Called by `runner` when a site starts and when a Subnet or a pod is added or removed. Pure: returns
commands, runs none. The shapes are Kube-OVN's (pkg/controller init.go, subnet.go, node.go,
gateway.go; priorities in pkg/util/const.go), so that what is tested in a lab is what is met in a
cluster.
"""

from collections.abc import Iterable, Sequence

from ovnmesh.lab.values.topology import JOIN, ROUTER, Node, Pod, Site, Subnet
from ovnmesh.model.addresses import Network

SUBNET_POLICY_PRIORITY = 31000
"""Traffic to a subnet of the cluster is routed normally (SubnetRouterPolicyPriority)."""
NODE_POLICY_PRIORITY = 30000
"""Traffic to a node's own address goes to that node's port (NodeRouterPolicyPriority)."""
GATEWAY_POLICY_PRIORITY = 29000
"""All else that a pod sends leaves by its own node (GatewayRouterPolicyPriority)."""

Command = list[str]
VENDOR = "external_ids:vendor=kube-ovn"


def join_commands(commands: Iterable[Sequence[str]]) -> list[str]:
    """Join commands to the arguments of one ovn-nbctl, which runs them as one transaction."""
    words: list[str] = []
    for command in commands:
        words += ["--", *command]
    return words[1:]


def site_commands(site: Site) -> list[Command]:
    """Make everything of a new site: router, subnets, nodes, pods, policies."""
    commands: list[Command] = [
        ["lr-add", ROUTER],
        # Kube-OVN sets both options on its cluster router (init.go, initClusterRouter).
        [
            *("set", "Logical_Router", ROUTER, VENDOR),
            *("options:mac_binding_age_threshold=300", "options:dynamic_neigh_routers=true"),
        ],
    ]
    commands += subnet_commands(site.ovn_default, site.nodes)
    commands += subnet_commands(site.join, site.nodes)
    for gateway in site.join.gateways:
        default = "0.0.0.0/0" if gateway.version == 4 else "::/0"
        commands.append(["lr-route-add", ROUTER, default, str(gateway.ip)])
    for node in site.nodes:
        commands += _node_commands(node)
    for pod in site.pods:
        commands += pod_commands(pod)
    return commands


def subnet_commands(subnet: Subnet, nodes: Iterable[Node]) -> list[Command]:
    """Make a subnet: switch, router port, policies, a port group for each node.

    Args:
        subnet: the subnet.
        nodes: nodes of the site.
    """
    lrp, lsp = router_port(subnet.name), f"{subnet.name}-{ROUTER}"
    commands: list[Command] = [
        ["ls-add", subnet.name],
        ["set", "Logical_Switch", subnet.name, VENDOR],
        ["lrp-add", ROUTER, lrp, subnet.mac, *(str(gateway) for gateway in subnet.gateways)],
        ["set", "Logical_Router_Port", lrp, VENDOR],
        ["lsp-add", subnet.name, lsp],
        ["lsp-set-type", lsp, "router"],
        ["lsp-set-addresses", lsp, "router"],
        ["lsp-set-options", lsp, f"router-port={lrp}"],
        ["set", "Logical_Switch_Port", lsp, VENDOR],
    ]
    commands += subnet_policy_commands(subnet)
    if subnet.name != JOIN:
        for node in nodes:
            commands += _port_group_commands(subnet, node)
    return commands


def subnet_policy_commands(subnet: Subnet) -> list[Command]:
    """Make the policies that route traffic to a subnet normally."""
    commands: list[Command] = []
    for cidr in subnet.cidrs:
        commands += policy_commands(
            f"subnet_{subnet.name}_{cidr.version}",
            SUBNET_POLICY_PRIORITY,
            f"ip{cidr.version}.dst == {cidr}",
            None,
            {"subnet": subnet.name},
        )
    return commands


def subnet_change_commands(subnet: Subnet, before: Iterable[Network]) -> list[Command]:
    """Change a subnet's networks in place.

    Args:
        subnet: the subnet as it should be.
        before: its networks as they are.
    """
    networks = ",".join(f'"{gateway}"' for gateway in subnet.gateways)
    return [
        ["set", "Logical_Router_Port", router_port(subnet.name), f"networks={networks}"],
        *_unroute_commands(before),
        *subnet_policy_commands(subnet),
    ]


def subnet_delete_commands(subnet: Subnet, nodes: Iterable[Node]) -> list[Command]:
    """Undo `subnet_commands`."""
    commands = _unroute_commands(subnet.cidrs)
    for node in nodes:
        group = _port_group(subnet.name, node.name)
        commands += [
            [
                *("--if-exists", "lr-policy-del", ROUTER, str(GATEWAY_POLICY_PRIORITY)),
                f"ip{cidr.version}.src == ${group}_ip{cidr.version}",
            ]
            for cidr in subnet.cidrs
        ]
        commands.append(["--if-exists", "destroy", "Port_Group", group])
    commands.append(["--if-exists", "lrp-del", router_port(subnet.name)])
    commands.append(["--if-exists", "ls-del", subnet.name])
    return commands


def pod_commands(pod: Pod) -> list[Command]:
    """Make a pod's switch port, a member of its node's port group."""
    addresses = " ".join([pod.mac, *(str(address.ip) for address in pod.addresses)])
    return [
        ["lsp-add", pod.subnet, pod.port],
        ["lsp-set-addresses", pod.port, addresses],
        [
            *("set", "Logical_Switch_Port", pod.port, VENDOR),
            *(f"external_ids:pod=default/{pod.name}", f"external_ids:ls={pod.subnet}"),
        ],
        [f"--id={_row(pod.port)}", "get", "Logical_Switch_Port", pod.port],
        ["add", "Port_Group", _port_group(pod.subnet, pod.node), "ports", _row(pod.port)],
    ]


def pod_delete_commands(pod: Pod) -> list[Command]:
    """Undo `pod_commands`; the port leaves its port group by itself (a weak reference)."""
    return [["--if-exists", "lsp-del", pod.port]]


def router_port(subnet: str) -> str:
    """Name of the cluster router's port in a subnet."""
    return f"{ROUTER}-{subnet}"


def _unroute_commands(cidrs: Iterable[Network]) -> list[Command]:
    return [
        [
            *("--if-exists", "lr-policy-del", ROUTER, str(SUBNET_POLICY_PRIORITY)),
            f"ip{cidr.version}.dst == {cidr}",
        ]
        for cidr in cidrs
    ]


def _node_commands(node: Node) -> list[Command]:
    addresses = " ".join([node.join_mac, *(str(address.ip) for address in node.join_addresses)])
    commands: list[Command] = [
        ["lsp-add", JOIN, node.port],
        ["lsp-set-addresses", node.port, addresses],
        ["set", "Logical_Switch_Port", node.port, VENDOR],
    ]
    for join in node.join_addresses:
        # The underlay is IPv4, so only an IPv4 policy has an address to match.
        if join.version == node.address.version:
            commands += policy_commands(
                f"node_{node.name}",
                NODE_POLICY_PRIORITY,
                f"ip4.dst == {node.address.ip}",
                str(join.ip),
                {"node": node.name, "address-family": "4"},
            )
    return commands


def _port_group(subnet: str, node: str) -> str:
    """Name of a port group (Kube-OVN, getOverlaySubnetsPortGroupName)."""
    return f"{subnet}.{node}".replace("-", ".")


def _port_group_commands(subnet: Subnet, node: Node) -> list[Command]:
    """Make a node's port group in a subnet and the policy that sends its pods out by the node.

    northd makes an address set of each group, ``<group>_ip4`` and ``<group>_ip6``.
    """
    group = _port_group(subnet.name, node.name)
    commands: list[Command] = [["pg-add", group], ["set", "Port_Group", group, VENDOR]]
    joins = {join.version: join for join in node.join_addresses}
    for cidr in subnet.cidrs:
        if cidr.version in joins:
            commands += policy_commands(
                f"{group}_{cidr.version}",
                GATEWAY_POLICY_PRIORITY,
                f"ip{cidr.version}.src == ${group}_ip{cidr.version}",
                str(joins[cidr.version].ip),
                {"subnet": subnet.name, "node": node.name},
            )
    return commands


def policy_commands(
    label: str, priority: int, match: str, nexthop: str | None, ids: dict[str, str]
) -> list[Command]:
    """Make a policy; `lr-policy-add` cannot set external_ids, the database commands can."""
    row = _row(label)
    action = ["action=allow"] if nexthop is None else ["action=reroute", f'nexthops="{nexthop}"']
    return [
        [
            *(f"--id={row}", "create", "Logical_Router_Policy", f"priority={priority}"),
            *(f'match="{match}"', *action, VENDOR),
            *(f'external_ids:{key}="{value}"' for key, value in ids.items()),
        ],
        ["add", "Logical_Router", ROUTER, "policies", row],
    ]


def _row(label: str) -> str:
    """Name of a row inside one transaction."""
    return f"@{''.join(c if c.isalnum() else '_' for c in label)}"
