"""The verbs for accounts that are supplied from a wallet: open with a limit, limit, top up, take back, close."""

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.base.periods import Period, period_start_ms
from shared.ledger.engine import Engine
from shared.ledger.funding import SetLimit, TopUp, Withdraw
from shared.ledger.models import Allowance, SpendLimit
from shared.ledger.operation import Posted, facts_of
from shared.ledger.postings import OpenAccount
from shared.ledger.service import Facts
from shared.ledger.standing import Close


class Funds:
    """Accounts that live on another one's credits. Amounts are micros."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def open(self, account_id: AccountId, limit: SpendLimit | None) -> Posted:
        """Open an account that counts what it spends by day, week and month. A repeat changes no limit."""
        allowance = Allowance(limit=limit)
        return await self._engine.run(OpenAccount(account_id=account_id, allowance=allowance, at_ms=self._clock()))

    async def limit(self, account_id: AccountId, limit: SpendLimit | None) -> None:
        """Limit what the account spends from now on; None lifts the limit. Raise AccountAbsent."""
        await self._engine.run(SetLimit(account_id, limit))

    async def top_up(
        self, account_id: AccountId, payer_id: AccountId, *, to_micros: int, period: Period, facts: Facts
    ) -> int:
        """Top the account up once in this period; what was moved for it, now or before.

        Raise AlreadyFilled when nothing was to be moved, CreditTooLow when the payer has nothing, AccountNotOpen.
        """
        at_ms = self._clock()
        posted = await self._engine.run(
            TopUp(
                account_id=payer_id,
                payee_id=account_id,
                to_micros=to_micros,
                start_ms=period_start_ms(period, at_ms),
                facts=facts_of(facts),
                at_ms=at_ms,
            )
        )
        return -posted.entry.delta_micros if posted else 0

    async def withdraw(self, account_id: AccountId, payee_id: AccountId, *, key: str, facts: Facts) -> Posted:
        """Move what is free to another account. Raise NothingToMove or AccountNotOpen."""
        withdraw = Withdraw(
            account_id=account_id,
            payee_id=payee_id,
            key=f"withdraw:{account_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(withdraw)

    async def close(self, account_id: AccountId, *, rest_to: AccountId, facts: Facts) -> Posted:
        """Close for good and move the rest. Raise HoldsOpen, AccountInDebt or AccountNotOpen."""
        # The other account's chain records the same id, so the one that closes is part of it.
        key = f"close:{account_id}"
        return await self._engine.run(
            Close(account_id=account_id, rest_to=rest_to, key=key, facts=facts_of(facts), at_ms=self._clock())
        )
