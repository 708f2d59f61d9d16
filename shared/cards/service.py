"""What owners do with their cards: create, see, change, fund, close. Every verb may be repeated."""

import secrets
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import AccountId, UserId
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.cards import rules
from shared.cards.errors import CardAbsent, CardsBusy
from shared.cards.models import (
    Card,
    CardId,
    CardRecord,
    CardState,
    CardStatus,
    Changes,
    Closed,
    Created,
    Standing,
    Terms,
)
from shared.cards.purse import Purse, Wallets
from shared.cards.store import CardChanged, CardExists, CardStore, Kept
from shared.ledger.errors import AccountAbsent, HoldsOpen, KeyReused
from shared.ledger.funds import Funds
from shared.ledger.models import HOUSE_BREAKAGE, Head
from shared.ledger.operation import Posted
from shared.ledger.service import Facts, Ledger

CHANGES_MAX = 5
"""Tries of one change against others of the same card at the same moment."""


def random_secret() -> Secret:
    """A secret that nobody guesses: 256 bits."""
    return Secret(secrets.token_urlsafe(rules.SECRET_BYTES))


class Cards:
    """Cards of people."""

    def __init__(
        self,
        ledger: Ledger,
        funds: Funds,
        store: CardStore,
        clock: Clock,
        new_secret: Callable[[], Secret] = random_secret,
        *,
        purse: Purse | None = None,
    ) -> None:
        """With a `purse` these are sessions, and no card is among them; without one it is the other way round."""
        self._purse: Purse = purse or Wallets(ledger, funds)
        self._are_sessions = purse is not None
        self._ledger = ledger
        self._funds = funds
        self._store = store
        self._clock = clock
        self._new_secret = new_secret

    async def create(self, owner: UserId, terms: Terms, amount_micros: int, *, key: str) -> Created:
        """A card with so many of the wallet's credits on it, and its key.

        A repeat finishes what a dead try began, with a new key, since nobody was shown the old one. Once a creation has
        finished, a repeat answers without a key: whoever lost it replaces it. Raise CreditTooLow, AccountAbsent,
        AccountNotOpen or KeyReused; then no card of this request is usable.
        """
        card = Card(rules.card_id_of(owner, key), owner, CardStatus.OPENING, terms, self._clock())
        return await self.begin(card, amount_micros, request_hash=rules.request_hash(terms, amount_micros))

    async def begin(self, wanted: Card, amount_micros: int, *, request_hash: str) -> Created:
        """Create this very card, or finish its creation. A repeat is one by id and hash, and gets the first's terms."""
        begun, secret = await self._begin(wanted, amount_micros, request_hash)
        card = begun.record.card
        if secret is None:
            return Created(card, None)
        # If we die here, the card is there and no key of it is good. A repeat goes on; its owner may also close it.
        await self._funds.open(card.account_id, card.terms.limit)
        # If we die here, it has an empty account; opening it again changes nothing.
        if amount_micros:
            card = await self._purse.fund(card, amount_micros)
        # If we die here, it is funded; a repeat's transfer has the same key and moves nothing more. The last write
        # makes the key good, unless another try took over meanwhile: then that one shows its own.
        opened = replace(begun.record, card=replace(card, status=CardStatus.OPEN))
        finished = await self._write(begun, opened)
        write_line("INFO", "card_created", card=card.card_id, amount_micros=amount_micros)
        return Created(finished.record.card, rules.format_key(card.card_id, secret))

    async def _begin(self, wanted: Card, amount_micros: int, request_hash: str) -> tuple[Kept, Secret | None]:
        """The record with a new secret in it; no secret when the card was finished before. Raise KeyReused."""
        secret = self._new_secret()
        kept = await self._store.find(wanted.card_id)
        if kept is None:
            await self._purse.check(wanted, amount_micros)
            try:
                return await self._store.create(CardRecord(wanted, rules.hash_secret(secret), request_hash)), secret
            except CardExists:
                raise CardsBusy from None
        if kept.record.card.owner != wanted.owner or kept.record.request_hash != request_hash:
            raise KeyReused
        if kept.record.card.status is not CardStatus.OPENING:
            return kept, None
        return await self._write(kept, replace(kept.record, key_hash=rules.hash_secret(secret))), secret

    async def owned_by(self, owner: UserId, *, after: CardId | None = None) -> list[Card]:
        """A page of the owner's cards, in the order of their ids, beginning behind `after`."""
        return await self._store.owned_by(owner, after=after)

    async def get(self, owner: UserId, card_id: CardId) -> CardState:
        """One card and how it stands. Raise CardAbsent, for somebody else's as for none."""
        kept = await self._owned(owner, card_id)
        return await self.state(kept.record.card)

    async def state(self, card: Card) -> CardState:
        """How the card stands now; one whose creation has not got so far yet has nothing."""
        try:
            return CardState(card, await self.standing(card.account_id))
        except AccountAbsent:
            return CardState(card, rules.standing_of(Head(card.account_id), self._clock()))

    async def standing(self, account_id: AccountId) -> Standing:
        """How an account stands now, a card's or a wallet. Raise AccountAbsent."""
        return rules.standing_of(await self._ledger.head(account_id), self._clock())

    async def change(self, owner: UserId, card_id: CardId, changes: Changes) -> Card:
        """Change the card; a frozen one refuses its key. What is in flight goes on as it began.

        Raise CardAbsent, CardClosed, CardNotReady or CardsBusy.
        """
        for _ in range(CHANGES_MAX):
            kept = await self._owned(owner, card_id)
            before = kept.record.card
            rules.check_changeable(before)
            card = rules.changed(before, changes)
            if (limit := card.terms.limit) != before.terms.limit:
                # First where it is enforced: if we die here, the card shows the old limit, and a repeat shows the new.
                await self._funds.limit(card.account_id, limit)
            with suppress(CardChanged):
                return (await self._store.replace(kept, replace(kept.record, card=card))).record.card
        raise CardsBusy

    async def replace_key(self, owner: UserId, card_id: CardId) -> Secret:
        """A new key, shown once; the old one is refused from now on. A repeat makes another. Raise like `change`."""
        kept = await self._owned(owner, card_id)
        rules.check_changeable(kept.record.card)
        secret = self._new_secret()
        await self._write(kept, replace(kept.record, key_hash=rules.hash_secret(secret)))
        return rules.format_key(card_id, secret)

    async def fund(self, owner: UserId, card_id: CardId, amount_micros: int, *, key: str) -> CardState:
        """Move more of the wallet's credits onto the card, once per key. Raise CreditTooLow or KeyReused."""
        card = (await self._owned(owner, card_id)).record.card
        rules.check_changeable(card)
        facts = {"reason": "card funded", "card": card_id}
        fund_key = f"{card.account_id}:fund:{key}"
        # A card that is closed meanwhile takes nothing: its account is.
        await self._ledger.transfer(card.wallet_id, card.account_id, amount_micros, key=fund_key, facts=facts)
        return await self.state(card)

    async def close(self, owner: UserId, card_id: CardId) -> Closed:
        """Refuse the key for good and give the wallet back what is left, each lot with its origin and expiry.

        While calls are in flight, what they hold stays and the rest goes back at once; a second close, when they have
        ended, gives back what they left. Raise CardAbsent, AccountInDebt, or AccountNotOpen when an operator froze it.
        """
        kept = await self._owned(owner, card_id)
        card = kept.record.card
        if card.status is CardStatus.CLOSED:
            return Closed(card, returned_micros=0, held_micros=0)
        if card.status is not CardStatus.CLOSING:
            card = replace(card, status=CardStatus.CLOSING)
            kept = await self._write(kept, replace(kept.record, card=card))
        # If we die here or anywhere below, the key is refused, and a repeat goes on from whatever was moved.
        facts = {"reason": "card closed", "card": card_id}
        try:
            closed = await self._close_account(card, facts)
        except HoldsOpen:
            returned_micros = await self._purse.withdraw(card, facts)
            standing = (await self.state(card)).standing
            return Closed(card, returned_micros=returned_micros, held_micros=standing.balance_micros)
        card = replace(card, status=CardStatus.CLOSED)
        await self._write(kept, replace(kept.record, card=card))
        returned = sum(leg.amount_micros for leg in closed.entry.legs if leg.account_id != HOUSE_BREAKAGE)
        write_line("INFO", "card_closed", card=card_id, amount_micros=returned)
        return Closed(card, returned_micros=returned, held_micros=0)

    async def _close_account(self, card: Card, facts: Facts) -> Posted:
        """In one commit with the wallet's side; answered from its entry if it was done before."""
        try:
            return await self._purse.close(card, facts)
        except AccountAbsent:
            # Its creation died before it had an account. Without one that is closed, the dead try's transfer could
            # still arrive, on a card that nobody sees any more.
            await self._funds.open(card.account_id, card.terms.limit)
            return await self._purse.close(card, facts)

    async def _owned(self, owner: UserId, card_id: CardId) -> Kept:
        kept = await self._store.find(card_id)
        if kept is None or kept.record.card.owner != owner or self._is_other_kind(kept.record.card):
            raise CardAbsent
        return kept

    def _is_other_kind(self, card: Card) -> bool:
        """Sessions are neither funded nor changed nor ended as cards are, and cards not as sessions."""
        return (card.session is not None) is not self._are_sessions

    async def _write(self, kept: Kept, record: CardRecord) -> Kept:
        """For what must not be tried again on what somebody else has made of the card."""
        try:
            return await self._store.replace(kept, record)
        except CardChanged:
            raise CardsBusy from None
