"""Raw documents for those who check rather than trust: what is stored, unconverted, with no cache between.

Every read is tried a few times and then raises StoreUnavailable; nothing here writes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.base.together import both
from shared.ledger.documents import Document
from shared.ledger.store import READ_TIMEOUT_S, EntryRef, StoreUnavailable

READ_TRIES_MAX = 3
"""A walk of an hour should not end at one dropped connection, nor hide that the store is gone."""
READ_PAUSE_S = 0.3
PAGE_ENTRIES_MAX = 300
"""Entries of one read while walking a chain: about a third of a megabyte."""
PAGE_ACCOUNTS_MAX = 300
"""Account names of one listing call."""

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
Value = TypeVar("Value")


class Stamp(Struct, frozen=True):
    """A place in the order of `posted_at`: the id breaks ties, because server time has milliseconds only."""

    posted_at: datetime
    account_id: AccountId

    def lies_ahead(self, at_ms: int) -> bool:
        """Whether it is of a moment to come. No cursor of ours is: each stays a minute behind the server's time."""
        return self.posted_at.timestamp() * 1000 > at_ms


class Changes(Struct, frozen=True):
    """Accounts posted to after a stamp, oldest first, and the server's time when that was read."""

    stamps: tuple[Stamp, ...]
    read_at: datetime | None
    """`None` when there were no changes: an empty answer states no time."""


class LedgerArchive(Protocol):
    """What an auditor asks of a store. All reads raise StoreUnavailable when there is no answer."""

    async def head_document(self, account_id: AccountId) -> Document | None:
        """The head as it is stored now."""

    async def head_documents(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Document]:
        """The heads of many in one read; absent ones are left out."""

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        """The head and the number of documents in its entries collection, both as of one moment."""

    def entry_documents(self, account_id: AccountId, after_seq: int = 0) -> AsyncIterator[tuple[EntryId, Document]]:
        """Entries in order of `seq`. Documents whose `seq` is no number are not in that order and may be left out."""

    async def entries_named(self, refs: Sequence[EntryRef]) -> Mapping[EntryRef, Document]:
        """The named entries; absent ones are left out."""

    def account_ids(self) -> AsyncIterator[AccountId]:
        """All accounts in order of id, those too of which only entries are left."""

    async def account_count(self) -> int:
        """How many heads there are, for showing progress."""

    async def changed_after(self, lanes: Sequence[int], after: Stamp | None, limit: int) -> Changes:
        """Accounts of these lanes whose head was written after the stamp. At most 30 lanes.

        A head that states no moment of its writing is left out: nothing but a walk of all accounts shows it.
        """


class FirestoreLedgerArchive:
    """The archive in Firestore: the paths of `FirestoreLedgerStore`."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def head_document(self, account_id: AccountId) -> Document | None:
        snapshot = await _tried(lambda: self._account(account_id).get(retry=None, timeout=READ_TIMEOUT_S))
        return _fields(snapshot) if snapshot.exists else None

    async def head_documents(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Document]:
        references = [self._account(account_id) for account_id in account_ids]

        async def read() -> dict[AccountId, Document]:
            found = self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S)
            return {AccountId(snapshot.id): _fields(snapshot) async for snapshot in found if snapshot.exists}

        return await _tried(read) if references else {}

    async def head_and_count(self, account_id: AccountId) -> tuple[Document | None, int]:
        account = self._account(account_id)

        async def read() -> tuple[Document | None, int]:
            moment = (await account.get(retry=None, timeout=READ_TIMEOUT_S)).read_time
            # Both at one stated time, so that no posting is in one and not in the other, however busy the account is.
            # The first read only tells the time: on the emulator what it saw may be older than the time it states.
            query: Any = account.collection("entries").count()
            snapshot, rows = await both(
                account.get(retry=None, timeout=READ_TIMEOUT_S, read_time=moment),
                query.get(retry=None, timeout=READ_TIMEOUT_S, read_time=moment),
            )
            return (_fields(snapshot) if snapshot.exists else None), int(rows[0][0].value)

        return await _tried(read)

    async def entry_documents(
        self, account_id: AccountId, after_seq: int = 0
    ) -> AsyncIterator[tuple[EntryId, Document]]:
        query = self._account(account_id).collection("entries").order_by("seq").limit(PAGE_ENTRIES_MAX)
        page_query = query.start_after({"seq": after_seq})
        while True:
            page = await _tried(lambda query=page_query: _read_all(query))  # type: ignore[misc]
            for snapshot in page:
                yield EntryId(snapshot.id), _fields(snapshot)
            if len(page) < PAGE_ENTRIES_MAX:
                return
            # After the document and not after its `seq`, or a doubled `seq` could hide behind the end of a page.
            page_query = query.start_after(page[-1])

    async def entries_named(self, refs: Sequence[EntryRef]) -> Mapping[EntryRef, Document]:
        references = [
            self._account(account_id).collection("entries").document(entry_id) for account_id, entry_id in refs
        ]

        async def read() -> dict[EntryRef, Document]:
            found: dict[EntryRef, Document] = {}
            async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S):
                if snapshot.exists:
                    account_id = AccountId(snapshot.reference.parent.parent.id)
                    found[account_id, EntryId(snapshot.id)] = _fields(snapshot)
            return found

        return await _tried(read) if references else {}

    async def account_ids(self) -> AsyncIterator[AccountId]:
        # Listing shows names whose own document is missing, so entries without a head do not go unseen.
        listing = self._client.collection("accounts").list_documents(
            page_size=PAGE_ACCOUNTS_MAX, timeout=READ_TIMEOUT_S
        )
        try:
            async for reference in listing:
                yield AccountId(reference.id)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error

    async def account_count(self) -> int:
        accounts: Any = self._client.collection("accounts")
        rows = await _tried(lambda: accounts.count().get(retry=None, timeout=READ_TIMEOUT_S))
        return int(rows[0][0].value)

    async def changed_after(self, lanes: Sequence[int], after: Stamp | None, limit: int) -> Changes:
        heads = self._client.collection("accounts").where(filter=FieldFilter("lane", "in", list(lanes)))
        # Text or a number in its place would be in that order too; only a moment can be held against one.
        timed = heads.where(filter=FieldFilter("posted_at", ">=", _FIRST))
        query = timed.order_by("posted_at").order_by("__name__").select(["posted_at"]).limit(limit)
        if after:
            query = query.start_after({"posted_at": after.posted_at, "__name__": after.account_id})
        page = await _tried(lambda: _read_all(query))
        stamps = tuple(Stamp(snapshot.get("posted_at"), AccountId(snapshot.id)) for snapshot in page)
        return Changes(stamps, page[0].read_time if page else None)

    def _account(self, account_id: AccountId) -> firestore.AsyncDocumentReference:
        return self._client.collection("accounts").document(account_id)


async def _tried(read: Callable[[], Awaitable[Value]]) -> Value:
    for tries_left in reversed(range(READ_TRIES_MAX)):
        try:
            return await read()
        except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as error:
            if not tries_left:
                raise StoreUnavailable from error
        await asyncio.sleep(READ_PAUSE_S)
    raise AssertionError("unreachable")


async def _read_all(query: Any) -> list[Any]:
    return [snapshot async for snapshot in query.stream(retry=None, timeout=READ_TIMEOUT_S)]


def _fields(snapshot: Any) -> Document:
    fields: Document = snapshot.to_dict() or {}
    return fields
