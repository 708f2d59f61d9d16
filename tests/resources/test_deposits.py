"""A deposit is taken in once, sealed, and serves nobody before its provider knew it; what must not be taken is not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.ids import UserId
from shared.base.secret import Secret
from shared.catalog.errors import ModelUnknown
from shared.ledger.errors import KeyReused
from shared.ledger.models import Origin
from shared.providers.errors import Fault, UpstreamUnavailable
from shared.resources.deposits import DEPOSITS_DAY_MAX, KEYS_OPEN_MAX
from shared.resources.errors import (
    ContributionAbsent,
    ContributionBusy,
    ContributionOver,
    KeyDuplicate,
    KeyMalformed,
    ModelNotServed,
    PoolingRefused,
    ProviderUnknown,
    TooManyDeposits,
    TooManyKeys,
    VideoNotLent,
)
from shared.resources.models import KeyId, KeyStatus, Override
from tests.ledger.builders import DAY, NOW
from tests.resources.builders import ADA, BEN, MODEL, OTHER_MODEL, SECRET, Pool, key


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


async def test_a_key_is_kept_sealed_and_put_up_to_be_tried(pool: Pool) -> None:
    deposited = await pool.deposit()

    assert deposited.status is KeyStatus.VALIDATING
    assert deposited.sealed is not None
    assert await pool.vault.open(deposited.sealed, deposited.binding) == SECRET
    [task] = pool.queues.tasks.values()
    assert task.body == b'{"key_id":"' + deposited.id.encode() + b'"}', "a task carries nothing of the key"
    assert SECRET.reveal() not in repr(pool.store.kept)


async def test_a_repeat_deposits_nothing_more(pool: Pool) -> None:
    assert (await pool.deposit()).id == (await pool.deposit()).id

    assert len(pool.store.kept) == len(pool.queues.tasks) == 1


@pytest.mark.parametrize(
    "other", [{"quota_micros": 5_000_000}, {"secret": Secret("sk-another-key")}, {"models": frozenset({OTHER_MODEL})}]
)
async def test_another_request_under_the_same_key_is_refused(pool: Pool, other: dict[str, Any]) -> None:
    await pool.deposit()

    with pytest.raises(KeyReused):
        await pool.deposit(**other)


async def test_the_same_key_is_not_taken_twice_whoever_brings_it(pool: Pool) -> None:
    """Not from its depositor under another name, and not from somebody who stole it."""
    await pool.active()

    for other in ({"key": "k2"}, {"owner": BEN}, {"provider_name": "standin", "owner": BEN, "key": "k3"}):
        with pytest.raises(KeyDuplicate) as caught:
            await pool.deposit(**other)
        assert "ada" not in caught.value.message


async def test_what_was_withdrawn_is_taken_again_from_its_depositor_alone(pool: Pool) -> None:
    first = await pool.active()
    await pool.contributions.withdraw(ADA, first.id)

    with pytest.raises(KeyDuplicate):
        await pool.deposit(owner=BEN)
    assert (await pool.deposit(key="k2")).id != first.id


async def test_what_was_never_proved_to_be_a_key_stands_in_nobodys_way(pool: Pool) -> None:
    """Else whoever guesses or overhears a key could keep its owner out."""
    pool.store.put(key(fingerprint=pool.vault.fingerprint(SECRET), owner=BEN, status=KeyStatus.REFUSED))

    assert (await pool.deposit()).owner == ADA


async def test_a_provider_whose_terms_forbid_it_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PoolingRefused, match="OpenAI's terms forbid to buy, sell or transfer API keys"):
        await Pool(tmp_path).deposit(provider_name="openai")


async def test_an_operator_may_allow_a_provider_knowingly_and_end_it(pool: Pool) -> None:
    asked: dict[str, Any] = {"provider_name": "openai", "models": frozenset({"openai/gpt-4o-mini"})}
    await pool.care.decide("openai", allowed=True, reason="OpenAI agreed in writing.", by="operator")

    deposited = await pool.active(**asked)
    stopped = await pool.care.decide("openai", allowed=False, reason="The agreement ended.", by="operator")

    assert (stopped, pool.now(deposited).status) == (1, KeyStatus.PAUSED)
    with pytest.raises(PoolingRefused, match=r"The agreement ended\."):
        await pool.deposit(**asked, secret=Secret("sk-another-key"), key="k2")
    with pytest.raises(PoolingRefused):
        await pool.care.resume(ADA, deposited.id)
    assert [(one.allowed, one.by) for one in pool.overrides.put_[1:]] == [(True, "operator"), (False, "operator")]


async def test_a_key_for_an_endpoint_of_the_clients_own_is_refused(pool: Pool) -> None:
    """Clients name providers that the operator configured, and never an address."""
    for name in ("custom", "https://evil.example/v1", "evil"):
        pool.overrides.put_.append(Override(provider=name, allowed=True, reason="", by="", at_ms=NOW))
        with pytest.raises(ProviderUnknown):
            await pool.deposit(provider_name=name)


async def test_models_that_the_provider_does_not_serve_are_refused(pool: Pool) -> None:
    with pytest.raises(ModelUnknown):
        await pool.deposit(models=frozenset({"nobody/nothing"}))
    pool.overrides.put_.append(Override(provider="openai", allowed=True, reason="", by="", at_ms=NOW))
    with pytest.raises(ModelNotServed):
        await pool.deposit(provider_name="openai", models=frozenset({MODEL}))


async def test_a_key_for_videos_is_refused(pool: Pool) -> None:
    """It could be withdrawn while its provider works at what only it may fetch."""
    pool.overrides.put_.append(Override(provider="google", allowed=True, reason="", by="", at_ms=NOW))
    with pytest.raises(VideoNotLent):
        await pool.deposit(provider_name="google", models=frozenset({"google/veo-3.1-generate-001"}))


async def test_a_key_that_would_write_headers_of_its_own_is_refused(pool: Pool) -> None:
    with pytest.raises(KeyMalformed) as caught:
        await pool.deposit(secret=Secret("sk-1234567\r\nhost: evil.example"))

    assert "sk-" not in f"{caught.value.message} {caught.value}"


async def test_one_person_brings_so_many_keys_at_once(pool: Pool) -> None:
    for number in range(KEYS_OPEN_MAX):
        await pool.deposit(secret=Secret(f"sk-number-{number}"), key=f"k{number}")

    with pytest.raises(TooManyKeys):
        await pool.deposit(secret=Secret("sk-one-more"), key="more")
    assert (await pool.deposit(owner=BEN, secret=Secret("sk-of-ben"))).owner == BEN


async def test_deposits_at_one_moment_do_not_get_past_what_one_person_may_bring(pool: Pool) -> None:
    """Those of before that are over, however many, hide none that is not."""
    for number in range(120):
        pool.store.put(key(fingerprint=f"over{number}", status=KeyStatus.REFUSED, id=KeyId(f"aaaaaaaaa{number:03}")))
    for number in range(KEYS_OPEN_MAX - 1):
        pool.store.put(key(fingerprint=f"open{number}", id=KeyId(f"zzzzzzzzz{number:03}")))

    outcomes = await asyncio.gather(
        *(pool.deposit(secret=Secret(f"sk-another-{number}"), key=f"k{number}") for number in range(9)),
        return_exceptions=True,
    )

    assert sum(not isinstance(one, BaseException) for one in outcomes) == 1
    assert {type(one) for one in outcomes if isinstance(one, BaseException)} <= {TooManyKeys, ContributionBusy}


async def test_room_is_looked_for_once_and_again_only_after_a_race(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting reads every key of its owner's that is not over. A deposit while another is being sealed is counted."""
    looks = 0
    open_of, seal = pool.store.open_of, pool.vault.seal

    async def counted(owner: UserId, count_max: int) -> int:
        nonlocal looks
        looks += 1
        return await open_of(owner, count_max)

    async def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(pool.vault, "seal", seal)
        await pool.deposit(secret=Secret("sk-meanwhile"), key="meanwhile")
        return await seal(*given)

    monkeypatch.setattr(pool.store, "open_of", counted)
    await pool.deposit(secret=Secret("sk-alone-here"), key="alone")
    assert looks == 1
    for number in range(KEYS_OPEN_MAX - 2):
        pool.store.put(key(fingerprint=f"open{number}", id=KeyId(f"zzzzzzzzz{number:03}")))
    monkeypatch.setattr(pool.vault, "seal", overtaken)

    with pytest.raises(TooManyKeys):
        await pool.deposit(secret=Secret("sk-overtaken"), key="overtaken")
    assert looks == 4


