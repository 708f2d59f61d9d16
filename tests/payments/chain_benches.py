"""Both rails on a chain as the matrix drives them: a chain in memory, and payments shown by who sent them.

A chain has no events. What is delivered here is what the functions leave for a look: a subject with the order's terms
and one claim. That the functions themselves refuse, keep and repeat is in `test_claims.py` and `test_topups.py`.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from shared.chain.errors import AmountDiffers, ClaimNotSigned, TransferRefused
from shared.chain.models import Address, Authorization, Reservation
from shared.chain.rules import (
    authorization_id,
    claimant_of,
    find_transfer,
    require_not_older,
    transfer_of,
    units_of,
)
from shared.payments.crypto import rules
from shared.payments.crypto.models import AuthorizationClaim, Claim, TransferClaim, Watch
from shared.payments.crypto.rail import ChainRail, CryptoRail, X402Rail
from shared.payments.errors import EventRefused
from shared.payments.models import Event, Order, PaymentId, RailName, Subject
from tests.chain.memory import MemoryReservations
from tests.payments.bench import Absent, Clock, Delivery
from tests.payments.memory_chain import TOKEN, MemoryChain, MemoryFacilitator, Person

NO_RETURN = "what is final on a chain is taken back by nobody, and no key of ours sends"
NO_DISPUTE = "nobody can dispute a transfer"
BY_FUNCTION = "refused by the function that is shown it, before there is anything to look at"
ABSENT: Mapping[str, str] = {
    **dict.fromkeys(("replayed", "refunded", "refunded_in_parts", "refunded_partly", "refund_failed"), NO_RETURN),
    "refund_failed_after_dispute_lost": NO_RETURN,
    **dict.fromkeys(("refunded_before_granted", "refund_after_spend", "crash_refund"), NO_RETURN),
    **dict.fromkeys(("dispute_open", "dispute_won", "dispute_lost", "dispute_lost_after_spend"), NO_DISPUTE),
    **dict.fromkeys(("dispute_lost_learned_at_once", "dispute_above_the_price", "two_disputes_lost"), NO_DISPUTE),
    **dict.fromkeys(("lost_then_won_on_appeal", "warned", "warned_then_refunded"), NO_DISPUTE),
    **dict.fromkeys(("warned_then_refund_failed", "warned_then_refunded_at_last"), NO_DISPUTE),
    **dict.fromkeys(("warned_then_dispute_won", "warned_then_dispute_lost"), NO_DISPUTE),
    **dict.fromkeys(("crash_decided_for_us", "crash_decided_against_us", "crash_warning"), NO_DISPUTE),
    **dict.fromkeys(("wrong_currency", "payment_of_another_order"), BY_FUNCTION),
    "future": "a block's time is nobody's to choose, and no earlier than its payment",
    "lost_events": "what is not shown names no order; what was shown is on the order, and its look finds it",
}
ADA, MALLORY = Person(1), Person(2)


class ShownReader:
    """Takes what a buyer shows as the subject that it is."""

    def __init__(self, name: RailName) -> None:
        self.name = name

    async def prepare(self, headers: Mapping[str, str], *, now_ms: int) -> None:
        """Nothing is needed for it."""

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        if headers:
            raise EventRefused("nothing but a subject is shown")
        digest = hashlib.sha256(raw).hexdigest()
        subject = Subject(rules.WATCH, raw.decode())
        return Event(rail=self.name, event_id=digest, kind=rules.WATCH, subject=subject, body_sha256=digest)


class ClaimReader(ShownReader):
    """And judges claims by the rules that `crypto_claim` judges them by, before anything is left for a look."""

    def __init__(self, chain: MemoryChain) -> None:
        super().__init__(RailName.CRYPTO)
        self._chain = chain

    def read(self, raw: bytes, headers: Mapping[str, str], *, now_ms: int) -> Event:
        watch, claim = _shown((raw, headers))
        signed, receipt = rules.signed_claim(watch, claim), self._chain.receipts[claim.transaction]
        try:
            log = find_transfer(receipt, TOKEN, amount=signed.amount, sender=claimant_of(signed, TOKEN))
            require_not_older(signed, transfer_of(receipt, log, self._chain.blocks[receipt.block], TOKEN))
        except AmountDiffers:
            # Left for a look all the same.
            pass
        except (TransferRefused, ClaimNotSigned) as refusal:
            raise EventRefused(refusal.code) from None
        return super().read(raw, headers, now_ms=now_ms)


def _shown(delivery: Delivery) -> tuple[Watch, TransferClaim]:
    watch = rules.watch_in(Subject(rules.WATCH, delivery[0].decode()))
    (claim,) = watch.claims
    assert isinstance(claim, TransferClaim)
    return watch, claim


class ChainBench(ABC):
    """What both have in common."""

    name: ClassVar[RailName]
    currency: ClassVar[str] = "USD"
    absent: ClassVar[Mapping[str, str]] = ABSENT

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.chain = MemoryChain(clock)
        self._shown: dict[PaymentId, Watch] = {}
        self._told: set[PaymentId] = set()

    @abstractmethod
    def rail(self, through: Callable[[Any], Any]) -> ChainRail: ...

    def reader(self) -> ShownReader:
        return ShownReader(self.name)

    def pay(self, order: Order) -> PaymentId:
        watch = rules.watch_of(order)
        assert watch is not None
        payment_id, claim = self.paid(watch)
        self.chain.finalize()
        self._shown[payment_id] = replace(watch, claims=(claim,))
        return payment_id

    @abstractmethod
    def paid(self, watch: Watch) -> tuple[PaymentId, Claim]:
        """A payment of exactly what is asked, and what its sender shows of it."""

    def lapse(self, order: Order) -> None:
        self._clock.now_ms = order.expires_at_ms + 120_000  # type: ignore[attr-defined]

    def claim(self, payment_id: PaymentId, order: Order) -> None:
        """Its sender shows it for another order."""
        shown = self._shown[payment_id]
        self._shown[payment_id] = self.shown_for(replace(shown, order_id=order.order_id))

    @abstractmethod
    def shown_for(self, watch: Watch) -> Watch:
        """The same payment, shown for the order that the watch names now."""

    def confuse(self, payment_id: PaymentId) -> None:
        """It stands in a block of long after its order's end: nobody has said what that buys."""
        late_s = (self._shown[payment_id].expires_at_ms + 2 * rules.LATE_MS) // 1000
        self.chain.blocks = [replace(block, at_s=late_s) for block in self.chain.blocks]

    def subject(self, payment_id: PaymentId) -> Subject:
        return rules.subject_of(self._shown[payment_id])

    def deliveries(self) -> list[Delivery]:
        new = [payment_id for payment_id in self._shown if payment_id not in self._told]
        self._told.update(new)
        return [(self.subject(payment_id).object_id.encode(), {}) for payment_id in new]

    def forged(self, delivery: Delivery) -> Delivery:
        raise Absent(BY_FUNCTION)

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        raise Absent(BY_FUNCTION)

    def tamper(self, payment_id: PaymentId, *, amount_minor: int | None = None, currency: str | None = None) -> None:
        """Its last transaction sent another amount. A currency is another token, whose transfers are none."""
        assert amount_minor is not None
        transaction, receipt = list(self.chain.receipts.items())[-1]
        other = replace(receipt.logs[-1], data=f"0x{units_of(amount_minor):064x}")
        self.chain.receipts[transaction] = replace(receipt, logs=(*receipt.logs[:-1], other))

    def give_back(self, payment_id: PaymentId, amount_minor: int) -> str:
        raise Absent(NO_RETURN)

    def fail_refund(self, refund_id: str) -> None:
        raise Absent(NO_RETURN)

    def dispute(self, payment_id: PaymentId, amount_minor: int | None = None) -> str:
        raise Absent(NO_DISPUTE)

    def decide(self, dispute_id: str, *, won: bool) -> None:
        raise Absent(NO_DISPUTE)

    def warn(self, payment_id: PaymentId) -> str:
        raise Absent(NO_DISPUTE)


