"""Puts on local accounts what cannot be bought or earned here yet: paid credits, and a settlement to look at."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping

from shared.app import App
from shared.base.ids import AccountId, EntryId
from shared.base.merkle import EMPTY_ROOT
from shared.base.settings import Settings
from shared.ledger.postings import OpenAccount
from shared.ledger.settling import Folded, Settle, Window

Post = Callable[[App], Awaitable[None]]


class Treasury:
    """Posts to one deployment's ledger with the functions' own code."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def grant_paid(self, uid: str, amount_micros: int) -> None:
        """Put paid credits on a person's wallet, which must be open."""

        async def post(app: App) -> None:
            await app.ledger.grant_paid(
                AccountId(f"user:{uid}"), amount_micros, key=f"treasury:{secrets.token_hex(8)}", facts={}
            )

        self._run(post)

    def settle_nothing(self, uid: str) -> EntryId:
        """Post a settlement of no sales to a person's earnings, in the first window there was; its id."""
        account_id = AccountId(f"earn:{uid}")
        folded = Folded(account_id, 0, (), EMPTY_ROOT.hex())
        settle = Settle(account_id=account_id, window=Window(0, 0), folded=folded, at_ms=0)

        async def post(app: App) -> None:
            await app.ledger_engine.run(OpenAccount(account_id=account_id, at_ms=0))
            await app.ledger_engine.run(settle)

        self._run(post)
        return settle.entry_id

    def _run(self, post: Post) -> None:
        # The client library reads the emulator's address from the process's own environment.
        os.environ["FIRESTORE_EMULATOR_HOST"] = self._environment["FIRESTORE_EMULATOR_HOST"]
        asyncio.run(self._posted(post))

    async def _posted(self, post: Post) -> None:
        await post(App(Settings.from_environment(self._environment)))
