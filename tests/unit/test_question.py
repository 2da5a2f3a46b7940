"""One question to an OVSDB server: what it may say before its answer, and when it says nothing."""

import json
import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Db
from ovnmesh.model.remote import parse_remote
from ovnmesh.ovsdb.database import fetch_schema
from ovnmesh.ovsdb.question import ask, where_is


@contextmanager
def server(path: Path, *parts: bytes):
    """Answers one question with some bytes, in parts, and then waits to be left."""
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_PATH)
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            for part in parts:
                connection.sendall(part)
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        thread.join()
        listener.close()


ANSWER = json.dumps({"id": 0, "result": {"a": "}"}, "error": None}).encode()
ECHO = json.dumps({"id": "echo", "method": "echo", "params": []}).encode()


@pytest.mark.parametrize(
    "parts",
    [
        (ANSWER,),
        (ANSWER[:24], ANSWER[24:]),  # the first part ends with what could be the end
        (ECHO, ANSWER),
        (ECHO + b"\n" + ANSWER + b"\n",),
    ],
)
def test_the_answer_is_found(tmp_path, parts):
    with server(tmp_path / "s", *parts) as path:
        assert ask(path, "get_schema", ["x"], 5)["result"] == {"a": "}"}


def test_a_path_that_is_too_long_for_a_socket_is_reached_by_way_of_its_folder(tmp_path):
    folder = tmp_path / ("f" * 100)
    folder.mkdir()
    with server(folder / "s", ANSWER) as path:
        assert ask(path, "get_schema", ["x"], 5)["result"] == {"a": "}"}


def test_a_server_that_says_nothing_is_given_up(tmp_path):
    with server(tmp_path / "s") as path, pytest.raises(TimeoutError):
        ask(path, "get_schema", ["x"], 0.1)


def test_where_servers_are():
    assert where_is("unix:/run/a:b.sock") == Path("/run/a:b.sock")
    assert where_is("tcp:[fd00::1]:6641") == ("fd00::1", 6641)
    for other in ("ssl:192.0.2.1:6641", "tcp:name:6641", "nonsense"):
        assert where_is(other) is None


def test_a_method_that_nobody_can_be_asked_by_is_told():
    with pytest.raises(OvsdbUnavailable, match=r"ssl:192\.0\.2\.1:6641: expected unix: or tcp:"):
        fetch_schema(parse_remote("ssl:192.0.2.1:6641"), Db.NB)
