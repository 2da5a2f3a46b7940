"""What was read from the API, kept up to date by events.

Called by the provider, from the controller's thread, and by the watch, from its own. A kind is
listed whole when the watch has begun anew: only then can an object have gone without an event.
Between two lists events are enough. Must not make requests.

An event may be older than a list that was made after it; a later one follows, because the watch
goes on from its own, older list. So the cache is right as soon as the events have come through.
"""

import threading
from typing import TypeVar

from ovnmesh.providers.kubernetes.kinds import KINDS, Body, Kind, Reduced

_Shape = TypeVar("_Shape", bound=Reduced)


class Cache:
    """Objects of every kind, by name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Reduced]] = {kind.plural: {} for kind in KINDS}
        self._stale = {kind.plural for kind in KINDS}
        # Events that came while a list was under way, to be taken once more after it.
        self._journal: dict[str, list[tuple[str, Reduced | None]]] = {}

    def outdate(self, kind: Kind | None = None) -> None:
        """Ask for a new list of a kind, or of all."""
        with self._lock:
            self._stale |= {kind.plural} if kind else {known.plural for known in KINDS}

    def begin_list(self, kind: Kind) -> bool:
        """Whether a list is wanted; if so, events are noted until `end_list`."""
        with self._lock:
            wanted = kind.plural in self._stale
            if wanted:
                self._stale.discard(kind.plural)
                self._journal[kind.plural] = []
            return wanted

    def end_list(self, kind: Kind, objects: dict[str, Reduced] | None) -> None:
        """Take a list, or None for one that failed and is still wanted."""
        with self._lock:
            journal = self._journal.pop(kind.plural, [])
            if objects is None:
                self._stale.add(kind.plural)
                return
            self._objects[kind.plural] = objects
            for name, reduced in journal:
                _put(objects, name, reduced)

    def take_event(self, kind: Kind, body: Body, *, deleted: bool) -> bool:
        """Take one event; whether a new reading may differ."""
        name = body["metadata"]["name"]
        reduced = None if deleted else kind.reduce(body)
        with self._lock:
            if kind.plural in self._journal:
                self._journal[kind.plural].append((name, reduced))
            objects = self._objects[kind.plural]
            known = objects.get(name)
            _put(objects, name, reduced)
            if known is None or reduced is None:
                return known is not reduced
            return not known.same_input(reduced)

    def objects(self, kind: Kind, shape: type[_Shape]) -> dict[str, _Shape]:
        """Every object of a kind, by name, in the order of the names.

        Args:
            kind: the kind.
            shape: what its objects are reduced to.
        """
        with self._lock:
            found = sorted(self._objects[kind.plural].items())
        return {name: reduced for name, reduced in found if isinstance(reduced, shape)}


def _put(objects: dict[str, Reduced], name: str, reduced: Reduced | None) -> None:
    if reduced is None:
        objects.pop(name, None)
    else:
        objects[name] = reduced
