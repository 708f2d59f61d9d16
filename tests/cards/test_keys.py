"""Who holds a card's key: good ones at little cost, all others refused, and refilled at the first use in a period."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.errors import CredenceError
from shared.base.periods import Period, period_end_ms
from shared.cards import rules
from shared.cards.errors import CardAbsent, CardClosed, CardExpired, CardFrozen, CardKeyWrong, CardsUnavailable
from shared.cards.keys import CARD_CACHE_MS, EMPTY_WALLET_PAUSE_MS
from shared.cards.models import CardId, Changes, Refill, Terms, Validity
from shared.cards.service import random_secret
from shared.ledger.errors import CreditTooLow, KeyReused
from shared.ledger.models import SpendLimit
from tests.cards.builders import ADA, TERMS, WALLET, Desk, secret_of
from tests.ledger.builders import NOW

MONTHLY = Terms("a card", refill=Refill(30, Period.MONTH))


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.open_wallet(paid=100)
    return made


@given(st.text(max_size=80) | st.from_regex(r"crd_[a-z2-7]{12}_[A-Za-z0-9_-]{42,44}", fullmatch=True))
def test_only_what_has_the_form_of_a_key_is_one(text: str) -> None:
    """And its form is kept by taking it apart and putting it together."""
    try:
        parsed = rules.parse_key(text)
    except CardKeyWrong:
        assert len(text) != 60 or not text.startswith("crd_")
    else:
        assert rules.format_key(parsed.card_id, parsed.secret).reveal() == text


def test_secrets_have_256_bits_and_show_nothing() -> None:
    secrets = {random_secret().reveal() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {43}
    assert "Secret(...)" in repr(rules.parse_key(f"crd_{'a' * 12}_{secrets.pop()}"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key.upper(),
        lambda key: f"crd_{'a' * 12}_{secret_of(key)}",
        lambda key: f"crd_{secret_of(key)}",
        lambda key: "crd_",
        lambda key: key + "\n",
    ],
)
async def test_any_other_key_is_refused_alike(desk: Desk, spoil: Callable[[str], str]) -> None:
    """Whether the card exists is not told, nor what was wrong, nor anything of the key."""
    _, key = await desk.card()

    for keys in (desk.keys, desk.process()[1]):
        with pytest.raises(CardKeyWrong) as caught:
            await keys.holder(spoil(key))
        assert secret_of(key)[:20] not in str(caught.value)


async def test_a_warm_process_reads_a_card_once_in_five_seconds(desk: Desk) -> None:
    """Two hundred calls at once, one read; and never more than one for a call."""
    _, key = await desk.card()
    desk.records.reads = 0

    await asyncio.gather(*(desk.keys.spender(key) for _ in range(200)))
    assert desk.records.reads == 1
    desk.clock.now_ms += CARD_CACHE_MS - 1
    await desk.keys.spender(key)
    assert desk.records.reads == 1
    desk.clock.now_ms += 1
    await desk.keys.spender(key)
    assert desk.records.reads == 2


async def test_a_freeze_takes_effect_within_five_seconds(desk: Desk) -> None:
    """And an unfreezing at once: only what stands now refuses."""
    card, key = await desk.card()
    await desk.keys.holder(key)
    other = desk.process()[0]
    await other.change(ADA, card.card_id, Changes(frozen=True))

    desk.clock.now_ms += CARD_CACHE_MS
    with pytest.raises(CardFrozen):
        await desk.keys.holder(key)
    await other.change(ADA, card.card_id, Changes(frozen=False))
    await desk.keys.holder(key)


async def test_a_new_key_is_good_at_once(desk: Desk) -> None:
    """The old one no longer, once nobody remembers it."""
    card, key = await desk.card()
    await desk.keys.holder(key)
    new = (await desk.process()[0].replace_key(ADA, card.card_id)).reveal()

    await desk.keys.holder(new)
    with pytest.raises(CardKeyWrong):
        await desk.keys.holder(key)


async def test_an_end_is_exact(desk: Desk) -> None:
    """However fresh what is remembered; more time revives the card."""
    card, key = await desk.card(0, replace(TERMS, expires_at_ms=NOW + 100))
    desk.clock.now_ms = NOW + 99
    await desk.keys.holder(key)

    desk.clock.now_ms = NOW + 100
    with pytest.raises(CardExpired) as caught:
        await desk.keys.holder(key)
    assert caught.value.details() == {"expired_at_ms": NOW + 100}
    await desk.cards.change(ADA, card.card_id, Changes(expires_at_ms=None))
    await desk.keys.holder(key)


async def test_a_store_that_is_down_refuses_nobody_for_good(desk: Desk) -> None:
    """The key is neither good nor wrong then."""
    _, key = await desk.card()
    desk.records.down = True

    with pytest.raises(CardsUnavailable):
        await desk.keys.holder(key)


async def test_the_first_use_in_a_period_refills(desk: Desk) -> None:
    """Across the edge of a month, by a clock that moves over it."""
    card, key = await desk.card(10, MONTHLY)
    end_ms = period_end_ms(Period.MONTH, NOW)
    assert end_ms is not None

    await asyncio.gather(*(desk.keys.spender(key) for _ in range(20)))
    assert (await desk.head(card.account_id)).balance_micros == 30
    await desk.ledger.debit(card.account_id, 29, key="d", facts={})
    desk.clock.now_ms = end_ms - 1
    await desk.keys.spender(key)
    assert (await desk.head(card.account_id)).balance_micros == 1
    desk.clock.now_ms = end_ms
    await asyncio.gather(*(desk.process()[1].spender(key) for _ in range(5)), desk.keys.spender(key))
    assert (await desk.head(card.account_id)).balance_micros == 30
    assert (await desk.head()).balance_micros == 100 - 30 - 29


async def test_looking_refills_nothing(desk: Desk) -> None:
    """Who only reads must not be able to write."""
    card, key = await desk.card(0, MONTHLY)

    await desk.keys.holder(key)
    await desk.keys.validate(key, asking=None)

    assert (await desk.head(card.account_id)).balance_micros == 0


async def test_an_empty_wallet_is_asked_again_after_a_pause(desk: Desk) -> None:
    """And is no reason to refuse a card that has something of its own."""
    card, key = await desk.card(5, MONTHLY)
    await desk.ledger.debit(WALLET, 95, key="gone", facts={})
    await desk.keys.spender(key)
    await desk.ledger.grant_paid(WALLET, 100, key="bought", facts={})

    desk.clock.now_ms += EMPTY_WALLET_PAUSE_MS - 1
    await desk.keys.spender(key)
    assert (await desk.head(card.account_id)).balance_micros == 5
    desk.clock.now_ms += 1
    await desk.keys.spender(key)
    assert (await desk.head(card.account_id)).balance_micros == 30


async def test_a_card_is_charged_once_per_key_of_whoever_charges(desk: Desk) -> None:
    card, _ = await desk.card(50)

    async def charge(amount: int = 20, by: str = "service:a") -> bool:
        posted = await desk.keys.charge(
            card.card_id, amount, key="k", reason="work", charged_by=by, holder=card if by == card.account_id else None
        )
        return posted.repeated

    assert [await charge(), await charge(), await charge(by=card.account_id)] == [False, True, False]
    with pytest.raises(KeyReused):
        await charge(21)
    with pytest.raises(CreditTooLow):
        await charge(20, by="service:b")
    assert (await desk.head(card.account_id)).balance_micros == 10


async def test_nobody_charges_through_a_refused_card_or_another_ones_key(desk: Desk) -> None:
    """Not a backend either."""
    card, _ = await desk.card(50)
    other, _ = await desk.card(50, key="two")

    async def refused(card_id: CardId, why: type[CredenceError]) -> None:
        with pytest.raises(why):
            await desk.keys.charge(card_id, 1, key="k", reason="work", charged_by="x", holder=None)

    with pytest.raises(CardAbsent):
        await desk.keys.charge(card.card_id, 1, key="k", reason="w", charged_by=other.account_id, holder=other)
    await refused(CardId("a" * 12), CardAbsent)
    await desk.cards.change(ADA, card.card_id, Changes(frozen=True))
    await refused(card.card_id, CardFrozen)
    await desk.cards.close(ADA, card.card_id)
    await refused(card.card_id, CardClosed)


async def test_a_validation_says_what_the_key_may_do_or_why_not(desk: Desk) -> None:
    card, key = await desk.card(50, replace(TERMS, limit=SpendLimit(20, Period.DAY)))

    good = await desk.keys.validate(key, asking=None)
    assert good.state is not None
    assert (good.state.card, good.state.standing.spendable_micros) == (card, 20)
    assert (await desk.keys.validate(None, asking=card)).state == good.state
    for wrong in (None, "", "crd_", key + "x", "sk-something"):
        assert await desk.keys.validate(wrong, asking=None) == Validity(None, "invalid_card_key")
    await desk.cards.close(ADA, card.card_id)
    desk.clock.now_ms += CARD_CACHE_MS
    assert await desk.keys.validate(key, asking=None) == Validity(None, "card_closed")
