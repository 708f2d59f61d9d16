"""Pure decisions about orders that are paid on a chain: what to look for, which payment counts, until when we look."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from shared.chain.errors import TransferPending
from shared.chain.models import UNITS_PER_CENT, Transfer
from shared.chain.models import Claim as SignedClaim
from shared.chain.rules import authorization_id
from shared.payments.crypto.errors import ClaimsTooMany
from shared.payments.crypto.models import AuthorizationClaim, Claim, TransferClaim, TransferTerms, Watch
from shared.payments.models import Money, Order, OrderId, PaymentId, PaymentStatus, RailName, Seen, Subject

CURRENCY = "USD"
"""What the token stands for."""
WATCH = "chain"
"""The kind of subject that a watch is."""
CLAIMS_MAX = 3
"""Payments that are looked for at once, for one order: a wallet replaces a transaction now and then. Each costs three
questions to the node at every look, and anybody can claim what does not exist."""
CLAIM_LIFETIME_MS = 7_200_000
"""A transaction that stands in no block two hours after it was claimed will not come; if it does, it is claimed
again. Its task has looked a dozen times by then."""
AUTHORIZATION_MARGIN_MS = 600_000
"""So long after its end an authorization that nobody has seen carried out is given up; the node may lag behind."""
LATE_MS = 3_600_000
"""What comes so long after an order's end still pays its price: authorizations may be good for an hour."""


def watch_of(order: Order) -> Watch | None:
    """What to look for. None while the order has no terms."""
    if order.checkout is None or order.checkout.terms is None:
        return None
    return Watch(
        order_id=order.order_id,
        amount_minor=order.money.amount_minor,
        created_at_ms=order.created_at_ms,
        expires_at_ms=order.expires_at_ms,
        terms=order.checkout.terms,
        claims=order.claims,
        payment_id=order.payment_id,
    )


def subject_of(watch: Watch) -> Subject:
    """The watch as an object of the rail: a chain knows no orders, so what to look at is all in the question."""
    return Subject(WATCH, msgspec.json.encode(watch).decode())


def watch_in(subject: Subject) -> Watch:
    """The watch that a subject of ours is."""
    return msgspec.json.decode(subject.object_id, type=Watch)


def signed_claim(watch: Watch, claim: TransferClaim) -> SignedClaim:
    """The claim as the chain's rules judge it."""
    return SignedClaim(
        order_id=watch.order_id,
        amount=watch.terms.amount,
        created_at_s=watch.created_at_ms // 1000,
        transaction=claim.transaction,
        signature=claim.signature,
        log_index=claim.log_index,
    )


def payment_url(terms: TransferTerms) -> str:
    """The transfer as wallets open it: https://eips.ethereum.org/EIPS/eip-681"""
    token = terms.token
    return f"ethereum:{token.asset}@{token.chain_id}/transfer?address={token.receiver}&uint256={terms.amount}"


def with_claim(order: Order, claim: Claim) -> Order:
    """The order with one more payment to look for. Raise ClaimsTooMany.

    One that is shown again takes its own place, where that changes how long it is looked for.
    """
    before = next((other for other in order.claims if identity_of(other) == identity_of(claim)), None)
    if before is None:
        if len(order.claims) >= CLAIMS_MAX:
            raise ClaimsTooMany
        return replace(order, claims=(*order.claims, claim))
    if not _renews(before, claim):
        return order
    return replace(order, claims=tuple(claim if other == before else other for other in order.claims))


def identity_of(claim: Claim) -> str:
    """What makes two claims the same one, however often they are shown."""
    if isinstance(claim, TransferClaim):
        return f"{claim.transaction}/{claim.log_index}/{claim.signature}"
    return f"{claim.sender}/{claim.nonce}"


def claim_of_payment(watch: Watch) -> AuthorizationClaim | None:
    """Which authorization has paid the order."""
    authorizations = [claim for claim in watch.claims if isinstance(claim, AuthorizationClaim)]
    token = watch.terms.token
    for claim in authorizations:
        if authorization_id(token, sender=claim.sender, nonce=claim.nonce) == watch.payment_id:
            return claim
    return None


def watch_alone(watch: Watch, claim: Claim) -> Watch:
    """The same order as if nothing but this had been shown for it."""
    return replace(watch, claims=(claim,), payment_id=None)


def may_still_come(claim: Claim, pending: TransferPending, *, at_ms: int) -> bool:
    """Whether to look again for a payment that is not final: always for what stands in a block."""
    if pending.blocks_missing is not None:
        return True
    if isinstance(claim, TransferClaim):
        return at_ms < claim.claimed_at_ms + CLAIM_LIFETIME_MS
    return not claim.is_refused and at_ms < claim.valid_before_s * 1000 + AUTHORIZATION_MARGIN_MS


def seen_paid(rail: RailName, watch: Watch, transfers: Sequence[Transfer]) -> Seen | None:
    """The first of the final payments, as a rail shows it; None without any."""
    if not transfers:
        return None
    transfer = transfers[0]
    is_late = transfer.paid_at_s * 1000 > watch.expires_at_ms + LATE_MS
    return Seen(
        rail=rail,
        order_id=OrderId(watch.order_id),
        # Else an order would be a price kept for good; the money is there, so a person decides.
        status=PaymentStatus.UNKNOWN if is_late else PaymentStatus.PAID,
        status_word="paid long after the order ended" if is_late else "final",
        payment_id=PaymentId(transfer.payment_id),
        money=Money(transfer.amount // UNITS_PER_CENT, CURRENCY),
    )


def seen_before(rail: RailName, watch: Watch) -> Seen | None:
    """A payment that was found final once. Nothing on the chain takes it back, so it is not asked for again."""
    if watch.payment_id is None:
        return None
    return Seen(
        rail=rail,
        order_id=OrderId(watch.order_id),
        status=PaymentStatus.PAID,
        status_word="final",
        payment_id=PaymentId(watch.payment_id),
        money=Money(watch.amount_minor, CURRENCY),
    )


def seen_unpaid(rail: RailName, watch: Watch, *, at_ms: int) -> Seen:
    """Nothing that was shown pays the order, or may still come to pay it."""
    is_over = at_ms >= watch.expires_at_ms
    return Seen(
        rail=rail,
        order_id=OrderId(watch.order_id),
        status=PaymentStatus.EXPIRED if is_over else PaymentStatus.OPEN,
        status_word="nothing has come",
    )


def seen_elsewhere(rail: RailName, watch: Watch) -> Seen:
    """The order froze a chain that this deployment reads no more."""
    return Seen(
        rail=rail,
        order_id=OrderId(watch.order_id),
        status=PaymentStatus.UNKNOWN,
        status_word=f"to be paid on {watch.terms.token.network}",
    )


def _renews(before: Claim, claim: Claim) -> bool:
    if isinstance(before, AuthorizationClaim) and isinstance(claim, AuthorizationClaim):
        return before.is_refused != claim.is_refused
    return claim.claimed_at_ms >= before.claimed_at_ms + CLAIM_LIFETIME_MS
