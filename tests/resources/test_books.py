"""What settlement tells of is counted once and paid once, wherever a process ends, and every account stays sound."""

from pathlib import Path

import pytest

from shared.base.ids import AccountId, HoldId, UserId
from shared.ledger.models import HOUSE_ADVANCES, HOUSE_REVENUE, Origin, Share
from shared.ledger.service import Ledger
from shared.ledger.settlement import MARGIN
from shared.ledger.settling import WINDOW_S
from shared.ledger.verify import verify_ledger
from shared.resources.models import KEY_FACT, ContributedKey, KeyStatus
from shared.resources.rules import shares_of
from tests.ledger.builders import BEN as BENS_WALLET
from tests.ledger.builders import DAY, NOW, grant, ledger_on, open_account
from tests.resources.builders import ADA, MODEL, OTHER_MODEL, Pool

CLOSED_MS = int((WINDOW_S + MARGIN.total_seconds()) * 1000) + 1


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


class Caller:
    """Somebody whose calls contributed keys serve."""

    def __init__(self, pool: Pool, *, paid: int = 10**9, promo: int = 0) -> None:
        self._pool = pool
        self._paid, self._promo = paid, promo
        self._calls = 0
        self.ledger: Ledger = ledger_on(pool.ledger.store, pool.clock)

    async def start(self) -> "Caller":
        await self._pool.engine.run(open_account(BENS_WALLET))
        await self._pool.engine.run(grant(self._paid, "paid", to=BENS_WALLET))
        if self._promo:
            await self._pool.engine.run(grant(self._promo, "promo", to=BENS_WALLET, promo_until=NOW + DAY))
        return self

    async def call(self, key: ContributedKey, price: int, *, model: str = MODEL) -> None:
        """A call of this price that the key served."""
        await self.charge(price, shares_of(key), {KEY_FACT: key.id, "model": model})

    async def charge(self, price: int, shares: tuple[Share, ...], facts: dict[str, str]) -> None:
        self._calls += 1
        hold = HoldId(f"call {self._calls}")
        await self.ledger.hold(BENS_WALLET, price, hold_id=hold)
        await self.ledger.capture(BENS_WALLET, hold, price, facts=facts, shares=shares)


async def settle(pool: Pool) -> None:
    """Everything that is closed, twice over: what earning posts is settled by the second."""
    for _ in range(2):
        pool.clock.now_ms += CLOSED_MS
        await pool.settlement.run()


async def assert_sound(pool: Pool) -> None:
    horizons = await pool.ledger.windows.horizons()
    report = await verify_ledger(pool.ledger.archive, horizons.settled_until)
    assert report.broken == ()
    assert report.drift_micros == 0


async def test_a_settled_call_has_paid_85_per_cent_and_earned_its_part_of_the_advance(pool: Pool) -> None:
    active, caller = await pool.active(), await Caller(pool).start()

    await caller.call(active, 10_000_000)
    await settle(pool)

    assert await pool.lots(active.earn_id) == {Origin.PAID: 8_500_000, Origin.PROMO: 0}
    assert await pool.lots(HOUSE_REVENUE) == {Origin.PAID: 1_500_000, Origin.PROMO: 0}
    assert await pool.lots(active.advance_id) == {Origin.PAID: 0, Origin.PROMO: 8_500_000 - 850_000}
    assert await pool.lots(HOUSE_ADVANCES) == {Origin.PAID: 0, Origin.PROMO: 850_000 - 8_500_000}
    counted = pool.now(active)
    assert (counted.calls, counted.used_micros, counted.paid_micros, counted.earned_micros) == (
        1,
        10_000_000,
        8_500_000,
        850_000,
    )
    await assert_sound(pool)


async def test_a_key_that_is_used_up_has_paid_exactly_85_per_cent_and_the_house_lent_nothing_for_good(
    pool: Pool,
) -> None:
    """In odd prices, over several windows, paid with promotional credits and others."""
    active = await pool.active(quota_micros=1_000_003)
    caller = await Caller(pool, promo=300_001).start()
    left = 1_000_003
    for price in (1, 7, 333_333, 123_457, 99_999, 200_002):
        await caller.call(active, price, model=MODEL if price % 2 else OTHER_MODEL)
        left -= price
        await settle(pool)
    await caller.call(active, left)
    await settle(pool)

    earned = await pool.lots(active.earn_id)
    assert sum(earned.values()) == 1_000_003 * 85 // 100
    assert earned[Origin.PAID] == (1_000_003 - 300_001) * 85 // 100
    assert sum((await pool.lots(HOUSE_REVENUE)).values()) == 1_000_003 - 1_000_003 * 85 // 100
    assert sum((await pool.lots(HOUSE_ADVANCES)).values()) == sum((await pool.lots(active.advance_id)).values()) == 0
    assert pool.now(active).status is KeyStatus.SPENT
    assert sum(one.paid_micros + one.promo_micros for one in pool.windows.by_model.values()) == sum(earned.values())
    assert {name: one.calls for name, one in pool.windows.by_model.items()} == {MODEL: 6, OTHER_MODEL: 1}
    await assert_sound(pool)


async def test_promotional_credits_never_become_ones_that_can_be_paid_out(pool: Pool) -> None:
    """Else a welcome bonus, spent on one's own key by another account, would be money."""
    active, caller = await pool.active(), await Caller(pool, paid=1, promo=10_000_000).start()

    await caller.call(active, 10_000_000)
    await settle(pool)

    assert await pool.lots(active.earn_id) == {Origin.PAID: 0, Origin.PROMO: 8_500_000}
    assert (await pool.lots(HOUSE_REVENUE))[Origin.PAID] == 0


