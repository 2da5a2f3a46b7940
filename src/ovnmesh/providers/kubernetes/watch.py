"""Keeps up with every kind: lists it once, then watches it, in a thread of its own.

Called by the provider. A kind is listed again only if the watch cannot go on from where it was: the
API has forgotten that version, was away (it may have come back with an older copy of its data), or
no longer knows the kind. Must not interpret objects.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ovnmesh.errors import ProviderError
from ovnmesh.model.backoff import Backoff
from ovnmesh.providers.kubernetes.api import GONE, UNKNOWN, Api, Refused
from ovnmesh.providers.kubernetes.kinds import KINDS, Body, Kind, Reduced
from ovnmesh.providers.kubernetes.stream import Stream

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 3.0
#: What has gone well for so long has not failed again.
_STABLE_S = 10.0
#: Without the right to watch CRDs, how often to ask whether a kind is there by now.
_ABSENT_S = 10.0
_END_S = 0.3
_CRDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Listener(Protocol):
    """Who is told, from the threads of all kinds."""

    def on_list(self, kind: Kind, objects: dict[str, Reduced]) -> None:
        """All that there is of a kind; nothing if the API does not know the kind."""

    def on_event(self, kind: Kind, body: Body, *, deleted: bool) -> None:
        """An object was there, came, changed or went."""

    def on_answer(self, kind: Kind, problem: str) -> None:
        """A kind is watched (problem is empty), or cannot be, and why."""


def follow(api: Api, listener: Listener, stop: threading.Event) -> None:
    """Keep up with every kind until stopped, whatever happens."""
    followers = [Follower(kind, api, listener, stop) for kind in KINDS]
    threads = [threading.Thread(target=each.run, daemon=True) for each in followers]
    for thread in threads:
        thread.start()
    stop.wait()
    for each in followers:
        each.end()
    deadline = time.monotonic() + _END_S
    for thread in threads:
        # One that is about to connect ends by itself, at the latest when that has timed out.
        thread.join(max(0.0, deadline - time.monotonic()))


class Follower:
    """Keeps up with one kind.

    Args:
        kind: the kind.
        api: where it is.
        listener: told everything, until `stop` is set.
        stop: ends it, together with `end`.
    """

    def __init__(self, kind: Kind, api: Api, listener: Listener, stop: threading.Event) -> None:
        self._kind = kind
        self._api = api
        self._listener = listener
        self._stop = stop
        #: How far we have come; "" if it must be listed.
        self._version = ""
        self._stream: Stream | None = None

    def run(self) -> None:
        """List and watch, again and again."""
        backoff = Backoff(_FIRST_PAUSE_S, _LAST_PAUSE_S)
        while not self._stop.is_set():
            wait_s, began = 0.0, time.monotonic()
            try:
                self._list_and_watch()
            except ProviderError as error:
                wait_s = self._take_refusal(error)
            except Exception as error:
                # The thread's top: a mistake of ours must not end it.
                LOG.exception("watching %s failed", self._kind.plural)
                self._version = ""
                self._tell(f"watching {self._kind.plural} failed: {error!r}")
            if time.monotonic() - began > _STABLE_S:
                backoff.succeeded()
            # Not all kinds, nor all controllers, at the same moment.
            self._stop.wait(max(backoff.failed() * random.uniform(0.5, 1.0), wait_s))

    def end(self) -> None:
        """End what is being watched; to be called once `stop` is set."""
        if stream := self._stream:
            stream.close()

    def _list_and_watch(self) -> None:
        kind = self._kind
        if not self._version:
            objects, self._version = self._api.list(kind)
            self._listener.on_list(kind, objects)
        with self._open(kind.path, kind.name, self._version) as stream:
            self._tell("")
            for what, body in stream:
                if what == "ERROR":
                    LOG.debug("watching %s: %s", kind.plural, body.get("message"))
                    self._version = ""
                    return
                self._version = body["metadata"]["resourceVersion"]
                if what != "BOOKMARK" and kind.wants(body):
                    self._listener.on_event(kind, body, deleted=what == "DELETED")

    def _take_refusal(self, error: ProviderError) -> float:
        """Find out how to go on; returns after how many seconds at the earliest."""
        status = error.status if isinstance(error, Refused) else None
        if status in (None, GONE, UNKNOWN):
            self._version = ""
        if status == UNKNOWN:
            return self._await_kind()
        if status != GONE:
            self._tell(str(error))
        return error.wait_s if isinstance(error, Refused) else 0.0

    def _await_kind(self) -> float:
        """Wait until the CRD of a kind comes or changes; returns as `_take_refusal` does."""
        self._listener.on_list(self._kind, {})
        self._tell("")
        try:
            with self._open(_CRDS_PATH, f"{self._kind.plural}.{self._kind.group}", "") as stream:
                for what, _ in stream:
                    if what != "BOOKMARK":
                        break
        except ProviderError:
            return _ABSENT_S
        return 0.0

    @contextmanager
    def _open(self, path: str, name: str, version: str) -> Iterator[Stream]:
        with self._api.watch(path, name, version) as stream:
            self._stream = stream
            if self._stop.is_set():
                stream.close()  # `end` may have looked too early
            yield stream

    def _tell(self, problem: str) -> None:
        if not self._stop.is_set():
            self._listener.on_answer(self._kind, problem)
