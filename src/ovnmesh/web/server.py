"""Serves metrics and health of a daemon over HTTP, from a background thread.

Called by the command line. Answers GET of ``/metrics`` (Prometheus) and of the checks it is given,
200 or 503; what a check means is its owner's business. Must not read databases.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

Checks = Mapping[str, Callable[[], bool]]
"""Path and whether all is well."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes ask every few seconds; that is no news."""


def serve(registry: CollectorRegistry, checks: Checks, port: int, address: str) -> None:
    """Serve until the process ends.

    Args:
        registry: the metrics.
        checks: what else to answer.
        port: TCP port.
        address: address to bind.

    Raises:
        OSError: the port is in use.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        check = checks.get(path)
        if check is None:
            status, text = "404 Not Found", "not found; try /metrics or " + ", ".join(checks)
        elif check():
            status, text = "200 OK", "ok"
        else:
            status, text = "503 Service Unavailable", "not ok"
        start_response(status, [("Content-Type", "text/plain")])
        return [text.encode() + b"\n"]

    kind = _Server6 if ":" in address else _Server
    server = make_server(address, port, answer, server_class=kind, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
