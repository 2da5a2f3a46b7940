"""BFD between gateways, as the nodes' own databases show it."""

import subprocess

from meshlab import MeshLab, eventually


def sessions(lab: MeshLab, site: str, node: str) -> list[bool]:
    """Whether each BFD session of a node is up."""
    return ["state=up" in line for line in column(lab, site, node, "bfd_status")]


def column(lab: MeshLab, site: str, node: str, name: str) -> list[str]:
    """A column of a node's interfaces that run BFD, one line each."""
    socket = lab.runner.lab.site(site).node(node).db_socket
    command = ["ovs-vsctl", f"--db=unix:{socket}", "--bare", f"--columns={name}"]
    out = subprocess.run(
        [*command, "find", "Interface", "bfd:enable=true"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [line for line in out.splitlines() if line.strip()]


def wait_for_bfd(lab: MeshLab, timeout_s: float = 15.0) -> None:
    """Until every gateway of two sites hears every other one, here and abroad."""
    gateways = {site: lab.config(site)["gw-nodes"].split(",") for site in lab.names}
    total = sum(len(nodes) for nodes in gateways.values())
    for site, nodes in gateways.items():
        for node in nodes:

            def all_up(site: str = site, node: str = node) -> bool:
                up = sessions(lab, site, node)
                return bool(up) and all(up) and len(up) >= total - 1

            eventually(all_up, timeout_s, f"BFD on {site}/{node}")
