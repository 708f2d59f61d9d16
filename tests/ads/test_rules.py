"""What a callback says is read from what Google signed, and from nothing that was dressed up as it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.admob import AD_NETWORK, UNIT_OF_TIER, LocalAdMob
from shared.ads import rules
from shared.ads.errors import AdCapReached, AdTooSoon, CallbackMalformed, CallbackStale
from shared.ads.models import Allowance, Nonce, Reward
from shared.base.economy import AD_COOLDOWN_MS, AD_TIERS, DAY_MS
from shared.base.ids import UserId
from tests.ledger.builders import NOW

ADMOB = LocalAdMob.new()
NONCE = "0123456789abcdef" * 3
THEIRS = "777"
TEXT = AD_TIERS[0]


def read(query: str) -> str | None:
    return rules.read_callback(query).callback.custom_data


def reward(at_ms: int, tier: str = "text", *, granted: bool = True) -> Reward:
    return Reward(
        nonce=Nonce(NONCE), tier=tier, transaction_id="t", amount_micros=1, rewarded_at_ms=at_ms, granted=granted
    )


def allowance(*rewards: Reward, started_at_ms: int = 0) -> Allowance:
    return Allowance(user_id=UserId("ada"), started_at_ms=started_at_ms, rewards=rewards)


def test_what_admob_sends_is_read_as_it_was_signed() -> None:
    signed = rules.read_callback(ADMOB.callback("text", NONCE, timestamp=NOW, transaction_id="ab12", user_id="ada"))

    assert (signed.callback.ad_unit, signed.callback.custom_data) == (UNIT_OF_TIER["text"], NONCE)
    assert (signed.callback.timestamp_ms, signed.callback.transaction_id, signed.callback.user_id) == (
        NOW,
        "ab12",
        "ada",
    )
    assert signed.key_id == ADMOB.key_id
    assert b"reward_item=Credits for an ad&" in signed.message


@pytest.mark.parametrize(
    "hidden",
    [
        # Their own ad, signed for them by Google, with our unit and a nonce in the custom data that they chose.
        f"ad_network=1&ad_unit={THEIRS}&custom_data=x%26ad_unit%3D{UNIT_OF_TIER['video']}&timestamp=1&transaction_id=a",
        # The same bytes, encoded so that their own unit hides in a value and ours stands out.
        f"ad_network=1%26ad_unit%3D{THEIRS}%26custom_data%3Dx&ad_unit={UNIT_OF_TIER['video']}&timestamp=1&transaction_id=a",
        f"ad_network=1&ad_unit=2&custom_data=x%26custom_data%3D{NONCE}&timestamp=1&transaction_id=a",
        f"ad_network=1&ad_unit=2&custom_data={NONCE}&timestamp=1&transaction_id=a&user_id=u%26transaction_id%3Db",
        "ad_network=1&ad_unit=2&reward_item=x%26more%3D1&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&reward_item=x%26y&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit%3D2=2&timestamp=1&transaction_id=a",
    ],
)
def test_parameters_smuggled_in_a_value_are_refused(hidden: str) -> None:
    """Whoever has an AdMob account has Google sign what they please; it is decoded first, and split then."""
    with pytest.raises(CallbackMalformed):
        read(hidden + "&signature=AAAA&key_id=1")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "ad_network=1",
        "ad_network=1&ad_unit=2&timestamp=1",
        "ad_network=1&ad_unit=2&ad_unit=2&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a&transaction_id=b",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a&bonus=1",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a&",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a&user_id",
        "ad_network=1&ad_unit=2&timestamp=-1&transaction_id=a",
        "ad_network=1&ad_unit=2&timestamp=1e9&transaction_id=a",
        "ad_network=1&ad_unit=2&timestamp=%D9%A1&transaction_id=a",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a%2Fb",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a%0A",
        "ad_network=1&ad_unit=+2&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&reward_item=%FF&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&reward_item=\u00e9&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&signature=BBBB&timestamp=1&transaction_id=a",
        "ad_network=1&ad_unit=2&timestamp=1&transaction_id=a&reward_item=" + "x" * rules.QUERY_CHARS_MAX,
    ],
)
def test_what_admob_never_sends_is_refused(content: str) -> None:
    """Missing, unknown, given twice, of another form, too long."""
    with pytest.raises(CallbackMalformed):
        read(content + "&signature=AAAA&key_id=1")


@pytest.mark.parametrize(
    "end",
    [
        "",
        "&signature=AAAA",
        "&key_id=1&signature=AAAA",
        "&signature=AAAA&key_id=1&user_id=ada",
        "&signature=AAAA&key_id=1&key_id=2",
        "&signature=AAAA&signature=AAAA&key_id=1",
        "&signature=A&key_id=1",
        "&signature=%41AAA&key_id=1",
        "&signature=AAAA&key_id=one",
        "&signature=AAAA&key_id=1\n",
    ],
)
def test_the_signature_and_its_key_come_last(end: str) -> None:
    with pytest.raises(CallbackMalformed):
        read("ad_network=1&ad_unit=2&timestamp=1&transaction_id=a" + end)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_hides_in_a_value_no_other_unit_is_read(custom_data: str, item: str) -> None:
    """Either the one unit that Google signed for, or nothing at all."""
    fields = {"custom_data": custom_data, "reward_item": item, "timestamp": 1, "transaction_id": "a"}
    content = f"ad_network={AD_NETWORK}&ad_unit={THEIRS}&" + "&".join(
        f"{name}={quote(str(value), safe='', errors='replace')}" for name, value in fields.items()
    )
    try:
        callback = rules.read_callback(content + "&signature=AAAA&key_id=1").callback
    except CallbackMalformed:
        assert "&" in custom_data + item
    else:
        assert callback.ad_unit == THEIRS


@pytest.mark.parametrize("custom_data", ["", "x", NONCE + "0", NONCE[:-1], NONCE.upper(), "__" + NONCE[4:] + "__"])
def test_only_what_looks_like_a_nonce_is_looked_up(custom_data: str) -> None:
    callback = rules.read_callback(ADMOB.callback("text", custom_data)).callback
    assert rules.nonce_of(callback) is None
    assert rules.nonce_of(rules.read_callback(ADMOB.callback("text", NONCE)).callback) == NONCE


@pytest.mark.parametrize(
    ("age_ms", "fits"),
    [
        (0, True),
        (rules.CALLBACK_AGE_MS_MAX, True),
        (rules.CALLBACK_AGE_MS_MAX + 1, False),
        (-rules.CALLBACK_AHEAD_MS_MAX, True),
        (-rules.CALLBACK_AHEAD_MS_MAX - 1, False),
    ],
)
def test_a_callback_is_about_now(age_ms: int, fits: bool) -> None:
    callback = rules.read_callback(ADMOB.callback("text", NONCE, timestamp=NOW - age_ms)).callback
    if fits:
        rules.check_time(callback, NOW)
    else:
        with pytest.raises(CallbackStale):
            rules.check_time(callback, NOW)


def test_a_day_has_so_many_ads_of_each_tier() -> None:
    """Tiers do not use up each other's, and the day is that of UTC."""
    start_ms = NOW - NOW % DAY_MS
    full = allowance(*(reward(start_ms + n * 60_000) for n in range(TEXT.per_day_max)))

    assert rules.left_today(full, TEXT, start_ms) == 0
    assert rules.left_today(full, AD_TIERS[1], start_ms) == AD_TIERS[1].per_day_max
    with pytest.raises(AdCapReached) as refusal:
        rules.check_may_start(full, TEXT, start_ms + DAY_MS - 1)
    assert refusal.value.resets_at_ms == start_ms + DAY_MS
    rules.check_may_start(full, TEXT, start_ms + DAY_MS)


@pytest.mark.parametrize("last", [allowance(started_at_ms=NOW), allowance(reward(NOW))])
def test_an_ad_begins_a_while_after_the_last(last: Allowance) -> None:
    """Whether that was watched or only begun."""
    with pytest.raises(AdTooSoon) as refusal:
        rules.check_may_start(last, TEXT, NOW + AD_COOLDOWN_MS - 1)
    assert refusal.value.retry_after_ms == 1
    rules.check_may_start(last, TEXT, NOW + AD_COOLDOWN_MS)
