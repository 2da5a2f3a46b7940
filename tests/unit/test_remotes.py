"""Names in connection methods are looked up, never taken for localhost."""

import socket

import pytest

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.ovsdb.remotes import resolve


@pytest.mark.parametrize(
    "remote",
    ["unix:/run/ovn/nb.sock", "tcp:192.0.2.1:6641", "tcp:[2001:db8::1]:6641", "nonsense"],
)
def test_addresses_and_sockets_stay(remote):
    assert resolve(remote) == remote


@pytest.mark.parametrize(
    ("address", "shown"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "[2001:db8::7]")]
)
def test_names_become_addresses(monkeypatch, address, shown):
    asked = []

    def answer(host, port, **_):
        asked.append((host, port))
        return [(None, None, None, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert resolve("tcp:ovn-nb:6641,unix:/x") == f"tcp:{shown}:6641,unix:/x"
    assert asked == [("ovn-nb", 6641)]


def test_a_name_nobody_knows_is_an_error_that_says_so():
    with pytest.raises(OvsdbUnavailable, match=r"name no-such\.invalid cannot be resolved"):
        resolve("tcp:no-such.invalid:6641")
