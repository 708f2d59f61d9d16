"""Stands in for Eventarc: takes the Firestore emulator's events and posts them as CloudEvents, again until a 2xx.

The emulator knows one functions emulator for its whole life, while deployments come and go: this is that one. What it
sends is already Eventarc's form, CloudEvents in binary mode, but for three things that are mended here: it writes the
protocol buffer in base64, it names the project twice in the source, and it carries no token.
"""

import base64
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import requests

from local.process import HOST

ATTEMPTS_MAX = 6
BACKOFF_S = 0.1
"""Doubled after each attempt: 3 seconds in all. Eventarc starts at 10 seconds and goes on for a day."""
DELIVERIES_AT_ONCE_MAX = 8
TIMEOUT_S = 30.0
TRIGGER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A function that takes events, and how to get a token for it."""

    url: str
    token: Callable[[], str]


class EventDelivery:
    """A context manager around the server that the emulator posts to, on threads of this process."""

    def __init__(self) -> None:
        self._targets: dict[str, list[Target]] = {}
        self._stopped = threading.Event()
        self._workers = ThreadPoolExecutor(DELIVERIES_AT_ONCE_MAX, thread_name_prefix="events")
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="events", daemon=True)

    @property
    def address(self) -> str:
        """host:port, for the emulator's `--functions_emulator`."""
        return f"{HOST}:{self._server.server_port}"

    def subscribe(self, firestore_address: str, project_id: str, name: str, event: str, target: Target) -> None:
        """Make the emulator send the project's events of `type document/path` to the target, under a trigger's name."""
        kind, _, document = event.partition(" ")
        trigger = {
            "eventType": kind,
            "database": "(default)",
            "namespace": "(default)",
            "document": {"value": document, "matchType": "PATH_PATTERN"},
        }
        # The newest takes the events; the one before it has them again when the newest has left.
        self._targets.setdefault(_trigger_path(project_id, name), []).append(target)
        requests.post(
            f"http://{firestore_address}/emulator/v1/projects/{project_id}/eventarcTrigger",
            params={"eventarcTriggerId": name},
            json=trigger,
            timeout=TRIGGER_TIMEOUT_S,
        ).raise_for_status()

    def unsubscribe(self, project_id: str, name: str, target: Target) -> None:
        """Send the target nothing from now on. The emulator keeps its trigger; what nobody takes is dropped here."""
        self._targets[_trigger_path(project_id, name)].remove(target)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._workers.shutdown(cancel_futures=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            """Answers at once, because the emulator waits for the answer and never sends an event again."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                take(self.path, dict(self.headers.items()), body)
                self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The functions write their own lines."""

        return Handler

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        # Submitting after shutdown raises: an event that comes while the stack stops is nobody's any more.
        with contextlib.suppress(RuntimeError):
            self._workers.submit(self._deliver, path, eventarc_headers(headers), base64.b64decode(body))

    def _deliver(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        for attempt in range(ATTEMPTS_MAX):
            targets = self._targets.get(path)
            if not targets or self._stopped.is_set():
                return
            target = targets[-1]
            with contextlib.suppress(requests.RequestException):
                authorized = {**headers, "authorization": f"Bearer {target.token()}"}
                if requests.post(target.url, data=body, headers=authorized, timeout=TIMEOUT_S).ok:
                    return
            self._stopped.wait(BACKOFF_S * 2**attempt)


def eventarc_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The event's attributes as Eventarc sends them."""
    kept = {name: value for name, value in headers.items() if name.lower().startswith(("ce-", "content-type"))}
    return {name: value.replace("projects/projects/", "projects/") for name, value in kept.items()}


def _trigger_path(project_id: str, name: str) -> str:
    """Where the emulator posts the events of a trigger."""
    return f"/functions/projects/{project_id}/triggers/{name}"