async def test_nobody_tries_stolen_keys_by_the_hundred_here(pool: Pool) -> None:
    """Refused ones count as well, until the next day."""
    pool.probe.says = UpstreamUnavailable("standin", "no", fault=Fault.KEY)
    for number in range(DEPOSITS_DAY_MAX):
        await pool.active(secret=Secret(f"sk-stolen-{number}"), key=f"k{number}")

    with pytest.raises(TooManyDeposits):
        await pool.deposit(key="more", secret=Secret("sk-stolen-more"))
    await pool.deposit(owner=BEN, key="more")
    pool.clock.now_ms += DAY
    await pool.deposit(key="more", secret=Secret("sk-stolen-more"))


async def test_somebody_elses_key_is_as_none(pool: Pool) -> None:
    active = await pool.active()

    for attempt in (pool.contributions.get, pool.contributions.pause, pool.contributions.withdraw, pool.care.resume):
        with pytest.raises(ContributionAbsent):
            await attempt(BEN, active.id)
    assert pool.now(active) == active


async def test_a_paused_key_serves_again_once_its_provider_knew_it(pool: Pool) -> None:
    active = await pool.active()

    assert (await pool.contributions.pause(ADA, active.id)).status is KeyStatus.PAUSED
    pool.clock.now_ms += 1
    assert (await pool.care.resume(ADA, active.id)).status is KeyStatus.COOLING
    await pool.validation.validate(active.id)

    assert pool.now(active).status is KeyStatus.ACTIVE


