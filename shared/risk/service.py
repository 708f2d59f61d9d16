"""Counts what people do with payments, and says when it is too much. Every verb may be repeated: a thing counts once.

Where money leaves, nothing happens unless it could be counted: credits, refunds and bonuses wait (RiskUnavailable,
RiskBusy). A checkout gives nothing away, and yet waits too, since its order needs the same store; only what cannot be
known of a buyer, an address or a device, is passed over.
"""

from collections.abc import Callable, Mapping, Sequence

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.risk import rules
from shared.risk.decisions import TRIES_MAX, Decisions, pause
from shared.risk.errors import CheckoutTooOften, RefundTooOften, RiskBusy, RiskUnavailable
from shared.risk.limits import CARDS_LOOKED_AT_MAX, HOUR_MS
from shared.risk.models import (
    ClientClaim,
    Decision,
    Mark,
    MarkSort,
    Refusal,
    Signal,
    SignalKind,
    Subject,
    Trace,
)
from shared.risk.store import KeptTrace, OrderSignals, RiskChanged, RiskStore

BY_RULE = "rule"
"""Who decided, where no person did."""
Judge = Callable[[list[Trace]], None]


class Risk:
    """What is known of people who pay, by signals whose names are keyed hashes."""

    def __init__(self, store: RiskStore, key: Secret, clock: Clock, *, address_from_end: int) -> None:
        self._store = store
        self._decisions = Decisions(store)
        self._key = key
        self._clock = clock
        self._address_from_end = address_from_end

    async def begin_checkout(self, order_id: str, owner: UserId, client: ClientClaim) -> None:
        """Count an order that is about to be made. Raise CheckoutTooOften; then it is not counted."""
        signals = self._signals(owner, client)
        (buyer,) = await self._store.traces(signals[:1])
        cards = rules.cards_of(buyer.trace)[-CARDS_LOOKED_AT_MAX:]

        def judge(traces: list[Trace]) -> None:
            # A repeat of what is counted already is no further one.
            if not any(mark.name == order_id for mark in traces[0].marks):
                refusal = rules.checkout_refusal(traces, at_ms=self._clock())
                if refusal is not None:
                    raise CheckoutTooOften(refusal)

        try:
            order = OrderSignals(order_id, tuple(signals), self._clock())
            await self._mark(signals, [(MarkSort.ORDER, order_id)], judge=judge, only_read=cards, order=order)
        except CheckoutTooOften as refused:
            await self._note_refusal(owner, refused.refusal)
            raise

    async def forget_checkout(self, order_id: str) -> None:
        """An order that came to nothing through no fault of its buyer's does not count."""
        signals = await self._store.signals_of(order_id)
        await self._change(signals, lambda trace: rules.unmarked(trace, MarkSort.ORDER, order_id))

    async def count_declines(self, order_id: str, owner: UserId, declines: Mapping[str, str | None]) -> None:
        """Count declined payments, by the provider's ids, on the buyer, on where the order came from, and the cards."""
        signals = await self._store.signals_of(order_id) or (self._user(owner),)
        await self._mark(signals, [(MarkSort.DECLINE, name) for name in declines])
        for name, card in declines.items():
            if card is not None:
                await self._mark([self._card(card)], [(MarkSort.DECLINE, name)])

    async def doubt_of_card(self, owner: UserId, card: str, payment: str) -> str | None:
        """Note who paid with which card, and say why the purchase must wait for a person, if it must."""
        user, signal = self._user(owner), self._card(card)
        await self._mark([user], [(MarkSort.PAID_WITH, signal.name)])
        # Who pays with a card first has the bonus of its owner, if anybody has.
        await self._store.claim([signal], owner)
        (trace,) = await self._mark([signal], [(MarkSort.USED_BY, rules.use_of(user.name, payment))])
        return rules.card_doubt(trace, user.name, at_ms=self._clock())

    async def note_fraud(self, card: str, cause: str) -> None:
        """A bank says that a payment by this card was fraud. Whoever pays with it next waits for a person."""
        await self._mark([self._card(card)], [(MarkSort.FRAUD, cause)])

    async def begin_refund(self, owner: UserId, order_id: str) -> None:
        """Count an order that its buyer gives back, whether or not the provider then does. Raise RefundTooOften."""

        def judge(traces: list[Trace]) -> None:
            if not any(mark.sort is MarkSort.REFUND and mark.name == order_id for mark in traces[0].marks):
                refusal = rules.refund_refusal(traces[0], at_ms=self._clock())
                if refusal is not None:
                    raise RefundTooOften(refusal)

        await self._mark([self._user(owner)], [(MarkSort.REFUND, order_id)], judge=judge)

    async def person(self, owner: UserId, client: ClientClaim, email: str | None, phone: str | None) -> list[Signal]:
        """All by which the person behind a user is known: what was verified, the device, the cards they paid with."""
        (buyer,) = await self._store.traces([self._user(owner)])
        texts = {
            SignalKind.EMAIL: rules.mailbox_of(email) if email else None,
            SignalKind.PHONE: rules.phone_of(phone) if phone else None,
            SignalKind.DEVICE: rules.device_of(client.device),
        }
        known = [rules.signal_of(self._key, kind, text) for kind, text in texts.items() if text is not None]
        # The first card says who it is; those that come later may be anybody's.
        return known + rules.cards_of(buyer.trace)[:1]

    async def claim(self, owner: UserId, signals: Sequence[Signal]) -> Mapping[SignalKind, UserId]:
        """Claim all of the signals for the user, unless one is somebody else's: then none. Who holds them now."""
        return await self._store.claim(signals, owner)

    async def note(
        self, subject: Subject, owner: UserId, *, rule: str, outcome: str, by: str = BY_RULE, cause: str = ""
    ) -> None:
        """Put a decision on the record of what it is about, once for each rule, outcome and cause."""
        decision_id = f"{rule}:{outcome}:{cause}"
        decision = Decision(decision_id=decision_id, rule=rule, outcome=outcome, by=by, at_ms=self._clock())
        await self._decisions.add(subject, owner, decision)

    async def _note_refusal(self, owner: UserId, refusal: Refusal) -> None:
        """Once in an hour for each rule. The refusal stands, whether or not it could be written down."""
        hour = str(self._clock() // HOUR_MS)
        try:
            await self.note(Subject(f"user:{owner}"), owner, rule=refusal.rule, outcome="checkout refused", cause=hour)
        except (RiskUnavailable, RiskBusy):
            write_line("WARNING", "decision_not_noted", rule=refusal.rule)

    async def _mark(
        self,
        signals: Sequence[Signal],
        marks: Sequence[tuple[MarkSort, str]],
        *,
        judge: Judge | None = None,
        only_read: Sequence[Signal] = (),
        order: OrderSignals | None = None,
    ) -> list[Trace]:
        """Put the marks on all of the signals in one commit, unless the judge, who sees them before, raises."""
        for _ in range(TRIES_MAX):
            at_ms = self._clock()
            kept = await self._store.traces([*signals, *only_read])
            if judge is not None:
                judge([one.trace for one in kept])
            made = [Mark(sort, name, at_ms) for sort, name in marks]
            after = [rules.marked(one.trace, made, at_ms=at_ms) for one in kept[: len(signals)]]
            if await self._write(kept, after, order):
                return after
            await pause()
        raise RiskBusy

    async def _change(self, signals: Sequence[Signal], change: Callable[[Trace], Trace]) -> None:
        if not signals:
            return
        for _ in range(TRIES_MAX):
            kept = await self._store.traces(signals)
            if await self._write(kept, [change(one.trace) for one in kept], None):
                return
            await pause()
        raise RiskBusy

    async def _write(self, kept: Sequence[KeptTrace], after: Sequence[Trace], order: OrderSignals | None) -> bool:
        """False when somebody else wrote what was read."""
        pairs = zip(kept, after, strict=False)
        changed = [KeptTrace(trace, one.version) for one, trace in pairs if trace.marks != one.trace.marks]
        if not changed:
            return True
        try:
            await self._store.commit(changed, order)
        except RiskChanged:
            return False
        return True

    def _signals(self, owner: UserId, client: ClientClaim) -> list[Signal]:
        """The user first."""
        address = rules.client_address(client.forwarded_for, from_end=self._address_from_end)
        texts = {SignalKind.ADDRESS: address, SignalKind.DEVICE: rules.device_of(client.device)}
        known = [rules.signal_of(self._key, kind, text) for kind, text in texts.items() if text is not None]
        return [self._user(owner), *known]

    def _user(self, owner: UserId) -> Signal:
        return rules.signal_of(self._key, SignalKind.USER, owner)

    def _card(self, fingerprint: str) -> Signal:
        return rules.signal_of(self._key, SignalKind.CARD, fingerprint)
