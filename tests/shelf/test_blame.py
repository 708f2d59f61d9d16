"""What a caller's refused calls do to keys: nothing when nobody is served the same, and little in any case."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import UserId
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.resources.models import KeyId
from shared.routing.models import Phase
from shared.shelf.blame import KEYS_BLAMED_MAX, Blames
from shared.shelf.complaints import COOL_MS
from shared.shelf.loan import Loan
from tests.chat.builders import request_of
from tests.chat.conftest import shop
from tests.providers import fake
from tests.shelf.conftest import SECRET, Library, asked_with, library

__all__ = ["library", "shop"]
ANSWERED = fake.whole(fake.completion(usage=fake.usage(400, 600)))
REFUSED = UpstreamUnavailable("first", "refused", fault=Fault.KEY)


@pytest.mark.parametrize("status", [402, 403, 404])
async def test_what_nobody_is_served_counts_against_no_key(library: Library, status: int) -> None:
    """A request that its provider denies everybody, at no charge: the keys serve on, and are looked at."""
    for number in range(3):
        await library.add(f"key{number}", owner=f"owner{number}")
    library.shop.first.replies += [fake.refuse(status)] * 4
    library.shop.second.replies.append(ANSWERED)

    await library.shop.chats().answer(library.shop.asking(), request_of())
    await library.shelf.told()

    asked = sorted(asked_with(one) for one in library.shop.first.asked[:3])
    assert asked == [f"{SECRET}-key{number}" for number in range(3)]
    assert not [key.id for key in library.store.keys.values() if key.cool_until_ms]
    assert sorted(payload.key_id for _, payload, _ in library.posted.tasks) == ["key0", "key1", "key2"]
    loans = [await borrowed(library) for _ in range(3)]
    assert {loan.stand.condition.phase for loan in loans} == {Phase.CLOSED}


async def test_one_caller_has_so_many_keys_rest_and_each_once(library: Library) -> None:
    """What looks as if it came of the keys may come of what is asked; the calls of others count on."""
    for number in range(2 * KEYS_BLAMED_MAX):
        await library.add(f"key{number}", owner=f"owner{number}")
    loans = [await borrowed(library) for _ in range(2 * KEYS_BLAMED_MAX)]

    for loan in loans:
        library.shelf.failed(loan, REFUSED, by={UserId("mallory")})
    await library.shelf.told()

    rested = {loan.key.id for loan in loans[:KEYS_BLAMED_MAX]}
    assert {key.id for key in library.store.keys.values() if key.cool_until_ms} == rested
    assert {payload.key_id for _, payload, _ in library.posted.tasks} == library.store.keys.keys()
    again = await borrowed(library)
    assert again.key.id not in rested
    library.shelf.failed(again, REFUSED, by={UserId("ben")})
    await library.shelf.told()
    assert library.store.keys[again.key.id].cool_until_ms


async def test_a_doubted_key_is_looked_at_once_for_a_while(library: Library) -> None:
    """However often somebody is refused: each look asks the provider for something with its owner's key."""
    await library.add()

    for _ in range(5):
        library.shelf.doubted(await borrowed(library))
        await library.shelf.told()
    assert len(library.posted.tasks) == 1

    library.shop.clock.now_ms += COOL_MS
    library.shelf.doubted(await borrowed(library))
    await library.shelf.told()
    assert len(library.posted.tasks) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, COOL_MS // 2)), max_size=40))
def test_no_caller_has_more_keys_rest_at_a_time(refusals: list[tuple[int, int, int]]) -> None:
    blames, now_ms = Blames(), 0
    counted: list[tuple[int, int, int]] = []
    for caller, key, later_ms in refusals:
        now_ms += later_ms
        if blames.count({UserId(str(caller))}, KeyId(str(key)), now_ms):
            counted.append((caller, key, now_ms))
        lately = Counter((who, what) for who, what, at_ms in counted if now_ms - at_ms < COOL_MS)
        assert all(times == 1 for times in lately.values())
        assert all(keys <= KEYS_BLAMED_MAX for keys in Counter(who for who, _ in lately).values())


async def borrowed(library: Library) -> Loan:
    loan = await library.shelf.borrow("first", "maker/model", 1_000, payers=frozenset(), left_out=frozenset())
    assert loan is not None
    return loan
