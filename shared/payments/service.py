"""Ordering: an order of our own first, then the rail's checkout for it. Every verb may be repeated."""

from collections.abc import Mapping

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.ledger.errors import KeyReused
from shared.ledger.service import Ledger
from shared.payments import rules
from shared.payments.checks import MARGIN_MS, post_check
from shared.payments.errors import OrderBusy, RailNotOffered, RailUnavailable
from shared.payments.models import Order, OrderState, RailName
from shared.payments.rails import Rail
from shared.payments.reader import owned
from shared.payments.store import KeptOrder, OrderChanged, OrderExists, PaymentStore
from shared.risk.models import ClientClaim
from shared.risk.service import Risk
from shared.tasks.service import Tasks


class Orders:
    """Orders of people."""

    def __init__(
        self,
        ledger: Ledger,
        store: PaymentStore,
        rails: Mapping[RailName, Rail],
        risk: Risk,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._rails = rails
        self._risk = risk
        self._tasks = tasks
        self._clock = clock

    async def checkout(
        self,
        owner: UserId,
        rail_name: RailName,
        pack_id: str,
        currency: str,
        *,
        key: str,
        client: ClientClaim | None = None,
    ) -> Order:
        """An order with its price frozen, and where it is paid.

        A repeat answers with the same order, and finishes what a dead try began. Raise RailNotOffered, PackUnknown,
        AccountAbsent, KeyReused, CheckoutTooOften, RailRefused or RailUnavailable.
        """
        rail = self._rails.get(rail_name)
        if rail is None:
            raise RailNotOffered
        kept = await self._begin(owner, rail_name, pack_id, currency, key, client or ClientClaim())
        if kept.order.state is not OrderState.CREATED or kept.order.expires_at_ms <= self._clock():
            return kept.order
        # Before anybody can pay: whatever becomes of us and of the provider's events, somebody looks at the end.
        due_ms = kept.order.expires_at_ms + MARGIN_MS
        await post_check(self._tasks, kept.order.order_id, "end", at_ms=due_ms)
        try:
            checkout = await rail.begin(kept.order)
        except RailUnavailable:
            # A provider that is down locks nobody out: what could not be paid anywhere does not count.
            await self._risk.forget_checkout(kept.order.order_id)
            raise
        # If we die here, a repeat gets the same checkout from the rail, whose key is the order.
        pending = rules.moved_to(replace(kept.order, checkout=checkout), OrderState.PENDING)
        try:
            kept = await self._store.replace(kept, pending)
        except OrderChanged:
            # Another try of the same request was quicker; its checkout is the same one.
            kept = await owned(self._store, owner, kept.order.order_id)
            if kept.order.checkout is None:
                raise OrderBusy from None
        write_line("INFO", "checkout_created", order=kept.order.order_id, rail=rail_name.value)
        return kept.order

    async def _begin(
        self, owner: UserId, rail: RailName, pack_id: str, currency: str, key: str, client: ClientClaim
    ) -> KeptOrder:
        order_id = rules.order_id_of(owner, key)
        kept = await self._store.find(order_id)
        if kept is None:
            order = rules.new_order(order_id, owner, rail, rules.pack_of(pack_id), currency, at_ms=self._clock())
            # Whoever has no wallet could pay and get nothing.
            await self._ledger.head(order.wallet_id)
            # If we die after it, a repeat is the same order and counts once.
            await self._risk.begin_checkout(order_id, owner, client)
            try:
                return await self._store.create(order)
            except OrderExists:
                kept = await owned(self._store, owner, order_id)
        if not rules.is_same_request(kept.order, owner, rail, pack_id, currency):
            raise KeyReused
        if kept.order.state is OrderState.CREATED:
            # An outage may have had it forgotten; what is counted still counts once.
            await self._risk.begin_checkout(order_id, owner, client)
        return kept
