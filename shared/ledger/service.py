"""The ledger's verbs. Every posting takes an idempotency key, and a repeat with the same key answers the same."""

from collections.abc import Mapping, Sequence

from shared.base.clock import Clock
from shared.base.economy import (
    HOLD_LIFETIME_MS,
    HOLDS_OPEN_MAX,
    HOLDS_PER_WINDOW_MAX,
    SEND_REPEAT_WINDOW_MS,
    SENT_PER_DAY_MICROS_MAX,
    WINDOW_MS,
)
from shared.base.ids import AccountId, EntryId, HoldId, UserId
from shared.ledger import rules
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountAbsent, EntryAbsent, HoldAbsent, LedgerUnavailable
from shared.ledger.holds import ExtendHold, Held, PlaceHold, ReleaseHold
from shared.ledger.models import (
    HOUSE_ONLY,
    HOUSE_PAYMENTS,
    HOUSE_PROMOTIONS,
    Entry,
    Head,
    Hold,
    HoldLimits,
    Origin,
    SendLimits,
    Share,
)
from shared.ledger.operation import Posted, facts_of
from shared.ledger.postings import Capture, Debit, Grant, OpenAccount, Transfer, paid_grant
from shared.ledger.store import LedgerStore, StoreUnavailable

SEND_LIMITS = SendLimits(per_day_micros_max=SENT_PER_DAY_MICROS_MAX, repeat_window_ms=SEND_REPEAT_WINDOW_MS)
Facts = Mapping[str, str | int]


