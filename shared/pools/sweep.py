"""Ends what nobody ended: sessions whose time is over, closings that had to wait, pools that were left half closed."""

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.base.together import all_of
from shared.cards.models import Card, CardId, CardStatus
from shared.cards.sweep import CardSweep
from shared.pools.leaving import Partings
from shared.pools.models import Pool, PoolStatus
from shared.pools.session_store import SessionStore
from shared.pools.sessions import Sessions
from shared.pools.store import PoolStore

PAGES_MAX = 10
"""In one run; what is left over is for the next ones."""
AT_ONCE_MAX = 10


class SessionSweepReport(Struct, frozen=True):
    """What a run did. `finished` is false when there was more than one run takes."""

    ended: int = 0
    waiting: int = 0
    """Calls of theirs are still under way."""
    returned_micros: int = 0
    pools_closed: int = 0
    finished: bool = True


class SessionSweep:
    """Looks at all sessions that are over and all pools that are closing."""

    def __init__(
        self,
        sessions: Sessions,
        store: SessionStore,
        pools: PoolStore,
        partings: Partings,
        closings: CardSweep,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._pools = pools
        self._partings = partings
        self._closings = closings
        self._clock = clock

    async def run(self) -> SessionSweepReport:
        """Do what the owners' own repeats would do, so dying anywhere is as harmless. Raise CardsUnavailable."""
        closings = await self._closings.run()
        ended, returned, finished = closings.closed, closings.returned_micros, closings.finished
        tried: set[CardId] = set()
        for page_number in range(PAGES_MAX + 1):
            overdue = await self._store.overdue(self._clock())
            # What could not be ended stands there again; the next run tries it again.
            cards = [card for card in overdue if card.card_id not in tried]
            if not cards or page_number == PAGES_MAX:
                finished = finished and not overdue
                break
            tried.update(card.card_id for card in cards)
            outcomes = await self._in_turns(cards)
            ended += sum(done for done, _ in outcomes)
            returned += sum(micros for _, micros in outcomes)
        pools_closed = await self._finish_pools()
        return SessionSweepReport(ended, closings.waiting, returned, pools_closed, finished)

    async def _in_turns(self, cards: list[Card]) -> list[tuple[bool, int]]:
        outcomes: list[tuple[bool, int]] = []
        for first in range(0, len(cards), AT_ONCE_MAX):
            outcomes += await all_of(self._end(card) for card in cards[first : first + AT_ONCE_MAX])
        return outcomes

    async def _end(self, card: Card) -> tuple[bool, int]:
        try:
            closed = await self._sessions.end(card.owner, card.card_id)
        except CredenceError as error:
            write_line("WARNING", "session_not_ended", card=card.card_id, code=error.code)
            return False, 0
        return closed.card.status is CardStatus.CLOSED, closed.returned_micros

    async def _finish_pools(self) -> int:
        closed = 0
        after = None
        for _ in range(PAGES_MAX):
            pools = await self._pools.closing(after=after)
            for pool in pools:
                closed += await self._finish(pool)
            if not pools:
                break
            after = pools[-1].pool_id
        return closed

    async def _finish(self, pool: Pool) -> bool:
        try:
            kept = await self._pools.find(pool.pool_id)
            return kept is not None and (await self._partings.finish(kept)).pool.status is PoolStatus.CLOSED
        except CredenceError as error:
            write_line("WARNING", "pool_not_closed", pool=pool.pool_id, code=error.code)
            return False
