"""Chats that contributed keys serve: who is asked with what, who is paid, and what a failing key comes to."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.ledger.models import HOUSE_REVENUE, Leg, Origin
from shared.metering.collector import Collector
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.models import DisconnectPolicy
from shared.resources.models import KEY_FACT, KeyId, KeyStatus
from shared.routing.breaker import CALLS_MIN
from shared.shelf.complaints import COOL_MS
from shared.shelf.models import LEASE_FACT
from tests.chat.builders import request_of
from tests.chat.conftest import ADA, Shop
from tests.ledger.builders import ledger_on
from tests.providers import fake
from tests.providers.fake import KEY
from tests.shelf.conftest import SECRET, Library, asked_with

GRACE = AccountId("earn:grace")
ANSWERED = fake.whole(fake.completion(usage=fake.usage(400, 600)))
PRICE = 1_000


async def read_all(library: Library, **fields: object) -> None:
    stream = await library.shop.stream(request_of(stream=True, **fields))
    async for _ in stream.events():
        pass
    await stream.close()


def shares_of_last(shop: Shop) -> dict[tuple[str, Origin], int]:
    return {(leg.account_id, leg.origin): leg.amount_micros for leg in shop.captures()[-1].legs}


async def test_a_contributed_key_serves_a_call_and_its_owner_is_paid(library: Library) -> None:
    """With the tenth of the 85 % that was advanced left out; promotional credits make promotional shares."""
    await library.add()
    library.shop.first.replies.append(ANSWERED)

    await library.shop.chats().answer(library.shop.asking(), request_of())

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    assert shares_of_last(library.shop) == {(HOUSE_REVENUE, Origin.PROMO): 235, (GRACE, Origin.PROMO): 765}
    facts = dict(library.shop.captures()[-1].facts)
    assert (facts[KEY_FACT], facts["provider"]) == ("key1", "first")
    assert facts[LEASE_FACT] in library.store.open


async def test_each_origin_of_a_charge_is_split_apart(library: Library) -> None:
    await library.add()
    shop = library.shop
    promo = (await shop.head()).balance_micros - 300
    await ledger_on(shop.store, shop.clock).debit(ADA, promo, key="spend", facts={})
    await ledger_on(shop.store, shop.clock).grant_paid(ADA, 100_000, key="paid", facts={})
    shop.first.replies.append(ANSWERED)

    await shop.chats().answer(shop.asking(), request_of())

    # 300 promotional and 700 paid: 229.5 and 535.5, of which the odd halves stay with the house.
    assert shares_of_last(shop) == {
        (HOUSE_REVENUE, Origin.PROMO): 71,
        (GRACE, Origin.PROMO): 229,
        (HOUSE_REVENUE, Origin.PAID): 165,
        (GRACE, Origin.PAID): 535,
    }
    entry = shop.captures()[-1]
    assert entry.delta_micros + sum(leg.amount_micros for leg in entry.legs) == 0


async def test_a_streamed_answer_is_split_alike(library: Library) -> None:
    await library.add()
    library.shop.first.replies.append(fake.stream(*fake.hello()))

    await read_all(library)

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    assert shares_of_last(library.shop) == {(HOUSE_REVENUE, Origin.PROMO): 7, (GRACE, Origin.PROMO): 23}


async def test_a_stream_that_was_left_pays_the_owner_of_what_is_charged(library: Library) -> None:
    await library.add()
    library.shop.first.policy = DisconnectPolicy.DRAIN
    library.shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await library.shop.stream(request_of(stream=True))

    await anext(stream.events())
    await stream.close()

    assert dict(library.shop.captures()[-1].facts)["outcome"] == "abandoned"
    assert shares_of_last(library.shop)[GRACE, Origin.PROMO] == 23


@pytest.mark.parametrize(
    "reply",
    [
        fake.whole(fake.completion("", usage=fake.usage(0, 0))),
        fake.refuse(400, "this is no request"),
        fake.refuse(500),
    ],
)
async def test_what_is_free_pays_nobody_and_leaves_the_quota_alone(library: Library, reply: fake.Reply) -> None:
    await library.add()
    library.shop.first.replies.append(reply)
    library.shop.second.replies.append(fake.refuse(400, "nor is it here"))

    with contextlib.suppress(UpstreamRefused):
        await library.shop.chats().answer(library.shop.asking(), request_of())

    assert not [leg for entry in library.shop.entries() for leg in entry.legs if leg.account_id == GRACE]
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros == key.returned_micros


async def test_an_owner_is_not_served_by_their_own_key(library: Library) -> None:
    """Else their own calls would earn them the advance, and make credits that can be paid out of any others."""
    await library.add(owner="ada")
    library.shop.first.replies.append(ANSWERED)
    asking = library.shop.asking()

    await library.shop.chats().answer(replace(asking, payers=frozenset({UserId("ada")})), request_of())

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{KEY}-first"]
    assert library.shop.captures()[-1].legs == (Leg(HOUSE_REVENUE, Origin.PROMO, PRICE),)
    assert KEY_FACT not in dict(library.shop.captures()[-1].facts)


async def test_who_lent_to_a_session_is_not_paid_out_of_it(library: Library) -> None:
    """A member of the pool whose credits it spends buys nothing from themselves; another's key serves it."""
    await library.add("key1", owner="grace")
    await library.add("key2", owner="hopper")
    library.shop.first.replies += [ANSWERED] * 4
    payers = frozenset({UserId("ada"), UserId("grace")})

    for _ in range(4):
        await library.shop.chats().answer(replace(library.shop.asking(), payers=payers), request_of())

    assert {asked_with(asked) for asked in library.shop.first.asked} == {f"{SECRET}-key2"}
    assert {leg.account_id for entry in library.shop.captures() for leg in entry.legs} == {
        HOUSE_REVENUE,
        "earn:hopper",
    }


