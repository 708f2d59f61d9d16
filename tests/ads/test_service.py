"""An ad is paid for once: whatever is repeated, raced, mixed up or cut short."""

import asyncio

import pytest

from shared.ads.errors import (
    AdCapReached,
    AdsAbsent,
    AdTooSoon,
    AdUnitUnknown,
    CallbackForged,
    CallbackMalformed,
    CallbackStale,
)
from shared.ads.models import Outcome, OutcomeStatus, Refusal, ViewStatus
from shared.ads.rules import CALLBACK_AGE_MS_MAX, CALLBACK_AHEAD_MS_MAX
from shared.base.economy import AD_LIFETIME_MS, AD_OFFER_LIFETIME_MS, AD_REWARD_GAP_MS_MIN, AD_TIERS, DAY_MS, AdTier
from shared.ledger.errors import AccountAbsent
from shared.ledger.models import Origin
from tests.ads.builders import ADA, BEN, Died, MemoryAds, Theatre

GRANTED = Outcome(OutcomeStatus.GRANTED)
TEXT = AD_TIERS[0]


def refused(refusal: Refusal) -> Outcome:
    return Outcome(OutcomeStatus.REFUSED, refusal)


@pytest.mark.parametrize("tier", AD_TIERS, ids=lambda tier: tier.name)
async def test_an_ad_earns_what_our_table_says(tier: AdTier) -> None:
    """Whatever amount the callback names; promotional credits with an end, and the view says what came of it."""
    theatre = await Theatre().open()
    offer = await theatre.offer(tier.name)
    query = theatre.callback(offer.view, reward_amount=1_000_000, user_id=ADA, transaction_id="ab12")

    assert await theatre.ads.reward(query) == GRANTED
    head = await theatre.ledger.head("user:ada")
    (lot,) = head.lots
    assert (lot.origin, lot.remaining_micros) == (Origin.PROMO, tier.amount_micros)
    assert lot.expires_at_ms == theatre.clock() + AD_LIFETIME_MS
    assert offer.amount_micros == tier.amount_micros
    kept = await theatre.store.view(offer.view.nonce)
    assert kept is not None
    assert (kept.view.status, kept.view.transaction_id) == (ViewStatus.GRANTED, "ab12")


async def test_the_same_callback_fifty_times_at_once_pays_once() -> None:
    """On five processes; all are told that it is granted, so that AdMob sends it no more."""
    theatre = await Theatre().open()
    query = theatre.callback((await theatre.offer()).view)
    processes = [theatre.process() for _ in range(5)]

    outcomes = await asyncio.gather(*(processes[n % 5].reward(query) for n in range(50)))

    assert set(outcomes) == {GRANTED}
    assert [entry.delta_micros for entry in theatre.grants()] == [TEXT.amount_micros]
    theatre.clock.now_ms += CALLBACK_AGE_MS_MAX - 1
    assert await theatre.ads.reward(query) == GRANTED
    assert await theatre.balance_micros() == TEXT.amount_micros


async def test_a_nonce_is_good_for_one_transaction() -> None:
    """Two rewards that name it, at once or one after the other: one is paid."""
    theatre = await Theatre().open()
    view = (await theatre.offer()).view
    queries = [theatre.callback(view) for _ in range(10)]

    outcomes = await asyncio.gather(*(theatre.process().reward(query) for query in queries))

    assert sorted(outcome.status for outcome in outcomes) == ["granted"] + ["refused"] * 9
    assert {outcome.refusal for outcome in outcomes} == {None, Refusal.NONCE_USED}
    assert await theatre.balance_micros() == TEXT.amount_micros


