"""Brings an order up to what its rail shows: look, judge, write down what will be posted, post it, write that it is.

Events only say where to look, so lost, repeated and reordered ones change nothing. What is written down before it is
posted is frozen: whoever posts it again posts the same.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.ledger.errors import AccountAbsent, AccountNotOpen, KeyReused
from shared.payments import hold_rules, reversal_rules, rules
from shared.payments.errors import OrderBusy, RailRefused
from shared.payments.models import Event, Order, OrderId, OrderState, PaymentApply, RailName, Review, Seen, Subject
from shared.payments.posting import PaymentPosting
from shared.payments.rails import Rail
from shared.payments.store import KeptOrder, OrderChanged, PaymentBound, PaymentStore
from shared.payments.watch import watched
from shared.risk.service import Risk

TRIES_MAX = 5
"""Looks at one order against others of the same moment; after them the task comes back later."""
REFUND_LOOK_MS = 10 * 60_000
"""So long after a buyer asked for a refund, one that the rail does not show was not made: no request lives longer."""


class Applier:
    """Applies what rails show. RailUnavailable, PaymentsUnavailable, LedgerUnavailable, RiskUnavailable, RiskBusy
    and OrderBusy say: try again.
    """

    def __init__(
        self, store: PaymentStore, rails: Mapping[RailName, Rail], posting: PaymentPosting, risk: Risk, clock: Clock
    ) -> None:
        self._store = store
        self._rails = rails
        self._posting = posting
        self._risk = risk
        self._clock = clock

    async def apply(self, apply: PaymentApply) -> None:
        """Keep an event for good, once, and do what it asks for: look at its object."""
        event = apply.event
        await self._store.keep_event(event, at_ms=apply.received_at_ms)
        if event.is_of_other_mode:
            await self._review(_of_other_mode(event))
        elif event.subject is not None:
            await self.look(event.rail, event.subject)
        # If we die before this, or the queue gives up, a sweep has it looked at again.
        await self._store.event_applied(event)

    async def check(self, order_id: OrderId) -> None:
        """Learn how an order stands, at its end or for somebody who asks."""
        kept = await self._store.find(order_id)
        if kept is None:
            return
        rail = self._rails.get(kept.order.rail)
        subject = rail.subject_of(kept.order) if rail else None
        if subject is not None:
            await self.look(kept.order.rail, subject)
        await self._end(order_id)

    async def look(self, rail_name: RailName, subject: Subject) -> None:
        """Look at one object of the rail, and bring its order up to it."""
        rail = self._rails.get(rail_name)
        if rail is None:
            # It was offered when the event was taken. Nothing is lost: the event is kept, and a person sees this.
            await self._review(_about_subject(rail_name, subject, "rail_not_offered", ""))
            return
        for _ in range(TRIES_MAX):
            try:
                seen = await rail.look(subject)
            except RailRefused as refusal:
                await self._review(_about_subject(rail_name, subject, "object_unknown", refusal.provider_code))
                return
            if seen is None:
                return
            try:
                await self._bring(seen)
            except OrderChanged:
                # What was seen may be older than what somebody else acted on: look again.
                continue
            return
        raise OrderBusy

    async def _bring(self, seen: Seen) -> None:
        kept = await self._store.find(seen.order_id) if seen.order_id is not None else None
        if review := rules.flaw(kept.order if kept else None, seen):
            await self._review(review)
            return
        if kept is None:
            return
        at_ms = self._clock()
        after = rules.advanced(kept.order, seen, at_ms=at_ms)
        if after.payment_id is not None and after.payment_id == seen.payment_id:
            for doubt in reversal_rules.doubts(after, seen):
                await self._review(doubt)
            after = reversal_rules.reversed_by(after, seen, at_ms=at_ms)
        after = await watched(self._risk, self._rails.get(seen.rail), kept.order, after, seen)
        if after.is_held and not kept.order.is_held:
            await self._review(hold_rules.review_of(after))
        try:
            kept = await self._write(kept, after)
        except PaymentBound:
            await self._review(_bound_elsewhere(kept.order, seen))
            return
        # If we die here or below, the next look posts the same again.
        if after.state not in rules.UNPAID:
            await self._settle(kept)

    async def _settle(self, kept: KeptOrder) -> None:
        order = kept.order
        try:
            await self._posting.post(order)
        except (AccountAbsent, AccountNotOpen, KeyReused) as refusal:
            # Money is there and credits cannot be: no repeat mends that.
            await self._review(_posting_refused(order, refusal.code))
            return
        is_first = order.state is OrderState.PAID and not order.is_held
        kept = await self._write(kept, rules.moved_to(order, rules.settled_state(order)))
        if kept.order.invoice is None:
            kept = await self._store.issue_invoice(kept, at_ms=self._clock())
        if is_first:
            write_line("INFO", "order_granted", order=order.order_id, amount_micros=order.credits_micros)

    async def _end(self, order_id: OrderId) -> None:
        """End an order that nobody paid in time, and a refund that was asked for and never made."""
        kept = await self._store.find(order_id)
        if kept is None:
            return
        order, now_ms = kept.order, self._clock()
        try:
            if order.state in (OrderState.CREATED, OrderState.PENDING) and _never_begun(order, now_ms):
                await self._write(kept, rules.moved_to(order, OrderState.EXPIRED))
            request = order.refund_request
            if request and not reversal_rules.has_refund(order) and now_ms >= request.asked_at_ms + REFUND_LOOK_MS:
                await self._posting.release(request.escrow_id, order.wallet_id)
                await self._write(kept, replace(order, refund_request=None))
        except OrderChanged:
            raise OrderBusy from None

    async def _write(self, kept: KeptOrder, order: Order) -> KeptOrder:
        return kept if order == kept.order else await self._store.replace(kept, order)

    async def _review(self, review: Review) -> None:
        write_line("WARNING", "payment_review", reason=review.reason, rail=review.rail.value, order=review.order_id)
        await self._store.keep_review(review, at_ms=self._clock())


def _never_begun(order: Order, now_ms: int) -> bool:
    """Nobody was ever told where to pay it, and its time is over."""
    return order.checkout is None and now_ms >= order.expires_at_ms


def _about_subject(rail: RailName, subject: Subject, reason: str, found: str) -> Review:
    return Review(
        rail=rail, reason=reason, subject=subject.object_id, order_id=None, expected=subject.kind, found=found
    )


def _of_other_mode(event: Event) -> Review:
    """Test cards are free, so a secret that is shared between two deployments must not make money of them."""
    return Review(
        rail=event.rail,
        reason="wrong_mode",
        subject=event.event_id,
        order_id=None,
        expected="an event of this deployment's mode",
        found=event.kind,
    )


def _bound_elsewhere(order: Order, seen: Seen) -> Review:
    return Review(
        rail=seen.rail,
        reason="payment_of_another_order",
        subject=str(seen.payment_id),
        order_id=order.order_id,
        expected=order.order_id,
        found="another order",
    )


def _posting_refused(order: Order, code: str) -> Review:
    return Review(
        rail=order.rail,
        reason="posting_refused",
        subject=str(order.payment_id),
        order_id=order.order_id,
        expected="credits posted",
        found=code,
    )
