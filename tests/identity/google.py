"""A real HTTP server on a free local port that answers as Google does: certificates and `accounts:lookup`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CERTIFICATES_PATH = "/certs"
LOOKUP_SUFFIX = "/accounts:lookup"


@dataclass
class Google:
    """What the server holds, and what it was asked."""

    url: str = ""
    certificates: dict[str, str] = field(default_factory=dict)
    certificates_headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "public, max-age=3600"})
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    """Answered to the next requests instead of their answers."""
    bodies: list[bytes] = field(default_factory=list)
    """Answered with status 200 to the next requests instead of their answers."""
    gate: threading.Event = field(default_factory=threading.Event)
    """While cleared, every request waits."""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def certificates_url(self) -> str:
        """Where the certificates are."""
        return self.url + CERTIFICATES_PATH

    def count(self, suffix: str) -> int:
        """How many requests had a path that ends so."""
        return sum(path.endswith(suffix) for path, _, _ in self.asked)


@contextmanager
def serve_google() -> Iterator[Google]:
    """Serve until the end of the block; afterwards the port refuses connections."""
    google = Google()
    google.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve({CERTIFICATES_PATH: google.certificates}.get(self.path), google.certificates_headers)

        def do_POST(self) -> None:
            asked = json.loads(self._read())
            users = [{"localId": uid, **google.accounts[uid]} for uid in asked["localId"] if uid in google.accounts]
            # Google leaves the field out when nobody is found.
            self._serve({"kind": "identitytoolkit#GetAccountInfoResponse"} | ({"users": users} if users else {}), {})

        def _read(self) -> bytes:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            return self.body

        def _serve(self, answer: Any, headers: dict[str, str]) -> None:
            google.asked.append((self.path, dict(self.headers), getattr(self, "body", b"")))
            google.gate.wait(timeout=10)
            status = google.statuses.pop(0) if google.statuses else 200 if answer is not None else 404
            raw = google.bodies.pop(0) if google.bodies else json.dumps(answer).encode()
            self.send_response(status)
            if status == HTTPStatus.FOUND:
                self.send_header("Location", self.path)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        google.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield google
        finally:
            google.gate.set()
            server.shutdown()
            thread.join()
