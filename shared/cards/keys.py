"""Who holds a card's key, and charging with one. Every call with a card comes this way, so it reads little."""

from collections import OrderedDict
from contextlib import suppress

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.errors import CredenceError, Kind
from shared.base.flight import SingleFlight
from shared.base.log import write_line
from shared.base.periods import period_end_ms
from shared.cards import rules
from shared.cards.errors import CardAbsent
from shared.cards.models import Card, CardId, Refill, Validity
from shared.cards.service import Cards
from shared.cards.store import CardStore, Kept
from shared.ledger.errors import AlreadyFilled
from shared.ledger.funds import Funds
from shared.ledger.operation import Posted
from shared.ledger.service import Ledger

CARD_CACHE_MS = 5_000
"""A frozen or changed card is taken as it was for this long at most; in exchange a busy one is read once in it."""
CARD_CACHE_ENTRIES_MAX = 4_096
"""Cards remembered in one process, about a kilobyte each."""
EMPTY_WALLET_PAUSE_MS = 60_000
"""How long after a wallet had nothing to give it is asked again; until then each call would ask in vain."""


class _Remembered(Struct, frozen=True):
    kept: Kept
    until_ms: int


class _Filled(Struct, frozen=True):
    """Until when nothing is to be done for this refill."""

    refill: Refill
    until_ms: int


class CardKeys:
    """Verifies card keys. One per process and event loop."""

    def __init__(self, cards: Cards, ledger: Ledger, funds: Funds, store: CardStore, clock: Clock) -> None:
        self._cards = cards
        self._ledger = ledger
        self._funds = funds
        self._store = store
        self._clock = clock
        self._remembered: OrderedDict[CardId, _Remembered] = OrderedDict()
        self._filled: OrderedDict[CardId, _Filled] = OrderedDict()
        self._reading: SingleFlight[CardId, Kept | None] = SingleFlight()
        self._filling: SingleFlight[CardId, None] = SingleFlight()

    async def holder(self, key: str) -> Card:
        """The card whose key this is. Raise CardKeyWrong, CardFrozen, CardExpired, CardClosed or CardsUnavailable."""
        parsed = rules.parse_key(key)
        remembered = self._remembered.get(parsed.card_id)
        if remembered is not None and remembered.until_ms > self._clock():
            # What is remembered may be older than a new key or an unfreezing; only what stands now refuses.
            with suppress(CredenceError):
                return self._check(remembered.kept, parsed)
        kept = await self._reading.run(parsed.card_id, lambda: self._read(parsed.card_id))
        return self._check(kept, parsed)

    async def spender(self, key: str) -> Card:
        """As `holder`, for a call that spends: at the first one in a period, the card is topped up before."""
        card = await self.holder(key)
        await self.top_up(card)
        return card

    async def validate(self, key: str | None, *, asking: Card | None) -> Validity:
        """What the key is good for; without one, the card of whoever asks, whose key was looked at already.

        A key that is refused is an answer too, and says why.
        """
        try:
            card = asking if asking and key is None else await self.holder(key or "")
        except CredenceError as refusal:
            if refusal.kind not in (Kind.UNAUTHENTICATED, Kind.DENIED):
                raise
            return Validity(None, refusal.code)
        return Validity(await self._cards.state(card), None)

    async def charge(
        self, card_id: CardId, amount_micros: int, *, key: str, reason: str, charged_by: str, holder: Card | None
    ) -> Posted:
        """Charge the card for finished work, once per key of whoever charges; a holder charges no card but its own.

        Raise CardAbsent, CreditTooLow, KeyReused, or what a key of the card would be refused for.
        """
        if holder is not None and holder.card_id != card_id:
            raise CardAbsent
        kept = await self._reading.run(card_id, lambda: self._read(card_id))
        if kept is None:
            raise CardAbsent
        card = kept.record.card
        rules.check_usable(card, self._clock())
        await self.top_up(card)
        return await self._ledger.debit(
            card.account_id,
            amount_micros,
            key=f"charge:{charged_by}:{key}",
            facts={"reason": reason, "charged_by": charged_by},
        )

    async def top_up(self, card: Card) -> None:
        """Fill the card up from its wallet, once in each period of its refill. What fails leaves the card as it is."""
        refill, filled = card.terms.refill, self._filled.get(card.card_id)
        if refill is None or (filled and filled.refill == refill and filled.until_ms > self._clock()):
            return
        await self._filling.run(card.card_id, lambda: self._fill(card, refill))

    async def _fill(self, card: Card, refill: Refill) -> None:
        at_ms = self._clock()
        until_ms = period_end_ms(refill.period, at_ms) or at_ms + EMPTY_WALLET_PAUSE_MS
        facts = {"reason": "card refilled", "card": card.card_id}
        try:
            moved_micros = await self._funds.top_up(
                card.account_id, card.wallet_id, to_micros=refill.to_micros, period=refill.period, facts=facts
            )
            write_line("INFO", "card_refilled", card=card.card_id, amount_micros=moved_micros)
        except AlreadyFilled:
            pass
        except CredenceError as error:
            if error.kind.passes:
                raise
            # An empty or frozen wallet: the card may still have something of its own.
            write_line("INFO", "card_not_refilled", card=card.card_id, code=error.code)
            until_ms = at_ms + EMPTY_WALLET_PAUSE_MS
        self._filled[card.card_id] = _Filled(refill, until_ms)
        self._filled.move_to_end(card.card_id)
        if len(self._filled) > CARD_CACHE_ENTRIES_MAX:
            self._filled.popitem(last=False)

    def _check(self, kept: Kept | None, parsed: rules.CardKey) -> Card:
        record = rules.check_secret(kept.record if kept else None, parsed.secret)
        rules.check_usable(record.card, self._clock())
        return record.card

    async def _read(self, card_id: CardId) -> Kept | None:
        asked_at_ms = self._clock()
        kept = await self._store.find(card_id)
        if kept is None:
            # Not remembered: names that are made up would push out those of cards.
            self._remembered.pop(card_id, None)
            return None
        self._remembered[card_id] = _Remembered(kept, asked_at_ms + CARD_CACHE_MS)
        self._remembered.move_to_end(card_id)
        if len(self._remembered) > CARD_CACHE_ENTRIES_MAX:
            self._remembered.popitem(last=False)
        return kept