async def test_a_key_that_was_never_tried_cannot_be_paused(pool: Pool) -> None:
    deposited = await pool.deposit()

    with pytest.raises(ContributionBusy):
        await pool.contributions.pause(ADA, deposited.id)


async def test_a_withdrawn_key_is_gone_at_once_with_its_unearned_advance(pool: Pool) -> None:
    active = await pool.active()
    assert (await pool.lots(active.advance_id))[Origin.PROMO] == active.advance_micros == 8_500_000

    withdrawn = await pool.contributions.withdraw(ADA, active.id)

    assert (withdrawn.status, withdrawn.sealed, withdrawn.advance_due) == (KeyStatus.WITHDRAWN, None, False)
    assert sum((await pool.lots(active.advance_id)).values()) == 0
    assert await pool.contributions.withdraw(ADA, active.id) == withdrawn
    with pytest.raises(ContributionOver):
        await pool.contributions.pause(ADA, active.id)


async def test_a_withdrawal_that_died_before_the_advance_went_back_is_finished_by_the_timer(pool: Pool) -> None:
    active = await pool.active()
    pool.returns._advances = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        await pool.contributions.withdraw(ADA, active.id)
    assert pool.now(active).advance_due
    pool.returns._advances = pool.advances

    report = await pool.care.run()

    assert (report.returned, report.finished) == (1, True)
    assert sum((await pool.lots(active.advance_id)).values()) == 0
    assert not pool.now(active).advance_due


async def test_a_lease_taken_meanwhile_is_not_lost(pool: Pool) -> None:
    """Choice writes what is leased beside what owners change."""
    active = await pool.active()
    pool.store.before_write = lambda: pool.store.put(replace(pool.now(active), leased_micros=7))

    paused = await pool.contributions.pause(ADA, active.id)

    assert (pool.now(paused).status, pool.now(paused).leased_micros) == (KeyStatus.PAUSED, 7)
