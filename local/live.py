"""What an app sees of a document while it changes: a Firestore listener of one person, under the security rules."""

import threading
import time
from types import TracebackType
from typing import Any, Self

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.process import ProcessFailed

DEADLINE_S = 30.0
"""A change is there in a fraction of a second; the rest is for a machine that is busy."""


class LiveDocument:
    """Listens to one document as the person of the token. FIRESTORE_EMULATOR_HOST says where."""

    def __init__(self, project_id: str, path: str, token: str) -> None:
        client = firestore.Client(project=project_id, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        # The library knows servers, whom no rule binds, and has no way to listen as somebody.
        client._rpc_metadata_internal = [*client._rpc_metadata, ("authorization", f"Bearer {token}")]
        self._path = path
        self._changed = threading.Condition()
        self._seen: dict[str, Any] | None = None
        self._watch = client.document(path).on_snapshot(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.unsubscribe()

    def wait_for(self, field: str, value: Any) -> float:
        """The seconds until the listener was told that the field has the value. Raise ProcessFailed if it never is."""
        begun_at_s = time.monotonic()
        with self._changed:
            if not self._changed.wait_for(lambda: (self._seen or {}).get(field) == value, DEADLINE_S):
                raise ProcessFailed(f"{self._path} was seen as {self._seen}, and {field} never became {value}")
        return time.monotonic() - begun_at_s

    def _take(self, snapshots: Any, *_: object) -> None:
        with self._changed:
            self._seen = snapshots[0].to_dict() if snapshots else None
            self._changed.notify_all()