async def test_a_stream_that_breaks_off_pays_for_what_came_and_goes_on_with_no_other_key(library: Library) -> None:
    await library.add()
    library.shop.first.replies += [fake.cut(fake.event(fake.chunk("Hello there, this is some text"))), ANSWERED]

    await read_all(library)

    (entry,) = library.shop.captures()
    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]
    assert not library.shop.second.asked
    assert dict(entry.facts)["outcome"] == "cut"
    assert abs(shares_of_last(library.shop)[GRACE, Origin.PROMO] * 1_000 + entry.delta_micros * 765) < 1_000


@pytest.mark.parametrize("lie", [10**15, -(10**6), "many"])
async def test_what_a_provider_makes_up_pays_no_more_than_was_reserved(library: Library, lie: object) -> None:
    """Of the buyer's hold and of the key's quota alike."""
    await library.add(quota_micros=10_000)
    library.shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(lie, lie))))

    await library.shop.chats().answer(library.shop.asking(), request_of(max_tokens=100))

    (entry,) = library.shop.captures()
    price = -entry.delta_micros
    assert price <= int(dict(entry.facts)["held_micros"]) <= 10_000
    assert abs(shares_of_last(library.shop)[GRACE, Origin.PROMO] * 1_000 - price * 765) < 1_000
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == price


async def test_an_answer_that_is_told_again_pays_no_key(library: Library) -> None:
    """Whose key made it was paid when it did."""
    await library.add()
    library.shop.first.replies.append(ANSWERED)
    chats = library.shop.chats()

    for _ in range(2):
        await chats.answer(library.shop.asking(), request_of(credence_cache="use"))

    first, again = library.shop.captures()
    assert len(library.shop.first.asked) == 1
    assert dict(first.facts)[KEY_FACT] == "key1"
    assert KEY_FACT not in dict(again.facts)
    assert {leg.account_id for leg in again.legs} == {HOUSE_REVENUE}
    await library.shelf.settle_down()
    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == PRICE


@pytest.mark.parametrize(("status", "told"), [(401, 1), (403, 1), (402, 1), (429, 0)])
async def test_a_refused_key_is_left_for_another_and_does_not_rest_its_provider(
    library: Library, status: int, told: int
) -> None:
    """It cools, everywhere where its own limit is not all that is wrong with it, and is looked at again."""
    await library.add("key1", owner="grace")
    await library.add("key2", owner="hopper")
    library.shop.first.replies += [fake.refuse(status, headers={"retry-after": "30"}), ANSWERED, ANSWERED]
    chats = library.shop.chats()

    await chats.answer(library.shop.asking(), request_of())
    await chats.answer(library.shop.asking(), request_of())
    await library.shelf.told()

    first, second, third = [asked_with(asked) for asked in library.shop.first.asked]
    assert first != second == third
    assert not library.shop.second.asked
    refused = KeyId(first.rpartition("-")[2])
    cooled = library.store.keys[refused].cool_until_ms
    assert cooled == (library.shop.clock() + COOL_MS if told else None)
    assert [(name, payload.key_id) for name, payload, _ in library.posted.tasks] == [("key_validate", refused)] * told


