"""A key is asked about at its own provider's host, with what was sealed for it, and ends as what came of it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.base.secret import Secret
from shared.ledger.models import Origin
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.resources import health
from shared.resources.errors import ContributionBusy, ValidationPending
from shared.resources.models import KeyStatus, Override, Probed
from tests.ledger.builders import NOW
from tests.resources.builders import ADA, MODEL, OTHER_MODEL, PROVIDER, SECRET, Pool, key

UNKNOWN = UpstreamUnavailable("standin", "does not accept our account at the moment", fault=Fault.KEY)
DENIED = UpstreamUnavailable("standin", "does not accept our account at the moment", fault=Fault.DENIED)
DOWN = UpstreamUnavailable("standin", "could not be reached")
BUSY = UpstreamBusy("standin", None)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


async def test_a_key_that_its_provider_knows_is_active_with_its_advance(pool: Pool) -> None:
    active = await pool.active(models=frozenset({MODEL, OTHER_MODEL}))

    assert (active.status, active.models, active.validated_at_ms) == (KeyStatus.ACTIVE, (MODEL,), NOW)
    assert await pool.lots(active.advance_id) == {Origin.PAID: 0, Origin.PROMO: 8_500_000}
    assert pool.probe.asked == [(PROVIDER, SECRET, {MODEL: MODEL, OTHER_MODEL: OTHER_MODEL})]
    assert pool.store.whats() == ["deposited", "validated", "active"]


async def test_trying_again_lends_nothing_more(pool: Pool) -> None:
    active = await pool.active()

    await pool.validation.validate(active.id)

    assert (await pool.lots(active.advance_id))[Origin.PROMO] == active.advance_micros


async def test_an_advance_is_lent_once_whatever_dies(pool: Pool) -> None:
    """After the outcome was written and before it was lent, and after it was lent and before the key was active."""
    deposited = await pool.deposit()
    for owner, verb in ((pool.advances, "lend"), (pool.store, "replace")):
        whole = getattr(owner, verb)
        setattr(owner, verb, _dies)
        with pytest.raises(ConnectionError):
            await pool.validation.validate(deposited.id)
        setattr(owner, verb, whole)
        assert pool.now(deposited).status is KeyStatus.VALIDATING

    await pool.validation.validate(deposited.id)

    assert pool.now(deposited).status is KeyStatus.ACTIVE
    assert (await pool.lots(deposited.advance_id))[Origin.PROMO] == 8_500_000


async def _dies(*_: object, **__: object) -> None:
    raise ConnectionError("the process ended here")


async def test_a_key_that_the_provider_never_knew_is_refused_and_nothing_is_kept_of_it(pool: Pool) -> None:
    """A dead key, and one that was made up: nothing is ever lent on it."""
    pool.probe.says = UNKNOWN

    refused = await pool.active()

    assert (refused.status, refused.sealed, refused.advance_micros) == (KeyStatus.REFUSED, None, 0)
    assert sum((await pool.lots(refused.advance_id)).values()) == 0


@pytest.mark.parametrize("says", [Probed(()), Probed((MODEL,), limit_micros=0), DENIED])
async def test_a_key_that_cannot_serve_is_refused(pool: Pool, says: Probed | Exception) -> None:
    pool.probe.says = says

    assert (await pool.active()).status is KeyStatus.REFUSED


async def test_a_key_that_dies_early_gives_its_advance_back(pool: Pool) -> None:
    active = await pool.active()
    pool.probe.says = UNKNOWN

    await pool.validation.validate(active.id)

    dead = pool.now(active)
    assert (dead.status, dead.sealed, dead.advance_due) == (KeyStatus.DEAD, None, False)
    assert sum((await pool.lots(active.advance_id)).values()) == 0


@pytest.mark.parametrize("says", [DOWN, BUSY])
async def test_a_provider_that_cannot_be_asked_says_nothing_of_a_new_key(pool: Pool, says: Exception) -> None:
    """The task comes back for a day; after that nobody waits any longer."""
    deposited = await pool.deposit()
    pool.probe.says = says

    with pytest.raises(ValidationPending):
        await pool.validation.validate(deposited.id)
    assert pool.now(deposited) == deposited
    pool.clock.now_ms += health.UNKNOWN_MAX_MS + 1
    await pool.validation.validate(deposited.id)

    assert pool.now(deposited).status is KeyStatus.REFUSED


@pytest.mark.parametrize("says", [DOWN, BUSY, DENIED, Probed(())])
async def test_a_key_that_served_before_cools_first_and_is_given_up_last(pool: Pool, says: Probed | Exception) -> None:
    active = await pool.active()
    pool.probe.says = says

    for _ in range(health.FAILURES_IN_ROW_MAX):
        await pool.validation.validate(active.id)
        assert pool.now(active).status is KeyStatus.COOLING
    pool.clock.now_ms += health.UNKNOWN_MAX_MS
    await pool.validation.validate(active.id)

    assert pool.now(active).status is KeyStatus.DEAD
    assert sum((await pool.lots(active.advance_id)).values()) == 0


async def test_a_key_that_recovers_serves_again_and_keeps_its_failures(pool: Pool) -> None:
    active = await pool.active()
    pool.probe.says = DOWN
    await pool.validation.validate(active.id)
    pool.probe.says = Probed((MODEL,))

    await pool.validation.validate(active.id)

    well = pool.now(active)
    assert (well.status, well.failures, well.failures_in_row) == (KeyStatus.ACTIVE, 1, 0)
    assert well.trust_ppm < active.trust_ppm


async def test_a_key_is_not_sent_to_a_provider_that_stands_elsewhere_now(pool: Pool) -> None:
    """It was given for one host. A setting that changes sends nobody's key anywhere else."""
    active = await pool.active()
    pool.probe.asked.clear()
    pool.providers["standin"] = replace(PROVIDER, base_url="https://evil.example/v1")

    await pool.validation.validate(active.id)

    assert pool.now(active).status is KeyStatus.PAUSED
    assert pool.probe.asked == []


