"""Who sees whom: TCP connections and ICMP requests between namespaces, with the addresses seen."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ovnmesh.host.process import in_netns
from ovnmesh.lab.runner import LabRunner

PORT = 7777

#: Tells who connects, then echoes.
_SERVER = f"""
import socket, threading
def serve(connection, peer):
    connection.sendall((peer[0] + "\\n").encode())
    while data := connection.recv(4096):
        connection.sendall(data)
listener = socket.create_server(("", {PORT}), reuse_port=True)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
"""
#: Connects, says who it is seen as, and then sends and awaits 64 bytes every 10 ms until told.
_CLIENT = f"""
import json, select, socket, sys, time
with socket.create_connection((sys.argv[1], {PORT}), 5) as connection:
    connection.settimeout(5)
    lines = connection.makefile("rb")
    seen = lines.readline().decode().strip()
    print(seen, flush=True)
    count, longest = 0, 0.0
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        sent = time.monotonic()
        message = b"%063d\\n" % count
        connection.sendall(message)
        assert lines.readline() == message
        count, longest = count + 1, max(longest, time.monotonic() - sent)
print(json.dumps([count, longest]), flush=True)
"""
#: Collects the sources of ICMP echo requests until told.
_WITNESS = """
import json, select, socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("watching", flush=True)
seen = set()
while sys.stdin not in (ready := select.select([raw, sys.stdin], [], [])[0]):
    packet = raw.recv(4096)
    if packet[4 * (packet[0] & 15)] == 8:
        seen.add(socket.inet_ntoa(packet[12:16]))
print(json.dumps(sorted(seen)), flush=True)
"""


class Talk:
    """Servers in some places of a lab, and who they see."""

    def __init__(self, runner: LabRunner) -> None:
        self.runner = runner

    def _start(self, place: str, code: str, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            in_netns([sys.executable, "-c", code, *words], self.runner.netns_of(place)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def servers(self, *places: str) -> Iterator[None]:
        """Serve TCP in those places."""
        started = [self._start(place, _SERVER) for place in places]
        try:
            for each in started:
                assert each.stdout is not None
                assert each.stdout.readline() == "listening\n"
            yield
        finally:
            for each in started:
                each.kill()
                each.communicate()

    def seen_as(self, source: str, target: str) -> str:
        """The address that a server sees of a client that connects; "" if it cannot."""
        client = self._start(source, _CLIENT, self.runner.address_of(target))
        out, _ = client.communicate("stop\n", timeout=30)
        return out.split("\n")[0]

    @contextmanager
    def stream(self, source: str, target: str) -> Iterator[list[tuple[str, int, float]]]:
        """A connection over what happens inside; afterwards: seen as, exchanges, longest in s."""
        client = self._start(source, _CLIENT, self.runner.address_of(target))
        assert client.stdout is not None
        seen = client.stdout.readline().strip()
        results: list[tuple[str, int, float]] = []
        try:
            yield results
        finally:
            out, said = client.communicate("stop\n", timeout=30)
            assert client.returncode == 0, said
            count, longest_s = json.loads(out)
            results.append((seen, count, longest_s))

    @contextmanager
    def witness(self, place: str) -> Iterator[set[str]]:
        """The sources of ICMP echo requests that reach a place; complete afterwards."""
        started = self._start(place, _WITNESS)
        assert started.stdout is not None
        assert started.stdout.readline() == "watching\n"
        seen: set[str] = set()
        try:
            yield seen
        finally:
            out, _ = started.communicate("stop\n", timeout=30)
            seen |= set(json.loads(out))
