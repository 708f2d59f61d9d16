"""What owners do with cards: credits go there and back whole, and whatever dies in between is finished by a repeat."""

import asyncio

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId
from shared.base.periods import Period
from shared.cards.errors import CardAbsent, CardClosed, CardKeyWrong, CardNotReady
from shared.cards.models import CardId, CardStatus, Changes, Refill, Terms
from shared.ledger.errors import AccountAbsent, AccountNotOpen, CreditTooLow, KeyReused
from shared.ledger.models import Lot, Origin, SpendLimit
from tests.cards.builders import ADA, BEN, TERMS, WALLET, Desk, Fate
from tests.ledger.builders import NOW
from tests.ledger.tampering import assert_whole

LIFETIME_MS = 10**9
STORE_CALLS_MAX = 16
"""More than any verb makes."""


@pytest.fixture
async def desk() -> Desk:
    """A wallet with 70 promotional and 100 paid micros."""
    made = Desk()
    await made.open_wallet(paid=100, promo=70, lifetime_ms=LIFETIME_MS)
    return made


async def test_a_card_gets_its_amount_and_a_key(desk: Desk) -> None:
    """Promotional credits first, as in any spending, and they are that on the card too."""
    card, key = await desk.card(90)

    assert (card.status, card.owner, card.account_id) == (CardStatus.OPEN, ADA, f"card:{card.card_id}")
    assert key.startswith(f"crd_{card.card_id}_")
    lots = (await desk.head(card.account_id)).lots
    assert lots == (Lot(Origin.PROMO, NOW + LIFETIME_MS, 70), Lot(Origin.PAID, None, 20))
    assert (await desk.head()).balance_micros == 80
    assert (await desk.keys.holder(key)).card_id == card.card_id
    await assert_whole(desk.memory)


async def test_a_repeat_creates_nothing_and_shows_no_key(desk: Desk) -> None:
    """Who lost the key replaces it."""
    card, key = await desk.card(90)

    again = await desk.cards.create(ADA, TERMS, 90, key="one")

    assert (again.card, again.key) == (card, None)
    assert (await desk.head()).balance_micros == 80
    await desk.keys.holder(key)


async def test_another_request_under_the_same_key_is_refused(desk: Desk) -> None:
    await desk.card(90)

    for terms, amount in ((TERMS, 91), (Terms("another"), 90), (replace(TERMS, models=frozenset()), 90)):
        with pytest.raises(KeyReused):
            await desk.cards.create(ADA, terms, amount, key="one")


async def test_a_card_that_cannot_be_funded_is_not_there(desk: Desk) -> None:
    """And can be, under the same key, once there are credits."""
    with pytest.raises(CreditTooLow):
        await desk.cards.create(ADA, TERMS, 171, key="one")
    assert await desk.cards.owned_by(ADA) == []
    with pytest.raises(AccountAbsent):
        await desk.cards.create(BEN, TERMS, 1, key="one")

    await desk.ledger.grant_paid(WALLET, 1, key="more", facts={})
    await desk.card(171)


async def test_people_do_not_share_idempotency_keys(desk: Desk) -> None:
    await desk.ledger.open(AccountId("user:ben"))

    mine, _ = await desk.card()
    theirs = (await desk.cards.create(BEN, TERMS, 0, key="one")).card

    assert mine.card_id != theirs.card_id
    assert await desk.cards.owned_by(BEN) == [theirs]


async def test_a_card_is_nobody_elses(desk: Desk) -> None:
    """For others it is as if there were none."""
    card, _ = await desk.card()

    for attempt in (
        desk.cards.get(BEN, card.card_id),
        desk.cards.change(BEN, card.card_id, Changes(frozen=True)),
        desk.cards.replace_key(BEN, card.card_id),
        desk.cards.fund(BEN, card.card_id, 1, key="k"),
        desk.cards.close(BEN, card.card_id),
        desk.cards.get(ADA, CardId("a" * 12)),
    ):
        with pytest.raises(CardAbsent):
            await attempt


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, STORE_CALLS_MAX))
async def test_a_creation_that_died_anywhere_is_finished_by_a_repeat(desk: Desk, dies_at: int, after: bool) -> None:
    """At each call of each store, before or after it took effect: one card, funded once, one good key."""
    fate = Fate(dies_at, after=after)
    dying, _, _ = desk.process(fate)
    await fate.meet(dying.create(ADA, replace(TERMS, limit=SpendLimit(5, Period.DAY)), 90, key="one"))

    terms = replace(TERMS, limit=SpendLimit(5, Period.DAY))
    created = await desk.process()[0].create(ADA, terms, 90, key="one")

    key = created.key or await desk.cards.replace_key(ADA, created.card.card_id)
    assert (await desk.keys.holder(key.reveal())).status is CardStatus.OPEN
    head = await desk.head(created.card.account_id)
    assert (head.balance_micros, (await desk.head()).balance_micros) == (90, 80)
    assert head.allowance is not None
    assert head.allowance.limit == SpendLimit(5, Period.DAY)
    await assert_whole(desk.memory)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, STORE_CALLS_MAX))