async def test_when_every_key_fails_the_platforms_own_is_asked(library: Library) -> None:
    for number in range(3):
        await library.add(f"key{number}", owner=f"owner{number}")
    library.shop.first.replies += [fake.refuse(401), fake.refuse(429), fake.refuse(403), ANSWERED]

    await library.shop.chats().answer(library.shop.asking(), request_of())

    assert asked_with(library.shop.first.asked[-1]) == f"{KEY}-first"
    assert library.shop.captures()[-1].legs == (Leg(HOUSE_REVENUE, Origin.PROMO, PRICE),)


async def test_a_provider_that_only_contributed_keys_open_refuses_when_none_is_left(library: Library) -> None:
    library.shop.lent_only = True
    await library.add()
    library.shop.first.replies += [fake.refuse(401), ANSWERED]
    chats = library.shop.chats()

    with pytest.raises(UpstreamUnavailable) as refusal:
        await chats.answer(library.shop.asking(), request_of())

    assert refusal.value.tried == "first=no_key, second=no_key"
    assert len(library.shop.first.asked) == 1
    assert not library.shop.captures()


async def test_calls_without_a_key_left_do_not_rest_the_provider(library: Library) -> None:
    """It serves whoever comes with a key: the one that is deposited next serves at once."""
    library.shop.lent_only = True
    chats = library.shop.chats()
    for _ in range(2 * CALLS_MIN):
        with pytest.raises(UpstreamUnavailable):
            await chats.answer(library.shop.asking(), request_of())
    await library.add()
    library.shop.first.replies.append(ANSWERED)

    await chats.answer(library.shop.asking(), request_of())

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1"]


async def test_a_failing_provider_is_a_failing_provider(library: Library) -> None:
    """Another key would fare no better: the router goes to the next route."""
    await library.add()
    await library.add("key2", owner="hopper")
    library.shop.first.replies.append(fake.refuse(503))
    library.shop.second.replies.append(ANSWERED)

    await library.shop.chats().answer(library.shop.asking(), request_of())

    assert (len(library.shop.first.asked), len(library.shop.second.asked)) == (1, 1)
    assert asked_with(library.shop.second.asked[0]) == f"{KEY}-second"


async def test_a_charge_that_is_owed_pays_the_owner_when_it_is_collected(library: Library) -> None:
    await library.add()
    shop = library.shop
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(stream=True))
    shop.faulty.lost = shop.faulty.unread = 1.0
    async for _ in stream.events():
        pass
    await stream.close()
    shop.faulty.lost = shop.faulty.unread = 0.0
    assert not shop.captures()

    await Collector(ledger_on(shop.store, shop.clock), shop.owed).run()

    assert shares_of_last(shop)[GRACE, Origin.PROMO] == 23
    assert dict(shop.captures()[-1].facts)[KEY_FACT] == "key1"


async def test_calls_at_one_moment_are_spread_over_the_keys(library: Library) -> None:
    for number in range(4):
        await library.add(f"key{number}", owner=f"owner{number}", quota_micros=10_000_000)
    library.shop.first.replies += [ANSWERED] * 40
    chats = library.shop.chats()

    await asyncio.gather(*(chats.answer(library.shop.asking(), request_of(max_tokens=100)) for _ in range(40)))

    used = [asked_with(asked) for asked in library.shop.first.asked]
    assert sorted(used.count(f"{SECRET}-key{number}") for number in range(4)) == [10, 10, 10, 10]


async def test_a_paused_key_serves_until_it_is_seen_and_no_longer(library: Library) -> None:
    key = await library.add()
    library.shop.first.replies += [ANSWERED, ANSWERED]
    chats = library.shop.chats()
    await chats.answer(library.shop.asking(), request_of())

    library.store.put(replace(library.store.keys[key.id], status=KeyStatus.PAUSED))
    await library.shelf.refresh()
    await chats.answer(library.shop.asking(), request_of())

    assert [asked_with(asked) for asked in library.shop.first.asked] == [f"{SECRET}-key1", f"{KEY}-first"]
