"""Nodes and Subnets of the size that real clusters have.

Called by `kubernetes_idle`. Field names and proportions are those of a kubelet's Node and of
Kube-OVN's Subnet; the controller reads little of either, and pays for the rest all the same. Pure.
"""

from typing import Any

Manifest = dict[str, Any]

GATEWAYS = ("az1-gw", "az1-n1", "az1-n2")
"""Nodes that have a chassis (see `databases`); the first ones of every cluster."""
_BEGAN = "2026-01-15T08:00:00Z"
_IMAGES = 28
_CONDITIONS = {
    "NetworkUnavailable": ("False", "NetworkIsUp", "the network of the node is configured"),
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


def make_node(number: int) -> Manifest:
    """A Node of about seven kilobytes as JSON: labels, addresses, conditions, images."""
    name = GATEWAYS[number] if number < len(GATEWAYS) else f"az1-worker-{number:04}"
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node-role.kubernetes.io/worker": "",
        "node.kubernetes.io/instance-type": "c6.4xlarge",
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": f"region-1{'abc'[number % 3]}",
    }
    annotations = {
        "node.alpha.kubernetes.io/ttl": "15",
        "ovn.kubernetes.io/allocated": "true",
        "ovn.kubernetes.io/cidr": "100.64.0.0/16",
        "ovn.kubernetes.io/gateway": "100.64.0.1",
        "ovn.kubernetes.io/ip_address": f"100.64.{number // 250}.{number % 250 + 2}",
        "ovn.kubernetes.io/logical_switch": "join",
        "ovn.kubernetes.io/mac_address": f"00:00:00:00:{number >> 8:02x}:{number & 255:02x}",
        "ovn.kubernetes.io/port_name": f"node-{name}",
    }
    size = {"cpu": "16", "ephemeral-storage": "101430960Ki", "memory": "32775224Ki", "pods": "110"}
    status = {
        "addresses": [
            {"type": "InternalIP", "address": f"172.20.{number // 250}.{number % 250 + 2}"},
            {"type": "Hostname", "address": name},
        ],
        "allocatable": dict(size),  # YAML would make an alias of one object twice
        "capacity": size,
        "conditions": [
            {
                "type": kind,
                "status": state,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": _BEGAN,
                "lastTransitionTime": _BEGAN,
            }
            for kind, (state, reason, message) in _CONDITIONS.items()
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [_image(number, which) for which in range(_IMAGES)],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": f"{number:08x}-4b1f-4c55-9d0a-5f6f0c1f2a3b",
            "containerRuntimeVersion": "containerd://1.7.24",
            "kernelVersion": "6.1.0-31-amd64",
            "kubeletVersion": "v1.32.2",
            "machineID": f"{number:032x}",
            "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 12 (bookworm)",
            "systemUUID": f"{number:08x}-aaaa-bbbb-cccc-0123456789ab",
        },
    }
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    spec = {"podCIDR": f"10.0.{number % 256}.0/24", "providerID": f"cloud:///region-1/{name}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def beat(node: Manifest, moment: str) -> None:
    """Write what a kubelet that is alive writes: the time, into every condition."""
    for condition in node["status"]["conditions"]:
        condition["lastHeartbeatTime"] = moment


def make_subnet(number: int) -> Manifest:
    """A Subnet of Kube-OVN; the first two are those that every cluster has. None overlap."""
    name, cidr, first = f"team-{number:04}", f"10.{128 + number // 256}.{number % 256}.0/24", ""
    if number < 2:
        name, cidr = (("ovn-default", "10.16.0.0/16"), ("join", "100.64.0.0/16"))[number]
    first = f"{cidr.rpartition('.')[0]}.1"
    spec = {
        "cidrBlock": cidr,
        "default": number == 0,
        "enableLb": True,
        "excludeIps": [first],
        "gateway": first,
        "gatewayNode": "",
        "gatewayType": "distributed",
        "logicalGateway": False,
        "natOutgoing": True,
        "private": False,
        "protocol": "IPv4",
        "provider": "ovn",
        "vpc": "ovn-cluster",
    }
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "lastTransitionTime": _BEGAN,
            "lastUpdateTime": _BEGAN,
        }
        for kind, reason in (
            ("Validated", "ValidateLogicalSwitchSuccess"),
            ("Ready", "ResetLogicalSwitchAclSuccess"),
        )
    ]
    status = {
        "activateGateway": "",
        "conditions": conditions,
        "v4availableIPs": 200,
        "v4availableIPrange": f"{first[:-1]}54-{first[:-1]}253",
        "v4usingIPs": 52,
        "v4usingIPrange": f"{first[:-1]}2-{first[:-1]}53",
        "v6availableIPs": 0,
        "v6usingIPs": 0,
    }
    metadata = {"name": name, "finalizers": ["kubeovn.io/kube-ovn-controller"]}
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _image(node: int, number: int) -> Manifest:
    digest = f"{node * _IMAGES + number:064x}"
    name = f"registry.example.com/platform/component-{number:02}"
    return {"names": [f"{name}@sha256:{digest}"], "sizeBytes": 31_000_000 + number}
