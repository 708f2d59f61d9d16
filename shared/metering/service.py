"""The one flow behind every paid call: hold the worst case, let the caller work, capture what it came to.

A call that is never resolved, because the process died, costs nothing: its hold expires by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.base.economy import HOLD_LIFETIME_MS
from shared.base.ids import AccountId, HoldId, RequestId, entry_id_of
from shared.base.log import write_line
from shared.ledger.errors import CreditTooLow, HoldAbsent, LedgerBusy, LedgerUnavailable
from shared.ledger.holds import capture_key
from shared.ledger.models import HOUSE_ONLY, RateLeft, Share
from shared.ledger.operation import Posted
from shared.ledger.service import Ledger
from shared.metering import rules
from shared.metering.errors import CallUnaffordable
from shared.metering.models import BeforeCharge, Charge, OwedCharge, Quote, Usage
from shared.metering.store import OwedCharges, OwedUnavailable


class Lent(Protocol):
    """What somebody lent for a call, as their key: they have a part in its charge."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What the receipt says of it."""
        ...

    @property
    def shares(self) -> Sequence[Share]:
        """How the charge is split."""
        ...

    def settled(self, charged_micros: int) -> None:
        """Take note of what the call came to. The first word stands."""
        ...


class LentBefore(Struct, frozen=True):
    """What the process was lent that made a call, as whoever charges for the call later knows it. It was settled there,
    and stands in the facts that were kept with its shares.
    """

    shares: tuple[Share, ...]

    @property
    def facts(self) -> Mapping[str, str]:
        """Nothing that is not known already."""
        return {}

    def settled(self, charged_micros: int) -> None:
        """Nothing: a lender hears it once."""


class Meter:
    """Opens metered calls."""

    def __init__(self, ledger: Ledger, owed: OwedCharges) -> None:
        self._ledger = ledger
        self._owed = owed

    async def begin(
        self, account_id: AccountId, request_id: RequestId, quote: Quote, *, lifetime_ms: int = HOLD_LIFETIME_MS
    ) -> "MeteredCall":
        """Hold the quote, for as long as the call may take. Raise CallUnaffordable, or what `Ledger.hold` raises."""
        hold_id = HoldId(request_id)
        try:
            held = await self._ledger.hold(account_id, quote.amount_micros, hold_id=hold_id, lifetime_ms=lifetime_ms)
        except CreditTooLow as refusal:
            raise _unaffordable(quote, refusal) from None
        call = self.resume(account_id, hold_id, quote)
        call.rate = held.rate
        return call

    async def check_affordable(self, account_id: AccountId, quote: Quote) -> None:
        """Raise CallUnaffordable, AccountAbsent or AccountNotOpen, as `begin` would now for want of credit.

        One read; it holds nothing, so that a `begin` after it may be refused all the same.
        """
        try:
            await self._ledger.check_spendable(account_id, quote.amount_micros)
        except CreditTooLow as refusal:
            raise _unaffordable(quote, refusal) from None

    def resume(self, account_id: AccountId, hold_id: HoldId, quote: Quote) -> "MeteredCall":
        """A call whose hold another process placed. However many resume it, it is charged once at most."""
        return MeteredCall(self._ledger, self._owed, account_id, hold_id, quote)

    async def settle(self, owed: OwedCharge) -> None:
        """Make a charge that another process may have died over: once, however often it is asked for.

        Raise what the ledger raises; then it may or may not stand, and may be asked for again.
        """
        await _settle(self._ledger, owed)


async def _settle(ledger: Ledger, owed: OwedCharge) -> Posted:
    return await ledger.capture_late(
        owed.account_id, owed.hold_id, owed.amount_micros, facts=owed.facts, shares=owed.shares
    )


def _unaffordable(quote: Quote, refusal: CreditTooLow) -> CallUnaffordable:
    return CallUnaffordable(
        needed_micros=quote.amount_micros,
        spendable_micros=refusal.spendable_micros,
        affordable_max_tokens=rules.affordable_completion_tokens(quote, refusal.spendable_micros),
    )


