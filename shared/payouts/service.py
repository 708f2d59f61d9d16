"""Asking to be paid: what is frozen when somebody asks, and whether they may at all."""

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.ledger.errors import KeyReused
from shared.payouts import rules
from shared.payouts.errors import PayoutRefused
from shared.payouts.models import PAYOUT_SEND, Payout, PayoutSend, PayoutState
from shared.payouts.ports import PayoutStore, Standings
from shared.payouts.sending import Sending
from shared.tasks.service import Tasks


class Payouts:
    """What earners ask for. A repeat with the same key is the same payout."""

    def __init__(self, store: PayoutStore, standings: Standings, sending: Sending, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._standings = standings
        self._sending = sending
        self._tasks = tasks
        self._clock = clock

    async def request(self, owner: UserId, micros: int, *, key: str) -> Payout:
        """Set earnings aside to be paid out. Raise PayoutRefused or KeyReused."""
        payout_id = rules.payout_id_of(owner, key)
        payout = await self._store.find(payout_id)
        if payout is None:
            payout = await self._store.create(await self._new(owner, micros, key))
        if payout.amount_minor != rules.worth_minor(micros):
            raise KeyReused
        if payout.state is PayoutState.ACCRUED:
            # If we die before this, a repeat or the timer holds it.
            payout = await self._sending.hold(payout)
        if payout.reason == rules.NOT_EARNED:
            raise PayoutRefused(rules.NOT_EARNED)
        if payout.state is PayoutState.HELD:
            # If we die before this, the timer posts it.
            await self._tasks.post(PAYOUT_SEND, PayoutSend(payout_id=payout_id), name_key=f"{payout_id}:asked")
        return payout

    async def _new(self, owner: UserId, micros: int, key: str) -> Payout:
        standing = await self._standings.of(owner)
        if reason := rules.obstacle(standing):
            raise PayoutRefused(reason)
        amount_minor = rules.worth_minor(micros)
        if amount_minor < rules.AMOUNT_MINOR_MIN:
            raise PayoutRefused("below_minimum")
        return Payout(
            payout_id=rules.payout_id_of(owner, key),
            owner=owner,
            micros=rules.cost_micros(amount_minor),
            amount_minor=amount_minor,
            currency=rules.CURRENCY,
            destination=standing.recipient.destination if standing.recipient else "",
            state=PayoutState.ACCRUED,
            asked_at_ms=self._clock(),
            is_first=not await self._store.was_paid(owner),
        )
