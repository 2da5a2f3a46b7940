"""Says when the content of a folder may have changed, by inotify.

Called by the providers that read files. Survives the folder going away and coming back, or being
replaced by another. Must not read.
"""

import logging
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

LOG = logging.getLogger(__name__)

# Changes within this time are reported once; an editor makes several per save.
_DEBOUNCE_S = 0.01
# How often the watch looks whether it is to stop, and whether the folder is still the same one.
_LOOK_UP_S = 0.25
_CHANGES = frozenset({"created", "deleted", "moved", "closed"})
_RETRY_S = 1.0


def watch_folder(folder: Path, on_change: Callable[[], None], stop: threading.Event) -> None:
    """Block, calling `on_change` whenever the content of a folder may have changed.

    Args:
        folder: the folder; its subfolders are passed over.
        on_change: called soon after every change, and once when watching begins.
        stop: ends the watch within some hundredths of a second.
    """
    gone = False
    while not stop.is_set():
        try:
            identity = _identity(folder)
            if identity is not None:
                gone = False
                _watch_one(folder, identity, on_change, stop)
                continue
            if not gone:
                LOG.warning("folder %s is gone; waiting for it to come back", folder)
                on_change()
            gone = True
        except OSError as error:
            # Out of inotify watches, or replaced this moment: look again every second.
            LOG.warning("cannot watch %s (%s); trying again", folder, error)
            on_change()
        stop.wait(_RETRY_S)


def _watch_one(
    folder: Path, identity: tuple[int, int], on_change: Callable[[], None], stop: threading.Event
) -> None:
    """Watch until `stop`, or until another folder, or none, stands in this one's place."""
    changed = threading.Event()
    observer = Observer()
    observer.schedule(_Waker(changed), str(folder), recursive=False)
    observer.start()
    try:
        on_change()  # also covers what happened before the watch was in place
        while not stop.is_set() and _identity(folder) == identity:
            if changed.wait(_LOOK_UP_S):
                stop.wait(_DEBOUNCE_S)
                changed.clear()
                on_change()
    finally:
        observer.stop()
        observer.join()


class _Waker(FileSystemEventHandler):
    """Sets an event when a file has been written, or has come or gone under a name."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Not "modified": a file that is being written is reported when it is closed. Not "opened"
        # and "closed_no_write": reading is no change, and would make the next one.
        if event.event_type in _CHANGES:
            self._changed.set()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode of the folder, None if there is no folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
