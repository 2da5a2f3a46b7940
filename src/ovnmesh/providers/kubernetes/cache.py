"""What was read from the API: lists, kept up to date by events.

Called by the provider and the publisher, from the threads of controller, publisher and watch. Must
not make requests.
"""

import threading
from typing import TypeVar

from ovnmesh.providers.kubernetes.kinds import KINDS, Body, Kind, Reduced

_Shape = TypeVar("_Shape", bound=Reduced)


class Cache:
    """Objects of every kind, by name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Reduced]] = {}

    @property
    def complete(self) -> bool:
        """Whether every kind has been listed."""
        return len(self._objects) == len(KINDS)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._objects.clear()

    def take_list(self, kind: Kind, objects: dict[str, Reduced]) -> bool:
        """Take all that there is of a kind; whether a new reading may differ."""
        with self._lock:
            known = self._objects.get(kind.plural)
            self._objects[kind.plural] = objects
            if known is None:
                return self.complete
            return known.keys() != objects.keys() or any(
                not known[name].same_input(reduced) for name, reduced in objects.items()
            )

    def take_event(self, kind: Kind, body: Body, *, deleted: bool) -> bool:
        """Take one event; whether a new reading may differ."""
        name = body["metadata"]["name"]
        reduced = None if deleted else kind.reduce(body)
        with self._lock:
            objects = self._objects[kind.plural]
            known = objects.pop(name, None)
            if reduced is not None:
                objects[name] = reduced
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
            found = sorted(self._objects.get(kind.plural, {}).items())
        return {name: reduced for name, reduced in found if isinstance(reduced, shape)}
