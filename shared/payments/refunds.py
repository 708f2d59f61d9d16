"""Refunds that somebody asks for: a buyer within the policy, an operator at any time.

Nothing is taken here. The rail is asked to give the money back, and what it then shows takes the credits back.
"""

import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import AccountId, UserId
from shared.base.log import write_line
from shared.ledger.errors import AccountNotOpen, KeyReused
from shared.ledger.service import Ledger
from shared.payments import refund_rules
from shared.payments.applier import REFUND_LOOK_MS, Applier
from shared.payments.checks import MARGIN_MS, post_check
from shared.payments.errors import OrderAbsent, RailNotOffered, RailRefused
from shared.payments.models import (
    Money,
    Order,
    OrderId,
    OrderState,
    RailName,
    RefundRequest,
)
from shared.payments.posting import PaymentPosting
from shared.payments.rails import Rail
from shared.payments.reader import owned
from shared.payments.reversal_rules import left_of
from shared.payments.store import KeptOrder, PaymentStore, write_over
from shared.payments.watch import subject_of
from shared.risk.errors import RefundTooOften
from shared.risk.service import Risk
from shared.tasks.service import Tasks

KEY_CHARS = 24


class Refunds:
    """Asks rails to give money back. Every verb may be repeated."""

    def __init__(
        self,
        ledger: Ledger,
        store: PaymentStore,
        rails: Mapping[RailName, Rail],
        posting: PaymentPosting,
        applier: Applier,
        risk: Risk,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._rails = rails
        self._posting = posting
        self._applier = applier
        self._risk = risk
        self._tasks = tasks
        self._clock = clock

    async def own(self, owner: UserId, order_id: OrderId) -> Order:
        """Give a buyer's whole order back. Raise OrderAbsent, RefundRefused or RailUnavailable."""
        kept = await owned(self._store, owner, order_id)
        if kept.order.state is OrderState.REFUNDED:
            return kept.order
        request = kept.order.refund_request
        if request is None:
            wallet = await self._ledger.head(kept.order.wallet_id)
            refund_rules.check_own(kept.order, wallet, at_ms=self._clock())
            try:
                await self._risk.begin_refund(owner, order_id)
            except RefundTooOften:
                raise refund_rules.refused("too_often") from None
            await self._risk.note(
                subject_of(kept.order), owner, rule="own_refund", outcome="within policy", by=f"user:{owner}"
            )
            request = RefundRequest(escrow_id=AccountId(f"escrow:refund-{order_id}"), asked_at_ms=self._clock())
            kept = await write_over(self._store, kept, replace(kept.order, refund_request=request))
        # From here on the credits are nobody's to spend until the rail has said yes or no, or somebody looks in vain.
        due_ms = request.asked_at_ms + REFUND_LOOK_MS + MARGIN_MS
        await post_check(self._tasks, order_id, "refund", at_ms=due_ms)
        await self._set_aside(kept, request)
        try:
            # One key for all tries: whatever dies, the money goes back once.
            await self._ask(kept.order, kept.order.money, key=f"refund-{order_id}")
        except RailRefused:
            await self._withdraw(kept, request)
            raise refund_rules.refused("provider_refused") from None
        return await self._after(order_id)

    async def any(self, order_id: OrderId, amount_minor: int | None, *, operator: str, reason: str, key: str) -> Order:
        """Give so much of an order back, or all that is left, spent or not. One key stands for one request.

        Raise what `own` does, or KeyReused for a key that an operator used with another order, amount or reason.
        """
        kept = await self._store.find(order_id)
        if kept is None:
            raise OrderAbsent
        order, note_key = kept.order, hashlib.sha256(f"{operator}\n{key}".encode()).hexdigest()[:KEY_CHARS]
        if note_key in order.refund_notes:
            # An earlier try of the same request wrote how much it is about.
            noted = order.refund_notes[note_key]
            money_minor = refund_rules.noted_minor(noted)
            asked_minor = money_minor if amount_minor is None else amount_minor
            if noted != refund_rules.note_of(amount_minor, asked_minor, operator=operator, reason=reason):
                raise KeyReused
        else:
            money_minor = left_of(order)[0] if amount_minor is None else amount_minor
            refund_rules.check_any(order, money_minor)
            if await self._store.bind_refund(note_key, order_id) != order_id:
                raise KeyReused
            # If we die here, a repeat finds the key bound to this order and goes on.
            note = refund_rules.note_of(amount_minor, money_minor, operator=operator, reason=reason)
            await write_over(self._store, kept, replace(order, refund_notes={**order.refund_notes, note_key: note}))
        money = Money(money_minor, order.money.currency)
        try:
            await self._ask(order, money, key=f"refund-{order_id}-{note_key}")
        except RailRefused:
            raise refund_rules.refused("provider_refused") from None
        await self._risk.note(subject_of(order), order.owner, rule="operator_refund", outcome=reason, by=operator)
        write_line("WARNING", "refund_by_operator", order=order_id, amount_minor=money_minor, reason=reason)
        return await self._after(order_id)

    async def _set_aside(self, kept: KeptOrder, request: RefundRequest) -> None:
        """All of the pack's credits, or nothing and RefundRefused."""
        try:
            moved = await self._posting.set_aside(kept.order, request.escrow_id, kept.order.credits_micros)
        except AccountNotOpen:
            raise refund_rules.refused("asked_before") from None
        if moved < kept.order.credits_micros:
            await self._withdraw(kept, request)
            raise refund_rules.refused("spent")

    async def _ask(self, order: Order, money: Money, *, key: str) -> None:
        rail = self._rails.get(order.rail)
        if rail is None:
            raise RailNotOffered
        if order.payment_id is None:
            raise refund_rules.refused("not_paid")
        await rail.refund(order.payment_id, money, key=key)

    async def _withdraw(self, kept: KeptOrder, request: RefundRequest) -> None:
        await self._posting.release(request.escrow_id, kept.order.wallet_id)
        # If we die here, the next look at the order finds no refund and an account that is closed already.
        await write_over(self._store, kept, replace(kept.order, refund_request=None))

    async def _after(self, order_id: OrderId) -> Order:
        """The order once what the rail shows now is posted. Its event will find nothing left to do."""
        await self._applier.check(order_id)
        kept = await self._store.find(order_id)
        if kept is None:
            raise OrderAbsent
        return kept.order
