"""Where answers are kept: `answers/{name}`, locked. No client reads them; Firestore deletes them after they expired."""

from datetime import UTC, datetime

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.answers.service import AnswersUnavailable

TIMEOUT_S = 1.0
"""Shorter than asking a model: an answer that is not found by then is asked for anew."""


class FirestoreAnswers:
    """Answers in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._answers = client.collection("answers")

    async def get(self, name: str) -> bytes | None:
        try:
            snapshot = await self._answers.document(name).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise AnswersUnavailable from error
        # Firestore's own deletion may come a day late.
        if not snapshot.exists or snapshot.get("expires_at") <= snapshot.read_time:
            return None
        locked: bytes = snapshot.get("locked")
        return locked

    async def put(self, name: str, locked: bytes, *, expires_at_ms: int) -> None:
        fields = {"locked": locked, "expires_at": datetime.fromtimestamp(expires_at_ms / 1_000, UTC)}
        try:
            await self._answers.document(name).set(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise AnswersUnavailable from error
