"""Runs an OpenStack API under uwsgi, and writes the configuration files of its services.

Called by `neutron` and `keystone`. Knows uwsgi's options and the files' form, nothing of what is in
them.
"""

import configparser
import http.client
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ovnmesh.host.process import spawn, wait_until_serving

Sections = Mapping[str, Mapping[str, str]]

_READY_TIMEOUT_S = 120.0
"""Long: Python compiles what a fresh installation imports, and machines are small."""
_TRY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Api:
    """An API server.

    Attributes:
        name: of the service; its log is ``NAME.log``.
        application: the WSGI application, ``module:attribute``.
        program: path of uwsgi.
        directory: where its files are.
        listen: address and port.
        env: variables by which it finds its configuration.
    """

    name: str
    application: str
    program: Path
    directory: Path
    listen: str
    env: Mapping[str, str]

    @property
    def log(self) -> Path:
        """Its log."""
        return self.directory / f"{self.name}.log"


def start(api: Api, netns: str) -> "subprocess.Popen[bytes]":
    """Start an API server, without waiting for it."""
    temporary = api.directory / "tmp"
    temporary.mkdir(exist_ok=True)
    return spawn(
        [
            *(str(api.program), "--http-socket", api.listen, "--module", api.application),
            *("--master", "--processes", "1", "--threads", "4", "--enable-threads", "--lazy-apps"),
            *(
                "--die-on-term",
                "--need-app",
                "--no-orphans",
                "--disable-logging",
                "--buffer-size",
                "65535",
            ),
            # Without it, clients wait on connections that uwsgi's http-socket does not keep.
            *("--add-header", "Connection: close"),
        ],
        log=api.log,
        netns=netns,
        # Services leave files in the common one, under names that another lab's have as well.
        env={**api.env, "TMPDIR": str(temporary)},
        pidfile=api.directory / f"{api.name}.pid",
    )


def wait_ready(api: Api, child: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until an API server answers.

    Args:
        api: the server.
        child: its process, if it is ours: the wait ends when it does.

    Raises:
        ProcessError: it does not become ready; the end of its log is in the message.
    """
    name = f"{api.name} at {api.listen}"
    wait_until_serving(name, partial(_answers, api), api.log, child, _READY_TIMEOUT_S)


def _answers(api: Api) -> bool:
    """Ask for the list of API versions, which needs no authorisation."""
    connection = http.client.HTTPConnection(api.listen, timeout=_TRY_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < http.client.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only root reads."""
    path.touch(mode=0o600)
    path.write_text(text)


def write_configuration(path: Path, sections: Sections) -> None:
    """Write an oslo.config file, readable by root only: it may hold passwords."""
    parser = configparser.RawConfigParser(default_section="", delimiters=("=",))
    parser.read_dict(sections)
    path.touch(mode=0o600)
    with path.open("w") as file:
        parser.write(file)
