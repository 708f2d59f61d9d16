"""What clients ask of the ledger, and each time that it is asked."""

from typing import Any

from msgspec import Struct

from shared.base.ids import AccountId, HoldId, UserId, entry_id_of
from shared.ledger.administration import Administration
from shared.ledger.models import Share
from shared.ledger.service import Ledger

ADMINISTRATION = frozenset({"refund", "revoke", "clawback", "expire", "freeze", "unfreeze", "close"})


class Request(Struct, frozen=True):
    """One thing asked. `verb` names the method of the ledger; what the verb does not need is left at its default."""

    verb: str
    account_id: AccountId
    amount_micros: int = 0
    key: str = ""
    """The idempotency key, or the id of the hold; of a refund or a revocation, the key of what it undoes."""
    payee_id: AccountId = AccountId("")
    lifetime_ms: int = 0
    until_ms: int = 0
    """Of an expiry: up to which moment."""
    shares: tuple[tuple[str, int], ...] = ()
    late: bool = False
    """Of a capture: that it counts though its hold may be gone."""
    confirmed: bool = False
    """Of credits sent: that the same is meant to be sent again."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two requests the same. A grant's lifetime counts from when it is first made, so it is not in it;
        nor is a word that is only said when the request was refused without it."""
        return (self.verb, self.account_id, self.amount_micros, self.key, self.payee_id, self.shares, self.until_ms)

    def __str__(self) -> str:
        words = [self.verb, self.account_id]
        words += [f"to {self.payee_id}"] if self.payee_id else []
        words += [str(self.amount_micros)] if self.amount_micros else []
        words += [f"key={self.key}"] if self.key else []
        words += ["late"] if self.late else []
        words += ["confirmed"] if self.confirmed else []
        return " ".join(words)


class Attempt(Struct, eq=False):
    """One delivery of a request to one process, and what became of it."""

    number: int
    request: Request
    called: int = 0
    """How many commits there had been when the process began with it."""
    at_ms: int = 0
    """What the process's clock said then."""
    predicted: Any = None
    """What the reference model answers, once a commit with this attempt in it took effect."""
    done: int = 0
    """The number of that commit."""
    refused: str = ""
    """The code of the refusal it was answered with."""


async def perform(ledger: Ledger, administration: Administration, request: Request) -> Any:
    """Ask the ledger; its answer, or its refusal raised."""
    if request.verb in ADMINISTRATION:
        return await _administer(administration, request)
    account_id, amount_micros, key = request.account_id, request.amount_micros, request.key
    shares = tuple(Share(AccountId(payee), weight) for payee, weight in request.shares)
    facts: dict[str, str | int] = {"reason": "simulation"}
    match request.verb:
        case "open":
            return await ledger.open(account_id)
        case "grant":
            lifetime_ms = request.lifetime_ms
            return await ledger.grant_promo(account_id, amount_micros, lifetime_ms=lifetime_ms, key=key, facts=facts)
        case "buy":
            return await ledger.grant_paid(account_id, amount_micros, key=key, facts=facts)
        case "debit":
            return await ledger.debit(account_id, amount_micros, key=key, facts=facts, shares=shares)
        case "hold":
            return await ledger.hold(account_id, amount_micros, hold_id=HoldId(key))
        case "extend":
            return await ledger.extend(account_id, HoldId(key))
        case "capture" if request.late:
            return await ledger.capture_late(account_id, HoldId(key), amount_micros, facts=facts, shares=shares)
        case "capture":
            return await ledger.capture(account_id, HoldId(key), amount_micros, facts=facts, shares=shares)
        case "release":
            return await ledger.release(account_id, HoldId(key))
        case "transfer":
            return await ledger.transfer(account_id, request.payee_id, amount_micros, key=key, facts=facts)
        case "send":
            sender, recipient = (UserId(name.removeprefix("user:")) for name in (account_id, request.payee_id))
            return await ledger.send(sender, recipient, amount_micros, key=key, repeat_confirmed=request.confirmed)
        case _:
            return await ledger.head(account_id)


async def _administer(administration: Administration, request: Request) -> Any:
    account_id, key = request.account_id, request.key
    facts: dict[str, str | int] = {"reason": "simulation"}
    match request.verb:
        case "refund":
            return await administration.refund(account_id, entry_id_of(key), facts=facts)
        case "revoke":
            return await administration.revoke(account_id, entry_id_of(key), facts=facts)
        case "clawback":
            return await administration.claw_back(account_id, request.amount_micros, key=key, facts=facts)
        case "expire":
            return await administration.expire(account_id, request.until_ms)
        case "freeze":
            return await administration.freeze(account_id, key=key, facts=facts)
        case "unfreeze":
            return await administration.unfreeze(account_id, key=key, facts=facts)
        case _:
            return await administration.close(account_id, rest_to=request.payee_id, key=key, facts=facts)
