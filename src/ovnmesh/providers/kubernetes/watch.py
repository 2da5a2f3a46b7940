"""kopf as a source of events: what changed, when a watch began anew, whether the API answers.

Called by the provider, in a thread of its own. kopf keeps the watches alive (bookmarks, expired
resource versions, kinds that come and go with their CRD) and hands over every event; it has no
handlers that act, so it leaves no finalizer, annotation or status on anybody's objects. It does not
tell when it lists a kind again, which is when deletions may have been missed: that is seen by
watching its requests. Must not interpret objects.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp
import kopf

from ovnmesh.config import CONFIG_NAMESPACE
from ovnmesh.providers.kubernetes.kinds import KINDS, SUBNETS, Body, Kind

LOG = logging.getLogger(__name__)

_RETRY_S = 1.0
#: Waits between attempts of one request of kopf's; after the last it starts anew.
_BACKOFFS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_RECONNECT_S = 0.2
#: Objects of a list in memory at a time, and events taken at a time: an object may be large.
_CHUNK = 250
_WORKERS = 64
_IDLE_S = 0.05
_CONNECT_TIMEOUT_S = 5.0


class Listener(Protocol):
    """Who is told."""

    def on_event(self, kind: Kind, body: Body, *, deleted: bool) -> None:
        """An object was there, came, changed or went."""

    def on_list(self, kind: Kind) -> None:
        """The watch of a kind has begun anew."""

    def on_answer(self, problem: str) -> None:
        """The API answered (empty), or did not, and why."""


class Watch:
    """Watches every kind.

    Args:
        login: gives where the API is and who we are; may raise `kopf.LoginError`.
        listener: told everything, from the watch's thread.
    """

    def __init__(self, login: Callable[[], kopf.ConnectionInfo], listener: Listener) -> None:
        self._login = login
        self._listener = listener
        self._paths = {kind.path: kind for kind in KINDS}
        self._turn_over = threading.Event()
        self._listed: set[str] = set()
        self._sessions: list[aiohttp.ClientSession] = []

    def run(self, stop: threading.Event) -> None:
        """Watch until stopped, whatever happens."""
        threading.Thread(target=self._end_turn_with, args=(stop,), daemon=True).start()
        while not stop.is_set():
            self._turn_over.clear()
            self._listed.clear()
            if stop.is_set():
                break
            try:
                asyncio.run(self._operate())
            except Exception as error:
                # The thread's top: kopf gives up on errors that it takes for final, as a denied
                # permission; they may be mended while we wait.
                self._listener.on_answer(str(error) or type(error).__name__)
                LOG.debug("watching Kubernetes failed, starting anew", exc_info=error)
            stop.wait(_RETRY_S)

    def require(self, kind: Kind) -> None:
        """Begin anew if a kind that exists is not watched: its CRD came after us."""
        if kind.plural not in self._listed:
            self._turn_over.set()

    def _end_turn_with(self, stop: threading.Event) -> None:
        stop.wait()
        self._turn_over.set()

    async def _operate(self) -> None:
        try:
            await kopf.operator(
                registry=self._registry(),
                settings=_settings(),
                standalone=True,
                namespaces=[CONFIG_NAMESPACE],
                stop_flag=self._turn_over,
            )
        finally:
            # kopf leaves the sessions it was given to whoever made them.
            for session in self._sessions:
                await session.close()
            self._sessions.clear()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._open_session)
        for kind in KINDS:
            decorate = kopf.on.event(
                kind.group, "v1", kind.plural, id=f"on-{kind.plural}", registry=registry
            )
            decorate(self._handler(kind))
        return registry

    def _handler(self, kind: Kind) -> Callable[..., None]:
        async def handle(event: Any, **_: Any) -> None:
            body = event["object"]
            if kind.wants(body):
                self._listener.on_event(kind, body, deleted=event["type"] == "DELETED")

        return handle  # type: ignore[return-value]

    async def _open_session(self, **_: Any) -> kopf.AiohttpSession:
        info = await asyncio.to_thread(self._login)
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._on_request_end)
        trace.on_request_exception.append(self._on_request_exception)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            trace_configs=[trace],
        )
        self._sessions.append(session)
        return kopf.AiohttpSession(aiohttp_session=session, server=info.server)

    async def _on_request_end(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        kind = self._paths.get(params.url.path)
        status = params.response.status
        if status >= 500 or (kind is not None and status in (401, 403)):
            self._listener.on_answer(f"{params.method} {params.url.path}: HTTP status {status}")
            return
        self._listener.on_answer("")
        if kind is not None and params.method == "GET" and "watch" not in params.url.query:
            self._listed.add(kind.plural)
            self._listener.on_list(kind)

    async def _on_request_exception(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        if not isinstance(params.exception, asyncio.CancelledError):
            said = str(params.exception) or type(params.exception).__name__
            self._listener.on_answer(said)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = _BACKOFFS_S
    settings.networking.connect_timeout = _CONNECT_TIMEOUT_S
    settings.watching.reconnect_backoff = _RECONNECT_S
    settings.watching.chunk_size = _CHUNK
    settings.queueing.worker_limit = _WORKERS
    settings.queueing.idle_timeout = _IDLE_S
    # kopf follows namespaces and CRDs itself. Of CRDs, which are large and many, only the one that
    # comes and goes with Kube-OVN; ours is installed before us (see `Watch.require`).
    settings.watching.field_selectors["v1", "namespaces"] = f"metadata.name={CONFIG_NAMESPACE}"
    settings.watching.field_selectors["apiextensions.k8s.io", "v1", "customresourcedefinitions"] = (
        f"metadata.name={SUBNETS.plural}.{SUBNETS.group}"
    )
    for kind in KINDS:
        if kind.name:
            settings.watching.field_selectors[kind.group, "v1", kind.plural] = (
                f"metadata.name={kind.name}"
            )
    return settings
