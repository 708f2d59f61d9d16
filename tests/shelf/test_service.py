"""The shelf of one process, and several of them over one store: no quota is overrun, and a warm choice asks nothing."""

import asyncio
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import UserId
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.resources.models import KeyId, KeyStatus
from shared.shelf import rules
from shared.shelf.complaints import Complaints
from shared.shelf.loan import Loan
from shared.shelf.models import LeaseId
from shared.shelf.service import STALE_MS, TEND_MS, Shelf
from tests.ledger.builders import Ticker
from tests.shelf.builders import HOST, key_of
from tests.shelf.conftest import Posted
from tests.shelf.memory import MemoryShelf

WORST = 1_000
MODEL = "maker/model"
_numbers = count()


def shelf_over(store: MemoryShelf, clock: Ticker, *, seed: int = 0, posted: Posted | None = None) -> Shelf:
    return Shelf(
        store,
        Complaints(store, posted or Posted(), clock),
        {"first": HOST},
        clock=clock,
        wall_clock=clock,
        lease_id=lambda: LeaseId(f"lse_{next(_numbers)}"),
        seed=seed,
    )


async def ready(store: MemoryShelf, clock: Ticker | None = None, **rest: object) -> Shelf:
    shelf = shelf_over(store, clock or Ticker(), **rest)  # type: ignore[arg-type]
    await shelf.refresh()
    return shelf


async def borrow(shelf: Shelf, worst_micros: int = WORST, *, owner: str | None = None) -> Loan | None:
    payers = {UserId(owner)} if owner else frozenset[UserId]()
    return await shelf.borrow("first", MODEL, worst_micros, payers=payers, left_out=frozenset())


async def must_borrow(shelf: Shelf) -> Loan:
    loan = await borrow(shelf)
    assert loan is not None
    return loan


async def test_a_warm_choice_asks_the_store_nothing() -> None:
    store = MemoryShelf(*(key_of(f"key{index}", quota_micros=10**9) for index in range(20)))
    shelf = await ready(store)
    for _ in range(rules.KEYS_AT_WORK_MAX):
        (await must_borrow(shelf)).settled(WORST)
    before = store.reads

    for _ in range(100):
        (await must_borrow(shelf)).settled(WORST)
        shelf.tend()

    assert store.reads == before


async def test_what_keys_there_are_is_read_anew_at_a_bounded_rate_and_not_while_anybody_waits() -> None:
    clock, store = Ticker(), MemoryShelf()
    shelf = await ready(store, clock)
    store.put(key_of())
    assert store.reads == 1

    clock.now_ms += TEND_MS
    for _ in range(10):
        shelf.tend()
        assert await borrow(shelf) is None
    await asyncio.sleep(0.01)

    assert store.reads == 2
    assert await borrow(shelf) is not None


async def test_what_was_read_long_ago_is_not_believed() -> None:
    """A process that stood still may have missed that a key was withdrawn."""
    clock, store = Ticker(), MemoryShelf(key_of())
    shelf = await ready(store, clock)
    clock.now_ms += STALE_MS

    assert not shelf.has_keys("first", MODEL)
    await shelf.known()
    assert shelf.has_keys("first", MODEL)


async def test_without_the_store_no_key_serves_and_nothing_fails() -> None:
    store = MemoryShelf(key_of())
    store.down = True
    shelf = await ready(store)

    assert await borrow(shelf) is None


@given(
    quotas=st.lists(st.integers(0, 40_000), min_size=1, max_size=5),
    calls=st.integers(1, 120),
    processes=st.integers(1, 4),
    part=st.integers(0, 100),
)
async def test_no_quota_is_overrun_by_any_number_of_processes(
    quotas: list[int], calls: int, processes: int, part: int
) -> None:
    """And as many calls are served as the quotas cover, when every call uses its worst case."""
    clock = Ticker()
    store = MemoryShelf(*(key_of(f"key{index}", quota_micros=quota) for index, quota in enumerate(quotas)))
    shelves = [await ready(store, clock, seed=seed) for seed in range(processes)]
    used: Counter[str] = Counter()

    async def call(shelf: Shelf, number: int) -> None:
        # Prices move meanwhile, so what one call needs is not what the lease was made for.
        worst = WORST if part == 100 else WORST * (1 + number % 3)
        if loan := await borrow(shelf, worst):
            await asyncio.sleep(0)
            charged = WORST if part == 100 else number * 7 % WORST
            used[loan.key.id] += charged
            loan.settled(charged)

    await asyncio.gather(*(call(shelves[number % processes], number) for number in range(calls)))
    for shelf in shelves:
        await shelf.settle_down()

    for key in store.keys.values():
        assert key.leased_micros - key.returned_micros == used[key.id] <= key.quota_micros
    assert not store.open


async def test_two_hundred_calls_at_once_over_five_keys_get_the_hundred_and_twenty_that_there_are() -> None:
    clock = Ticker()
    store = MemoryShelf(*(key_of(f"key{index}", owner=f"o{index}", quota_micros=24 * WORST) for index in range(5)))
    shelves = [await ready(store, clock, seed=seed) for seed in range(4)]

    loans = await asyncio.gather(*(borrow(shelves[number % 4]) for number in range(200)))

    served = Counter(loan.key.id for loan in loans if loan)
    assert served == {f"key{index}": 24 for index in range(5)}


