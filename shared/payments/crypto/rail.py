"""Two rails that read one chain: plain transfers, and transfers that a facilitator carries out for x402.

A chain tells nobody of payments and knows no orders. So a buyer shows a payment, the order keeps what was shown, and a
look asks the chain for all of it.
"""

from abc import ABC, abstractmethod

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.chain.errors import (
    AmountDiffers,
    AuthorizationTaken,
    ChainUnavailable,
    ClaimNotSigned,
    ReservationsUnavailable,
    TransferPending,
    TransferRefused,
)
from shared.chain.facilitator import Facilitator
from shared.chain.models import Offer, Token, Transfer
from shared.chain.node import Node
from shared.chain.rules import units_of
from shared.chain.service import Transfers, Upfront
from shared.chain.store import Reservations
from shared.payments.crypto import rules
from shared.payments.crypto.models import AuthorizationClaim, Claim, TransferClaim, TransferTerms, Watch
from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Checkout, Money, Order, PaymentId, RailName, Seen, Subject

TOPUP_PATH = "/v1/credits/topup"
"""Where an order of x402 is paid: the route of `credit_topup`."""
_NAME = "The chain"


class ChainRail(ABC):
    """What both have in common. A subclass knows how to find its kind of claim."""

    name: RailName

    def __init__(self, token: Token, clock: Clock) -> None:
        """`token` is what new orders ask for."""
        self._token = token
        self._clock = clock

    async def begin(self, order: Order) -> Checkout:
        """Freeze what must be sent; nobody else is told of it."""
        if order.money.currency != rules.CURRENCY:
            raise RailRefused(_NAME, "currency_not_taken")
        terms = TransferTerms(token=self._token, amount=units_of(order.money.amount_minor))
        return Checkout(order.order_id, self.url_of(terms), terms=terms)

    def subject_of(self, order: Order) -> Subject | None:
        watch = rules.watch_of(order)
        return None if watch is None else rules.subject_of(watch)

    async def look(self, subject: Subject) -> Seen | None:
        """Raise TransferPending while a payment is under way: nobody will tell us when it is final."""
        watch = rules.watch_in(subject)
        if seen := rules.seen_before(self.name, watch):
            return seen
        if watch.terms.token.chain_id != self._token.chain_id:
            return rules.seen_elsewhere(self.name, watch)
        found: list[Transfer] = []
        awaited: TransferPending | None = None
        for claim in watch.claims:
            try:
                found.append(await self._found(watch, claim))
            except TransferPending as pending:
                if rules.may_still_come(claim, pending, at_ms=self._clock()):
                    awaited = pending
            except (TransferRefused, ClaimNotSigned, AuthorizationTaken) as refusal:
                write_line("INFO", "claim_refused", order=watch.order_id, code=refusal.code)
            except (ChainUnavailable, ReservationsUnavailable) as error:
                raise RailUnavailable(_NAME) from error
        if seen := rules.seen_paid(self.name, watch, found):
            return seen
        if awaited is not None:
            raise awaited
        return rules.seen_unpaid(self.name, watch, at_ms=self._clock())

    async def _found(self, watch: Watch, claim: Claim) -> Transfer:
        """The payment that is claimed, also of another amount: whoever looks at that is told what has come."""
        try:
            return await self.find(watch, claim)
        except AmountDiffers as differs:
            if not rules.is_worth_a_look(differs.amount):
                raise
            return await self.find(rules.watch_for(watch, differs.amount), claim)

    async def refund(self, payment_id: PaymentId, money: Money, *, key: str) -> None:
        """No key that could send anything is here."""
        raise RailRefused(_NAME, "no_refunds")

    @abstractmethod
    def url_of(self, terms: TransferTerms) -> str:
        """Where the buyer pays."""

    @abstractmethod
    async def find(self, watch: Watch, claim: Claim) -> Transfer:
        """The final payment that is claimed. Raise what `shared.chain.service` does."""


class CryptoRail(ChainRail):
    """Plain transfers, claimed by their senders."""

    name = RailName.CRYPTO

    def __init__(self, node: Node, token: Token, clock: Clock) -> None:
        super().__init__(token, clock)
        self._node = node

    def url_of(self, terms: TransferTerms) -> str:
        return rules.payment_url(terms)

    async def find(self, watch: Watch, claim: Claim) -> Transfer:
        if not isinstance(claim, TransferClaim):
            raise TransferRefused("This order is paid by a transfer that its buyer sends.")
        return await Transfers(self._node, watch.terms.token).verify_transfer(rules.signed_claim(watch, claim))


class X402Rail(ChainRail):
    """Transfers that their senders sign and a facilitator carries out."""

    name = RailName.X402

    def __init__(
        self, node: Node, token: Token, facilitator: Facilitator, reservations: Reservations, clock: Clock
    ) -> None:
        super().__init__(token, clock)
        self._node = node
        self._facilitator = facilitator
        self._reservations = reservations

    def url_of(self, terms: TransferTerms) -> str:
        return TOPUP_PATH

    async def find(self, watch: Watch, claim: Claim) -> Transfer:
        if not isinstance(claim, AuthorizationClaim):
            raise TransferRefused("This order is paid by an authorization.")
        return await self.upfront(watch).find(offer_of(watch), sender=claim.sender, nonce=claim.nonce)

    def upfront(self, watch: Watch) -> Upfront:
        """Settles payments of this order."""
        return Upfront(
            self._node,
            watch.terms.token,
            facilitator=self._facilitator,
            reservations=self._reservations,
            clock=self._clock,
        )


def offer_of(watch: Watch) -> Offer:
    """The order's price as x402 asks it. Its address is relative to the one that the client called."""
    return Offer(order_id=watch.order_id, amount=watch.terms.amount, url=TOPUP_PATH, description="Credits")
