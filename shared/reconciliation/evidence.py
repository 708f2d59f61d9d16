"""Collects both sides of what is compared, a page at a time, and says where they differ."""

from collections.abc import Mapping, Sequence

from shared.base.ids import AccountId, EntryId
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import Entry
from shared.ledger.store import LedgerStore, StoreUnavailable
from shared.payments.models import Order, OrderId, PaymentId, RailName
from shared.payouts.models import Payout, PayoutId
from shared.reconciliation import rules
from shared.reconciliation.models import Compared, Difference, Line, LineKind
from shared.reconciliation.orders import PaidOrders
from shared.reconciliation.rules import EntryRef, Ours
from shared.reconciliation.store import Books
from shared.reconciliation.transfers import EarnerPayouts, kept_under, of_paid_payout

ORDER_FACT = "order"


class Evidence:
    """Reads books, orders and entries. Raise PaymentsUnavailable or LedgerUnavailable."""

    def __init__(self, books: Books, orders: PaidOrders, payouts: EarnerPayouts, ledger: LedgerStore) -> None:
        self._books = books
        self._orders = orders
        self._payouts = payouts
        self._ledger = ledger

    async def of_lines(self, rail: RailName, day: str, lines: Sequence[Line]) -> list[Compared]:
        """Each line of a provider's page with the ways in which our side differs."""
        booked = await self._books.booked(rail, [line.line_id for line in lines])
        order_ids = await self._order_ids(rail, lines)
        orders = await self._orders.named(set(order_ids.values()))
        order_of = {name: orders.get(order_id) for name, order_id in order_ids.items()}
        refs = [
            ref for line in lines if (order := order_of.get(line.line_id)) and (ref := rules.entry_of_line(line, order))
        ]
        entries = await self._entries(refs)
        returned = await self._returned(rail, [one for one in lines if rules.is_second(one, order_of.get(one.line_id))])
        payout_of = await self._payouts_of(lines)
        compared = []
        for line in lines:
            back_minor = returned.get(line.payment_id, 0) if line.payment_id else 0
            payout = payout_of.get(line.line_id)
            ours = Ours(booked.get(line.line_id), order_of.get(line.line_id), entries, back_minor, payout)
            differences = rules.of_line(rail, day, line, ours)
            compared.append(Compared(line, ours.booked is not None, differences))
        return compared

    async def booked_among(self, rail: RailName, lines: Sequence[Line]) -> int:
        """How many of a page's lines we keep."""
        return len(await self._books.booked(rail, [line.line_id for line in lines]))

    async def of_orders(self, rail: RailName, orders: Sequence[Order]) -> list[Difference]:
        """Which of these paid orders the provider's books do not show."""
        kept = await self._books.booked_for(rail, [order.payment_id for order in orders if order.payment_id])
        lines = [one.line for one in kept]
        return [difference for order in orders if (difference := rules.of_order(rail, order, lines))]

    async def of_payouts(self, rail: RailName, payouts: Sequence[Payout]) -> list[Difference]:
        """Which of these payouts to earners are paid, and the provider's books do not show them."""
        kept = await self._books.booked_for(rail, [kept_under(payout.payout_id) for payout in payouts])
        lines = [one.line for one in kept]
        return [difference for payout in payouts if (difference := of_paid_payout(rail, payout, lines))]

    async def payouts_asked(self, start_ms: int, end_ms: int, after: Payout | None) -> Sequence[Payout]:
        """A page of payouts by when they were asked for."""
        return await self._payouts.asked_between(start_ms, end_ms, after)

    async def payout(self, payout_id: str) -> Payout | None:
        """One payout to an earner, as it stands."""
        return (await self._payouts.named([PayoutId(payout_id)])).get(PayoutId(payout_id))

    async def of_entries(self, entries: Sequence[Entry], default: RailName, day: str) -> list[Difference]:
        """Which of these postings against money no order explains."""
        named = {entry.entry_id: OrderId(dict(entry.facts).get(ORDER_FACT, "")) for entry in entries}
        orders = await self._orders.named({order_id for order_id in named.values() if order_id.isalnum()})
        return [
            difference
            for entry in entries
            if (
                difference := rules.of_entry(
                    entry, orders.get(named[entry.entry_id]), rules.rail_of(entry, default), day
                )
            )
        ]

    async def entry(self, account_id: AccountId, entry_id: EntryId) -> Entry | None:
        """One posting, as it stands."""
        return (await self._entries([(account_id, entry_id)])).get((account_id, entry_id))

    async def order(self, order_id: OrderId) -> Order | None:
        """One order, as it stands."""
        return (await self._orders.named([order_id])).get(order_id)

    async def _returned(self, rail: RailName, lines: Sequence[Line]) -> Mapping[PaymentId, int]:
        """What was given back of payments that paid for something a second time."""
        payments = {line.payment_id for line in lines if line.payment_id}
        kept = await self._books.booked_for(rail, sorted(payments)) if payments else []
        return rules.returned_in(one.line for one in kept)

    async def _payouts_of(self, lines: Sequence[Line]) -> Mapping[str, Payout]:
        """By line: the payout to an earner that a transfer names, or else the one that it was made for."""
        transfers = [line for line in lines if line.kind is LineKind.TRANSFER]
        named = await self._payouts.named({PayoutId(one.earner_payout) for one in transfers if one.earner_payout})
        sent = await self._payouts.sent_by(sorted({one.about for one in transfers if not one.earner_payout}))
        found = {
            one.line_id: named.get(PayoutId(one.earner_payout)) if one.earner_payout else sent.get(one.about)
            for one in transfers
        }
        return {line_id: payout for line_id, payout in found.items() if payout is not None}

    async def _order_ids(self, rail: RailName, lines: Sequence[Line]) -> dict[str, OrderId]:
        """By line: the order that its payment is bound to, or else the one that its object names."""
        payments = {payment_id for line in lines if (payment_id := rules.bound_to(line))}
        bound = await self._orders.bound(rail, payments)
        found = {}
        for line in lines:
            payment_id = rules.bound_to(line)
            order_id = bound.get(payment_id) if payment_id else None
            if order_id := order_id or line.order_id:
                found[line.line_id] = order_id
        return found

    async def _entries(self, refs: Sequence[EntryRef]) -> Mapping[EntryRef, Entry]:
        if not refs:
            return {}
        try:
            return (await self._ledger.read((), list(refs))).entries
        except StoreUnavailable:
            raise LedgerUnavailable from None
