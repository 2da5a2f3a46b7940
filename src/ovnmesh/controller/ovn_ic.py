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
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from ovnmesh.errors import ProcessError
from ovnmesh.host.connections import tcp_peers
from ovnmesh.host.programs import program
from ovnmesh.model.backoff import Backoff
from ovnmesh.model.remote import Remote, endpoint_of
from ovnmesh.ovsdb import leadership
from ovnmesh.ovsdb.leadership import Decision, IcMembers
from ovnmesh.ovsdb.members import Member

LOG = logging.getLogger(__name__)

#: Seconds before a child that died is started again: doubled at each early death up to the last.
FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 10.0
#: A child that lived this many seconds died for a new reason.
STABLE_S = 30.0
STOP_TIMEOUT_S = 3.0
VERSION_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class OvnIcArguments:
    """Where the four databases are."""

    nb: Remote
    sb: Remote
    ic_nb: Remote
    ic_sb: Remote

    def options(self) -> list[str]:
        """The same for ovn-ic (ovn-ic(8)); its one identity, too, once there is one to show."""
        databases = {
            "ovnnb": self.nb,
            "ovnsb": self.sb,
            "ic-nb": self.ic_nb,
            "ic-sb": self.ic_sb,
        }
        return [
            f"--{name}-db={','.join(remote.methods_in_clear())}"
            for name, remote in databases.items()
        ]


def installed_version() -> str:
    """What ``ovn-ic --version`` says, such as ``ovn-ic 23.03.1``; "" if it does not answer."""
    try:
        asked = subprocess.run(
            [program("ovn-ic"), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.partition("\n")[0]


class OvnIc:
    """At most one ovn-ic process.

    Args:
        run_dir: where its control socket, pid file and log go; must exist.
        on_exit: called from a thread when the process ends by itself.
        clock: seconds that only grow.
    """

    def __init__(
        self, run_dir: Path, on_exit: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._run_dir = run_dir
        self._on_exit = on_exit
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._arguments: OvnIcArguments | None = None
        self._started_at = 0.0
        self._deaths = Backoff(FIRST_BACKOFF_S, LAST_BACKOFF_S)
        self._not_before = 0.0
        #: How long a process just started is given to find the leaders.
        self._searches = Backoff(leadership.FIRST_PATIENCE_S, leadership.LAST_PATIENCE_S)
        self._patience_s = self._searches.failed()
        #: Process and leaders that were seen connected to each other: no need to look again.
        self._settled: object = None
        self.restarts = 0
        #: What the program says of its version; "" if it does not answer.
        self.version = installed_version()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while running."""
        return self._process.pid if self._process is not None and self.running else None

    def ensure(self, arguments: OvnIcArguments, members: IcMembers | None = None) -> float | None:
        """Make it run with these databases; restart it if they changed, it died, or lost a leader.

        Args:
            arguments: the databases, with all their addresses.
            members: which of the addresses answer and lead, as far as known.

        Returns:
            Seconds after which to call again because something is open, or None.

        Raises:
            ProcessError: it cannot be started at all.
        """
        members = members or IcMembers()
        if self.running and arguments == self._arguments:
            decision = self._follow(members)
            if not decision.restart:
                return decision.look_again_s
            names = ", ".join(leader.method for leader in members.leaders if leader is not None)
            LOG.info("ovn-ic: has not found the leaders %s, restarting", names)
            self._end()
            self._patience_s = self._searches.failed()
        elif self.running:
            LOG.info("ovn-ic: databases changed, restarting")
            self.stop()
        wait_s = self._after_death()
        if wait_s > 0:
            return wait_s
        self._start(arguments, members)
        return self._follow(members).look_again_s

    def revive(self) -> None:
        """Start it again as it was, if it has died.

        Raises:
            ProcessError: it cannot be started at all.
        """
        if self._arguments is not None and not self.running:
            self.ensure(self._arguments)

    def _follow(self, members: IcMembers) -> Decision:
        """Decide whether it has to be restarted for the leaders' sake."""
        pid, leaders = self.pid, members.leaders
        if pid is None or (pid, leaders) == self._settled or None in leaders:
            return Decision()
        peers = tcp_peers(pid)
        found = []
        for member in (*members.nb, *members.sb):
            endpoint = endpoint_of(member.method)
            if endpoint is None or endpoint in peers:  # a socket file is not looked into
                found.append(member.method)
        decision = leadership.decide(
            self._clock(), leaders, found, self._started_at, self._patience_s
        )
        if decision == Decision():
            self._settled = (pid, leaders)
            self._search_anew()
        return decision

    def _search_anew(self) -> None:
        """The next search for the leaders is a first one."""
        self._searches.succeeded()
        self._patience_s = self._searches.failed()

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self._search_anew()
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        self._arguments = None
        self._deaths.succeeded()
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
        now = self._clock()
        code, self._process = self._process.poll(), None
        lived_s = now - self._started_at
        if lived_s > STABLE_S:
            self._deaths.succeeded()
        self._not_before = self._started_at + self._deaths.failed()
        self.restarts += 1
        LOG.warning("ovn-ic: died with status %s after %.1f s", code, lived_s)
        return max(0.0, self._not_before - now)

    def _start(self, arguments: OvnIcArguments, members: IcMembers) -> None:
        now = self._clock()
        if now < self._not_before:
            time.sleep(self._not_before - now)
        in_vain = self._patience_s > 2 * leadership.FIRST_PATIENCE_S
        used = replace(
            arguments,
            ic_nb=_to_use(arguments.ic_nb, members.nb, in_vain),
            ic_sb=_to_use(arguments.ic_sb, members.sb, in_vain),
        )
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            program("ovn-ic"),
            *used.options(),
            f"--unixctl={self._run_dir / 'ovn-ic.ctl'}",
            f"--log-file={self._run_dir / 'ovn-ic.log'}",
            f"--pidfile={self._run_dir / 'ovn-ic.pid'}",
            "--overwrite-pidfile",
            "--no-chdir",
            "-vconsole:off",
        ]
        environment = {**os.environ, "OVN_RUNDIR": str(self._run_dir)}
        self.version = installed_version()  # it may have been upgraded
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        except OSError as error:
            raise ProcessError(
                f"ovn-ic cannot be started: {error}. Install the Debian packages ovn-ic and "
                "util-linux (setpriv)"
            ) from error
        self._process = process
        self._arguments = arguments
        self._started_at = self._clock()
        LOG.info("ovn-ic: started, pid %s, ic_sb=%s", process.pid, used.ic_sb)
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        if process is self._process:
            self._on_exit()


def _to_use(remote: Remote, members: Collection[Member], in_vain: bool) -> Remote:
    """Those of a database's servers to start with; all of them if nothing is known."""
    methods = leadership.methods_to_use(members, in_vain)
    return replace(remote, methods=methods or remote.methods)
