"""Checks that a pool's entries say of every credit whose it is, and that its book is what they add up to."""

from collections.abc import Mapping

from shared.base.ids import AccountId, UserId
from shared.ledger import shares
from shared.ledger.errors import ChainBroken
from shared.ledger.legs import broken_at
from shared.ledger.models import Entry, Head, account_class
from shared.ledger.shares import Lots, Row

POOL_CLASS = "pool"


def rows_of(entry: Entry) -> list[Row]:
    """Whose lots a pool's entry changed. Raise ChainBroken unless that is just what it did to the account's lots."""
    try:
        rows = shares.rows_from(dict(entry.facts))
    except ValueError:
        raise broken_at(entry, "does not say in a readable way whose credits it moved") from None
    moved: Lots = {}
    for _, origin, expires_at_ms, micros in rows:
        moved[origin, expires_at_ms] = moved.get((origin, expires_at_ms), 0) + micros
    stated = {(change.origin, change.expires_at_ms): change.delta_micros for change in shares.merged(entry.lots)}
    if {kind: micros for kind, micros in moved.items() if micros} != stated:
        raise broken_at(entry, "moves other credits than those of the members it names")
    return rows


def check_shares(entry: Entry) -> None:
    """Raise ChainBroken unless a pool's entry says whose credits it moved. Any other account's passes."""
    if account_class(entry.account_id) == POOL_CLASS:
        rows_of(entry)


class ShareFold:
    """Adds up a pool's entries, from the first one on. Any other account passes."""

    def __init__(self, account_id: AccountId) -> None:
        self._is_pool = account_class(account_id) == POOL_CLASS
        self._lots: dict[UserId, Lots] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next entry. Raise ChainBroken when somebody's lots would fall below zero, or `rows_of` does."""
        if not self._is_pool:
            return
        for user_id, origin, expires_at_ms, micros in rows_of(entry):
            lots = self._lots.setdefault(user_id, {})
            left = lots.pop((origin, expires_at_ms), 0) + micros
            if left < 0:
                raise broken_at(entry, "takes more from a member than they had")
            if left:
                lots[origin, expires_at_ms] = left

    def finish(self, head: Head) -> None:
        """Raise ChainBroken unless the head's book is what the entries add up to."""
        if not self._is_pool:
            return
        if head.book is None:
            raise ChainBroken("its head has no book of its members", account_id=head.account_id)
        stated = {stake.user_id: shares.summed(stake.lots) for stake in head.book.stakes if stake.lots}
        if stated != _without_empty(self._lots):
            raise ChainBroken("its members have other shares than its entries give", account_id=head.account_id)


def _without_empty(lots: Mapping[UserId, Lots]) -> dict[UserId, Lots]:
    return {user_id: own for user_id, own in lots.items() if own}