async def test_a_transaction_is_good_for_one_nonce() -> None:
    """Two callbacks of one reward that name different views, of one person or of two."""
    theatre = await Theatre().open(ADA, BEN)
    views = [(await theatre.offer(user=user)).view for user in (ADA, BEN, ADA)]
    queries = [theatre.callback(view, transaction_id="ab12") for view in views]

    outcomes = [await theatre.ads.reward(query) for query in queries]

    assert outcomes == [GRANTED, refused(Refusal.TRANSACTION_USED), refused(Refusal.TOO_SOON)]
    assert await theatre.balance_micros() + await theatre.balance_micros(BEN) == TEXT.amount_micros


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"custom_data": None}, Refusal.NONCE_UNKNOWN),
        ({"custom_data": "ada"}, Refusal.NONCE_UNKNOWN),
        ({"custom_data": "0" * 48}, Refusal.NONCE_UNKNOWN),
        ({"user_id": BEN}, Refusal.OTHER_USER),
        ({"ad_unit": "6125489953"}, Refusal.OTHER_TIER),
    ],
)
async def test_a_callback_that_is_not_about_the_view_earns_nothing(
    changed: dict[str, str | None], refusal: Refusal
) -> None:
    """Another nonce or none, another user, the cheap ad's nonce with the dear one's unit. The view stays as it was."""
    theatre = await Theatre().open(ADA, BEN)
    view = (await theatre.offer()).view

    assert await theatre.ads.reward(theatre.callback(view, **changed)) == refused(refusal)
    assert not theatre.grants() + theatre.grants(BEN)
    assert await theatre.ads.reward(theatre.callback(view)) == GRANTED


async def test_anothers_ad_unit_earns_nothing() -> None:
    """Google signs for every publisher with the same keys."""
    theatre = await Theatre().open()
    view = (await theatre.offer()).view

    with pytest.raises(AdUnitUnknown):
        await theatre.ads.reward(theatre.callback(view, ad_unit="777"))
    assert not theatre.grants()


async def test_what_was_smuggled_past_a_parser_earns_nothing() -> None:
    """A stranger's ad, signed by Google for the stranger, re-encoded so that our unit and a nonce stand out."""
    theatre = await Theatre().open()
    view = (await theatre.offer("video")).view
    end = f"timestamp={theatre.clock()}&transaction_id=ab12"
    message = f"ad_network=1&ad_unit=777&custom_data=x&ad_unit=6125489953&custom_data={view.nonce}&{end}"
    disguised = f"ad_network=1%26ad_unit%3D777%26custom_data%3Dx&ad_unit=6125489953&custom_data={view.nonce}&{end}"
    as_sent = f"ad_network=1&ad_unit=777&custom_data=x%26ad_unit%3D6125489953%26custom_data%3D{view.nonce}&{end}"

    for query in (disguised, as_sent, message):
        signed = theatre.admob.signed(query, message=message)
        with pytest.raises(CallbackMalformed):
            await theatre.ads.reward(signed)
    assert not theatre.grants()


async def test_a_callback_that_was_changed_or_is_not_about_now_earns_nothing() -> None:
    theatre = await Theatre().open()
    view = (await theatre.offer()).view
    query = theatre.callback(view, user_id=ADA)
    now_ms = theatre.clock()

    with pytest.raises(CallbackForged):
        await theatre.ads.reward(query.replace("user_id=ada", "user_id=ben"))
    for timestamp in (now_ms - CALLBACK_AGE_MS_MAX - 1, now_ms + CALLBACK_AHEAD_MS_MAX + 1):
        with pytest.raises(CallbackStale):
            await theatre.ads.reward(theatre.callback(view, timestamp=timestamp))
    before = theatre.callback(view, timestamp=now_ms - CALLBACK_AHEAD_MS_MAX - 1)
    assert await theatre.ads.reward(before) == refused(Refusal.BEFORE_OFFER)
    theatre.clock.now_ms += AD_OFFER_LIFETIME_MS + 1
    assert await theatre.ads.reward(theatre.callback(view)) == refused(Refusal.OFFER_EXPIRED)
    assert not theatre.grants()


