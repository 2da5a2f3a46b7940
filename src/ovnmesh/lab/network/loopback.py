"""Lets the machine reach servers inside a lab, at the same loopback address.

Called by `apiserver` and `openstack`. Starts `forward`, which passes the connections on.
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from ovnmesh.errors import LabError
from ovnmesh.host.process import in_netns
from ovnmesh.lab.values.topology import Site

DAEMON = "forward"


def start_forward(site: Site, address: IPv4Address, ports: Sequence[int], log: Path) -> None:
    """Let the machine reach servers of a site's control node.

    Args:
        site: the site.
        address: loopback address the servers listen on, and the machine will find them at.
        ports: their TCP ports.
        log: file for what goes wrong.

    Raises:
        LabError: the address is taken.
    """
    words = [sys.executable, "-m", "ovnmesh.lab.network.forward", str(address)]
    try:
        # The sockets are made out here and stay out here; the process that has them is inside.
        with contextlib.ExitStack() as stack, log.open("ab") as output:
            descriptors = []
            for port in ports:
                listener = stack.enter_context(socket.create_server((str(address), port)))
                descriptors.append(listener.fileno())
                words += [str(port), str(listener.fileno())]
            subprocess.Popen(
                in_netns(words, site.control_netns),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(
            f"site {site.name}: cannot listen on {address}, TCP ports {list(ports)}: {error}; "
            "expected them to be free; see who has them with: ss -ltnp"
        ) from error