class CryptoBench(ChainBench):
    """Plain transfers."""

    name = RailName.CRYPTO

    def reader(self) -> ShownReader:
        return ClaimReader(self.chain)

    def forged(self, delivery: Delivery) -> Delivery:
        """The same transaction, signed for by somebody who did not send it."""
        watch, claim = _shown(delivery)
        signature = MALLORY.claim(watch.order_id, claim.transaction)
        return rules.subject_of(replace(watch, claims=(replace(claim, signature=signature),))).object_id.encode(), {}

    def aged(self, delivery: Delivery, by_ms: int) -> Delivery:
        """It was sent so long before its order was made."""
        _, claim = _shown(delivery)
        at = self.chain.receipts[claim.transaction].block
        block = self.chain.blocks[at]
        self.chain.blocks[at] = replace(block, at_s=block.at_s - by_ms // 1000)
        return delivery

    def rail(self, through: Callable[[Any], Any]) -> ChainRail:
        return CryptoRail(through(self.chain), TOKEN, self._clock)

    def paid(self, watch: Watch) -> tuple[PaymentId, Claim]:
        transaction = self.chain.transfer(ADA.address, watch.terms.amount)
        claim = TransferClaim(
            transaction=transaction,
            signature=ADA.claim(watch.order_id, transaction),
            log_index=None,
            claimed_at_ms=self._clock(),
        )
        return PaymentId(f"{TOKEN.network}/{transaction}/0"), claim

    def shown_for(self, watch: Watch) -> Watch:
        (claim,) = watch.claims
        assert isinstance(claim, TransferClaim)
        return replace(watch, claims=(replace(claim, signature=ADA.claim(watch.order_id, claim.transaction)),))


class X402Bench(ChainBench):
    """Transfers that were signed, reserved for their order and carried out."""

    name = RailName.X402
    absent: ClassVar[Mapping[str, str]] = {**ABSENT, **dict.fromkeys(("forged", "stale"), BY_FUNCTION)}

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.reservations = MemoryReservations()
        self.facilitator = MemoryFacilitator(self.chain)

    def rail(self, through: Callable[[Any], Any]) -> ChainRail:
        facilitator, reservations = through(self.facilitator), through(self.reservations)
        return X402Rail(through(self.chain), TOKEN, facilitator, reservations, self._clock)

    def paid(self, watch: Watch) -> tuple[PaymentId, Claim]:
        nonce, now_s = self.chain.digest(), self._clock() // 1000
        authorization = Authorization(
            sender=ADA.address,
            receiver=Address(TOKEN.receiver),
            amount=watch.terms.amount,
            valid_after_s=now_s - 600,
            valid_before_s=now_s + 600,
            nonce=nonce,
            signature="",
        )
        key = authorization_id(TOKEN, sender=ADA.address, nonce=nonce)
        self.reservations.kept[key] = Reservation(watch.order_id, 0)
        self.chain.carry_out(authorization)
        claim = AuthorizationClaim(
            sender=ADA.address, nonce=nonce, valid_before_s=now_s + 600, claimed_at_ms=self._clock()
        )
        return PaymentId(key), claim

    def shown_for(self, watch: Watch) -> Watch:
        """As if it had been reserved for that order, which nobody can have done twice."""
        (claim,) = watch.claims
        assert isinstance(claim, AuthorizationClaim)
        key = authorization_id(TOKEN, sender=claim.sender, nonce=claim.nonce)
        self.reservations.kept[key] = Reservation(watch.order_id, 0)
        return watch
