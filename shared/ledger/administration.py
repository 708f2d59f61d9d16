"""What operators and timers do to accounts: undo, take back, freeze, close. Each leaves one entry that says why."""

from collections.abc import Mapping

from shared.base.clock import Clock
from shared.base.ids import AccountId, EntryId
from shared.ledger.corrections import Clawback, Expire, Refund, Revoke
from shared.ledger.engine import Engine
from shared.ledger.errors import EntryAbsent, LedgerUnavailable
from shared.ledger.models import HOUSE_DISPUTES, Entry
from shared.ledger.operation import Posted, facts_of
from shared.ledger.standing import Close, Freeze, Unfreeze
from shared.ledger.store import LedgerStore, StoreUnavailable

Facts = Mapping[str, str | int]


class Administration:
    """Corrections and standing. Every verb may be repeated: it answers with the entry it left the first time."""

    def __init__(self, engine: Engine, store: LedgerStore, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock

    async def refund(self, account_id: AccountId, entry_id: EntryId, *, facts: Facts) -> Posted:
        """Undo a debit or capture. Raise EntryAbsent or NotReversible."""
        original = await self._original(account_id, entry_id)
        return await self._engine.run(
            Refund(account_id=account_id, original=original, facts=facts_of(facts), at_ms=self._clock())
        )

    async def revoke(self, account_id: AccountId, entry_id: EntryId, *, facts: Facts) -> Posted:
        """Undo a grant; paid credits that are gone are owed. Raise EntryAbsent or NotReversible."""
        original = await self._original(account_id, entry_id)
        return await self._engine.run(
            Revoke(account_id=account_id, original=original, facts=facts_of(facts), at_ms=self._clock())
        )

    async def claw_back(
        self,
        account_id: AccountId,
        amount_micros: int,
        *,
        key: str,
        facts: Facts,
        payee: AccountId = HOUSE_DISPUTES,
    ) -> Posted:
        """Take back disputed paid credits, into debt if they are gone."""
        clawback = Clawback(
            account_id=account_id,
            amount_micros=amount_micros,
            payee=payee,
            key=key,
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(clawback)

    async def expire(self, account_id: AccountId, until_ms: int) -> Posted:
        """Move what expired by `until_ms` to breakage. Raise NothingExpired, or HoldsOpen while calls may use it."""
        return await self._engine.run(Expire(account_id=account_id, until_ms=until_ms, at_ms=self._clock()))

    async def freeze(self, account_id: AccountId, *, key: str, facts: Facts) -> Posted:
        """Let nothing more be spent. Raise AccountNotOpen."""
        return await self._engine.run(
            Freeze(account_id=account_id, key=key, facts=facts_of(facts), at_ms=self._clock())
        )

    async def unfreeze(self, account_id: AccountId, *, key: str, facts: Facts) -> Posted:
        """Let a frozen account spend again. Raise AccountNotFrozen."""
        return await self._engine.run(
            Unfreeze(account_id=account_id, key=key, facts=facts_of(facts), at_ms=self._clock())
        )

    async def close(self, account_id: AccountId, *, rest_to: AccountId, key: str, facts: Facts) -> Posted:
        """Close for good and move the rest. Raise HoldsOpen, AccountInDebt or AccountNotOpen."""
        # Whoever gets the rest records the same id, so the account is part of it: several may be closed with one key.
        close = Close(
            account_id=account_id,
            rest_to=rest_to,
            key=f"close:{account_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(close)

    async def _original(self, account_id: AccountId, entry_id: EntryId) -> Entry:
        ref = (account_id, entry_id)
        try:
            seen = await self._store.read((), [ref])
        except StoreUnavailable:
            raise LedgerUnavailable from None
        if ref not in seen.entries:
            raise EntryAbsent
        return seen.entries[ref]
