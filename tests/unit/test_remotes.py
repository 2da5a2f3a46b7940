"""Names in connection methods are looked up, never taken for localhost."""

import re
import socket
from pathlib import Path

import pytest

from ovnmesh.cli.mesh.passthrough import command_line
from ovnmesh.controller.ovn_ic import OvnIcArguments
from ovnmesh.errors import ConfigError, OvsdbUnavailable
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import Identity, Remote, parse_remote
from ovnmesh.ovsdb.database import Database
from ovnmesh.ovsdb.host_names import resolve
from ovnmesh.ovsdb.members import Members
from ovnmesh.ovsdb.schema import View


@pytest.mark.parametrize(
    "remote",
    ["unix:/run/ovn/nb.sock", "tcp:192.0.2.1:6641", "tcp:[2001:db8::1]:6641", "nonsense"],
)
def test_addresses_and_sockets_stay(remote):
    assert str(resolve(parse_remote(remote))) == remote


@pytest.mark.parametrize(
    ("address", "shown"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "[2001:db8::7]")]
)
def test_names_become_addresses(monkeypatch, address, shown):
    asked = []

    def answer(host, port, **_):
        asked.append((host, port))
        return [(None, None, None, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    found = resolve(parse_remote("tcp:ovn-nb:6641,unix:/x"))
    assert found.methods == (f"tcp:{shown}:6641", "unix:/x")
    assert asked == [("ovn-nb", 6641)]


def test_a_name_nobody_knows_is_an_error_that_says_so():
    with pytest.raises(OvsdbUnavailable, match=r"name no-such\.invalid cannot be resolved"):
        resolve(parse_remote("tcp:no-such.invalid:6641"))


IDENTITY = Identity(Path("/k.pem"), Path("/c.pem"), Path("/ca.pem"))


def test_an_identity_stays_with_its_methods():
    assert resolve(Remote(("ssl:192.0.2.1:6641",), IDENTITY)).identity == IDENTITY


def test_who_asks_for_an_identity_is_told_that_tls_is_not_offered():
    remote = Remote(("ssl:192.0.2.1:6641",), IDENTITY)
    view = View(Db.NB, {"NB_Global": ("options",)})
    nowhere = parse_remote("unix:/nb")
    for connect in (
        Database(remote, view).connect,
        lambda: Members({Db.IC_SB: remote}, lambda: None),
        OvnIcArguments(nowhere, nowhere, remote, nowhere).options,
        lambda: command_line("ovn-nbctl", remote, ["show"]),
    ):
        with pytest.raises(ConfigError, match=r"identity .*/c\.pem.* not offered yet"):
            connect()


def test_no_method_is_no_remote():
    assert parse_remote("") == Remote()
    assert not parse_remote("")
    assert parse_remote(" tcp:192.0.2.1:1 ,unix:/x").methods == ("tcp:192.0.2.1:1", "unix:/x")


def test_connection_methods_of_tcp_are_written_in_one_place():
    src = Path(__file__).parents[2] / "src" / "ovnmesh"
    written = re.compile(r'f"[^"]*\bp?tcp:\{')
    found = {file.name for file in src.rglob("*.py") if written.search(file.read_text())}
    assert found == {"remote.py"}
