"""Paying out: written down, set aside, reviewed, sent, looked at.

Every verb may be repeated: whoever repeats one that died finishes it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountNotOpen, CreditTooLow, KeyReused
from shared.ledger.operation import facts_of
from shared.ledger.payable import TakePaid
from shared.ledger.reversals import Reversals
from shared.payments.errors import RailRefused
from shared.payouts import rules
from shared.payouts.errors import PayoutAbsent, PayoutRefused
from shared.payouts.models import HOUSE_PAYOUTS, Payout, PayoutId, PayoutState, Standing, TransferSeen


class PayoutStore(Protocol):
    """Where payouts are kept."""

    async def create(self, payout: Payout) -> Payout:
        """The payout of that id: this one, or the one that was there."""

    async def find(self, payout_id: PayoutId) -> Payout | None:
        """The payout as it stands now."""

    async def replace(self, before: Payout, after: Payout) -> None:
        """Write over exactly what was read. Raise PayoutBusy."""

    async def was_paid(self, owner: UserId) -> bool:
        """Whether a payout of this owner was ever paid."""


class Sender(Protocol):
    """The provider. Raise RailUnavailable when nothing is known of the outcome."""

    async def find(self, payout: Payout) -> TransferSeen | None:
        """The transfer made for the payout, by its own record and not by a key, which providers forget."""

    async def send(self, payout: Payout) -> TransferSeen:
        """Make it, under one key for all tries. Raise RailRefused."""


class Payouts:
    """The verbs."""

    def __init__(
        self,
        store: PayoutStore,
        sender: Sender,
        engine: Engine,
        reversals: Reversals,
        standing_of: Callable[[UserId], Awaitable[Standing]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._sender = sender
        self._engine = engine
        self._reversals = reversals
        self._standing_of = standing_of
        self._clock = clock

    async def request(self, owner: UserId, micros: int, *, key: str) -> Payout:
        """Set earnings aside to be paid out. Raise PayoutRefused or KeyReused."""
        payout_id = rules.payout_id_of(owner, key)
        payout = await self._store.find(payout_id)
        amount_minor = rules.worth_minor(micros)
        if payout is None:
            standing = await self._standing_of(owner)
            if reason := rules.obstacle(standing):
                raise PayoutRefused(reason)
            if amount_minor < rules.AMOUNT_MINOR_MIN:
                raise PayoutRefused("below_minimum")
            recipient = standing.recipient
            payout = Payout(
                payout_id=payout_id,
                owner=owner,
                micros=rules.cost_micros(amount_minor),
                amount_minor=amount_minor,
                currency=rules.CURRENCY,
                destination=recipient.destination if recipient else "",
                state=PayoutState.ACCRUED,
                asked_at_ms=self._clock(),
                is_first=not await self._store.was_paid(owner),
            )
            payout = await self._store.create(payout)
        if payout.amount_minor != amount_minor:
            raise KeyReused
        return await self._hold(payout) if payout.state is PayoutState.ACCRUED else payout

    async def approve(self, payout_id: PayoutId, *, operator: str, reason: str) -> Payout:
        """Let a first payout go on, with who said so and why on its record."""
        payout = await self._get(payout_id)
        if payout.state is not PayoutState.HELD or payout.approved_by is not None:
            return payout
        return await self._write(payout, replace(payout, approved_by=operator, reason=reason))

    async def refuse(self, payout_id: PayoutId, *, operator: str, reason: str) -> Payout:
        """Give the credits back instead. Raise PayoutRefused once it may have been sent."""
        payout = await self._get(payout_id)
        if payout.state is not PayoutState.REFUSED:
            if payout.state is not PayoutState.HELD or payout.transfer_id is not None or payout.attempt > 1:
                raise PayoutRefused("not_held")
            # The state first: who sends meanwhile finds it changed. Credits come back under one key for all tries.
            note = f"{operator}: {reason}"
            payout = await self._write(payout, replace(rules.moved_to(payout, PayoutState.REFUSED), reason=note))
        if payout.reason != "not_earned":
            await self._give_back(payout)
        return payout

    async def advance(self, payout_id: PayoutId) -> Payout:
        """Bring a payout as far as it may go now. Raise RailUnavailable or PayoutBusy, and a repeat goes on."""
        payout = await self._get(payout_id)
        if payout.state is PayoutState.ACCRUED:
            payout = await self._hold(payout)
        if payout.state is PayoutState.FAILED:
            again = replace(rules.moved_to(payout, PayoutState.HELD), attempt=payout.attempt + 1)
            payout = await self._write(payout, again)
        if payout.state in (PayoutState.HELD, PayoutState.RELEASABLE):
            payout = await self._release(payout)
        if payout.state is PayoutState.TRANSFERRING:
            return await self._send(payout)
        if payout.state is PayoutState.PAID:
            return await self._look(payout)
        if payout.state in (PayoutState.REVERSED, PayoutState.REFUSED) and payout.reason != "not_earned":
            await self._give_back(payout)
        return payout

    async def _hold(self, payout: Payout) -> Payout:
        """Set the credits aside. Raise PayoutRefused."""
        try:
            await self._engine.run(self._taking(payout))
        except (CreditTooLow, AccountNotOpen):
            await self._write(payout, replace(rules.moved_to(payout, PayoutState.REFUSED), reason="not_earned"))
            raise PayoutRefused("not_earned") from None
        # If we die here, a repeat finds the posting made.
        return await self._write(payout, rules.moved_to(payout, PayoutState.HELD))

    async def _release(self, payout: Payout) -> Payout:
        """Judged anew right before it is sent: whatever came up meanwhile puts it back."""
        reason = rules.wait(payout, await self._standing_of(payout.owner), at_ms=self._clock())
        if reason is not None:
            if payout.state is PayoutState.RELEASABLE:
                return await self._write(payout, rules.moved_to(payout, PayoutState.HELD))
            return payout
        if payout.state is PayoutState.HELD:
            payout = await self._write(payout, rules.moved_to(payout, PayoutState.RELEASABLE))
        return await self._write(payout, rules.moved_to(payout, PayoutState.TRANSFERRING))

    async def _send(self, payout: Payout) -> Payout:
        try:
            seen = await self._sender.find(payout) or await self._sender.send(payout)
        except RailRefused as refusal:
            failed = replace(rules.moved_to(payout, PayoutState.FAILED), reason=refusal.provider_code)
            return await self._write(payout, failed)
        paid = replace(rules.moved_to(payout, PayoutState.PAID), transfer_id=seen.transfer_id)
        return await self._write(payout, paid)

    async def _look(self, payout: Payout) -> Payout:
        seen = await self._sender.find(payout)
        if seen is None or not seen.is_reversed:
            return payout
        payout = await self._write(payout, rules.moved_to(payout, PayoutState.REVERSED))
        await self._give_back(payout)
        return payout

    async def _give_back(self, payout: Payout) -> None:
        await self._reversals.give_back(
            payout.earner_id,
            payout.micros,
            source=HOUSE_PAYOUTS,
            key=f"payout:{payout.payout_id}:back",
            facts={"reason": "payout returned", "payout": payout.payout_id},
        )

    def _taking(self, payout: Payout) -> TakePaid:
        return TakePaid(
            account_id=payout.earner_id,
            payee=HOUSE_PAYOUTS,
            amount_micros=payout.micros,
            key=f"payout:{payout.payout_id}",
            facts=facts_of({"reason": "payout", "payout": payout.payout_id}),
            at_ms=self._clock(),
        )

    async def _get(self, payout_id: PayoutId) -> Payout:
        payout = await self._store.find(payout_id)
        if payout is None:
            raise PayoutAbsent
        return payout

    async def _write(self, before: Payout, after: Payout) -> Payout:
        await self._store.replace(before, after)
        return after
