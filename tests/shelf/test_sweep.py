"""Leases whose processes died: what comes back of them is what the ledger says was not used."""

from msgspec.structs import replace

from shared.resources.models import KeyId
from shared.shelf import rules
from shared.shelf.sweep import LeaseSweep
from tests.chat.builders import request_of
from tests.providers import fake
from tests.shelf.conftest import Library

PRICE = 1_000
ANSWERED = fake.whole(fake.completion(usage=fake.usage(400, 600)))


async def test_what_a_dead_process_did_not_use_comes_back_and_what_it_used_does_not(library: Library) -> None:
    await library.add(quota_micros=10_000_000)
    library.shop.first.replies += [ANSWERED] * 3
    chats = library.shop.chats()
    for _ in range(3):
        await chats.answer(library.shop.asking(), request_of())
    leased = library.store.keys[KeyId("key1")].leased_micros
    sweep = LeaseSweep(library.store, library.shop.clock)

    assert (await sweep.run()).closed == 0, "the process may still be alive"
    library.shop.clock.now_ms += rules.LEASE_MS
    report = await sweep.run()
    again = await sweep.run()

    assert (report.closed, report.returned_micros) == (1, leased - 3 * PRICE)
    assert (again.closed, again.returned_micros) == (0, 0)
    assert library.store.keys[KeyId("key1")].returned_micros == leased - 3 * PRICE


async def test_what_is_still_owed_counts_as_used(library: Library) -> None:
    await library.add(quota_micros=10_000_000)
    shop = library.shop
    shop.first.replies.append(fake.stream(*fake.hello()))
    stream = await shop.stream(request_of(stream=True))
    shop.faulty.lost = shop.faulty.unread = 1.0
    async for _ in stream.events():
        pass
    await stream.close()
    shop.faulty.lost = shop.faulty.unread = 0.0
    shop.holds_left = 1
    shop.clock.now_ms += rules.LEASE_MS

    await LeaseSweep(library.store, shop.clock).run()

    key = library.store.keys[KeyId("key1")]
    assert key.leased_micros - key.returned_micros == 30


async def test_a_process_that_comes_back_gives_nothing_back_a_second_time(library: Library) -> None:
    await library.add(quota_micros=10_000_000)
    library.shop.first.replies.append(ANSWERED)
    await library.shop.chats().answer(library.shop.asking(), request_of())
    library.shop.clock.now_ms += rules.LEASE_MS
    await LeaseSweep(library.store, library.shop.clock).run()
    before = library.store.keys[KeyId("key1")]

    await library.shelf.refresh()

    assert library.store.keys[KeyId("key1")] == before


async def test_a_lease_that_cannot_be_counted_waits(library: Library) -> None:
    await library.add()
    library.shop.first.replies.append(ANSWERED)
    await library.shop.chats().answer(library.shop.asking(), request_of())
    library.shop.clock.now_ms += rules.LEASE_MS
    counted, library.store.down_for_counting = library.store.down_for_counting, True

    report = await LeaseSweep(library.store, library.shop.clock).run()

    library.store.down_for_counting = counted
    assert (report.closed, report.waiting) == (0, 1)
    assert (await LeaseSweep(library.store, library.shop.clock).run()).closed == 1


async def test_more_than_was_leased_gives_nothing_back(library: Library) -> None:
    """It cannot be; but if somebody changed a lease, no quota may come of it."""
    await library.add()
    library.shop.first.replies.append(ANSWERED)
    await library.shop.chats().answer(library.shop.asking(), request_of())
    (lease,) = library.store.open.values()
    library.store.open[lease.id] = replace(lease, amount_micros=10)
    library.shop.clock.now_ms += rules.LEASE_MS

    report = await LeaseSweep(library.store, library.shop.clock).run()

    assert (report.closed, report.returned_micros) == (1, 0)