async def test_a_creation_that_nobody_repeats_can_be_closed(desk: Desk, dies_at: int, after: bool) -> None:
    """Nothing is lost on a card whose key nobody has, and a late repeat is told that it is closed."""
    fate = Fate(dies_at, after=after)
    dying, _, _ = desk.process(fate)
    await fate.meet(dying.create(ADA, TERMS, 90, key="one"))

    for card in await desk.cards.owned_by(ADA):
        await desk.process()[0].close(ADA, card.card_id)

    assert (await desk.head()).balance_micros == 170
    assert all(card.status is CardStatus.CLOSED for card in await desk.cards.owned_by(ADA))
    await assert_whole(desk.memory)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, STORE_CALLS_MAX))
async def test_a_closing_that_died_anywhere_is_finished_by_a_repeat(desk: Desk, dies_at: int, after: bool) -> None:
    """The rest comes back once, with its origins and expiries."""
    before = (await desk.head()).lots
    card, key = await desk.card(90)
    fate = Fate(dies_at, after=after)
    dying, _, _ = desk.process(fate)
    await fate.meet(dying.close(ADA, card.card_id))

    closed = await desk.process()[0].close(ADA, card.card_id)

    assert closed.card.status is CardStatus.CLOSED
    assert (await desk.head()).lots == before
    assert (await desk.head(card.account_id)).balance_micros == 0
    with pytest.raises(CardClosed):
        await desk.process()[1].holder(key)
    await assert_whole(desk.memory)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, STORE_CALLS_MAX))
async def test_a_closing_during_a_call_that_died_anywhere_loses_nothing(desk: Desk, dies_at: int, after: bool) -> None:
    card, _ = await desk.card(90)
    await desk.ledger.hold(card.account_id, 30, hold_id=HoldId("call"))
    fate = Fate(dies_at, after=after)
    dying, _, _ = desk.process(fate)
    await fate.meet(dying.close(ADA, card.card_id))

    waiting = await desk.process()[0].close(ADA, card.card_id)
    assert (waiting.card.status, waiting.held_micros) == (CardStatus.CLOSING, 30)
    assert (await desk.head()).balance_micros == 140
    await desk.process()[2].capture(card.account_id, HoldId("call"), 10, facts={})

    closed = await desk.process()[0].close(ADA, card.card_id)
    assert (closed.card.status, closed.returned_micros) == (CardStatus.CLOSED, 20)
    assert (await desk.head()).balance_micros == 160
    await assert_whole(desk.memory)


async def test_what_a_call_holds_at_a_closing_is_what_it_would_spend_first(desk: Desk) -> None:
    """Promotional credits stay for it; paid ones go home at once. If the hold just expires, the rest follows."""
    card, _ = await desk.card(170)
    await desk.ledger.hold(card.account_id, 50, hold_id=HoldId("call"))

    closing = await desk.cards.close(ADA, card.card_id)

    assert (closing.returned_micros, closing.held_micros) == (120, 50)
    assert (await desk.head(card.account_id)).lots == (Lot(Origin.PROMO, NOW + LIFETIME_MS, 50),)
    desk.clock.now_ms += 15 * 60_000
    closed = await desk.cards.close(ADA, card.card_id)
    assert (closed.card.status, closed.returned_micros) == (CardStatus.CLOSED, 50)
    assert (await desk.head()).lots == (Lot(Origin.PROMO, NOW + LIFETIME_MS, 70), Lot(Origin.PAID, None, 100))


