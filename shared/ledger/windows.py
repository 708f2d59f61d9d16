"""Entries in order of the server's time, and how far each band of lanes was settled.

Paths: `settlements/band:{band}`, and the collection group `entries` behind its index on lane and `committed_at`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.base.together import all_of
from shared.ledger.documents import BANDS, Document, lanes_of
from shared.ledger.errors import ChainBroken
from shared.ledger.store import READ_TIMEOUT_S, EntryRef, StoreUnavailable

PAGE_ENTRIES_MAX = 500
"""Entries of one read while a window is folded: about half a megabyte."""
SCAN_TIMEOUT_S = 30.0
"""Of one such read. Only timers wait for it, and the emulator, which has no indexes, looks at every entry there is."""


class Horizons(Struct, frozen=True):
    """Up to where each band is settled, and the server's time when that was read. A band never settled is left out."""

    settled_until: Mapping[int, datetime]
    read_at: datetime


class LedgerWindows(Protocol):
    """What settlement asks of a store. All reads raise StoreUnavailable when there is no answer."""

    async def horizons(self) -> Horizons:
        """How far each band is settled. Raise ChainBroken when a document does not say."""

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        """Remember that everything before is settled. A repeat changes nothing."""

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        """When the band's oldest entry at or after `since` was committed; None when there is none."""

    def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        """The band's entries committed in that time, oldest first."""

    def entries_beyond(self, horizons: Horizons) -> AsyncIterator[tuple[EntryRef, Document]]:
        """The entries of all bands that are not settled, as they stood when the horizons were read."""

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        """Those of the entries that stood at that moment."""


class FirestoreLedgerWindows:
    """The windows in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def horizons(self) -> Horizons:
        references = [self._client.document(f"settlements/band:{band}") for band in range(BANDS)]
        settled_until: dict[int, datetime] = {}
        read_at: datetime | None = None
        try:
            # Absent documents are answered too, so there is always a time of reading.
            async for snapshot in self._client.get_all(references, retry=None, timeout=READ_TIMEOUT_S):
                read_at = snapshot.read_time
                if snapshot.exists:
                    settled_until[int(snapshot.id.partition(":")[2])] = horizon_from(snapshot.id, snapshot.to_dict())
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        if read_at is None:
            raise StoreUnavailable
        return Horizons(settled_until, read_at)

    async def put_horizon(self, band: int, settled_until: datetime) -> None:
        reference = self._client.document(f"settlements/band:{band}")
        try:
            await reference.set({"settled_until": settled_until}, retry=None, timeout=READ_TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error

    async def first_committed_at(self, band: int, since: datetime | None) -> datetime | None:
        page = await self._page(self._query(band, since, None).select(["committed_at"]).limit(1), None)
        return page[0].get("committed_at") if page else None

    async def entries_between(
        self, band: int, since: datetime | None, before: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        query = self._query(band, since, before).limit(PAGE_ENTRIES_MAX)
        async for found in self._entries_from(query, await self._page(query, None), None):
            yield found

    async def entries_beyond(self, horizons: Horizons) -> AsyncIterator[tuple[EntryRef, Document]]:
        since = [horizons.settled_until.get(band) for band in range(BANDS)]
        queries = [self._query(band, since[band], None).limit(PAGE_ENTRIES_MAX) for band in range(BANDS)]
        # A band is seldom longer than a page, so asking for the first pages together is most of the work.
        firsts = await all_of(self._page(query, horizons.read_at) for query in queries)
        for query, first in zip(queries, firsts, strict=True):
            async for found in self._entries_from(query, first, horizons.read_at):
                yield found

    async def _entries_from(
        self, query: Any, page: list[Any], read_at: datetime | None
    ) -> AsyncIterator[tuple[EntryRef, Document]]:
        """What a query finds, page after page from the first one on."""
        while True:
            for snapshot in page:
                ref = (AccountId(snapshot.reference.parent.parent.id), EntryId(snapshot.id))
                yield ref, snapshot.to_dict() or {}
            if len(page) < PAGE_ENTRIES_MAX:
                return
            page = await self._page(query.start_after(page[-1]), read_at)

    async def existing(self, refs: Sequence[EntryRef], *, read_at: datetime) -> frozenset[EntryRef]:
        references = [
            self._client.document(f"accounts/{account_id}/entries/{entry_id}") for account_id, entry_id in refs
        ]
        found = set()
        try:
            async for snapshot in self._client.get_all(
                references, field_paths=["seq"], retry=None, timeout=READ_TIMEOUT_S, read_time=read_at
            ):
                if snapshot.exists:
                    found.add((AccountId(snapshot.reference.parent.parent.id), EntryId(snapshot.id)))
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error
        return frozenset(found)

    def _query(self, band: int, since: datetime | None, before: datetime | None) -> Any:
        query = self._client.collection_group("entries").where(filter=FieldFilter("lane", "in", list(lanes_of(band))))
        if since is not None:
            query = query.where(filter=FieldFilter("committed_at", ">=", since))
        if before is not None:
            query = query.where(filter=FieldFilter("committed_at", "<", before))
        return query.order_by("committed_at").order_by("__name__")

    async def _page(self, query: Any, read_at: datetime | None) -> list[Any]:
        try:
            stream = query.stream(retry=None, timeout=SCAN_TIMEOUT_S, read_time=read_at)
            return [snapshot async for snapshot in stream]
        except google_errors.GoogleAPICallError as error:
            raise StoreUnavailable from error


def horizon_from(name: str, fields: Document | None) -> datetime:
    """A stored horizon. Raise ChainBroken when it is none: to begin anew from the first window would take days."""
    settled_until = (fields or {}).get("settled_until")
    if not isinstance(settled_until, datetime):
        raise ChainBroken("the document does not say up to when it is settled", account_id=f"settlements/{name}")
    return settled_until
