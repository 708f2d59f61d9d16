"""Where ads are kept. What belongs together is written in one commit, over exactly what was read.

`ad_views/{nonce}` is one view, which its user may read to learn what came of it; `ad_allowances/{account}` what a
person has had lately; `ad_transactions/admob:{id}` that a reward of AdMob's was counted. The last two are ours alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NewType, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from msgspec import Struct, to_builtins

from shared.ads.errors import AdsUnavailable
from shared.ads.models import Allowance, Nonce, View
from shared.base.body import shape
from shared.base.economy import DAY_MS
from shared.base.ids import UserId

TIMEOUT_S = 5.0
VIEWS_KEPT_MS = 90 * DAY_MS
"""Firestore deletes views and transactions then. A callback is taken for an hour, and the ledger forgets no key."""

Version = NewType("Version", object)
"""Opaque: names one state of one document."""


class AdsChanged(Exception):
    """Nothing was written: something is no longer what was read, or there is such a view or transaction already."""


class KeptView(Struct, frozen=True):
    """A view as it was read; without a version it is yet to be created."""

    view: View
    version: Version | None = None


class KeptAllowance(Struct, frozen=True):
    """An allowance as it was read; without a version there is none yet."""

    allowance: Allowance
    version: Version | None = None


class Change(Struct, frozen=True):
    """What is written together. Versions are those that must still be there."""

    views: tuple[KeptView, ...] = ()
    allowance: KeptAllowance | None = None
    transaction_id: str | None = None
    """A reward of AdMob's that must not have been counted yet."""


class AdStore(Protocol):
    """What ads ask of a store. All raise AdsUnavailable; then a change may or may not have been made."""

    async def view(self, nonce: Nonce) -> KeptView | None:
        """The view as it stands now."""

    async def allowance(self, user_id: UserId) -> KeptAllowance:
        """The person's allowance as it stands now; an empty one for somebody who never watched any."""

    async def is_counted(self, transaction_id: str) -> bool:
        """Whether this reward of AdMob's was counted, for whomever."""

    async def commit(self, change: Change) -> Version:
        """All or nothing, durable once returned; the version of all that was written. Raise AdsChanged."""


class FirestoreAds:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def view(self, nonce: Nonce) -> KeptView | None:
        found = await self._read(self._view(nonce))
        if not found.exists:
            return None
        fields = {name: value for name, value in (found.to_dict() or {}).items() if name != "delete_at"}
        return KeptView(shape(View, {**fields, "nonce": nonce}), Version(found.update_time))

    async def allowance(self, user_id: UserId) -> KeptAllowance:
        found = await self._read(self._allowance(user_id))
        if not found.exists:
            return KeptAllowance(Allowance(user_id=user_id))
        return KeptAllowance(shape(Allowance, found.to_dict() or {}), Version(found.update_time))

    async def is_counted(self, transaction_id: str) -> bool:
        return bool((await self._read(self._transaction(transaction_id))).exists)

    async def commit(self, change: Change) -> Version:
        batch = self._client.batch()
        for kept in change.views:
            self._put(batch, self._view(kept.view.nonce), _view_document(kept.view), kept.version)
        if (kept_allowance := change.allowance) is not None:
            allowance = kept_allowance.allowance
            document = to_builtins(allowance)
            self._put(batch, self._allowance(allowance.user_id), document, kept_allowance.version)
        if change.transaction_id is not None:
            views = [kept.view for kept in change.views]
            batch.create(self._transaction(change.transaction_id), _transaction_document(views))
        try:
            results = await batch.commit(retry=None, timeout=TIMEOUT_S)
        except (google_errors.Conflict, google_errors.FailedPrecondition, google_errors.NotFound):
            # Aborted is a Conflict too: another writer was in the way, and nothing was written.
            raise AdsChanged from None
        except google_errors.GoogleAPICallError as error:
            raise AdsUnavailable from error
        return Version(results[0].update_time)

    async def _read(self, ref: firestore.AsyncDocumentReference) -> Any:
        try:
            return await ref.get(retry=None, timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise AdsUnavailable from error

    def _put(
        self,
        batch: firestore.AsyncWriteBatch,
        ref: firestore.AsyncDocumentReference,
        document: dict[str, Any],
        version: Version | None,
    ) -> None:
        if version is None:
            batch.create(ref, document)
        else:
            batch.update(ref, document, option=self._client.write_option(last_update_time=version))

    def _view(self, nonce: Nonce) -> firestore.AsyncDocumentReference:
        return self._client.collection("ad_views").document(nonce)

    def _allowance(self, user_id: UserId) -> firestore.AsyncDocumentReference:
        # The prefix keeps a user's id from being one of the names that Firestore reserves.
        return self._client.collection("ad_allowances").document(f"user:{user_id}")

    def _transaction(self, transaction_id: str) -> firestore.AsyncDocumentReference:
        return self._client.collection("ad_transactions").document(f"admob:{transaction_id}")


def _delete_at(started_at_ms: int) -> datetime:
    return datetime.fromtimestamp((started_at_ms + VIEWS_KEPT_MS) // 1_000, UTC)


def _view_document(view: View) -> dict[str, Any]:
    fields: dict[str, Any] = to_builtins(view)
    del fields["nonce"]
    return {**fields, "delete_at": _delete_at(view.started_at_ms)}


def _transaction_document(views: Sequence[View]) -> dict[str, Any]:
    (view,) = views
    return {"nonce": view.nonce, "user_id": view.user_id, "delete_at": _delete_at(view.started_at_ms)}
