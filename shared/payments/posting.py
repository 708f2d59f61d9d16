"""What a paid order means to the ledger. All of it is posted on every look, each part under a key of the real world.

So it does not matter who looks, how often, at the same time as whom, or where an earlier look died.
"""

from contextlib import suppress

from shared.base.economy import PACK_BONUS_LIFETIME_MS
from shared.base.ids import AccountId
from shared.ledger.errors import AccountNotOpen, NothingToMove
from shared.ledger.funds import Funds
from shared.ledger.models import HOUSE_DISPUTES, HOUSE_PAYMENTS
from shared.ledger.reversals import Reversals
from shared.ledger.service import Ledger
from shared.payments import reversal_rules
from shared.payments.models import Order, PaymentId, Reversal, ReversalKind, ReversalState
from shared.payments.rules import payment_name

NEVER_DECIDED = {ReversalKind.REFUND}
"""A refund is made or not; nothing of it waits in an escrow account of its own."""


class PaymentPosting:
    """Posts orders. Raise LedgerUnavailable, or AccountNotOpen where the wallet is closed."""

    def __init__(self, ledger: Ledger, reversals: Reversals, funds: Funds) -> None:
        self._ledger = ledger
        self._reversals = reversals
        self._funds = funds

    async def post(self, order: Order) -> None:
        """Grant what was paid for, then do what its refunds, disputes and warnings ask."""
        payment = _payment_of(order)
        facts = {"reason": "credits bought", "order": order.order_id, "payment": payment, "pack": order.pack_id}
        # What waits for a person is granted where nobody can spend it, and only ever there.
        account_id = order.hold.escrow_id if order.hold else order.wallet_id
        if order.hold is not None:
            await self._funds.open(account_id, None)
        await self._ledger.grant_paid(account_id, order.credits_micros, key=payment, facts=facts)
        # If we die here, the next look grants the bonus.
        if order.bonus_micros:
            await self._ledger.grant_promo(
                account_id,
                order.bonus_micros,
                lifetime_ms=PACK_BONUS_LIFETIME_MS,
                key=f"{payment}:bonus",
                facts={**facts, "reason": "bonus of a pack"},
            )
        if order.is_held:
            return
        if order.hold is not None:
            await self.release(account_id, order.wallet_id)
        # What is decided first: the credits that it gives back may be in question still.
        for reversal_id, reversal in sorted(order.reversals.items(), key=_decided_first):
            await self._reverse(order, reversal_id, reversal)
        if order.refund_request is not None and reversal_rules.has_refund(order):
            await self.release(order.refund_request.escrow_id, order.wallet_id)

    async def set_aside(self, order: Order, escrow_id: AccountId, amount_micros: int) -> int:
        """Move what is unspent of the amount into the escrow account, once; what this or an earlier try moved."""
        await self._funds.open(escrow_id, None)
        with suppress(NothingToMove):
            facts = {"reason": "set aside", "order": order.order_id}
            return await self._reversals.set_aside(order.wallet_id, escrow_id, amount_micros, facts=facts)
        return 0

    async def release(self, escrow_id: AccountId, wallet_id: AccountId) -> None:
        """Give back what was set aside and close the escrow account, so that a late try finds it closed."""
        await self._funds.open(escrow_id, None)
        await self._funds.close(escrow_id, rest_to=wallet_id, facts={"reason": "released"})

    async def _reverse(self, order: Order, reversal_id: str, reversal: Reversal) -> None:
        escrow_id = AccountId(f"escrow:{order.rail.value}-{reversal_id}")
        if reversal.state is ReversalState.OPEN:
            if reversal.credits_micros:
                # Closed: somebody else has learned meanwhile how it ended.
                with suppress(AccountNotOpen):
                    await self.set_aside(order, escrow_id, reversal.credits_micros)
            return
        if reversal.was_taken:
            await self._take(order, reversal_id, reversal)
        if reversal.was_taken and reversal.state is ReversalState.RETURNED:
            await self._give(order, reversal_id, reversal)
        # Only now: what is set aside must not be spent before it is known whose it is.
        if reversal.kind not in NEVER_DECIDED:
            await self.release(escrow_id, order.wallet_id)

    async def _take(self, order: Order, reversal_id: str, reversal: Reversal) -> None:
        if reversal.credits_micros + reversal.bonus_micros:
            await self._reversals.take_back(
                order.wallet_id,
                reversal.credits_micros,
                reversal.bonus_micros,
                payee=_house_of(reversal),
                key=f"{order.rail.value}:{reversal_id}:taken",
                facts=_facts(order, reversal_id, reversal),
            )

    async def _give(self, order: Order, reversal_id: str, reversal: Reversal) -> None:
        key, facts = f"{order.rail.value}:{reversal_id}:returned", _facts(order, reversal_id, reversal)
        if reversal.credits_micros:
            source = _house_of(reversal)
            await self._reversals.give_back(
                order.wallet_id, reversal.credits_micros, source=source, key=key, facts=facts
            )
        if reversal.bonus_micros:
            await self._ledger.grant_promo(
                order.wallet_id,
                reversal.bonus_micros,
                lifetime_ms=PACK_BONUS_LIFETIME_MS,
                key=f"{key}:bonus",
                facts=facts,
            )


def _decided_first(named: tuple[str, Reversal]) -> tuple[bool, str]:
    return named[1].state is ReversalState.OPEN, named[0]


def _payment_of(order: Order) -> str:
    return payment_name(order.rail, PaymentId(str(order.payment_id)))


def _house_of(reversal: Reversal) -> AccountId:
    return HOUSE_PAYMENTS if reversal.kind is ReversalKind.REFUND else HOUSE_DISPUTES


def _facts(order: Order, reversal_id: str, reversal: Reversal) -> dict[str, str | int]:
    payment = _payment_of(order)
    return {"reason": reversal.kind.value, "order": order.order_id, "payment": payment, "reversal": reversal_id}
