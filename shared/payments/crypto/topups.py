"""Top-ups by x402: a price is asked, a signed payment is shown, settled, and granted once it is final.

https://github.com/coinbase/x402, payment flow `upfront`. Every verb may be repeated, with the same payment or without.
"""

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.chain import x402
from shared.chain.errors import AuthorizationRefused, AuthorizationTaken, SettlementRefused, TransferPending
from shared.chain.models import Authorization, Digest
from shared.chain.rules import require_pays
from shared.payments.applier import Applier
from shared.payments.crypto import rules
from shared.payments.crypto.claims import LOOK_AFTER_MS, Shown, keep, post_look
from shared.payments.crypto.errors import OrderOver, PaymentInReview, PaymentRequired, PaymentUnderway
from shared.payments.crypto.models import AuthorizationClaim, Watch
from shared.payments.crypto.rail import X402Rail, offer_of
from shared.payments.models import Order, RailName
from shared.payments.reader import owned
from shared.payments.service import Orders
from shared.payments.store import KeptOrder, PaymentStore
from shared.tasks.service import Tasks


class TopUps:
    """Orders that programs pay in the request that makes them."""

    def __init__(
        self, orders: Orders, store: PaymentStore, rail: X402Rail, applier: Applier, tasks: Tasks, clock: Clock
    ) -> None:
        self._orders = orders
        self._store = store
        self._rail = rail
        self._applier = applier
        self._tasks = tasks
        self._clock = clock

    async def top_up(self, owner: UserId, pack_id: str, *, key: str, payment: str | None) -> Shown:
        """The order of this key, paid by `payment`, the value of PAYMENT-SIGNATURE.

        Raise PaymentRequired, with the price, where nothing pays yet or the payment could not be settled; OrderOver,
        PaymentUnderway, PaymentInReview; what `Orders.checkout` does; AuthorizationRefused or AuthorizationTaken, and
        no money has moved; FacilitatorUnavailable, ChainUnavailable, ReservationsUnavailable: the same payment again.
        """
        ordered = await self._orders.checkout(owner, RailName.X402, pack_id, rules.CURRENCY, key=key)
        kept = await owned(self._store, owner, ordered.order_id)
        watch = rules.watch_of(kept.order)
        if watch is None:
            # It ended before a price was frozen.
            raise OrderOver
        if kept.order.payment_id is not None:
            return await self._paid(kept.order, watch)
        if payment is None:
            return await self._asked(kept.order, watch)
        offer = offer_of(watch)
        authorization = x402.read_payment(payment, offer, watch.terms.token)
        require_pays(authorization, offer, watch.terms.token)
        return await self._settle(kept, watch, authorization, payment)

    async def _paid(self, order: Order, watch: Watch) -> Shown:
        """As the chain has it, which says the same to every repeat. Nothing more is settled."""
        await self._applier.check(order.order_id)
        claim = rules.claim_of_payment(watch)
        if claim is None:
            raise PaymentInReview
        transfer = await self._rail.find(watch, claim)
        after = await owned(self._store, order.owner, order.order_id)
        return Shown(order=after.order, transaction=transfer.transaction, payer=transfer.sender)

    async def _asked(self, order: Order, watch: Watch) -> Shown:
        """The price, unless a payment is under way: whoever lost our answer must not sign a second one."""
        if claim := await self._underway(watch, None):
            try:
                await self._rail.find(watch, claim)
            except TransferPending as pending:
                return _pending(order, claim, pending)
            except AuthorizationTaken:
                # Kept and not yet reserved: whoever showed it is at it, or died and may show it again.
                return Shown(order=order)
            return await self._granted(order, watch, claim)
        if self._clock() >= order.expires_at_ms:
            raise OrderOver
        raise PaymentRequired(x402.required_header(offer_of(watch), watch.terms.token))

    async def _settle(self, kept: KeptOrder, watch: Watch, authorization: Authorization, payment: str) -> Shown:
        claim = AuthorizationClaim(
            sender=authorization.sender,
            nonce=authorization.nonce,
            valid_before_s=authorization.valid_before_s,
            claimed_at_ms=self._clock(),
        )
        is_new = all(rules.identity_of(other) != rules.identity_of(claim) for other in watch.claims)
        if is_new and self._clock() >= kept.order.expires_at_ms:
            raise OrderOver
        if await self._underway(watch, claim):
            raise PaymentUnderway
        # Before it can become public: whatever becomes of us, whoever looks at the order looks for this payment. Two at
        # the same moment meet here, so that only one of them is settled.
        kept = await keep(self._store, kept, claim)
        await post_look(self._tasks, kept.order, claim, at_ms=self._clock() + LOOK_AFTER_MS)
        offer = offer_of(watch)
        try:
            await self._rail.upfront(watch).settle(offer, payment)
        except TransferPending as pending:
            return _pending(kept.order, claim, pending)
        except SettlementRefused as refusal:
            await keep(self._store, kept, replace(claim, is_refused=True))
            header = x402.required_header(offer, watch.terms.token, error=refusal.reason)
            raise PaymentRequired(header, refusal.reason) from None
        except (AuthorizationRefused, AuthorizationTaken):
            await keep(self._store, kept, replace(claim, is_refused=True))
            raise
        return await self._granted(kept.order, watch, claim)

    async def _granted(self, order: Order, watch: Watch, claim: AuthorizationClaim) -> Shown:
        await self._applier.check(order.order_id)
        after = await owned(self._store, order.owner, order.order_id)
        if after.order.payment_id is None:
            raise PaymentInReview
        return await self._paid(after.order, rules.watch_of(after.order) or watch)

    async def _underway(self, watch: Watch, shown: AuthorizationClaim | None) -> AuthorizationClaim | None:
        """Another payment than the one shown that was carried out, or still may be."""
        for other in watch.claims:
            if not isinstance(other, AuthorizationClaim):
                continue
            if shown is not None and rules.identity_of(other) == rules.identity_of(shown):
                continue
            if not other.is_refused and self._clock() < other.valid_before_s * 1000 + rules.AUTHORIZATION_MARGIN_MS:
                return other
            if await self._rail.upfront(watch).is_used(sender=other.sender, nonce=other.nonce):
                return other
        return None


def _pending(order: Order, claim: AuthorizationClaim, pending: TransferPending) -> Shown:
    is_in_block = pending.blocks_missing is not None
    return Shown(
        order=order,
        transaction=Digest(pending.transaction) if is_in_block else None,
        blocks_missing=pending.blocks_missing,
        payer=claim.sender if is_in_block else None,
    )
