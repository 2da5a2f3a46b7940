"""ICMP echo by both kinds of socket, in a network namespace of its own.

Real: kernel and packets.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.root

#: Prints, of each address, whether our answers came and only those, and the kind of socket.
PROGRAM = """
import select
from ovnmesh.agent.echo import Echo

for address, version in (("127.0.0.1", 4), ("::1", 6)):
    link, stranger = Echo(address, version), Echo(address, version)
    stranger._id = link._id ^ 1  # as if of another process
    wanted = [65534, 65535, 0]
    for number in wanted:
        stranger.send(address, number + 1000 & 0xFFFF)
        link.send(address, number)
    answers = []
    while select.select([link], [], [], 0.2)[0]:
        if (answer := link.receive()) is not None:
            answers.append(answer)
    print(address, answers == [(address, number) for number in wanted], link._raw)
"""


def run(ping_group_range: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    begin = (
        "ip link set lo up && "
        f'echo "{ping_group_range}" >/proc/sys/net/ipv4/ping_group_range && exec "$@"'
    )
    command = ["unshare", "--net", "sh", "-c", begin, "sh", *prefix, sys.executable, "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)


WITHOUT_RAW = ("setpriv", "--bounding-set=-net_raw")


@pytest.mark.parametrize(
    ("ping_group_range", "prefix", "raw"),
    [("0 0", (), False), ("0 0", WITHOUT_RAW, False), ("1 0", (), True)],
    ids=["ping sockets", "ping sockets without NET_RAW", "raw sockets"],
)
def test_our_answers_come_and_no_others(
    ping_group_range: str, prefix: tuple[str, ...], raw: bool
) -> None:
    done = run(ping_group_range, *prefix)
    assert done.stdout == f"127.0.0.1 True {raw}\n::1 True {raw}\n", done.stderr


def test_with_neither_it_is_an_error() -> None:
    done = run("1 0", *WITHOUT_RAW)
    assert "PermissionError" in done.stderr
