"""Reading payouts, for those who only look."""

from collections.abc import Sequence

from shared.base.ids import UserId
from shared.payouts.errors import PayoutAbsent
from shared.payouts.models import Payout, PayoutId
from shared.payouts.ports import PayoutStore


class PayoutReader:
    """Payouts of people."""

    def __init__(self, store: PayoutStore) -> None:
        self._store = store

    async def get(self, owner: UserId, payout_id: PayoutId) -> Payout:
        """One payout. Raise PayoutAbsent, for somebody else's as for none."""
        payout = await self._store.find(payout_id)
        if payout is None or payout.owner != owner:
            raise PayoutAbsent
        return payout

    async def waiting(self, *, after: PayoutId | None) -> Sequence[Payout]:
        """A page of the payouts that wait for a person; one that is not full is the last."""
        return await self._store.waiting(after=after)

    async def owned_by(self, owner: UserId, *, after: PayoutId | None) -> Sequence[Payout]:
        """A page of an owner's payouts."""
        return await self._store.owned_by(owner, after=after)
