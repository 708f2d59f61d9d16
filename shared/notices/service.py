"""Telling users of what happened to their wallets."""

from collections.abc import Mapping
from typing import Any, Protocol

from shared.base.ids import AccountId, EntryId
from shared.ledger.documents import entry_from
from shared.ledger.errors import ChainBroken
from shared.ledger.models import Entry
from shared.notices.errors import EntryUnreadable
from shared.notices.models import Notice
from shared.notices.rules import notices_of


class NoticeStore(Protocol):
    """Keeps notices."""

    async def create(self, notice: Notice) -> bool:
        """Write the notice unless there is one of its id, which stays as it is, read or not. True if it was written.

        Durable once answered. Raise NoticesUnavailable or NoticeUnwritable.
        """


class Notices:
    """Notices to users."""

    def __init__(self, store: NoticeStore) -> None:
        self._store = store

    async def tell_of(self, account_id: AccountId, entry_id: EntryId, document: Mapping[str, Any]) -> list[Notice]:
        """Tell the owner of an entry, given as its stored document; what was told now and not before.

        Raise EntryUnreadable, and what the store raises. If we die in between, a repeat tells the rest.
        """
        entry = _read_entry(account_id, entry_id, document)
        return [notice for notice in notices_of(entry) if await self._store.create(notice)]


def _read_entry(account_id: AccountId, entry_id: EntryId, document: Mapping[str, Any]) -> Entry:
    try:
        entry = entry_from(entry_id, document)
    except ChainBroken:
        raise EntryUnreadable from None
    if entry.account_id != account_id:
        raise EntryUnreadable
    return entry