async def test_a_closed_card_stays_closed(desk: Desk) -> None:
    """Closing again returns nothing more, and nothing else can be done to it."""
    card, _ = await desk.card(90)
    await desk.cards.close(ADA, card.card_id)

    again = await desk.cards.close(ADA, card.card_id)

    assert (again.card.status, again.returned_micros) == (CardStatus.CLOSED, 0)
    for attempt in (
        desk.cards.change(ADA, card.card_id, Changes(frozen=False)),
        desk.cards.replace_key(ADA, card.card_id),
        desk.cards.fund(ADA, card.card_id, 1, key="k"),
    ):
        with pytest.raises(CardClosed):
            await attempt
    assert (await desk.cards.create(ADA, TERMS, 90, key="one")).card.status is CardStatus.CLOSED


async def test_many_closings_at_once_return_the_rest_once(desk: Desk) -> None:
    """Those that lose the race say that somebody else is at it."""
    card, _ = await desk.card(90)

    await asyncio.gather(*(desk.process()[0].close(ADA, card.card_id) for _ in range(5)), return_exceptions=True)

    await desk.cards.close(ADA, card.card_id)
    assert (await desk.head()).balance_micros == 170
    await assert_whole(desk.memory)


async def test_an_account_that_an_operator_froze_is_not_emptied(desk: Desk) -> None:
    card, _ = await desk.card(90)
    desk.memory.heads[card.account_id]["status"] = "frozen"

    with pytest.raises(AccountNotOpen):
        await desk.process()[0].close(ADA, card.card_id)


async def test_changes_change_what_they_name(desk: Desk) -> None:
    """The limit also where it is enforced; None lifts what it names."""
    terms = Terms("a card", SpendLimit(5, Period.DAY), Refill(9, Period.WEEK), frozenset({"m"}), NOW + 5)
    card, _ = await desk.card(0, terms)

    renamed = await desk.cards.change(ADA, card.card_id, Changes(name="renamed", frozen=True))
    assert renamed == replace(card, status=CardStatus.FROZEN, terms=replace(terms, name="renamed"))
    lifted = await desk.cards.change(
        ADA, card.card_id, Changes(limit=None, refill=None, models=None, expires_at_ms=None, frozen=False)
    )
    assert lifted == replace(card, terms=Terms("renamed"))
    head = await desk.head(card.account_id)
    assert head.allowance is not None
    assert head.allowance.limit is None
    assert Changes().limit is UNSET


async def test_changes_at_once_all_count(desk: Desk) -> None:
    """None is lost over another's."""
    card, _ = await desk.card()
    changes = [Changes(name="renamed"), Changes(frozen=True), Changes(models=frozenset({"m"}))]

    await asyncio.gather(*(desk.process()[0].change(ADA, card.card_id, change) for change in changes))

    (changed,) = await desk.cards.owned_by(ADA)
    assert (changed.status, changed.terms) == (CardStatus.FROZEN, Terms("renamed", models=frozenset({"m"})))


async def test_funding_is_once_per_key(desk: Desk) -> None:
    card, _ = await desk.card()

    for _ in range(3):
        state = await desk.cards.fund(ADA, card.card_id, 30, key="k")

    assert (state.standing.balance_micros, (await desk.head()).balance_micros) == (30, 140)
    with pytest.raises(KeyReused):
        await desk.cards.fund(ADA, card.card_id, 31, key="k")
    with pytest.raises(CreditTooLow):
        await desk.cards.fund(ADA, card.card_id, 141, key="too much")


async def test_a_card_in_its_creation_can_only_be_finished_or_closed(desk: Desk) -> None:
    """Its key may still be replaced, so it is good for nothing."""
    fate = Fate(4)
    await fate.meet(desk.process(fate)[0].create(ADA, TERMS, 90, key="one"))
    (card,) = await desk.cards.owned_by(ADA)

    assert (await desk.cards.get(ADA, card.card_id)).standing.balance_micros == 0
    for attempt in (
        desk.cards.change(ADA, card.card_id, Changes(name="x")),
        desk.cards.replace_key(ADA, card.card_id),
        desk.cards.fund(ADA, card.card_id, 1, key="k"),
    ):
        with pytest.raises(CardNotReady):
            await attempt
    with pytest.raises(CardKeyWrong):
        await desk.keys.holder(f"crd_{card.card_id}_{'A' * 43}")
