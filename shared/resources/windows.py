"""Where it is kept what settled windows have earned, in the commit that counts them.

`resources/{key}/windows/{window}` is written once and says that a window is counted, and what it made due. What owners
watch counts up beside it: `contributions/{key}/days/{day}`, `users/{uid}/contribution_days/{day}` and
`users/{uid}/contribution_models/{model}`. A call that no settlement has folded is
`contributions/{key}/pending/{entry}`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import to_builtins

from shared.base.ids import EntryId
from shared.ledger.models import Origin
from shared.ledger.settling import Window
from shared.resources.errors import ContributionsUnavailable
from shared.resources.models import ContributedKey, Earned, KeyId, ModelEarned, Use
from shared.resources.store import TIMEOUT_S, FirestoreKeys, KeptKey

DELETES_MAX = 300
"""Documents deleted in one commit; Firestore takes 500 writes."""
PENDING_KEPT = timedelta(days=2)
"""Firestore deletes by itself what is still pending then: events come for a day at most."""


class WindowStore(Protocol):
    """What the books of contributions ask of a store. All raise ContributionsUnavailable."""

    async def earned(self, key_id: KeyId, window: Window) -> Earned | None:
        """What a window was counted as, if it was."""

    async def count(
        self, kept: KeptKey, after: ContributedKey, window: Window, earned: Earned, models: Sequence[ModelEarned]
    ) -> None:
        """Count a window of a key, once. Durable once returned. Raise KeyChanged when the key is not as it was read, or
        the window was counted.
        """

    async def put_pending(self, key: ContributedKey, use: Use, at_ms: int) -> None:
        """A call that is not settled. A repeat changes nothing."""

    async def drop_pending(self, key_id: KeyId, entries: Sequence[EntryId]) -> None:
        """They are settled. A repeat changes nothing."""


class FirestoreWindows:
    """The same in Firestore, over the store of keys."""

    def __init__(self, client: firestore.AsyncClient, keys: FirestoreKeys) -> None:
        self._client = client
        self._keys = keys

    async def earned(self, key_id: KeyId, window: Window) -> Earned | None:
        try:
            found = await self._window(key_id, window).get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error
        fields = found.to_dict()
        return None if fields is None else msgspec.convert(fields, Earned)

    async def count(
        self, kept: KeptKey, after: ContributedKey, window: Window, earned: Earned, models: Sequence[ModelEarned]
    ) -> None:
        day = window.starts_at.date().isoformat()
        contribution = self._client.collection("contributions").document(after.id)
        owner = self._client.collection("users").document(after.owner)
        batch = self._client.batch()
        batch.create(self._window(after.id, window), to_builtins(earned))
        self._keys.write(batch, kept, after)
        whole = {"owner": after.owner, "day": day, **_counted(models)}
        batch.set(contribution.collection("days").document(day), whole, merge=True)
        batch.set(owner.collection("contribution_days").document(day), whole, merge=True)
        for one in models:
            by_model = owner.collection("contribution_models").document(quote(one.model, safe="") or "-")
            batch.set(by_model, {"owner": after.owner, "model": one.model, **_counted([one])}, merge=True)
        await self._keys.commit(batch)

    async def put_pending(self, key: ContributedKey, use: Use, at_ms: int) -> None:
        fields: dict[str, Any] = {
            "owner": key.owner,
            "model": use.model,
            "paid_micros": use.given.get(Origin.PAID, 0),
            "promo_micros": use.given.get(Origin.PROMO, 0),
            "at_ms": at_ms,
            "delete_at": datetime.fromtimestamp(at_ms // 1000, UTC) + PENDING_KEPT,
        }
        try:
            await self._pending(key.id).document(use.entry_id).set(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise ContributionsUnavailable from error

    async def drop_pending(self, key_id: KeyId, entries: Sequence[EntryId]) -> None:
        for at in range(0, len(entries), DELETES_MAX):
            batch = self._client.batch()
            for entry_id in entries[at : at + DELETES_MAX]:
                batch.delete(self._pending(key_id).document(entry_id))
            try:
                await batch.commit(retry=None, timeout=TIMEOUT_S)
            except google_errors.GoogleAPICallError as error:
                raise ContributionsUnavailable from error

    def _window(self, key_id: KeyId, window: Window) -> firestore.AsyncDocumentReference:
        return self._client.document(f"resources/{key_id}/windows/{window.band}-{window.start_s}")

    def _pending(self, key_id: KeyId) -> firestore.AsyncCollectionReference:
        return self._client.collection(f"contributions/{key_id}/pending")


def _counted(models: Sequence[ModelEarned]) -> Mapping[str, Any]:
    """What is added to the counts that stand there."""
    return {
        name: firestore.Increment(sum(getattr(one, name) for one in models))
        for name in ("calls", "price_micros", "paid_micros", "promo_micros")
    }
