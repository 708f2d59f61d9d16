"""One function under the real functions-framework, as `functions-framework --target NAME` starts it in the cloud."""

import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.node import REPOSITORY
from local.process import HOST, Child, free_port, start_child

COMMAND = REPOSITORY / ".venv" / "bin" / "functions-framework"
READY_DEADLINE_S = 60.0
"""It is ready in about two seconds; the rest is for a machine that is busy."""
TELL_IMPORTS = {"PYTHONVERBOSE": "1"}
"""Makes the interpreter write a line for everything it imports, by whatever means."""
_IMPORTED = re.compile(r"^import '([\w.]+)' #", re.MULTILINE)


@dataclass(frozen=True)
class Alone:
    """A function that has a process of its own."""

    child: Child
    url: str

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.child.log.read_text(errors="replace")

    @property
    def modules(self) -> frozenset[str]:
        """What it has imported so far, if its environment has TELL_IMPORTS."""
        return frozenset(_IMPORTED.findall(self.log))


@contextmanager
def start_alone(name: str, environment: Mapping[str, str]) -> Iterator[Alone]:
    """Run the function until the block ends. Raise ProcessFailed, with its last words, when it does not start."""
    port = free_port()
    command = [COMMAND, "--target", name, "--source", REPOSITORY / "main.py", "--host", HOST, "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="credence-") as folder:
        child = start_child(name, command, folder=Path(folder), environment=environment)
        try:
            child.wait_until(lambda: _listens(port), deadline_s=READY_DEADLINE_S)
            yield Alone(child, f"http://{HOST}:{port}")
        finally:
            # Killed, for whoever asks has read its log: half a second to stop in order, of every function, is minutes.
            child.stop(grace_s=0)


def _listens(port: int) -> bool:
    """Whether somebody takes connections. Nothing is asked, so that probing loads nothing."""
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0