class MeteredCall:
    """A call whose worst case is held. Resolve it once: `capture`, `collect` or `release`."""

    def __init__(self, ledger: Ledger, owed: OwedCharges, account_id: AccountId, hold_id: HoldId, quote: Quote) -> None:
        self._ledger = ledger
        self._owed = owed
        self._account_id = account_id
        self._hold_id = hold_id
        self.quote = quote
        self.receipt_id = entry_id_of(capture_key(hold_id))
        """Known before the charge is made, so that a stream's headers can name it."""
        self.rate: RateLeft | None = None
        """What the account may still begin; None for a call that another process held for."""
        self.lent: Lent | None = None
        """What the provider is asked with, where that is not the platform's own."""
        self.before_charge: BeforeCharge | None = None
        """For a caller that must know what a charge is for even if the process dies over it."""

    async def capture(self, usage: Usage, facts: Mapping[str, str | int]) -> Charge:
        """Charge the usage, capped by the hold, and give the rest back. Usage that costs nothing posts nothing."""
        amount_micros = rules.charge_micros(self.quote, usage)
        if amount_micros == 0:
            return await self.release()
        told, shares = self._told(usage, facts), self.shares
        try:
            if self.before_charge is not None:
                await self.before_charge(OwedCharge(self._account_id, self._hold_id, amount_micros, told, shares))
            posted = await self._ledger.capture(
                self._account_id, self._hold_id, amount_micros, facts=told, shares=shares
            )
        finally:
            # A charge that fails may stand after all, and the key was used either way.
            self.settle_lent(amount_micros)
        return self._charged(posted)

    async def collect(self, usage: Usage, facts: Mapping[str, str | int]) -> Charge:
        """Like `capture`, for what was delivered already: what cannot be charged now is owed, and charged later.

        Raise LedgerUnavailable when it could not even be noted; then the call was free.
        """
        amount_micros = rules.charge_micros(self.quote, usage)
        if amount_micros == 0:
            return await self.release()
        owed = OwedCharge(self._account_id, self._hold_id, amount_micros, self._told(usage, facts), self.shares)
        try:
            return await self._capture_or_settle(usage, facts, owed)
        except (LedgerBusy, LedgerUnavailable):
            return await self._owe(owed)

    async def _capture_or_settle(self, usage: Usage, facts: Mapping[str, str | int], owed: OwedCharge) -> Charge:
        try:
            return await self.capture(usage, facts)
        except HoldAbsent:
            # The answer took longer than its hold lived.
            return self._charged(await _settle(self._ledger, owed))

    async def _owe(self, owed: OwedCharge) -> Charge:
        try:
            await self._owed.put(owed)
        except OwedUnavailable:
            write_line("CRITICAL", "charge_lost", account=self._account_id, hold=self._hold_id)
            raise LedgerUnavailable from None
        # From here on the charge is certain: the collector makes it, once, whether or not ours still lands.
        write_line("WARNING", "charge_owed", account=self._account_id, hold=self._hold_id)
        return Charge(owed.amount_micros, self.receipt_id, None)

    def _told(self, usage: Usage, facts: Mapping[str, str | int]) -> dict[str, str]:
        return rules.receipt_facts(self.quote, usage, {**facts, **self.lent_facts})

    @property
    def lent_facts(self) -> Mapping[str, str]:
        """What the receipt says of what was lent."""
        return self.lent.facts if self.lent else {}

    @property
    def shares(self) -> tuple[Share, ...]:
        """Who has a part in the charge."""
        return tuple(self.lent.shares) if self.lent else HOUSE_ONLY

    def settle_lent(self, charged_micros: int) -> None:
        """Tell what was lent what the call comes to. Capturing and releasing do; this is for a charge that is decided
        here and may be made by another process.
        """
        if self.lent:
            self.lent.settled(charged_micros)

    def _charged(self, posted: Posted) -> Charge:
        write_line(
            "INFO",
            "call_charged",
            account=self._account_id,
            entry=posted.entry.entry_id,
            amount_micros=-posted.entry.delta_micros,
            held_micros=self.quote.amount_micros,
        )
        return Charge(-posted.entry.delta_micros, posted.entry.entry_id, posted.entry.balance_micros)

    async def release(self) -> Charge:
        """Give the whole hold back."""
        self.settle_lent(0)
        await self._ledger.release(self._account_id, self._hold_id)
        write_line("INFO", "call_released", account=self._account_id, hold=self._hold_id)
        return Charge(0, None, None)
