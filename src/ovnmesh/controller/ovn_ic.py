"""The ovn-ic daemon as a supervised child.

Called by the reconciler, which says on every pass whether it should run and with which databases.
The child dies with the controller (setpriv --pdeathsig), so that no second one is ever left
behind; stopping it never disturbs traffic. Must not decide whether it should run.
"""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ovnmesh.errors import ProcessError

LOG = logging.getLogger(__name__)

#: Seconds before a child that died is started again: doubled at each early death up to the last.
FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 10.0
#: A child that lived this many seconds died for a new reason.
STABLE_S = 30.0
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class OvnIcArguments:
    """OVSDB connection methods of the four databases (ovn-ic(8))."""

    nb: str
    sb: str
    ic_nb: str
    ic_sb: str


class OvnIc:
    """At most one ovn-ic process.

    Args:
        run_dir: where its control socket, pid file and log go; must exist.
        on_exit: called from a thread when the process ends by itself.
    """

    def __init__(self, run_dir: Path, on_exit: Callable[[], None]) -> None:
        self._run_dir = run_dir
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._arguments: OvnIcArguments | None = None
        self._started_at = 0.0
        self._backoff_s = 0.0
        self._not_before = 0.0
        self.restarts = 0

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while running."""
        return self._process.pid if self._process is not None and self.running else None

    def ensure(self, arguments: OvnIcArguments) -> float | None:
        """Make it run with these databases; restart it if they changed or it died.

        Returns:
            Seconds after which to call again because it may not be started yet, or None.

        Raises:
            ProcessError: it cannot be started at all.
        """
        if self.running and arguments == self._arguments:
            return None
        if self.running:
            LOG.info("ovn-ic: databases changed, restarting")
            self.stop()
        wait_s = self._after_death()
        if wait_s > 0:
            return wait_s
        self._start(arguments)
        return None

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        process, self._process = self._process, None
        self._arguments = None
        self._backoff_s = 0.0
        self._not_before = 0.0
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        LOG.info("ovn-ic: stopped")

    def _after_death(self) -> float:
        """Seconds still to wait after an unexpected death; 0 if it may start now."""
        if self._process is None:
            return 0.0
        now = time.monotonic()
        code, self._process = self._process.poll(), None
        lived_s = now - self._started_at
        self._backoff_s = (
            FIRST_BACKOFF_S
            if lived_s > STABLE_S or not self._backoff_s
            else min(2 * self._backoff_s, LAST_BACKOFF_S)
        )
        self._not_before = self._started_at + self._backoff_s
        self.restarts += 1
        LOG.warning("ovn-ic: died with status %s after %.1f s", code, lived_s)
        return max(0.0, self._not_before - now)

    def _start(self, arguments: OvnIcArguments) -> None:
        now = time.monotonic()
        if now < self._not_before:
            time.sleep(self._not_before - now)
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "ovn-ic",
            f"--ovnnb-db={arguments.nb}",
            f"--ovnsb-db={arguments.sb}",
            f"--ic-nb-db={arguments.ic_nb}",
            f"--ic-sb-db={arguments.ic_sb}",
            f"--unixctl={self._run_dir / 'ovn-ic.ctl'}",
            f"--log-file={self._run_dir / 'ovn-ic.log'}",
            f"--pidfile={self._run_dir / 'ovn-ic.pid'}",
            "--overwrite-pidfile",
            "--no-chdir",
            "-vconsole:off",
        ]
        environment = {**os.environ, "OVN_RUNDIR": str(self._run_dir)}
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        except OSError as exc:
            raise ProcessError(
                f"ovn-ic cannot be started: {exc}; expected the Debian packages ovn-ic and "
                "util-linux (setpriv) to be installed"
            ) from exc
        self._process = process
        self._arguments = arguments
        self._started_at = time.monotonic()
        LOG.info("ovn-ic: started, pid %s, ic_sb=%s", process.pid, arguments.ic_sb)
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        if process is self._process:
            self._on_exit()
