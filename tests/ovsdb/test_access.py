"""Reaching databases that are not there: every failure is ours, says where, and what to do."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovnmesh.access.interconnect import read_interconnect_of
from ovnmesh.access.mesh import MeshSession
from ovnmesh.access.session import Session
from ovnmesh.access.sites import SiteAddress
from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovsdb import database
from servers import free_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def answer(listener: socket.socket, text: bytes) -> None:
    """Say something to everybody who connects, until the listener is closed."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(text)

    threading.Thread(target=serve, daemon=True).start()


def reach(remote: str) -> str:
    """What is said where a site's northbound database is not to be reached."""
    address = SiteAddress("az1", parse_remote(remote), parse_remote(remote))
    said = []
    for attempt in (lambda: Session(address).__enter__(), lambda: read_interconnect_of(address)):
        with pytest.raises(OvsdbUnavailable) as error:
            attempt()
        said.append(str(error.value))
    assert said[0] == said[1]
    assert said[0].startswith("site az1: ")
    assert "nb and sb of the sites file" in said[0]
    return said[0]


@pytest.mark.parametrize(
    "remote",
    [
        "unix:/nobody/here.sock",
        "tcp:127.0.0.1:{port}",
        "tcp:[::1]:{port}",
        "tcp:no-such-host.invalid:6641",
        "tcp:127.0.0.1:{port},tcp:127.0.0.1:{port}",
        "tcp:127.0.0.1",
        "nonsense",
    ],
)
def test_nobody_listens(remote: str) -> None:
    reach(remote.format(port=free_port()))


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b'{"id":1,"result":[', b""])
def test_somebody_else_listens(listener, text: bytes, monkeypatch) -> None:
    monkeypatch.setattr(database, "TIMEOUT_S", 1.0)
    answer(listener, text)
    reach(f"tcp:127.0.0.1:{listener.getsockname()[1]}")


def test_server_has_another_database(server) -> None:
    other = server(Db.SB)
    assert "OVN_Northbound" in reach(other.remote)


def test_mesh_of_which_one_database_answers_is_no_mesh(ic) -> None:
    nowhere = parse_remote("unix:/nobody/here.sock")
    mesh = MeshSession(parse_remote(ic.nb.remote), nowhere)
    with pytest.raises(OvsdbUnavailable, match="OVN_IC_Southbound"):
        mesh.connect()
    with pytest.raises(OvsdbUnavailable, match="not connected"):
        mesh.read()
    assert Path(ic.nb.remote.removeprefix("unix:")).exists()