async def test_a_cap_that_was_reached_meanwhile_holds() -> None:
    """More ads were begun than a day has; their rewards come at once, on many processes, and the cap is exact."""
    theatre = await Theatre().open()
    theatre.clock.now_ms += DAY_MS - theatre.clock.now_ms % DAY_MS
    views = [(await theatre.offer(wait_ms=60_000)).view for _ in range(TEXT.per_day_max + 5)]
    now_ms = theatre.clock()
    queries = [
        theatre.callback(view, timestamp=now_ms + n * AD_REWARD_GAP_MS_MIN - 50_000) for n, view in enumerate(views)
    ]

    outcomes = await asyncio.gather(*(theatre.process().reward(query) for query in queries))

    assert outcomes.count(GRANTED) == TEXT.per_day_max
    assert outcomes.count(refused(Refusal.CAP_REACHED)) == 5
    assert await theatre.balance_micros() == TEXT.per_day_max * TEXT.amount_micros
    statuses = [kept.view.status for view in views if (kept := await theatre.store.view(view.nonce))]
    assert statuses.count(ViewStatus.REFUSED) == 5
    with pytest.raises(AdCapReached):
        await theatre.offer()
    assert (await theatre.offer("video")).left_today == AD_TIERS[2].per_day_max - 1
    assert (await theatre.offer(wait_ms=DAY_MS)).left_today == TEXT.per_day_max - 1


async def test_nobody_watches_two_ads_at_the_same_time() -> None:
    """Offers kept for later and cashed in together earn once."""
    theatre = await Theatre().open()
    views = [(await theatre.offer()).view for _ in range(4)]
    queries = [theatre.callback(view) for view in views]

    outcomes = await asyncio.gather(*(theatre.process().reward(query) for query in queries))

    assert outcomes.count(GRANTED) == 1
    assert outcomes.count(refused(Refusal.TOO_SOON)) == 3


async def test_fifty_starts_at_once_begin_one_ad() -> None:
    theatre = await Theatre().open()

    outcomes = await asyncio.gather(*(theatre.process().start(ADA, "text") for _ in range(50)), return_exceptions=True)

    assert sum(isinstance(outcome, AdTooSoon) for outcome in outcomes) == 49


@pytest.mark.parametrize("dies", ["before it is paid", "before it is known to be"])
@pytest.mark.parametrize("repeated", [True, False])
async def test_what_was_counted_is_paid_although_the_process_died(dies: str, repeated: bool) -> None:
    """By AdMob's repeat; or, if that does not come, by the person's next ad. Once."""
    store = MemoryAds()
    theatre = await Theatre(store).open()
    query = theatre.callback((await theatre.offer()).view)
    dying = theatre.dying_process() if dies == "before it is paid" else theatre.process()
    store.dies_at = None if dies == "before it is paid" else 1

    with pytest.raises(Died):
        await dying.reward(query)
    store.dies_at = None
    if repeated:
        assert await theatre.process().reward(query) == GRANTED
    view = (await theatre.offer()).view

    assert await theatre.balance_micros() == TEXT.amount_micros
    assert await theatre.ads.reward(query) == GRANTED
    assert len(theatre.grants()) == 1
    assert {kept.view.status for kept in store.views.values() if kept.view.nonce != view.nonce} == {ViewStatus.GRANTED}


async def test_the_dashboards_try_is_answered_and_earns_nothing() -> None:
    """It names no ad unit of ours and no nonce, whatever else was typed; a forged one is refused like any."""
    theatre = await Theatre().open()
    view = (await theatre.offer()).view

    for typed in ({}, {"custom_data": view.nonce, "user_id": ADA}, {"reward_item": None, "reward_amount": None}):
        assert await theatre.ads.reward(theatre.admob.dashboard_try(**typed)) == Outcome(OutcomeStatus.TRIED)
    with pytest.raises(CallbackForged):
        await theatre.ads.reward(theatre.admob.dashboard_try(user_id=ADA).replace("user_id=ada", "user_id=ben"))
    assert not theatre.grants()


async def test_without_ad_units_there_are_no_ads() -> None:
    none, text_only = await Theatre(units={}).open(), await Theatre(units={"1": "text"}).open()

    with pytest.raises(AdsAbsent):
        await none.offer()
    with pytest.raises(AdsAbsent):
        await none.ads.reward(none.admob.dashboard_try())
    with pytest.raises(AdsAbsent):
        await text_only.offer("video")
    assert (await text_only.offer()).left_today == TEXT.per_day_max - 1


async def test_who_has_no_wallet_is_told_before_the_ad() -> None:
    with pytest.raises(AccountAbsent):
        await Theatre().offer()
