"""A function that keeps the tasks it is sent, for tests of whoever delivers them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from local.process import HOST

DEADLINE_S = 20.0
"""A machine that is busy must not fail a test."""


@dataclass(frozen=True)
class Received:
    """One delivery."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float


@dataclass
class Receiver:
    """Answers with the given statuses in turn, then with 200."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    at_once: int = 0
    at_once_max: int = 0
    pause_s: float = 0.0
    """How long each delivery takes."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}/"

    def wait_for(self, count: int) -> list[Received]:
        """The deliveries, once there are so many."""
        wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def take(self, delivery: Received) -> int:
        """Keep a delivery; the status to answer it with."""
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        self.received.append(delivery)
        status = self.statuses.pop(0) if self.statuses else 200
        time.sleep(self.pause_s)
        self.at_once -= 1
        return status


def wait_until(happened: Callable[[], bool]) -> None:
    """Return once it has. Fail at the deadline."""
    gives_up_at = time.monotonic() + DEADLINE_S
    while not happened() and time.monotonic() < gives_up_at:
        time.sleep(0.01)
    assert happened()


@contextmanager
def receiving(*statuses: int, pause_s: float = 0.0, port: int = 0) -> Iterator[Receiver]:
    """A receiver on a free port, or on that of one that is gone."""
    receiver = Receiver(statuses=list(statuses), pause_s=pause_s)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(Received(self.path, headers, body, time.time()))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    receiver.port = server.server_port
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
