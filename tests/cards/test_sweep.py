"""The timer that finishes closings: nothing of a closed card stays behind, whoever stops where."""

import re

import pytest
from msgspec.structs import replace

from shared.base.ids import HoldId
from shared.cards.errors import CardsUnavailable
from shared.cards.models import Card, CardId, CardStatus
from shared.cards.sweep import CardSweep, SweepReport, random_place
from shared.ledger.administration import Administration
from tests.cards.builders import ADA, Desk
from tests.ledger.builders import engine_on

HOLD_MS = 15 * 60_000


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.open_wallet(paid=1_000)
    return desk


def sweep_of(desk: Desk, place: str = "m", cards_max: int = 100) -> CardSweep:
    cards, _, _ = desk.process()
    return CardSweep(cards, desk.records, new_place=lambda: CardId(place), cards_max=cards_max)


def test_a_run_begins_anywhere_among_the_cards() -> None:
    """At a place that is written as ids are: of others, half would lie before the same card."""
    assert all(re.fullmatch("[a-z2-7]{12}", random_place()) for _ in range(50))


async def closing(desk: Desk, name: str, held: int = 40) -> Card:
    """A card that is closed while a call holds some of its hundred."""
    card, _ = await desk.card(100, key=name)
    await desk.ledger.hold(card.account_id, held, hold_id=HoldId(name))
    await desk.cards.close(ADA, card.card_id)
    return card


async def status(desk: Desk, card: Card) -> CardStatus:
    return (await desk.cards.get(ADA, card.card_id)).card.status


async def test_what_a_call_left_comes_back_by_itself(desk: Desk) -> None:
    """Once it has ended; before that nothing can be done."""
    card = await closing(desk, "one")
    assert await sweep_of(desk).run() == SweepReport(waiting=1)
    await desk.ledger.capture(card.account_id, HoldId("one"), 15, facts={})

    assert await sweep_of(desk).run() == SweepReport(closed=1, returned_micros=25)
    assert await sweep_of(desk).run() == SweepReport()

    assert await status(desk, card) is CardStatus.CLOSED
    assert (await desk.head()).balance_micros == 985


async def test_a_hold_that_nobody_resolves_comes_back_when_it_expires(desk: Desk) -> None:
    """Its process died."""
    await closing(desk, "one")
    desk.clock.now_ms += HOLD_MS

    assert await sweep_of(desk).run() == SweepReport(closed=1, returned_micros=40)
    assert (await desk.head()).balance_micros == 1_000


async def test_a_closing_that_died_is_finished(desk: Desk) -> None:
    """After its first write, before any credits moved."""
    card, _ = await desk.card(100)
    kept = await desk.records.find(card.card_id)
    assert kept is not None
    await desk.records.replace(kept, replace(kept.record, card=replace(card, status=CardStatus.CLOSING)))

    assert await sweep_of(desk).run() == SweepReport(closed=1, returned_micros=100)


async def test_cards_that_are_not_closing_are_left_alone(desk: Desk) -> None:
    """Whatever else they are."""
    card, _ = await desk.card(100)

    assert await sweep_of(desk).run() == SweepReport()
    assert await status(desk, card) is CardStatus.OPEN


@pytest.mark.parametrize("place", ["", "0", "~"])
async def test_every_card_is_met_wherever_a_run_begins(desk: Desk, place: str) -> None:
    """Over several pages, and around their end."""
    desk.records.page_cards_max = 2
    cards = [await closing(desk, str(number), held=1) for number in range(5)]
    desk.clock.now_ms += HOLD_MS
    middle = sorted(card.card_id for card in cards)[2]

    report = await sweep_of(desk, place or middle).run()

    assert (report.closed, report.finished) == (5, True)
    assert (await desk.head()).balance_micros == 1_000


async def test_a_card_that_cannot_be_closed_stops_no_other(desk: Desk) -> None:
    """An operator has frozen its account, say. Of too many, a run that begins elsewhere takes others."""
    desk.records.page_cards_max = 1
    for name in ("one", "two"):
        await closing(desk, name)
    desk.clock.now_ms += HOLD_MS
    stuck, other = sorted(desk.records.kept)
    kept = desk.records.kept[stuck]
    account = kept.record.card.account_id
    administration = Administration(engine_on(desk.memory), desk.memory, desk.clock)
    await administration.freeze(account, key="look into it", facts={})

    runs = [await sweep_of(desk, place, cards_max=1).run() for place in ("", stuck)]

    assert [(run.closed, run.waiting, run.finished) for run in runs] == [(0, 1, False), (1, 0, False)]
    assert await status(desk, desk.records.kept[other].record.card) is CardStatus.CLOSED


async def test_a_store_that_is_down_is_told(desk: Desk) -> None:
    desk.records.down = True

    with pytest.raises(CardsUnavailable):
        await sweep_of(desk).run()
