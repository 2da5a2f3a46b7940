"""BFD between gateways, as the nodes' own databases show it."""

import re
import subprocess

from meshlab import MeshLab, eventually
from ovnmesh.host.process import appctl

#: Milliseconds between two packets of a session that is not up (RFC 5880, section 6.8.3).
DOWN_INTERVAL_MS = 1000


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


def expects_soon(lab: MeshLab, site: str, node: str) -> bool:
    """Whether a node expects its next packets in the time configured.

    A session that has just come up goes on for a moment in the time of one that is down; until both
    ends have said so, a death is noticed after three seconds (ovs-vswitchd, bfd/show).
    """
    control = lab.runner.lab.site(site).node(node).directory / "ovs-vswitchd.ctl"
    found = re.findall(r"RX Interval: Approx (\d+)ms", appctl(control, "bfd/show"))
    return bool(found) and all(int(each) < DOWN_INTERVAL_MS for each in found)


def wait_for_bfd(lab: MeshLab, timeout_s: float = 15.0) -> None:
    """Until every gateway of two sites hears every other one, here and abroad, and in time."""
    gateways = {site: lab.config(site)["gw-nodes"].split(",") for site in lab.names}
    total = sum(len(nodes) for nodes in gateways.values())
    for site, nodes in gateways.items():
        for node in nodes:

            def all_up(site: str = site, node: str = node) -> bool:
                up = sessions(lab, site, node)
                whole = bool(up) and all(up) and len(up) >= total - 1
                return whole and expects_soon(lab, site, node)

            eventually(all_up, timeout_s, f"BFD on {site}/{node}")