async def test_a_lease_whose_answer_was_lost_is_spent_by_nobody() -> None:
    store = MemoryShelf(key_of(quota_micros=8 * WORST))
    shelf = await ready(store)
    store.lost = True

    assert await borrow(shelf) is None
    store.lost = False
    loans = [await borrow(shelf) for _ in range(10)]

    assert sum(loan is not None for loan in loans) == 7


async def test_what_a_process_did_not_use_comes_back_when_its_lease_is_old() -> None:
    clock, store = Ticker(), MemoryShelf(key_of(quota_micros=320 * WORST))
    shelf = await ready(store, clock)
    under_way = await must_borrow(shelf)
    (await must_borrow(shelf)).settled(300)

    clock.now_ms += rules.SPEND_MS
    await shelf.refresh()
    assert store.open, "a call is still under way"
    under_way.settled(200)
    await shelf.refresh()

    key = store.keys[KeyId("key1")]
    assert not store.open
    assert (key.leased_micros, key.returned_micros) == (10 * WORST, 10 * WORST - 500)


async def test_a_key_that_was_withdrawn_meanwhile_is_not_leased() -> None:
    store = MemoryShelf(key_of())
    shelf = await ready(store)
    store.put(replace(store.keys[KeyId("key1")], status=KeyStatus.WITHDRAWN, sealed=None))

    assert await borrow(shelf) is None
    assert store.leased == 0


async def test_a_refused_key_is_tried_once_when_its_rest_is_over() -> None:
    """While one call tries it, others do without."""
    clock, store = Ticker(), MemoryShelf(key_of())
    shelf = await ready(store, clock)
    shelf.failed(await must_borrow(shelf), UpstreamBusy("first", 2_000))

    assert await borrow(shelf) is None
    clock.now_ms += 2_000
    probe = await must_borrow(shelf)
    assert await borrow(shelf) is None
    shelf.answered(probe)

    assert await borrow(shelf) is not None


async def test_a_call_that_says_nothing_of_the_key_gives_its_turn_to_the_next() -> None:
    clock, store = Ticker(), MemoryShelf(key_of())
    shelf = await ready(store, clock)
    shelf.failed(await must_borrow(shelf), UpstreamBusy("first", 2_000))
    clock.now_ms += 2_000

    shelf.failed(await must_borrow(shelf), UpstreamUnavailable("first", "too large", fault=Fault.UNFIT))

    assert await borrow(shelf) is not None


async def test_a_refused_key_is_complained_of_once() -> None:
    store, posted = MemoryShelf(key_of()), Posted()
    shelf = await ready(store, posted=posted)
    loans = [await must_borrow(shelf) for _ in range(3)]

    for index, loan in enumerate(loans):
        by = {UserId(f"caller{index}")}
        shelf.failed(loan, UpstreamUnavailable("first", "refused", fault=Fault.KEY), by=by)
    await shelf.told()

    assert len({name_key for _, _, name_key in posted.tasks}) == 1


async def test_a_key_that_another_process_had_refused_serves_no_longer_though_its_lease_has_room() -> None:
    """From the next look on; what is under way goes on, and then the lease is given back."""
    clock, store = Ticker(), MemoryShelf(key_of(quota_micros=320 * WORST))
    here, there = await ready(store, clock), await ready(store, clock)
    under_way, refused = await must_borrow(here), await must_borrow(there)

    there.failed(refused, UpstreamUnavailable("first", "refused", fault=Fault.KEY))
    await there.told()
    await here.refresh()

    assert await borrow(here) is None
    under_way.settled(WORST)
    await here.refresh()
    await there.refresh()
    key = store.keys[KeyId("key1")]
    assert not store.open
    assert key.leased_micros - key.returned_micros == WORST


async def test_a_price_that_moved_leaves_no_quota_behind() -> None:
    """A lease made at another price covers what it covers; a dearer call takes another, and all of both comes back."""
    clock, store = Ticker(), MemoryShelf(key_of(quota_micros=10 * WORST))
    shelf = await ready(store, clock)
    cheap, dear = await must_borrow(shelf), await borrow(shelf, 9 * WORST)
    assert dear is not None
    assert await borrow(shelf) is None

    cheap.settled(WORST)
    dear.settled(2 * WORST)
    await shelf.settle_down()

    key = store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == 3 * WORST


async def test_the_owner_of_a_key_is_not_lent_it() -> None:
    shelf = await ready(MemoryShelf(key_of(owner="grace")))

    assert await borrow(shelf, owner="grace") is None
    assert await borrow(shelf, owner="ada") is not None


@pytest.mark.parametrize("worst", [0, 1_000_001])
async def test_what_no_lease_can_cover_is_lent_nothing(worst: int) -> None:
    assert await borrow(await ready(MemoryShelf(key_of())), worst) is None
