"""Sessions: cards that live for a day at most, on one budget from one place, each a stranger to every other."""

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.cards import rules as card_rules
from shared.cards.errors import CardAbsent, CardNotReady
from shared.cards.models import Card, CardId, CardState, CardStatus, Closed, Created, Session, Terms
from shared.cards.service import Cards
from shared.cards.store import PAGE_CARDS_MAX
from shared.pools import rules
from shared.pools.errors import PoolAbsent
from shared.pools.models import PoolId, SessionOrder
from shared.pools.session_store import SessionStore
from shared.pools.store import PoolStore, member_of

PAGES_MAX = 10
"""Pages of sessions that one call ends; the timer ends what is left over."""


class Sessions:
    """Sessions of people. Every verb may be repeated."""

    def __init__(self, cards: Cards, store: SessionStore, pools: PoolStore, clock: Clock) -> None:
        self._cards = cards
        self._store = store
        self._pools = pools
        self._clock = clock

    async def create(self, owner: UserId, order: SessionOrder, *, key: str) -> Created:
        """A session with its budget, and its key, which is shown once: as for `Cards.create`.

        Raise PoolAbsent, PoolEnding, CreditTooLow, SpendLimitReached, AccountAbsent or KeyReused.
        """
        session_id, request_hash = card_rules.session_id_of(owner, key), rules.request_hash(order)
        if order.pool_id is not None:
            rules.check_belongs(member_of(await self._pools.member(order.pool_id, owner)))
            kept = await self._pools.find(order.pool_id)
            if kept is None:
                raise PoolAbsent
            rules.check_open(kept.pool)
        at_ms = self._clock()
        terms = Terms(order.name, models=order.models, expires_at_ms=at_ms + order.lifetime_ms)
        session = Session(order.pool_id, order.budget_micros)
        wanted = Card(session_id, owner, CardStatus.OPENING, terms, at_ms, session)
        return await self._cards.begin(wanted, order.budget_micros, request_hash=request_hash)

    async def usable(self, owner: UserId, session_id: CardId) -> Card:
        """The owner's session for one more call. Raise CardAbsent, CardClosed, CardExpired or CardNotReady."""
        kept = await self._store.find(session_id)
        if kept is None or kept.record.card.owner != owner or kept.record.card.session is None:
            raise CardAbsent
        card = kept.record.card
        if card.status is CardStatus.OPENING:
            raise CardNotReady
        card_rules.check_usable(card, self._clock())
        return card

    async def get(self, owner: UserId, session_id: CardId) -> CardState:
        """One session and how it stands. Raise CardAbsent, for somebody else's as for none."""
        return await self._cards.get(owner, session_id)

    async def owned_by(self, owner: UserId, *, after: CardId | None = None) -> list[Card]:
        """A page of the owner's sessions, in the order of their ids, beginning behind `after`."""
        return await self._cards.owned_by(owner, after=after)

    async def end(self, owner: UserId, session_id: CardId) -> Closed:
        """Refuse the key for good and give back what is left, once no call is under way: as for `Cards.close`."""
        return await self._cards.close(owner, session_id)

    async def end_all(self, pool_id: PoolId, owner: UserId | None = None) -> int:
        """End a pool's sessions, all or one member's; how many are not finished yet."""
        waiting, after = 0, None
        for _ in range(PAGES_MAX):
            cards = await self._store.unended(pool_id, owner, after=after)
            for card in cards:
                waiting += not await self._end_quietly(card)
            if len(cards) < PAGE_CARDS_MAX:
                break
            after = cards[-1].card_id
        return waiting

    async def _end_quietly(self, card: Card) -> bool:
        try:
            return (await self.end(card.owner, card.card_id)).card.status is CardStatus.CLOSED
        except CredenceError as error:
            write_line("WARNING", "session_not_ended", card=card.card_id, code=error.code)
            return False
