"""What an app sees of a document while it changes: a Firestore listener of one person, under the security rules."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from local.process import ProcessFailed

EVENTS_MAX = 100
"""The rules let nobody list more at once."""
POLL_S = 0.02
DEADLINE_S = 30.0
"""A change is there in a fraction of a second; the rest is for a machine that is busy."""


def client_as(project_id: str, token: str) -> firestore.Client:
    """A client that listens as the person of the token: the library knows servers, whom no rule binds."""
    client = firestore.Client(project=project_id, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    client._rpc_metadata_internal = [*client._rpc_metadata, ("authorization", f"Bearer {token}")]
    return client


class LiveDocument:
    """Listens to one document as the person of the token. FIRESTORE_EMULATOR_HOST says where."""

    def __init__(self, project_id: str, path: str, token: str) -> None:
        client = client_as(project_id, token)
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
        self.wait_until(lambda seen: bool(seen.get(field) == value), f"{field} never became {value}")
        return time.monotonic() - begun_at_s

    def wait_until(self, holds: Callable[[Mapping[str, Any]], bool], otherwise: str) -> dict[str, Any]:
        """The document once this holds of it. Raise ProcessFailed if it never does."""
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self._seen or {}), DEADLINE_S):
                raise ProcessFailed(f"{self._path} was seen as {self._seen}, and {otherwise}")
            return dict(self._seen or {})

    def _take(self, snapshots: Any, *_: object) -> None:
        with self._changed:
            self._seen = snapshots[0].to_dict() if snapshots else None
            self._changed.notify_all()


class LiveEvents:
    """Listens to what happens in a job, as its owner, from the event behind `after`; `tell` hears of each once."""

    def __init__(
        self, project_id: str, job_id: str, token: str, tell: Callable[[Mapping[str, Any]], None], *, after: int = 0
    ) -> None:
        self._tell = tell
        self.seen: list[int] = [after]
        events = client_as(project_id, token).collection(f"jobs/{job_id}/events")
        query = events.where(filter=FieldFilter("seq", ">", after)).order_by("seq").limit(EVENTS_MAX)
        self._watch = query.on_snapshot(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.unsubscribe()

    def wait_for(self, seq: int) -> None:
        """Return once event number `seq` was told. Raise ProcessFailed if it never is."""
        ends_s = time.monotonic() + DEADLINE_S
        while self.seen[-1] < seq:
            if time.monotonic() > ends_s:
                raise ProcessFailed(f"events up to {self.seen[-1]} were seen, and {seq} never was")
            time.sleep(POLL_S)

    def _take(self, snapshots: Any, *_: object) -> None:
        for snapshot in snapshots:
            event = snapshot.to_dict()
            if event["seq"] > self.seen[-1]:
                self.seen.append(event["seq"])
                self._tell(event)
