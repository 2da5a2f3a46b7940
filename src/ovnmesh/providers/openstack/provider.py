"""Implements `base.Provider` on a site file and Neutron.

Called by the controller. Asks Neutron in a thread of its own, so that an API that does not answer
holds up nothing: `read` returns what was read last. Asked again when the file changes, when Neutron
has written the northbound database (it does for everything that happens to a router, so these rows
are the events), and once a minute for what does not show there, such as tags. Must not decide what
a wrong file means.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from ovnmesh.errors import ConfigError, ProviderError, ProviderPending
from ovnmesh.model.backoff import Backoff
from ovnmesh.providers.base import Wish
from ovnmesh.providers.files.watching import watch_folder
from ovnmesh.providers.openstack.advice import ADVICE
from ovnmesh.providers.openstack.api import Api, read_neutron
from ovnmesh.providers.openstack.neutron import Neutron
from ovnmesh.providers.openstack.resolve import choose_routers, resolve
from ovnmesh.providers.openstack.site_file import SiteFile, parse_site_file, read_bytes

LOG = logging.getLogger(__name__)

#: Seconds after which Neutron is asked although nothing has happened.
POLL_S = 60.0
#: Neutron changes several rows for one request of a user: wait this long for the rest.
COALESCE_S = 0.2
#: Seconds between two readings of a router that changes all the time.
SPACING_S = 1.0
FIRST_BACKOFF_S = 1.0
LAST_BACKOFF_S = 60.0


class RouterEvents(Protocol):
    """Who tells when Neutron has written rows of routers."""

    def follow(self, routers: Collection[str]) -> None:
        """Names and ids of the routers to be told about; returns at once."""

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Block, calling `on_change` whenever such a row has changed, until `stop` is set."""


class OpenStackProvider:
    """Configuration of one OpenStack site.

    Args:
        path: the site file.
        events: tells when Neutron has written; None to rely on looking once a minute.
    """

    advice = ADVICE

    def __init__(self, path: Path, events: RouterEvents | None = None) -> None:
        self._path = path
        self._events = events
        self._last: Wish | ProviderError = ProviderPending(
            f"site file {path}: it is being read for the first time"
        )
        self._content: bytes | None = None
        self._api: Api | None = None
        self._file_changed = threading.Event()
        self._wake = threading.Event()
        self._silent = False

    def read(self) -> Wish:
        """What was read last; never waits.

        Raises:
            ProviderPending: nothing has been read yet.
            ProviderError: the file or Neutron could not be read the last time.
        """
        if isinstance(self._last, ProviderError):
            # A new one each time: a raised exception grows a traceback.
            raise type(self._last)(str(self._last))
        return self._last

    def watch(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        """Read at once and whenever something has changed, calling `on_change` when it differs.

        Args:
            on_change: called after the first reading, and after every one that differs.
            stop: ends the watch at once; a question to Neutron may end later, in vain.
        """
        watches: list[Callable[[], None]] = [
            lambda: watch_folder(self._path.parent, self._on_file, stop),
            lambda: self._keep_reading(on_change, stop),
        ]
        if self._events is not None:
            events = self._events
            watches.append(lambda: events.watch(self._wake.set, stop))
        for watch in watches:
            threading.Thread(target=watch, daemon=True).start()
        stop.wait()
        self._wake.set()

    def _on_file(self) -> None:
        try:
            same = read_bytes(self._path) == self._content
        except ProviderError:
            same = False
        if not same:
            self._file_changed.set()
            self._wake.set()

    def _keep_reading(self, on_change: Callable[[], None], stop: threading.Event) -> None:
        first, backoff = True, Backoff(FIRST_BACKOFF_S, LAST_BACKOFF_S)
        while not stop.is_set():
            self._wake.clear()
            self._file_changed.clear()
            found = self._read_now()
            if stop.is_set():
                return  # another watch may have begun
            self._tell(found)
            changed = not _same(self._last, found)
            self._last = found
            if changed or first:
                on_change()
            first = False
            if isinstance(found, ProviderError):
                self._await_retry(backoff.failed(), stop)
            else:
                backoff.succeeded()
                self._await_news(stop)

    def _read_now(self) -> Wish | ProviderError:
        try:
            self._content = read_bytes(self._path)
            if self._content is None:
                return Wish(config_present=False)
            file = parse_site_file(self._content, self._path)
            neutron = self._ask(file) if file.site.config.enable_ic else Neutron()
            return resolve(file, neutron)
        except ConfigError as error:
            return Wish(problems=error.problems)
        except ProviderError as error:
            return error
        except Exception as error:
            # The thread's top: an answer that nobody has thought of must not end it.
            LOG.exception("site file %s: reading failed unexpectedly", self._path)
            return ProviderError(f"site file {self._path}: {type(error).__name__}, see the log")

    def _ask(self, file: SiteFile) -> Neutron:
        site = file.site
        if self._api is None or not self._api.serves(site):
            if self._api is not None:
                self._api.close()
            self._api = Api(site)
        names = [choice.name for choice in site.routers]
        neutron = read_neutron(self._api, names)
        if self._events is not None:
            found, _ = choose_routers(file, neutron)
            self._events.follow([*names, *(router.ovn_name for router, _ in found)])
        return neutron

    def _tell(self, found: Wish | ProviderError) -> None:
        silent = isinstance(found, ProviderError)
        if silent and not self._silent:
            LOG.warning("%s; trying again", found)
        elif self._silent and not silent:
            LOG.info("site file %s and its cloud can be read again", self._path)
        self._silent = silent

    def _await_retry(self, wait_s: float, stop: threading.Event) -> None:
        """Wait for the next attempt after a failure; only another file brings it forward."""
        deadline = time.monotonic() + wait_s
        while not (stop.is_set() or self._file_changed.is_set()):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            self._wake.wait(left_s)
            if not self._file_changed.is_set():
                self._wake.clear()

    def _await_news(self, stop: threading.Event) -> None:
        read_s = time.monotonic()
        self._wake.wait(POLL_S)
        if not self._file_changed.is_set():
            spacing_s = read_s + SPACING_S - time.monotonic()
            stop.wait(max(COALESCE_S, spacing_s))


def _same(one: Wish | ProviderError, other: Wish | ProviderError) -> bool:
    if isinstance(one, ProviderError) or isinstance(other, ProviderError):
        return type(one) is type(other) and str(one) == str(other)
    return one == other
