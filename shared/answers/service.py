"""Answers that are told again to whoever asks the same and wants no new one."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import to_builtins

from shared.answers import rules
from shared.answers.models import KeptAnswer
from shared.answers.rules import Place
from shared.base.body import Misshapen, shape
from shared.base.clock import Clock
from shared.base.economy import ANSWER_LIFETIME_MS
from shared.base.ids import AccountId
from shared.base.log import write_line


class AnswersUnavailable(Exception):
    """The store did not answer in time."""


class AnswerStore(Protocol):
    """Keeps locked answers. Both raise AnswersUnavailable."""

    async def get(self, name: str) -> bytes | None:
        """One that has not expired, by the server's own time. One read."""

    async def put(self, name: str, locked: bytes, *, expires_at_ms: int) -> None:
        """Keep it in place of what was there."""


class Answers:
    """Finds and keeps answers. A call never fails for their sake: what cannot be read is not there."""

    def __init__(self, store: AnswerStore, clock: Clock, *, shared: bool) -> None:
        """With `shared`, an operator's decision, accounts that ask the same are told each other's answers."""
        self._store = store
        self._clock = clock
        self._shared = shared

    def place_of(self, account_id: AccountId, request: Mapping[str, Any], *, isolated: bool = False) -> Place:
        """Where the answer to this request of this account is kept. An `isolated` one shares with nobody."""
        everybody = self._shared and not isolated
        return rules.place_of(rules.EVERYBODY if everybody else account_id, request)

    async def find(self, place: Place) -> KeptAnswer | None:
        """The answer kept there, if there is one and it has not expired."""
        try:
            locked = await self._store.get(place.name)
        except AnswersUnavailable:
            write_line("WARNING", "answer_unread")
            return None
        text = None if locked is None else rules.unlock(place, locked)
        try:
            return None if text is None else shape(KeptAnswer, json.loads(text))
        except Misshapen:
            return None

    async def keep(self, place: Place, answer: KeptAnswer) -> None:
        """Keep an answer for a day, unless it is too long."""
        # Not msgspec's encoder, which refuses halves of characters; providers send those, cut where a token ended.
        text = json.dumps(to_builtins(answer)).encode()
        if len(text) > rules.ANSWER_BYTES_MAX:
            return
        locked = rules.lock(place, text, secrets.token_bytes(rules.NONCE_BYTES))
        try:
            await self._store.put(place.name, locked, expires_at_ms=self._clock() + ANSWER_LIFETIME_MS)
        except AnswersUnavailable:
            write_line("WARNING", "answer_unkept")
