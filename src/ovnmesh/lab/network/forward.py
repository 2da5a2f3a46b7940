"""Passes TCP connections on, from the namespace of the machine into a lab's.

Started by `loopback`, as a process of its own, in the namespace it connects in; the sockets it
accepts from were made outside and inherited. Reads nothing of what passes.
"""

import asyncio
import contextlib
import socket
import sys

_CHUNK_BYTES = 65536


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            target.write(data)
            await target.drain()
    target.close()


async def forward(listener: socket.socket, address: str, port: int) -> None:
    """Accept connections for ever, and connect each to an address.

    Args:
        listener: a socket that listens.
        address: where to connect to.
        port: its TCP port.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(address, port)
        except OSError:
            # The caller sees a connection closed at once, as from a server that is not there.
            writer.close()
            return
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


async def _forward_all(address: str, listeners: dict[int, socket.socket]) -> None:
    await asyncio.gather(
        *(forward(listener, address, port) for port, listener in listeners.items())
    )


if __name__ == "__main__":
    _address, *_pairs = sys.argv[1:]
    _listeners = {
        int(port): socket.socket(fileno=int(descriptor))
        for port, descriptor in zip(_pairs[::2], _pairs[1::2], strict=True)
    }
    asyncio.run(_forward_all(_address, _listeners))
