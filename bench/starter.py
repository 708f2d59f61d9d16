"""Starts a function as the cloud does, and takes the time until it has answered."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.report import BenchFailed
from local.node import REPOSITORY
from local.process import HOST, free_port

POLL_INTERVAL_S = 0.002
"""Short against a start of half a second, and next to no load."""
START_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """What is asked of a function that has just started."""

    method: str = "GET"
    path: str = "/"
    token: str = ""
    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def posted(self) -> bytes:
        """The body on the wire: nothing where nothing is posted."""
        posted = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return posted if self.method == "POST" else b""

    def to_bytes(self) -> bytes:
        """The request on the wire; the server closes the connection after its answer."""
        body = self.posted
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"host: {HOST}",
            "connection: close",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            *([f"authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Starter:
    """Starts a function, asks it once, and kills it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / "function.log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = {**inherited, **environment}
        self._program = Path(sys.executable).with_name("functions-framework")

    def time_start_ms(self, name: str, source: Path, first_request: FirstRequest) -> float:
        """From just before the process exists to the last byte of its first answer."""
        port = free_port()
        request = first_request.to_bytes()
        command = [self._program, "--target", name, "--source", source, "--host", HOST, "--port", str(port)]
        with self._log.open("wb") as log:
            started_at_s = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                connection = self._connect(name, process, port, gives_up_at_s=started_at_s + START_DEADLINE_S)
                with connection:
                    answer = _exchange(connection, request)
                took_s = time.perf_counter() - started_at_s
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchFailed(f"{name} answered {answer[:500]!r}\n{self._log.read_text(errors='replace')}")
        return took_s * 1000

    def _connect(
        self, name: str, process: subprocess.Popen[bytes], port: int, *, gives_up_at_s: float
    ) -> socket.socket:
        """A connection as soon as one is taken. The server listens before its worker is up; the request waits there."""
        while time.perf_counter() < gives_up_at_s and process.poll() is None:
            try:
                connection = socket.create_connection((HOST, port), timeout=START_DEADLINE_S)
            except ConnectionRefusedError:
                time.sleep(POLL_INTERVAL_S)
                continue
            # A local connect to a port nobody listens on can, rarely, meet itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            connection.close()
        raise BenchFailed(f"{name} did not start\n{self._log.read_text(errors='replace')}")


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send, and read until the server closes the connection."""
    connection.sendall(request)
    answer = bytearray()
    while piece := connection.recv(65536):
        answer += piece
    return bytes(answer)
