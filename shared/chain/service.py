"""Payments with a token on a chain: plain transfers proved by their receipts, and signed ones settled by x402."""

from shared.base.clock import Clock
from shared.base.together import both
from shared.chain import rules
from shared.chain.errors import AuthorizationTaken, SettlementRefused, TransferPending
from shared.chain.facilitator import Facilitator
from shared.chain.models import Address, Authorization, Claim, Digest, Offer, Reservation, Token, Transfer
from shared.chain.node import Node
from shared.chain.store import Reservations
from shared.chain.x402 import read_payment


class Transfers:
    """Looks for payments on the chain. Only reads, so everything may be repeated."""

    def __init__(self, node: Node, token: Token) -> None:
        self._node = node
        self._token = token

    async def verify_transfer(self, claim: Claim) -> Transfer:
        """The payment that a claim names. Its `payment_id` must pay for one order only; the caller sees to that.

        Raise TransferPending while it is not final; TransferRefused, TransferAmbiguous or ClaimNotSigned for good;
        ChainUnavailable.
        """
        rules.require_amount(claim.amount)
        claimant = rules.claimant_of(claim, self._token)
        transfer = await self.prove(claim.transaction, amount=claim.amount, log_index=claim.log_index, sender=claimant)
        rules.require_not_older(claim, transfer)
        return transfer

    async def prove(
        self,
        transaction: Digest,
        *,
        amount: int,
        log_index: int | None = None,
        payment_id: str | None = None,
        sender: Address | None = None,
    ) -> Transfer:
        """The final payment of a transaction, by `sender` or whoever it was. Raises as above."""
        receipt, finalized = await both(self._node.find_receipt(transaction), self._node.finalized())
        if receipt is None:
            raise TransferPending(transaction, None)
        # Refused at once and not after a quarter of an hour: a claim of nothing does not get better by waiting.
        log = rules.find_transfer(
            receipt, self._token, amount=amount, log_index=log_index, payment_id=payment_id, sender=sender
        )
        block = rules.require_final(receipt, await self._node.find_block(receipt.block), finalized)
        return rules.transfer_of(receipt, log, block, self._token)


class Upfront:
    """Top-ups by x402: the payment is settled first, and each authorization pays for one order."""

    def __init__(
        self,
        node: Node,
        token: Token,
        *,
        facilitator: Facilitator,
        reservations: Reservations,
        clock: Clock,
    ) -> None:
        self._node = node
        self._token = token
        self._transfers = Transfers(node, token)
        self._facilitator = facilitator
        self._reservations = reservations
        self._clock = clock

    async def settle(self, offer: Offer, header: str) -> Transfer:
        """The payment that PAYMENT-SIGNATURE authorizes, settled once however often this is called.

        Raise AuthorizationRefused, AuthorizationTaken, SettlementRefused: no money has moved for this order.
        Raise TransferPending: it has, or is about to; `find` tells when it is final. Raise ChainUnavailable,
        FacilitatorUnavailable, ReservationsUnavailable: call again, with the same header.
        """
        rules.require_amount(offer.amount)
        authorization = read_payment(header, offer, self._token)
        rules.require_pays(authorization, offer, self._token)
        is_used = await self.is_used(sender=authorization.sender, nonce=authorization.nonce)
        await self._reserve(authorization, offer, is_used=is_used)
        # From here on the authorization may become public: nobody else's order can have it any more.
        transaction = None if is_used else await self._carry_out(authorization, offer)
        return await self._prove(authorization.sender, authorization.nonce, offer, transaction)

    async def find(self, offer: Offer, *, sender: Address, nonce: Digest) -> Transfer:
        """The payment by an authorization that was settled before, read from the chain. Raises like `settle`."""
        return await self._prove(sender, nonce, offer, None)

    async def is_used(self, *, sender: Address, nonce: Digest) -> bool:
        """Whether the chain has carried the authorization out, though perhaps not for good, or it was cancelled."""
        return await self._node.is_used(self._token, sender=sender, nonce=nonce)

    async def _reserve(self, authorization: Authorization, offer: Offer, *, is_used: bool) -> None:
        """Write down for which order it is, unless that is written. Raise AuthorizationTaken.

        What stands on the chain already, and was not reserved before, may have been copied from there. Only a nonce
        made for this order proves otherwise.
        """
        key = rules.authorization_id(self._token, sender=authorization.sender, nonce=authorization.nonce)
        reservation = await self._reservations.find(key)
        if reservation is None:
            head = (await self._node.head()).number
            lookback = rules.LIFETIME_BLOCKS_MAX if is_used else 0
            if is_used and authorization.nonce != rules.order_nonce(self._token, offer.order_id):
                raise AuthorizationTaken
            if not is_used:
                rules.require_in_time(authorization, self._clock() // 1000)
            wanted = Reservation(offer.order_id, max(0, head - lookback))
            reservation = await self._reservations.reserve(key, wanted)
        if reservation.order_id != offer.order_id:
            raise AuthorizationTaken

    async def _carry_out(self, authorization: Authorization, offer: Offer) -> Digest | None:
        rules.require_in_time(authorization, self._clock() // 1000)
        try:
            return await self._facilitator.settle(authorization, offer, self._token)
        except SettlementRefused:
            # Refused also because an earlier try, whose answer was lost, or one at the same moment, has succeeded.
            if not await self.is_used(sender=authorization.sender, nonce=authorization.nonce):
                raise
            return None

    async def _prove(self, sender: Address, nonce: Digest, offer: Offer, transaction: Digest | None) -> Transfer:
        key = rules.authorization_id(self._token, sender=sender, nonce=nonce)
        reservation = await self._reservations.find(key)
        if reservation is None or reservation.order_id != offer.order_id:
            raise AuthorizationTaken
        # The chain's own word goes before the facilitator's, whose transaction may have been replaced by another.
        used = await self._node.find_use(self._token, sender=sender, nonce=nonce, from_block=reservation.from_block)
        if used is None:
            raise TransferPending(transaction or nonce, None)
        return await self._transfers.prove(used, amount=offer.amount, payment_id=key)
