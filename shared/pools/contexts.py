"""What was said in a session, for its next chat. Each session has its own, and it is forgotten soon after its end."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.base.log import write_line
from shared.cards.models import Card, CardId
from shared.pools.errors import ContextFull, PoolsUnavailable

TIMEOUT_S = 5.0
CONTEXT_BYTES_MAX = 500_000
"""A document of Firestore takes 1 MiB in all. A session that said more begins anew, or leaves `remember` out."""
KEPT_AFTER_END = timedelta(hours=1)
Message = dict[str, Any]


class SessionContexts:
    """Remembers chats of sessions, in `session_contexts/{session}`, which no rule opens."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._contexts = client.collection("session_contexts")

    async def recall(self, session_id: CardId) -> list[Message]:
        """What was said so far. Raise PoolsUnavailable: a chat that forgot would answer something else."""
        try:
            found = await self._contexts.document(session_id).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise PoolsUnavailable from error
        messages: list[Message] = json.loads(found.get("messages")) if found.exists else []
        if len(json.dumps(messages)) >= CONTEXT_BYTES_MAX:
            raise ContextFull
        return messages

    async def remember(self, session: Card, messages: Sequence[Message], answer: Message) -> None:
        """Keep what was said and answered. The answer is charged already, so what cannot be kept is forgotten."""
        kept = [*messages, *(choice["message"] for choice in answer["choices"][:1])]
        text = json.dumps(kept)
        if len(text) > 2 * CONTEXT_BYTES_MAX:
            write_line("WARNING", "session_context_too_long", card=session.card_id)
            return
        ends = datetime.fromtimestamp((session.terms.expires_at_ms or 0) / 1000, UTC)
        fields = {"messages": text, "delete_at": ends + KEPT_AFTER_END}
        try:
            await self._contexts.document(session.card_id).set(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError:
            write_line("WARNING", "session_context_unkept", card=session.card_id)
