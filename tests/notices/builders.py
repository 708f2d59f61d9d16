"""Entries of wallets as the rules of notices see them, and a store in memory."""

from typing import Any

from msgspec.structs import replace

from local.cloudevent import a_large_entry
from shared.ledger.models import Entry
from shared.notices.models import Notice


def entry(*, delta_micros: int, balance_micros: int, account_id: str = "user:ada", **fields: Any) -> Entry:
    """An entry that left the account with `balance_micros`."""
    return replace(a_large_entry(account_id), delta_micros=delta_micros, balance_micros=balance_micros, **fields)


class MemoryNotices:
    """Notices in a dictionary: the promises of the store, for tests of what stands on them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Notice] = {}

    async def create(self, notice: Notice) -> bool:
        name = (notice.user_id, notice.notice_id)
        if name in self.kept:
            return False
        self.kept[name] = notice
        return True
