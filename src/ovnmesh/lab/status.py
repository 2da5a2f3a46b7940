"""Describes a running lab.

Called by `runner`. Reads which daemons run; changes nothing. The description is plain data, the
same for JSON and for tables.
"""

from typing import Any

from ovnmesh.host.process import command_line
from ovnmesh.icdb.database import files as icdb_files
from ovnmesh.lab import daemons
from ovnmesh.lab.network import netns
from ovnmesh.lab.state import site_entry
from ovnmesh.lab.values.layout import first_subnets
from ovnmesh.lab.values.topology import Lab, Node, Pod, Site


def describe(lab: Lab, *, bare: bool) -> dict[str, Any]:
    """Describe a lab.

    Args:
        lab: the lab.
        bare: whether it was started without controllers and agents.

    Returns:
        Plain data: sites with nodes, pods, addresses, namespaces and the databases' connections;
        for each daemon its process ids, none if it does not run.
    """
    running: dict[str, list[int]] = {}
    for pid, name in netns.processes(lab.namespaces).items():
        running.setdefault(name, []).append(pid)

    def find(where: str, wanted: tuple[str, ...]) -> dict[str, list[int]]:
        lines = {pid: command_line(pid) for pid in running.get(where, [])}
        return {
            daemon: [pid for pid, argv in lines.items() if daemons.is_daemon(argv, daemon)]
            for daemon in wanted
        }

    leads: dict[str, list[str]] = {node.name: [] for node in lab.ic_nodes}
    if len(lab.ic_nodes) > 1:
        for database in icdb_files.DATABASES:
            leader = daemons.find_ic_leader(lab, database)
            if leader is not None:
                leads[leader.name].append(database.short)
    return {
        "directory": str(lab.directory),
        "prefix": lab.prefix,
        "bare": bare,
        "protocol": lab.protocol,
        "ts_count": lab.ts_count,
        "router_netns": lab.router_netns,
        "outside": {
            "netns": lab.outside_netns,
            "addresses": [str(address.ip) for address in lab.outside_addresses],
        },
        "ic": {
            "nb": lab.ic_nb,
            "sb": lab.ic_sb,
            "nodes": [
                {
                    "name": node.name,
                    "address": str(node.address.ip),
                    "netns": node.netns,
                    "leads": leads[node.name],
                    "daemons": find(node.netns, daemons.IC_DAEMONS),
                }
                for node in lab.ic_nodes
            ],
        },
        "sites": [
            _site(lab, site)
            | {
                "daemons": find(site.control_netns, daemons.control_daemons(site)),
                "nodes": [
                    _node(node) | {"daemons": find(node.netns, daemons.NODE_DAEMONS)}
                    for node in site.nodes
                ],
                "pods": [_pod(pod) for pod in site.pods],
            }
            for site in lab.sites
        ],
    }


def _site(lab: Lab, site: Site) -> dict[str, Any]:
    return {
        "name": site.name,
        "netns": site.control_netns,
        "address": str(site.control_address.ip),
        "gw_nodes": list(site.gw_nodes),
        "subnets": {
            subnet.name: [str(cidr) for cidr in subnet.cidrs]
            for subnet in (*first_subnets(site), site.join)
            if subnet.cidrs
        },
        "external": [str(n) for n in site.external.networks] if site.external else [],
        "databases": site_entry(lab, site),
        "kubeconfig": str(site.kubeconfig) if site.api_address else None,
        "site_file": str(site.openstack.site_file) if site.openstack else None,
        "neutron": site.openstack.neutron_url if site.openstack else None,
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "address": str(node.address.ip),
        "join_addresses": [str(address.ip) for address in node.join_addresses],
        "system_id": node.system_id,
        "netns": node.netns,
        "ovs": f"unix:{node.db_socket}",
    }


def _pod(pod: Pod) -> dict[str, Any]:
    return {
        "name": pod.name,
        "node": pod.node,
        "subnet": pod.subnet,
        "addresses": [str(address.ip) for address in pod.addresses],
        "mac": pod.mac,
        "netns": pod.netns,
    }
