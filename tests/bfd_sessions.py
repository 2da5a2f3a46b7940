"""BFD between gateways, as the nodes' own databases show it."""

import re
import subprocess
import time

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


def flaps(lab: MeshLab, site: str, node: str) -> list[str]:
    """How often each session of a node has gone up or down."""
    lines = column(lab, site, node, "bfd_status")
    return [word for line in lines for word in line.split() if word.startswith("flap_count=")]


def wait_for_bfd(lab: MeshLab, timeout_s: float = 15.0) -> None:
    """Until every gateway of two sites hears every other, here and abroad, in time and for good.

    A session that has just come up sends its next packet when one that is down would: later than
    the other end expects it by now, so that it may go down once more.
    """
    gateways = {site: lab.config(site)["gw-nodes"].split(",") for site in lab.names}
    nodes = [(site, node) for site, names in gateways.items() for node in names]

    def whole(site: str, node: str) -> bool:
        up = sessions(lab, site, node)
        return len(up) >= len(nodes) - 1 and all(up) and expects_soon(lab, site, node)

    def all_up() -> bool:
        return all(whole(site, node) for site, node in nodes)

    def lasting() -> bool:
        before = [flaps(lab, site, node) for site, node in nodes]
        time.sleep(1.2 * DOWN_INTERVAL_MS / 1000)
        return all_up() and [flaps(lab, site, node) for site, node in nodes] == before

    eventually(lambda: all_up() and lasting(), timeout_s, "BFD between all gateways")
