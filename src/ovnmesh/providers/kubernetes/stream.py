"""An open watch: the events that the API sends, one a line, until somebody ends it.

Made by `api`, read by `watch`. Not lightkube's own watch (1.0.1): that one asks for no bookmarks,
waits for ever on a connection that died silently, cannot be ended from outside, and takes U+0085
inside an object for the end of a line. Must not connect, nor interpret objects.
"""

import logging
import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import msgspec

from ovnmesh.providers.kubernetes.kinds import Body

LOG = logging.getLogger(__name__)

SILENCE_S = 75.0
"""A server sends a bookmark every minute (Kubernetes, staging/src/k8s.io/apiserver/pkg/storage/
cacher, defaultBookmarkFrequency): one that has sent nothing for longer is taken for lost."""
#: Notice within half a minute that the other host has gone; as often as Go's HTTP/2 asks.
_KEEPALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 15,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
}


class Stream:
    """Type and object of each event: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.

    Args:
        response: the answer, of which only the head has been read.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._socket: socket.socket = response.extensions["network_stream"].get_extra_info("socket")
        for (level, option), value in _KEEPALIVE.items():
            self._socket.setsockopt(level, option, value)

    def __iter__(self) -> Iterator[tuple[str, Body]]:
        """Until the server, the network or `close` ends it, which are all the same to the reader.

        Yields:
            ERROR as the last one if it makes no sense to go on from where it was.
        """
        rest = b""
        try:
            for chunk in self._response.iter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line)
                    yield event["type"], event["object"]
        except httpx2.HTTPError as error:
            LOG.debug("watching %s ended: %r", self._response.url.path, error)
        except msgspec.DecodeError as error:
            yield "ERROR", {"message": str(error)}

    def close(self) -> None:
        """End it now; from any thread."""
        with suppress(OSError):
            # Not the method of an SSLSocket, which would also take away what the reader reads with.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
