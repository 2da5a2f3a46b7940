"""Starts, watches and ends processes, and talks to OVS and OVN daemons through ``ovs-appctl``.

Called by the IC databases' server, the controller and the lab. Must not decide when a process
should run, and must never signal a process whose identity it has not checked.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ovnmesh.errors import ProcessError
from ovnmesh.host.programs import program

_LOG_TAIL_LINES = 5


def run(
    argv: Sequence[str],
    *,
    netns: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> str:
    """Run a command to its end.

    Args:
        argv: the command and its arguments.
        netns: name of the network namespace to run it in; None for the current one.
        env: variables set in addition to the current environment.
        timeout_s: seconds after which the command is killed.

    Returns:
        What the command wrote to standard output.

    Raises:
        ProcessError: it cannot be started, failed, or took too long.
    """
    try:
        done = subprocess.run(
            in_netns(argv, netns),
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessError(
            f"{_title(argv, netns)}: still running after {timeout_s:g} s; expected it to end"
        ) from error
    except OSError as error:
        raise ProcessError(f"{_title(argv, netns)}: cannot be started: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-2000:]
        raise ProcessError(f"{_title(argv, netns)}: exit status {done.returncode}, said: {said}")
    return done.stdout


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    netns: str | None = None,
    env: Mapping[str, str] | None = None,
    pidfile: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, its output appended to a file.

    Args:
        argv: the command and its arguments.
        log: file that receives standard output and standard error.
        netns: name of the network namespace to run it in; None for the current one.
        env: variables set in addition to the current environment.
        pidfile: where to write the process id; it is written whole or not at all.

    Returns:
        The running child; the caller owns it.

    Raises:
        ProcessError: it cannot be started.
    """
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                in_netns(argv, netns),
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise ProcessError(f"{_title(argv, netns)}: cannot be started: {error}") from error
    if pidfile is not None:
        # nsenter replaces itself with the command, so the child's id is the command's.
        partial = pidfile.with_name(f"{pidfile.name}.new")
        partial.write_text(f"{child.pid}\n")
        partial.replace(pidfile)
    return child


def in_netns(argv: Sequence[str], netns: str | None) -> list[str]:
    """Prefix a command so that it runs in a named network namespace (nsenter(1)).

    Args:
        argv: the command and its arguments.
        netns: name under ``/run/netns``; None leaves the command as it is.
    """
    return list(argv) if netns is None else ["nsenter", f"--net=/run/netns/{netns}", *argv]


def command_line(pid: int) -> tuple[str, ...]:
    """Arguments of a process; empty if there is none, or it is a zombie (proc(5))."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])


def all_pids() -> tuple[int, ...]:
    """Ids of all processes of the machine (proc(5))."""
    return tuple(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def pid_alive(pid: int, expected: str) -> bool:
    """Tell whether a process runs and is the one meant.

    Args:
        pid: process id, for example from a pidfile.
        expected: text that its command line must contain; a reused id does not.
    """
    return expected in " ".join(command_line(pid))


def read_pidfile(pidfile: Path) -> int | None:
    """Process id in a pidfile; None if the file is missing or holds no number."""
    try:
        return int(pidfile.read_text())
    except (FileNotFoundError, ValueError):
        return None


def send_signal(pid: int, signum: signal.Signals, identity: Callable[[int], bool]) -> bool:
    """Signal a process, but only if it is the one meant.

    A pidfd is taken first and the identity checked after, so that the id cannot be reused
    between the check and the signal (pidfd_open(2)).

    Args:
        pid: process id.
        signum: signal to send.
        identity: says whether the id now belongs to the process meant.

    Returns:
        Whether the signal was sent.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not identity(pid):
            return False
        signal.pidfd_send_signal(handle, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def terminate(pid: int, expected: str, timeout_s: float = 5.0) -> bool:
    """End a process: SIGTERM, and SIGKILL if it is still there after a while.

    Args:
        pid: process id.
        expected: text that its command line must contain; otherwise it is left alone.
        timeout_s: seconds granted to SIGTERM, and again to SIGKILL.

    Returns:
        True if the process meant was found and has ended, False if there was none.

    Raises:
        ProcessError: it is still running after SIGKILL.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not pid_alive(pid, expected):
            return False
        for signum in (signal.SIGTERM, signal.SIGKILL):
            try:
                signal.pidfd_send_signal(handle, signum)
            except ProcessLookupError:
                return True
            # A pidfd becomes readable when its process ends, child of ours or not.
            if select.select([handle], [], [], timeout_s)[0]:
                return True
    finally:
        os.close(handle)
    raise ProcessError(
        f"process {pid} ({expected}): still running {timeout_s:g} s after SIGKILL; "
        "expected it to end; look for a hung file system or device"
    )


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float, interval_s: float = 0.02
) -> None:
    """Wait for something to become true.

    Args:
        condition: asked again and again.
        what: the state awaited, for the error's text, e.g. ``site az1: 3 chassis registered``.
        timeout_s: seconds after which to give up.
        interval_s: seconds between two questions.

    Raises:
        ProcessError: it did not become true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            raise ProcessError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(interval_s)


def wait_until_serving(
    name: str,
    answers: Callable[[], bool],
    log: Path,
    child: "subprocess.Popen[bytes] | None",
    timeout_s: float,
) -> None:
    """Wait until a server that was just started answers.

    Args:
        name: what is started, for the error's text, e.g. ``site az1: kube-apiserver``.
        answers: whether it does; asked again and again.
        log: its log file.
        child: its process, if it is ours: the wait ends when it does.
        timeout_s: seconds after which to give up.

    Raises:
        ProcessError: it does not answer in time, or ended; then the end of its log is told.
    """

    def serving() -> bool:
        if child is not None and child.poll() is not None:
            raise ProcessError(f"{name}: ended while starting; its log ends:\n{log_tail(log)}")
        return answers()

    wait_until(serving, f"{name}: answers; see {log}", timeout_s, interval_s=0.05)


def appctl(target: Path | str, *args: str, timeout_s: float = 5.0) -> str:
    """Send a command to a daemon's control socket (ovs-appctl(8)).

    Args:
        target: path of the control socket, of OVS or OVN alike.
        args: command and its arguments, e.g. ``"cluster/status", "OVN_IC_Southbound"``.
        timeout_s: seconds to wait for the answer.

    Raises:
        ProcessError: the daemon does not answer or refuses the command.
    """
    return run(
        [program("ovs-appctl"), "-T", str(max(1, round(timeout_s))), "-t", str(target), *args],
        timeout_s=timeout_s + 2.0,
    )


def log_tail(log: Path) -> str:
    """Return the last lines of a log file, for an error's text; empty if there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-_LOG_TAIL_LINES:])


def _title(argv: Sequence[str], netns: str | None) -> str:
    words = " ".join(argv)
    shown = words if len(words) <= 200 else f"{words[:200]}..."
    return shown if netns is None else f"[{netns}] {shown}"
