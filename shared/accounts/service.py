"""Starting an account: open the wallet, grant what of the welcome bonus has been earned so far."""

import asyncio
from typing import Protocol

from msgspec.structs import replace

from shared.accounts.models import Stage, StageStatus, StartedAccount
from shared.accounts.rules import person_signal
from shared.base.economy import WELCOME_LIFETIME_MS, WELCOME_STAGES, WelcomeStage
from shared.base.ids import AccountId, UserId
from shared.ledger.errors import KeyReused
from shared.ledger.operation import Posted
from shared.ledger.service import Ledger


class Claims(Protocol):
    """Remembers for ever which user a person's bonus went to."""

    async def claim(self, person: str, user_id: UserId) -> bool:
        """True if this user holds the claim, now or since an earlier call. Durable once answered."""


class Accounts:
    """Accounts of people."""

    def __init__(self, ledger: Ledger, claims: Claims) -> None:
        self._ledger = ledger
        self._claims = claims

    async def start(self, user_id: UserId, verified_email: str | None) -> StartedAccount:
        """Open the user's wallet and grant the first stage. A repeat changes nothing that was already done.

        Only the first stage is granted yet; the later ones wait for the device check and the first paid use.
        """
        account_id = AccountId(f"user:{user_id}")
        # Side by side, since neither needs the other. If we die in between, the same user's next start finds both.
        opened, status = await asyncio.gather(self._ledger.open(account_id), self._claim(user_id, verified_email))
        first, *later = WELCOME_STAGES
        last = await self._grant(account_id, first, opened) if status is StageStatus.GRANTED else opened
        head = await self._ledger.head(account_id) if last.repeated else None
        waiting = [Stage(stage.name, stage.amount_micros, StageStatus.WAITING) for stage in later]
        return StartedAccount(
            account_id=account_id,
            created=not opened.repeated,
            balance_micros=head.balance_micros if head else last.entry.balance_micros,
            welcome=(Stage(first.name, first.amount_micros, status), *waiting),
        )

    async def _claim(self, user_id: UserId, verified_email: str | None) -> StageStatus:
        """Whether the first stage is this user's to have."""
        if verified_email is None:
            return StageStatus.WAITING
        is_theirs = await self._claims.claim(person_signal(verified_email), user_id)
        return StageStatus.GRANTED if is_theirs else StageStatus.CLAIMED

    async def _grant(self, account_id: AccountId, stage: WelcomeStage, opened: Posted) -> Posted:
        try:
            return await self._ledger.grant_promo(
                account_id,
                stage.amount_micros,
                lifetime_ms=WELCOME_LIFETIME_MS,
                key=f"welcome:{stage.name}",
                facts={"reason": "welcome bonus", "stage": stage.name},
            )
        except KeyReused:
            # Granted before the product changed the bonus: once per account is once, whatever its size was then.
            return replace(opened, repeated=True)