class Ledger:
    """Accounts, postings and holds. Amounts are micros; times are milliseconds."""

    def __init__(self, engine: Engine, store: LedgerStore, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._limits = HoldLimits(open_max=HOLDS_OPEN_MAX, window_ms=WINDOW_MS, per_window_max=HOLDS_PER_WINDOW_MAX)
        self._send_limits = SEND_LIMITS

    async def open(self, account_id: AccountId) -> Posted:
        """Open an account; a repeat answers with the entry that opened it."""
        return await self._engine.run(OpenAccount(account_id=account_id, at_ms=self._clock()))

    async def grant_promo(
        self, account_id: AccountId, amount_micros: int, *, lifetime_ms: int, key: str, facts: Facts
    ) -> Posted:
        """Give promotional credits: spendable until they expire, never withdrawable."""
        at_ms = self._clock()
        grant = Grant(
            account_id=account_id,
            amount_micros=amount_micros,
            origin=Origin.PROMO,
            expires_at_ms=at_ms + lifetime_ms,
            source=HOUSE_PROMOTIONS,
            key=key,
            facts=facts_of(facts),
            at_ms=at_ms,
        )
        return await self._engine.run(grant)

    async def grant_paid(self, account_id: AccountId, amount_micros: int, *, key: str, facts: Facts) -> Posted:
        """Give credits that were paid for. They never expire; the key is that of the payment in the real world."""
        at_ms = self._clock()
        grant = paid_grant(account_id, amount_micros, source=HOUSE_PAYMENTS, key=key, facts=facts, at_ms=at_ms)
        return await self._engine.run(grant)

    async def debit(
        self,
        account_id: AccountId,
        amount_micros: int,
        *,
        key: str,
        facts: Facts,
        shares: Sequence[Share] = HOUSE_ONLY,
    ) -> Posted:
        """Charge for finished work. Raise CreditTooLow, KeyReused, AccountAbsent or AccountNotOpen."""
        debit = Debit(
            account_id=account_id,
            amount_micros=amount_micros,
            shares=tuple(shares),
            key=key,
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(debit)

    async def transfer(
        self, payer_id: AccountId, payee_id: AccountId, amount_micros: int, *, key: str, facts: Facts
    ) -> Posted:
        """Move credits, their origin and expiry kept. Raise what `debit` raises. The key is the payer's own."""
        # The payee's chain records the same id, so the payer is part of it: two payers may choose the same key.
        transfer = Transfer(
            account_id=payer_id,
            payee_id=payee_id,
            amount_micros=amount_micros,
            key=f"transfer:{payer_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(transfer)

    async def send(
        self, sender: UserId, recipient: UserId, amount_micros: int, *, key: str, repeat_confirmed: bool
    ) -> Posted:
        """Move a person's paid credits to another person, within the day's limit; promotional credits stay.

        Raise what `transfer` raises, SendLimitExceeded, or TransferRepeated unless a repeat is confirmed.
        """
        payer_id, payee_id = AccountId(f"user:{sender}"), AccountId(f"user:{recipient}")
        transfer = Transfer(
            account_id=payer_id,
            payee_id=payee_id,
            amount_micros=amount_micros,
            key=f"send:{payer_id}:{key}",
            facts=facts_of({"sent_by": sender, "sent_to": recipient}),
            limits=self._send_limits,
            repeat_confirmed=repeat_confirmed,
            at_ms=self._clock(),
        )
        return await self._engine.run(transfer)

    async def hold(
        self, account_id: AccountId, amount_micros: int, *, hold_id: HoldId, lifetime_ms: int = HOLD_LIFETIME_MS
    ) -> Held:
        """Set credits aside, for as long as the work may take that they are for.

        Raise CreditTooLow, TooManyHolds, RateExceeded, AccountAbsent or AccountNotOpen.
        """
        at_ms = self._clock()
        hold = Hold(hold_id, amount_micros, placed_at_ms=at_ms, expires_at_ms=at_ms + lifetime_ms)
        return await self._engine.run(PlaceHold(account_id, hold, self._limits))

    async def capture(
        self,
        account_id: AccountId,
        hold_id: HoldId,
        amount_micros: int,
        *,
        facts: Facts,
        shares: Sequence[Share] = HOUSE_ONLY,
    ) -> Posted:
        """Take part or all of a hold and resolve it. Raise HoldAbsent or HoldExceeded."""
        return await self._engine.run(self._capture(account_id, hold_id, amount_micros, facts, shares, late=False))

    async def capture_late(
        self,
        account_id: AccountId,
        hold_id: HoldId,
        amount_micros: int,
        *,
        facts: Facts,
        shares: Sequence[Share] = HOUSE_ONLY,
    ) -> Posted:
        """Charge for what was delivered under a hold that may be gone by now; if `capture` was made, answer like it."""
        return await self._engine.run(self._capture(account_id, hold_id, amount_micros, facts, shares, late=True))

    async def extend(self, account_id: AccountId, hold_id: HoldId) -> Held:
        """Let a hold live a whole lifetime from now, for a call that goes on. Raise HoldAbsent."""
        at_ms = self._clock()
        return await self._engine.run(ExtendHold(account_id, hold_id, at_ms + HOLD_LIFETIME_MS, at_ms))

    async def release(self, account_id: AccountId, hold_id: HoldId) -> None:
        """Let a hold go uncharged. A hold that is no longer there is as good as released."""
        try:
            await self._engine.run(ReleaseHold(account_id, hold_id, self._clock()))
        except HoldAbsent:
            return

    def _capture(
        self,
        account_id: AccountId,
        hold_id: HoldId,
        amount_micros: int,
        facts: Facts,
        shares: Sequence[Share],
        *,
        late: bool,
    ) -> Capture:
        return Capture(
            account_id=account_id,
            hold_id=hold_id,
            amount_micros=amount_micros,
            shares=tuple(shares),
            facts=facts_of(facts),
            late=late,
            at_ms=self._clock(),
        )

    async def head(self, account_id: AccountId) -> Head:
        """The account as it stands in the store now. Raise AccountAbsent."""
        try:
            seen = await self._store.read([account_id], ())
        except StoreUnavailable:
            raise LedgerUnavailable from None
        head = seen.heads[account_id].head
        if head is None:
            raise AccountAbsent
        return head

    async def check_spendable(self, account_id: AccountId, amount_micros: int) -> None:
        """Raise CreditTooLow, AccountNotOpen or AccountAbsent, as a hold of the amount would now. One read."""
        head = await self.head(account_id)
        rules.check_may_spend(head)
        rules.check_covers(head, amount_micros, self._clock())

    async def entry(self, account_id: AccountId, entry_id: EntryId) -> Entry:
        """One entry of the account. Raise EntryAbsent."""
        try:
            seen = await self._store.read((), [(account_id, entry_id)])
        except StoreUnavailable:
            raise LedgerUnavailable from None
        if (account_id, entry_id) not in seen.entries:
            raise EntryAbsent
        return seen.entries[account_id, entry_id]

    def spendable_micros(self, head: Head) -> int:
        """What the account could spend right now."""
        return rules.spendable_micros(head, self._clock())

    def held_micros(self, head: Head) -> int:
        """What live holds set aside right now."""
        return rules.held_micros(head, self._clock())