async def test_an_advance_can_be_spent_and_paid_out_by_nobody_before_use_earns_it(pool: Pool) -> None:
    """Neither the owner's wallet nor their earnings have any of it."""
    active = await pool.active()
    await settle(pool)

    assert await pool.lots(active.earn_id) == {Origin.PAID: 0, Origin.PROMO: 0}
    assert await pool.lots(AccountId(f"user:{ADA}")) == {Origin.PAID: 0, Origin.PROMO: 0}
    assert (await pool.lots(active.advance_id))[Origin.PAID] == 0


async def test_draining_ones_own_key_for_the_advance_costs_more_than_it_gives(pool: Pool) -> None:
    """Under another name: the caller pays the whole price, of which the owner never gets more than 85 %."""
    active, caller = await pool.active(quota_micros=1_000_000), await Caller(pool).start()
    for _ in range(100):
        await caller.call(active, 10_000)
    await settle(pool)

    assert sum((await pool.lots(active.earn_id)).values()) == 850_000


async def test_a_call_of_the_owners_own_pays_nobody(pool: Pool) -> None:
    """Choice lets no key serve its owner; were it to, the quota is used and the advance is not earned."""
    active, caller = await pool.active(), await Caller(pool).start()

    await caller.charge(1_000, (Share(HOUSE_REVENUE, 1),), {KEY_FACT: active.id, "model": MODEL})
    await settle(pool)

    counted = pool.now(active)
    assert (counted.own_micros, counted.used_micros, counted.earned_micros) == (1_000, 0, 0)
    assert sum((await pool.lots(active.earn_id)).values()) == 0


async def test_what_was_served_before_a_key_died_is_paid_in_full_and_the_rest_goes_back(pool: Pool) -> None:
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.call(active, 10_000_000)
    await pool.contributions.withdraw(ADA, active.id)

    await settle(pool)

    assert (await pool.lots(active.earn_id))[Origin.PAID] == 8_500_000
    assert sum((await pool.lots(active.advance_id)).values()) == sum((await pool.lots(HOUSE_ADVANCES)).values()) == 0
    await assert_sound(pool)


async def test_a_death_between_counting_and_paying_repeats_to_the_same(pool: Pool) -> None:
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.call(active, 10_000_000)
    pool.windows.dies_after_count = True
    pool.clock.now_ms += CLOSED_MS
    with pytest.raises(ConnectionError):
        await pool.settlement.run()

    await settle(pool)

    assert (await pool.lots(active.earn_id))[Origin.PAID] == 8_500_000
    assert pool.now(active).calls == pool.windows.by_model[MODEL].calls == 1
    await assert_sound(pool)


async def test_a_window_told_twice_counts_once(pool: Pool) -> None:
    """Two runs at once, or a run that died before its horizon moved."""
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.call(active, 10_000_000)
    await settle(pool)
    pool.ledger.windows.settled_until.clear()  # type: ignore[attr-defined]

    await settle(pool)

    assert (await pool.lots(active.earn_id))[Origin.PAID] == 8_500_000
    assert pool.now(active).calls == 1


async def test_a_lease_taken_while_a_window_is_counted_is_waited_for(pool: Pool) -> None:
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.call(active, 10_000)
    pool.store.before_write = lambda: pool.store.put(pool.now(active))

    await settle(pool)

    assert pool.now(active).calls == 1


async def test_a_call_that_names_a_key_nobody_has_stops_no_settlement(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.charge(1_000, (Share(HOUSE_REVENUE, 1),), {KEY_FACT: "z" * 12})
    await caller.call(active, 1_000)

    await settle(pool)

    assert "contributed_key_unknown" in capsys.readouterr().out
    assert pool.now(active).calls == 1


async def test_a_call_is_pending_until_it_is_settled(pool: Pool) -> None:
    active, caller = await pool.active(), await Caller(pool).start()
    await caller.call(active, 10_000)
    entries = dict(pool.ledger.store.entries)  # type: ignore[attr-defined]
    for (account_id, entry_id), document in entries.items():
        await pool.pending.heard_of(account_id, entry_id, document)
    [pending] = pool.windows.pending.values()
    assert (pending.model, pending.given) == (MODEL, {Origin.PAID: 7_650})

    await settle(pool)
    assert pool.windows.pending == {}
    for (account_id, entry_id), document in entries.items():
        await pool.pending.heard_of(account_id, entry_id, document)

    assert pool.windows.pending == {}, "an event that comes late shows nothing as pending that is settled"


async def test_many_small_calls_give_no_more_than_85_per_cent(pool: Pool) -> None:
    """Of a price of one micro the split gives the owner all; what rounding gave too much is taken back."""
    active, caller = await pool.active(), await Caller(pool).start()
    for _ in range(50):
        await caller.call(active, 1)

    await settle(pool)

    assert (await pool.lots(active.earn_id))[Origin.PAID] == 42
    await assert_sound(pool)


async def test_others_with_a_share_in_the_call_are_none_of_the_keys_owner(pool: Pool) -> None:
    """Whoever wrote the prompt may have a share as well."""
    active, caller = await pool.active(), await Caller(pool).start()
    author = AccountId(f"earn:{UserId('author')}")
    shares = (Share(HOUSE_REVENUE, 215), Share(active.earn_id, 765), Share(author, 20))

    await caller.charge(10_000, shares, {KEY_FACT: active.id, "model": MODEL})
    await settle(pool)

    assert (await pool.lots(active.earn_id))[Origin.PAID] == 8_500
    assert (await pool.lots(author))[Origin.PAID] == 200
    assert (await pool.lots(HOUSE_REVENUE))[Origin.PAID] == 1_300
