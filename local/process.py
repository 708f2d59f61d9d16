"""Child processes of the local stack: each in a group of its own, watched until it answers, never left behind."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
POLL_INTERVAL_S = 0.05
PROBE_TIMEOUT_S = 2.0
STOP_GRACE_S = 5.0
"""The slowest of the children, Firestore's Java process, leaves in about 2 seconds."""
LOG_TAIL_LINES = 20

_LEASH = """
import ctypes, os, sys
parent, death_signal, *command = sys.argv[1:]
ctypes.CDLL(None).prctl(1, int(death_signal), 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the parent died first")
os.execvp(command[0], command)
"""
"""Runs between fork and the real program, because `preexec_fn` is unsafe where threads run. 1 is PR_SET_PDEATHSIG,
which survives exec; the check of the parent closes the window in which it died before the kernel was told."""


class ProcessFailed(Exception):
    """A child died, or did not answer in time; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running program, the leader of its own session and process group."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool], *, deadline_s: float) -> None:
        """Return once `ready()` holds. Raise ProcessFailed when the child dies before, or at the deadline."""
        gives_up_at = time.monotonic() + deadline_s
        while not ready():
            if (status := self.popen.poll()) is not None:
                raise ProcessFailed(f"{self.name} ended with status {status} before it answered\n{self.log_tail()}")
            if time.monotonic() > gives_up_at:
                raise ProcessFailed(f"{self.name} did not answer within {deadline_s:g} s\n{self.log_tail()}")
            time.sleep(POLL_INTERVAL_S)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once, so that several children can leave at the same time."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """Ask, wait no longer than `grace_s`, then kill whatever is left of the group. Harmless when repeated."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def log_tail(self) -> str:
        """The last lines the child wrote, indented."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"


def start_child(
    name: str,
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    death_signal: signal.Signals = signal.SIGKILL,
) -> Child:
    """Start `command` in `folder`, its output going to a log file there.

    On Linux the kernel sends `death_signal` to the child when the *thread* that called this function ends, even by
    SIGKILL: call it from the main thread, or from one that outlives the child. Only the child itself gets the signal,
    so start programs directly (`node file.js`, never `npx`), and choose SIGTERM for one that has children of its own.
    """
    arguments = [str(part) for part in command]
    if sys.platform == "linux":
        leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), str(int(death_signal))]
        arguments = leash + arguments
    log = folder / f"{name.lower().replace(' ', '-')}.log"
    with log.open("ab") as output:
        popen = subprocess.Popen(
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, popen, log)


@dataclass(frozen=True, slots=True)
class Service:
    """Something that answers HTTP on `address`: a child of ours, or (without one) a process somebody else started."""

    name: str
    address: str
    child: Child | None
    ready_path: str
    deadline_s: float
    remedy: str = ""
    """What a person can do when it does not start."""

    def wait_until_ready(self) -> None:
        """Return once it answers. Raise ProcessFailed, with the remedy, when it cannot."""
        if self.child is not None:
            try:
                self.child.wait_until(self.answers, deadline_s=self.deadline_s)
            except ProcessFailed as failure:
                raise ProcessFailed(f"{failure}\n{self.remedy}".rstrip()) from None
        elif not self.answers():
            raise ProcessFailed(f"{self.name}: nothing answers on {self.address}\n{self.remedy}".rstrip())

    def answers(self) -> bool:
        """Whether a request to the ready path is answered with 200 now."""
        connection = http.client.HTTPConnection(self.address, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", self.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def ask_to_stop(self) -> None:
        """Begin to stop what is ours; `stop` finishes it."""
        if self.child is not None:
            self.child.ask_to_stop()

    def stop(self) -> None:
        """Stop what is ours, and return when it is gone."""
        if self.child is not None:
            self.child.stop()

    def __enter__(self) -> Self:
        """Wait until it answers; a service that cannot start is stopped before the error leaves."""
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to nobody else for the next minute.

    One connection to itself leaves the port in TIME_WAIT: not handed out again, but free to a server that sets
    SO_REUSEADDR, as Java, Node and asyncio do. So stacks that start at the same moment do not collide.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            # Closed before the other end, so that TIME_WAIT stays with the listening port.
            accepted.close()
        port: int = listener.getsockname()[1]
        return port
