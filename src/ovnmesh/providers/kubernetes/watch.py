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
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp
import kopf
import yarl

from ovnmesh.providers.cluster import CONFIG_NAMESPACE
from ovnmesh.providers.kubernetes.kinds import CONFIG_MAPS, KINDS, SUBNETS, Body, Kind

LOG = logging.getLogger(__name__)

_RETRY_S = 1.0
_CANCEL_S = 0.2
_CANCELS = 10
_RECONNECT_S = 0.2
#: Objects of a list in memory at a time, and events taken at a time: an object may be large.
_CHUNK = 250
_WORKERS = 64
_IDLE_S = 0.05
_CONNECT_TIMEOUT_S = 5.0
_CRDS = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")
_CRDS_PATH = "/apis/" + "/".join(_CRDS)


class Listener(Protocol):
    """Who is told."""

    def on_event(self, kind: Kind, body: Body, *, deleted: bool) -> None:
        """An object was there, came, changed or went."""

    def on_list(self, kind: Kind) -> None:
        """The watch of a kind has begun anew, or might have to (see `Watch.require`)."""

    def on_answer(self, place: str, problem: str) -> None:
        """A place answered (problem is empty), or did not, and why.

        Args:
            place: verb and kind; "" for everything else.
            problem: what went wrong.
        """


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
        self._end_turn: Callable[[], None] = lambda: None
        self._asked: set[str] = set()
        self._sessions: list[aiohttp.ClientSession] = []

    def run(self, stop: threading.Event) -> None:
        """Watch until stopped, whatever happens."""
        threading.Thread(target=self._end_with, args=(stop,), daemon=True).start()
        while not stop.is_set():
            self._asked.clear()
            try:
                loop = asyncio.new_event_loop()
                # Tasks that are left over are not worth a word (see `_end_tasks`).
                loop.set_exception_handler(lambda *_: None)
                try:
                    loop.run_until_complete(self._operate(stop))
                finally:
                    loop.close()
            except Exception as error:
                # The thread's top: kopf gives up on errors that it takes for final, as a CRD that
                # goes while it is watched.
                self._listener.on_answer("", str(error) or type(error).__name__)
                LOG.debug("watching Kubernetes failed, starting anew", exc_info=error)
            stop.wait(_RETRY_S)

    def require(self, kind: Kind) -> None:
        """Begin anew if a kind that exists is not watched: its CRD came after us.

        kopf follows CRDs, but takes those of its first list for kinds that it has discovered (1.45,
        observation.py): one that came in between would never be watched. ConfigMaps are always
        there: once they are asked for, so is every kind that was discovered.
        """
        if CONFIG_MAPS.plural in self._asked and kind.plural not in self._asked:
            LOG.info(
                "%s.%s exist but are not watched; starting the watch anew", kind.plural, kind.group
            )
            self._end_turn()

    def _end_with(self, stop: threading.Event) -> None:
        stop.wait()
        self._end_turn()

    async def _operate(self, stop: threading.Event) -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end_turn = lambda: _call(loop, over.set)
        if stop.is_set():
            return
        waiter = asyncio.create_task(over.wait())
        try:
            roots = await kopf.spawn_tasks(
                registry=self._registry(),
                settings=_settings(),
                standalone=True,
                namespaces=[CONFIG_NAMESPACE],
            )
            done, _ = await asyncio.wait([waiter, *roots], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end_tasks()
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
        trace.on_request_start.append(self._on_request_start)
        trace.on_request_end.append(self._on_request_end)
        trace.on_request_exception.append(self._on_request_exception)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            trace_configs=[trace],
        )
        self._sessions.append(session)
        return kopf.AiohttpSession(aiohttp_session=session, server=info.server)

    async def _on_request_start(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        if kind := self._paths.get(params.url.path):
            self._asked.add(kind.plural)

    async def _on_request_end(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        place, status = self._place(params.url), params.response.status
        if status >= 500 or (place and status in (401, 403)):
            self._listener.on_answer(place, f"{place or params.url.path}: HTTP status {status}")
            return
        self._listener.on_answer("", "")
        self._listener.on_answer(place, "")
        if place.startswith("list"):
            self._listener.on_list(self._paths[params.url.path])
        if (
            SUBNETS.plural not in self._asked
            and params.url.path in (_CRDS_PATH, CONFIG_MAPS.path)
            and "watch" not in params.url.query
        ):
            # Either may come last, and only then it shows whether a kind is left out.
            self._listener.on_list(SUBNETS)

    async def _on_request_exception(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        if not isinstance(params.exception, asyncio.CancelledError):
            said = str(params.exception) or type(params.exception).__name__
            self._listener.on_answer(self._place(params.url), said)

    def _place(self, url: yarl.URL) -> str:
        """Verb and kind of a request, "" if it is for something else."""
        kind = self._paths.get(url.path)
        if kind is None:
            return ""
        return f"{'watch' if 'watch' in url.query else 'list'} {kind.plural}"


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, which is what was wanted
        loop.call_soon_threadsafe(function)


async def _end_tasks() -> None:
    """Cancel everything in this loop, and not wait for what does not end.

    Not `kopf.run_tasks`: it waits for ever for watches that lose a cancellation (kopf 1.45,
    api.stream), as they do when one of them has failed.
    """
    for _ in range(_CANCELS):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_S)


class _Backoffs:
    """Waits between attempts of one request of kopf's, without end: it must not give up."""

    def __iter__(self) -> Iterator[float]:
        return chain((0.1, 0.2, 0.5, 1.0), repeat(2.0))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = _Backoffs()
    settings.networking.connect_timeout = _CONNECT_TIMEOUT_S
    settings.watching.reconnect_backoff = _RECONNECT_S
    settings.watching.chunk_size = _CHUNK
    settings.queueing.worker_limit = _WORKERS
    settings.queueing.idle_timeout = _IDLE_S
    # kopf follows namespaces and CRDs itself. Of CRDs, which are large and many, only the one that
    # comes and goes with Kube-OVN; ours is installed before us (see `Watch.require`).
    settings.watching.field_selectors["v1", "namespaces"] = f"metadata.name={CONFIG_NAMESPACE}"
    settings.watching.field_selectors[_CRDS] = f"metadata.name={SUBNETS.plural}.{SUBNETS.group}"
    for kind in KINDS:
        if kind.name:
            settings.watching.field_selectors[kind.group, "v1", kind.plural] = (
                f"metadata.name={kind.name}"
            )
    return settings
