"""Where a card's credits come from, and where the rest of them goes."""

import secrets
from typing import Protocol

from shared.cards.models import Card
from shared.ledger import rules
from shared.ledger.errors import CreditTooLow, NothingToMove
from shared.ledger.funds import Funds
from shared.ledger.operation import Posted
from shared.ledger.service import Facts, Ledger


class Purse(Protocol):
    """What funds cards. Every verb may be repeated, and what it moves follows from the card."""

    async def check(self, card: Card, amount_micros: int) -> None:
        """Refuse what cannot be funded before anything is written. Funding itself decides in the end."""

    async def fund(self, card: Card, amount_micros: int) -> Card:
        """Move so much onto the card's account, once; the card, which says then whose it is. Raise CreditTooLow, or
        what the ledger raises.
        """

    async def withdraw(self, card: Card, facts: Facts) -> int:
        """Take back what can be had while calls of the card go on; how much that was."""

    async def close(self, card: Card, facts: Facts) -> Posted:
        """Close the card's account and take back the rest. Raise HoldsOpen, AccountAbsent, or what the ledger says."""


class Wallets:
    """The wallets of the cards' owners."""

    def __init__(self, ledger: Ledger, funds: Funds) -> None:
        self._ledger = ledger
        self._funds = funds

    async def check(self, card: Card, amount_micros: int) -> None:
        head = await self._ledger.head(card.wallet_id)
        if (spendable_micros := self._ledger.spendable_micros(head)) < amount_micros:
            raise CreditTooLow(needed_micros=amount_micros, spendable_micros=spendable_micros)

    async def check_open(self, card: Card) -> None:
        """Raise AccountNotOpen once the owner's wallet is frozen or closed, and AccountAbsent where there is none."""
        rules.check_may_spend(await self._ledger.head(card.wallet_id))

    async def fund(self, card: Card, amount_micros: int) -> Card:
        facts = {"reason": "card created", "card": card.card_id}
        key = f"{card.account_id}:create"
        await self._ledger.transfer(card.wallet_id, card.account_id, amount_micros, key=key, facts=facts)
        return card

    async def withdraw(self, card: Card, facts: Facts) -> int:
        # Each try has a key of its own: what an earlier one moved is not there to move again.
        key = secrets.token_hex(16)
        try:
            moved = await self._funds.withdraw(card.account_id, card.wallet_id, key=key, facts=facts)
        except NothingToMove:
            return 0
        return -moved.entry.delta_micros

    async def close(self, card: Card, facts: Facts) -> Posted:
        return await self._funds.close(card.account_id, rest_to=card.wallet_id, facts=facts)
