"""Telling systemd how a service fares (sd_notify(3)).

Called by every command that runs until stopped. Must not fail where there is no systemd.
"""

import logging
import os
import socket

LOG = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Tell systemd, if it asked to be told.

    Args:
        state: e.g. ``READY=1`` or ``STOPPING=1``.
    """
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # A leading @ stands for an abstract socket's zero byte.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.sendto(state.encode(), address)
    except OSError as error:
        LOG.warning("cannot notify systemd on %s: %s", path, error)
