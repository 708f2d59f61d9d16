"""Starting an account: open the wallet, grant what of the welcome bonus has been earned so far."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from shared.accounts.models import Stage, StageStatus, StartedAccount
from shared.accounts.rules import is_paid_use, may_show_paid_use, welcome_stages
from shared.base.economy import FIRST_USE, WELCOME_LIFETIME_MS
from shared.base.ids import AccountId, UserId, entry_id_of
from shared.base.together import both
from shared.ledger.errors import AccountAbsent, EntryAbsent, KeyReused, LedgerUnavailable
from shared.ledger.models import Entry
from shared.ledger.operation import Posted
from shared.ledger.service import Ledger
from shared.ledger.store import StoreUnavailable
from shared.risk.models import PROVED, ClientClaim, Signal, SignalKind, Subject


class Persons(Protocol):
    """Knows people again, and remembers for ever whose bonus a signal was good for."""

    async def person(self, owner: UserId, client: ClientClaim, email: str | None, phone: str | None) -> list[Signal]:
        """All by which the person behind a user is known."""

    async def claim(self, owner: UserId, signals: Sequence[Signal]) -> Mapping[SignalKind, UserId]:
        """Claim all of them, unless one is somebody else's: then none. Who holds them now; durable once answered."""

    async def note(self, subject: Subject, owner: UserId, *, rule: str, outcome: str) -> None:
        """Put a decision on the record, once."""


class Uses(Protocol):
    """What an account was charged for."""

    async def newest(self, account_id: AccountId) -> Sequence[Entry]:
        """A page of its newest entries. Raise StoreUnavailable."""


class Accounts:
    """Accounts of people."""

    def __init__(self, ledger: Ledger, persons: Persons, uses: Uses) -> None:
        self._ledger = ledger
        self._persons = persons
        self._uses = uses

    async def start(
        self, user_id: UserId, verified_email: str | None, phone: str | None = None, client: ClientClaim | None = None
    ) -> StartedAccount:
        """Open the user's wallet and grant what is proved. A repeat changes nothing that was already done."""
        account_id = AccountId(f"user:{user_id}")
        # Side by side, since neither needs the other. If we die in between, the same user's next start finds both.
        opened, stages = await both(
            self._ledger.open(account_id), self._stages(user_id, verified_email, phone, client or ClientClaim())
        )
        last = opened
        for stage in stages:
            if stage.status is StageStatus.GRANTED:
                last = await self._grant(account_id, stage, opened)
        head = await self._ledger.head(account_id) if last.repeated else None
        return StartedAccount(
            account_id=account_id,
            created=not opened.repeated,
            balance_micros=head.balance_micros if head else last.entry.balance_micros,
            welcome=stages,
        )

    async def _stages(
        self, user_id: UserId, email: str | None, phone: str | None, client: ClientClaim
    ) -> tuple[Stage, ...]:
        signals = await self._persons.person(user_id, client, email, phone)
        if not any(signal.kind in PROVED for signal in signals):
            # A device or a card alone earns nothing, so it is not claimed by somebody who proved nothing yet.
            return welcome_stages((), {}, user_id)
        # Side by side: what was used does not depend on who claims.
        holders, has_used = await both(
            self._persons.claim(user_id, signals), self._has_used(AccountId(f"user:{user_id}"))
        )
        stages = welcome_stages(signals, holders, user_id, has_used=has_used)
        for reason in sorted({stage.reason for stage in stages if stage.reason is not None}):
            await self._persons.note(Subject(f"user:{user_id}"), user_id, rule=reason, outcome="no welcome bonus")
        return stages

    async def _has_used(self, account_id: AccountId) -> bool:
        """Whether bought credits were used lately, or the stage for it was granted before."""
        try:
            head = await self._ledger.head(account_id)
            if head.spent_micros <= 0:
                # Nearly everybody's start ends here, with a read.
                return False
            await self._ledger.entry(account_id, entry_id_of(_key_of(FIRST_USE)))
        except AccountAbsent:
            return False
        except EntryAbsent:
            if not may_show_paid_use(head.lots):
                return False
            try:
                return any(map(is_paid_use, await self._uses.newest(account_id)))
            except StoreUnavailable:
                raise LedgerUnavailable from None
        return True

    async def _grant(self, account_id: AccountId, stage: Stage, opened: Posted) -> Posted:
        try:
            return await self._ledger.grant_promo(
                account_id,
                stage.amount_micros,
                lifetime_ms=WELCOME_LIFETIME_MS,
                key=_key_of(stage.name),
                facts={"reason": "welcome bonus", "stage": stage.name},
            )
        except KeyReused:
            # Granted before the product changed the bonus: once per account is once, whatever its size was then.
            return replace(opened, repeated=True)


def _key_of(stage_name: str) -> str:
    return f"welcome:{stage_name}"
