"""Bringing a payout on: its credits set aside, sent, seen to arrive, fetched back, given back.

Every step may be repeated: whoever repeats one that died finishes it.
"""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountAbsent, AccountNotOpen, CreditTooLow
from shared.ledger.operation import facts_of
from shared.ledger.payable import TakePaid
from shared.ledger.reversals import Reversals
from shared.payments.errors import RailRefused
from shared.payments.models import Review
from shared.payouts import rules
from shared.payouts.errors import PayoutAbsent
from shared.payouts.models import HOUSE_PAYOUTS, ArrivalSeen, ArrivalState, Payout, PayoutId, PayoutState, TransferSeen
from shared.payouts.ports import Doubts, PayoutStore, Sender, Standings


class Sending:
    """What happens to a payout once it is written down."""

    def __init__(
        self,
        store: PayoutStore,
        sender: Sender,
        doubts: Doubts,
        engine: Engine,
        reversals: Reversals,
        standings: Standings,
        waits: rules.Waits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._sender = sender
        self._doubts = doubts
        self._engine = engine
        self._reversals = reversals
        self._standings = standings
        self._waits = waits
        self._clock = clock

    async def hold(self, payout: Payout) -> Payout:
        """Set the credits of an accrued payout aside; it is refused when they are not there."""
        try:
            await self._engine.run(self._taking(payout))
        except (CreditTooLow, AccountAbsent, AccountNotOpen):
            return await self._write(payout, rules.refused(payout, rules.NOT_EARNED))
        # If we die here, a repeat finds the posting made.
        until_ms = rules.hold_until_ms(payout, await self._standings.earned(payout.owner), self._waits)
        held = replace(rules.moved_to(payout, PayoutState.HELD), hold_until_ms=until_ms)
        return await self._write(payout, replace(held, waits_for=rules.REVIEW if payout.is_first else "hold"))

    async def advance(self, payout_id: PayoutId) -> Payout:
        """Bring a payout as far as it may go now, and say when to look again.

        Raise PayoutAbsent; RailUnavailable, PaymentsUnavailable, LedgerUnavailable or PayoutBusy, and a repeat goes on.
        """
        payout = await self._store.find(payout_id)
        if payout is None:
            raise PayoutAbsent
        payout = await self._advanced(payout)
        await self._store.looked(payout_id, due_ms=rules.next_look_ms(payout, at_ms=self._clock()))
        return payout

    async def _advanced(self, payout: Payout) -> Payout:
        if payout.state is PayoutState.ACCRUED:
            payout = await self.hold(payout)
        if payout.state is PayoutState.PAID:
            payout = await self._look(payout)
        if payout.state is PayoutState.FAILED:
            payout = await self._write(payout, rules.reopened(payout))
        if payout.state is PayoutState.HELD and payout.is_recalled:
            payout = await self._recall(payout)
        if payout.state in (PayoutState.HELD, PayoutState.RELEASABLE):
            payout = await self._release(payout)
            if payout.state is PayoutState.TRANSFERRING:
                payout = await self._send(payout)
        elif payout.state is PayoutState.TRANSFERRING:
            payout = await self._send_again(payout)
        if payout.state in rules.OVER and payout.reason != rules.NOT_EARNED:
            # If we died before, the credits are given back now; they never are twice.
            await self._give_back(payout)
        return payout

    async def _release(self, payout: Payout) -> Payout:
        """Judged anew right before it is sent: whatever came up meanwhile puts it back."""
        reason = await self._reason_to_wait(payout)
        if reason is not None:
            held = rules.moved_to(payout, PayoutState.HELD) if payout.state is PayoutState.RELEASABLE else payout
            waiting = replace(held, waits_for=reason)
            return payout if waiting == payout else await self._write(payout, waiting)
        if payout.state is PayoutState.HELD:
            payout = await self._write(payout, replace(rules.moved_to(payout, PayoutState.RELEASABLE), waits_for=""))
        return await self._write(payout, rules.moved_to(payout, PayoutState.TRANSFERRING))

    async def _reason_to_wait(self, payout: Payout) -> str | None:
        standing = await self._standings.of(payout.owner)
        return rules.wait(payout, standing, at_ms=self._clock(), waits=self._waits)

    async def _send_again(self, payout: Payout) -> Payout:
        """Go on where somebody died or heard nothing. What was not made by then is judged anew before it is."""
        transfer = await self._sender.find(payout)
        if transfer is None or await self._sender.find_arrival(payout) is None:
            reason = await self._reason_to_wait(payout)
            if reason is not None:
                return await self._write(payout, rules.failed(payout, reason, at_ms=self._clock()))
        return await self._send(payout)

    async def _send(self, payout: Payout) -> Payout:
        """To the recipient's balance, and from there to their bank."""
        try:
            transfer = await self._sender.find(payout) or await self._sender.send(payout)
            if transfer.reversed_minor:
                return await self._came_back(payout, transfer)
            if payout.transfer_id != transfer.transfer_id:
                payout = await self._write(payout, replace(payout, transfer_id=transfer.transfer_id))
            arrival = await self._sender.find_arrival(payout) or await self._sender.deliver(payout)
        except RailRefused as refusal:
            return await self._write(payout, rules.failed(payout, refusal.provider_code, at_ms=self._clock()))
        return await self._arrived(payout, arrival)

    async def _arrived(self, payout: Payout, arrival: ArrivalSeen) -> Payout:
        known = replace(payout, arrival_id=arrival.arrival_id)
        match arrival.state:
            case ArrivalState.UNDER_WAY:
                return payout if known == payout else await self._write(payout, known)
            case ArrivalState.ARRIVED:
                paid = replace(rules.moved_to(known, PayoutState.PAID), paid_at_ms=self._clock())
                return await self._write(payout, paid)
            case ArrivalState.CAME_BACK:
                return await self._write(payout, rules.failed(known, arrival.reason, at_ms=self._clock()))

    async def _look(self, payout: Payout) -> Payout:
        """What became of a paid one: banks send money back, and people fetch it back."""
        transfer = await self._sender.find(payout)
        if transfer is not None and transfer.reversed_minor:
            return await self._came_back(payout, transfer)
        arrival = await self._sender.find_arrival(payout)
        if arrival is None or arrival.state is not ArrivalState.CAME_BACK:
            return payout
        return await self._write(payout, rules.failed(payout, arrival.reason, at_ms=self._clock()))

    async def _recall(self, payout: Payout) -> Payout:
        """Refuse a held payout after all. What was transferred for it is fetched back first."""
        if rules.may_be_under_way(payout, at_ms=self._clock()):
            return payout
        transfer = await self._sender.find(payout) if payout.attempt > 1 else None
        if transfer is None:
            return await self._write(payout, rules.refused(payout, payout.reason))
        if not transfer.is_reversed:
            try:
                await self._sender.reverse(payout, transfer)
            except RailRefused as refusal:
                # The recipient has it no longer. It stays held until a person has dealt with it.
                await self._ask_a_person(rules.not_fetched(payout, transfer, refusal.provider_code))
                return payout
        # If we die here, a repeat finds it reversed.
        return await self._write(payout, rules.moved_to(payout, PayoutState.REVERSED))

    async def _came_back(self, payout: Payout, transfer: TransferSeen) -> Payout:
        """The credits go back with all of the money, and with less than that a person looks."""
        if not transfer.is_reversed:
            await self._ask_a_person(rules.partly_reversed(payout, transfer))
            return payout
        return await self._write(payout, replace(rules.moved_to(payout, PayoutState.REVERSED), reason="reversed"))

    async def _ask_a_person(self, review: Review) -> None:
        write_line("WARNING", review.reason, payout=review.subject, found=review.found)
        await self._doubts.keep_review(review, at_ms=self._clock())

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

    async def _write(self, before: Payout, after: Payout) -> Payout:
        await self._store.replace(before, after)
        if before.state is not after.state:
            write_line("INFO", "payout", payout=after.payout_id, state=after.state.value, reason=after.reason)
        return after
