"""Ending many sessions: each is looked at once, and those that have to wait keep nobody behind them."""

from shared.base.ids import HoldId
from shared.cards.errors import CardsUnavailable
from shared.cards.models import CardId, CardRecord, CardStatus
from shared.cards.store import PAGE_CARDS_MAX, Kept
from tests.pools.builders import ADA, BEN, Club, MemorySessions, order


async def test_a_page_of_sessions_that_wait_for_their_calls_hides_none_behind_it() -> None:
    club = Club()
    pool = await club.begin()
    await club.put_in(ADA, pool, 300)
    for number in range(PAGE_CARDS_MAX + 1):
        await club.first.sessions.create(BEN, order(pool, 1), key=str(number))
    *waiting, last = sorted(club.records.kept)
    for session_id in waiting:
        account_id = club.records.kept[session_id].record.card.account_id
        await club.first.ledger.hold(account_id, 1, hold_id=HoldId("call"))

    parted = await club.first.partings.leave(BEN, pool.pool_id)

    assert parted.sessions_open == PAGE_CARDS_MAX
    assert club.records.kept[last].record.card.status is CardStatus.CLOSED
    await club.check()


class SessionsOneOfWhichIsStuck(MemorySessions):
    """Writes all but one."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: CardId | None = None
        self.refused = 0

    async def replace(self, kept: Kept, record: CardRecord) -> Kept:
        if record.card.card_id == self.stuck:
            self.refused += 1
            raise CardsUnavailable
        return await super().replace(kept, record)


async def test_a_session_that_cannot_be_ended_is_tried_once_a_run_and_left_to_the_next() -> None:
    club = Club()
    club.records = records = SessionsOneOfWhichIsStuck()
    process = club.first = club.process()
    pool = await club.begin()
    await club.put_in(ADA, pool, 300)
    for number in range(3):
        await process.sessions.create(BEN, order(pool, 1, lifetime_ms=1), key=str(number))
    records.stuck = min(records.kept)
    club.clock.now_ms += 2

    first = await process.sweep.run()
    refused, records.stuck = records.refused, None
    second = await process.sweep.run()

    assert (first.ended, first.finished, refused) == (2, False, 1)
    assert (second.ended, second.finished) == (1, True)