async def test_a_sealed_key_moved_into_somebody_elses_record_is_sent_nowhere(pool: Pool) -> None:
    """Whoever can write the store cannot earn with it, nor have it sent to their host."""
    active = await pool.active()
    pool.probe.asked.clear()
    stolen = pool.store.put(key("b", owner="mallory", sealed=active.sealed, advance_micros=0))

    await pool.validation.validate(stolen.id)

    assert pool.now(stolen).status is KeyStatus.REFUSED
    assert pool.probe.asked == []


async def test_keys_of_a_provider_that_is_no_longer_allowed_are_left_alone(pool: Pool) -> None:
    active = await pool.active()
    pool.probe.asked.clear()
    pool.overrides.put_.append(Override(provider="standin", allowed=False, reason="", by="", at_ms=NOW))

    await pool.validation.validate(active.id)

    assert (pool.now(active).status, pool.probe.asked) == (KeyStatus.PAUSED, [])


async def test_a_key_withdrawn_while_it_is_tried_stays_withdrawn_and_keeps_no_advance(pool: Pool) -> None:
    deposited = await pool.deposit()
    lend = pool.advances.lend

    async def withdrawn_meanwhile(*asked: object, **more: object) -> None:
        await pool.contributions.withdraw(ADA, deposited.id)
        await lend(*asked, **more)  # type: ignore[arg-type]

    pool.advances.lend = withdrawn_meanwhile  # type: ignore[method-assign]
    with pytest.raises(ContributionBusy):
        await pool.validation.validate(deposited.id)

    await pool.validation.validate(deposited.id)

    assert pool.now(deposited).status is KeyStatus.WITHDRAWN
    assert sum((await pool.lots(deposited.advance_id)).values()) == 0


async def test_the_timer_has_due_keys_tried_and_comes_back_to_lost_tasks(pool: Pool) -> None:
    deposited = await pool.deposit()
    pool.queues.tasks.clear()
    assert (await pool.care.run()).posted == 0

    pool.clock.now_ms += health.RETRY_MS
    first = await pool.care.run()
    pool.clock.now_ms += health.RETRY_MS
    again = await pool.care.run()

    assert (first.posted, again.posted, len(pool.queues.tasks)) == (1, 1, 2)
    await pool.validation.validate(deposited.id)
    pool.clock.now_ms += health.RETRY_MS
    assert (await pool.care.run()).posted == 0, "it is well, and looked at some hours later"
    pool.clock.now_ms += health.CHECK_EVERY_MS
    assert (await pool.care.run()).posted == 1


async def test_a_key_that_cannot_be_looked_after_keeps_no_other_from_its_turn(pool: Pool) -> None:
    """Else the first one that fails would stop the trying of all behind it."""
    first, second = await pool.active(), await pool.active(key="k2", secret=Secret("sk-another-key"))
    pool.store.put(replace(pool.now(first), status=KeyStatus.DEAD, sealed=None, advance_due=True, check_at_ms=0))
    pool.store.contended.add(first.id)
    pool.queues.tasks.clear()
    pool.clock.now_ms += health.CHECK_EVERY_MS

    with pytest.raises(ContributionBusy):
        await pool.care.run()

    assert len(pool.queues.tasks) == 1
    assert (pool.now(second).check_at_ms or 0) > pool.clock.now_ms


async def test_a_key_that_is_over_is_not_tried(pool: Pool) -> None:
    active = await pool.active()
    await pool.contributions.withdraw(ADA, active.id)
    pool.probe.asked.clear()

    await pool.validation.validate(active.id)

    assert pool.probe.asked == []
    assert pool.now(active).status is KeyStatus.WITHDRAWN


async def test_whatever_happens_to_a_key_its_history_tells_without_a_word_of_it(pool: Pool) -> None:
    pool.probe.says = UpstreamUnavailable("standin", f"says {SECRET.reveal()} is wrong", fault=Fault.KEY)

    await pool.active(secret=Secret(SECRET.reveal()))

    assert pool.store.whats() == ["deposited", "refused"]
    assert SECRET.reveal() not in repr(pool.store.events)
