"""Buyers who say that a transaction of theirs pays their order. Every verb may be repeated."""

import hashlib

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.chain.errors import AmountDiffers, TransferPending
from shared.chain.models import Address, Digest, Transfer
from shared.payments.applier import Applier
from shared.payments.checks import post_check
from shared.payments.crypto import rules
from shared.payments.crypto.errors import OrderNotOnChain, OrderPaid, PaymentInReview, TransferTaken
from shared.payments.crypto.models import Claim, TransferClaim
from shared.payments.crypto.rail import CryptoRail
from shared.payments.models import Order, OrderId, PaymentId, RailName
from shared.payments.reader import owned
from shared.payments.store import KeptOrder, PaymentStore, write_over
from shared.tasks.service import Tasks

LOOK_AFTER_MS = 60_000
"""When the first task looks for a payment that its buyer may ask for themselves; its queue then tries ever more
rarely."""


class Shown(Struct, frozen=True, kw_only=True):
    """What came of a payment that was shown."""

    order: Order
    transaction: Digest | None = None
    blocks_missing: int | None = None
    """How far the chain is from keeping it for good; None while it stands in no block, and once it is final."""
    payer: Address | None = None
    """Who sent it."""


class Claims:
    """Claims of plain transfers."""

    def __init__(self, store: PaymentStore, rail: CryptoRail, applier: Applier, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._rail = rail
        self._applier = applier
        self._tasks = tasks
        self._clock = clock

    async def claim(
        self, owner: UserId, order_id: OrderId, transaction: Digest, signature: str, *, log_index: int | None
    ) -> Shown:
        """Grant the order for the payment, or as soon as it is final, whoever asks then.

        Raise OrderAbsent, OrderNotOnChain, OrderPaid, TransferTaken, ClaimsTooMany; TransferRefused, TransferAmbiguous
        or ClaimNotSigned, and nothing is kept; AmountDiffers or PaymentInReview for money that a person looks at.
        """
        kept = await owned(self._store, owner, order_id)
        watch = rules.watch_of(kept.order)
        if kept.order.rail is not RailName.CRYPTO or watch is None:
            raise OrderNotOnChain
        claim = TransferClaim(
            transaction=transaction,
            signature=signature.lower(),
            log_index=log_index,
            claimed_at_ms=self._clock(),
        )
        try:
            transfer = await self._rail.find(watch, claim)
        except TransferPending as pending:
            if kept.order.payment_id is not None:
                raise OrderPaid from None
            kept = await self._keep(kept, claim)
            return Shown(order=kept.order, transaction=transaction, blocks_missing=pending.blocks_missing)
        except AmountDiffers as differs:
            if kept.order.payment_id is None and rules.is_worth_a_look(differs.amount):
                # It buys nothing and is there: once it is final, the look puts it before a person.
                await self._keep(kept, claim)
            raise
        return await self._take(kept, claim, transfer)

    async def _take(self, kept: KeptOrder, claim: TransferClaim, transfer: Transfer) -> Shown:
        """A payment that is final: this order's, another's, or one too many."""
        payment_id = PaymentId(transfer.payment_id)
        bound = await self._store.order_of(RailName.CRYPTO, payment_id)
        if bound not in (None, kept.order.order_id):
            raise TransferTaken
        if kept.order.payment_id is None:
            kept = await self._keep(kept, claim)
        elif kept.order.payment_id != payment_id:
            await self._look_at(kept.order, claim)
            raise OrderPaid
        await self._applier.check(kept.order.order_id)
        after = await owned(self._store, kept.order.owner, kept.order.order_id)
        if after.order.payment_id != payment_id:
            raise PaymentInReview
        return Shown(order=after.order, transaction=transfer.transaction, payer=transfer.sender)

    async def _keep(self, kept: KeptOrder, claim: Claim) -> KeptOrder:
        """Have it looked for until it is final or has ended."""
        kept = await keep(self._store, kept, claim)
        # If we die here, the look at the order's end finds the claim, or its buyer shows it again.
        await post_look(self._tasks, kept.order, claim, at_ms=self._clock() + LOOK_AFTER_MS)
        return kept

    async def _look_at(self, order: Order, claim: TransferClaim) -> None:
        """Put a second payment of an order before a person: its money is there."""
        watch = rules.watch_of(order)
        if watch is not None:
            alone = rules.watch_alone(watch, claim)
            await self._applier.look(RailName.CRYPTO, rules.subject_of(alone))


async def keep(store: PaymentStore, kept: KeptOrder, claim: Claim) -> KeptOrder:
    """Write a claim down on its order. Raise ClaimsTooMany, OrderBusy."""
    order = rules.with_claim(kept.order, claim)
    if order == kept.order:
        return kept
    kept = await write_over(store, kept, order)
    write_line("INFO", "payment_shown", order=order.order_id, rail=order.rail.value)
    return kept


async def post_look(tasks: Tasks, order: Order, claim: Claim, *, at_ms: int) -> None:
    """Have somebody look later, once for each claim; the task comes back until there is nothing to wait for."""
    name = hashlib.sha256(rules.identity_of(claim).encode()).hexdigest()
    await post_check(tasks, order.order_id, f"claim:{name}", at_ms=at_ms)
