"""What Identity remembers of a user, for how long, and what many callers at once cost."""

import asyncio
from collections.abc import Callable

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import UserId
from shared.identity.errors import IdentityUnavailable, TokenExpired, TokenRevoked, UserDisabled
from shared.identity.gateway import EmulatorSignatures
from shared.identity.models import Account
from shared.identity.service import USER_CACHE_ENTRIES_MAX, USER_CACHE_MS, Identity
from tests.identity.builders import ManualClock
from tests.identity.cases import PUBLISHED
from tests.identity.google import LOOKUP_SUFFIX, Google
from tests.identity.tokens import (
    PROJECT,
    UID,
    leave_unsigned,
    sign,
    user_claims,
)


class EverybodyExists:
    """Accounts without a network, for a test that needs thousands of them."""

    asked = 0

    async def find(self, uid: UserId) -> Account:
        self.asked += 1
        return Account(email=None, email_verified=False, disabled=False, valid_since_s=0)


async def test_a_user_is_asked_for_once_a_minute(identity: Identity, google: Google, clock: ManualClock) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)

    for _ in range(3):
        await identity.user(token)
    assert google.count(LOOKUP_SUFFIX) == 1
    clock.now_ms += USER_CACHE_MS - 1
    await identity.user(token)
    assert google.count(LOOKUP_SUFFIX) == 1
    clock.now_ms += 1
    await identity.user(token)
    assert google.count(LOOKUP_SUFFIX) == 2


async def test_a_revocation_takes_effect_within_a_minute(
    identity: Identity, google: Google, clock: ManualClock
) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    await identity.user(token)

    google.accounts[UID]["validSince"] = str(clock.now_s)
    clock.now_ms += USER_CACHE_MS
    with pytest.raises(TokenRevoked):
        await identity.user(token)


async def test_a_slow_lookup_does_not_lengthen_the_minute(
    identity: Identity, google: Google, clock: ManualClock
) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    await identity.user(sign(user_claims(clock.now_s, jti="earlier"), PUBLISHED))
    google.gate.clear()
    verification = asyncio.create_task(identity.user(token))
    await _until(lambda: google.count(LOOKUP_SUFFIX) == 2)
    clock.now_ms += 5_000
    google.gate.set()
    await verification

    clock.now_ms += USER_CACHE_MS - 5_000
    await identity.user(token)
    assert google.count(LOOKUP_SUFFIX) == 3


@pytest.mark.parametrize(
    ("account", "refusal"),
    [({"disabled": True}, UserDisabled), ({"validSince": "4000000000"}, TokenRevoked), (None, TokenRevoked)],
    ids=["disabled", "revoked", "deleted"],
)
async def test_refusals_are_not_remembered(
    account: dict[str, object] | None,
    refusal: type[CredenceError],
    identity: Identity,
    google: Google,
    clock: ManualClock,
) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    google.accounts = {} if account is None else {UID: account}

    with pytest.raises(refusal):
        await identity.user(token)
    google.accounts = {UID: {}}
    assert (await identity.user(token)).email is None


async def test_a_remembered_user_ends_with_the_token(identity: Identity, google: Google, clock: ManualClock) -> None:
    token = sign(user_claims(clock.now_s, exp=clock.now_s + 10), PUBLISHED)
    await identity.user(token)

    clock.now_ms += 10_000
    with pytest.raises(TokenExpired):
        await identity.user(token)


async def test_memory_is_bounded_and_drops_the_longest_unused(clock: ManualClock) -> None:
    accounts = EverybodyExists()
    identity = Identity(
        project_id=PROJECT,
        service_audience=None,
        callers={},
        user_signatures=EmulatorSignatures(),
        service_signatures=EmulatorSignatures(),
        accounts=accounts,
        clock=clock,
    )
    tokens = [leave_unsigned(user_claims(clock.now_s, jti=number)) for number in range(USER_CACHE_ENTRIES_MAX + 1)]
    for token in tokens[:-1]:
        await identity.user(token)
    await identity.user(tokens[0])

    await identity.user(tokens[-1])
    assert accounts.asked == USER_CACHE_ENTRIES_MAX + 1
    await identity.user(tokens[0])
    assert accounts.asked == USER_CACHE_ENTRIES_MAX + 1
    await identity.user(tokens[1])
    assert accounts.asked == USER_CACHE_ENTRIES_MAX + 2


async def test_one_token_at_once_is_verified_once(identity: Identity, google: Google, clock: ManualClock) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    google.gate.clear()
    calls = [asyncio.create_task(identity.user(token)) for _ in range(50)]
    await _until(lambda: google.count("/certs") == 1)
    google.gate.set()

    users = await asyncio.gather(*calls)
    assert {user.uid for user in users} == {UID}
    assert (google.count("/certs"), google.count(LOOKUP_SUFFIX)) == (1, 1)


async def test_many_tokens_at_once_fetch_the_certificates_once(
    identity: Identity, google: Google, clock: ManualClock
) -> None:
    tokens = [sign(user_claims(clock.now_s, jti=number), PUBLISHED) for number in range(20)]

    await asyncio.gather(*(identity.user(token) for token in tokens))
    assert (google.count("/certs"), google.count(LOOKUP_SUFFIX)) == (1, 20)


async def test_a_caller_who_leaves_takes_nobody_along(identity: Identity, google: Google, clock: ManualClock) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    google.gate.clear()
    first = asyncio.create_task(identity.user(token))
    second = asyncio.create_task(identity.user(token))
    await _until(lambda: google.count("/certs") == 1)

    first.cancel()
    google.gate.set()
    assert (await second).uid == UID
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_lookup_that_fails_lets_nobody_in_and_is_tried_again(
    identity: Identity, google: Google, clock: ManualClock
) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)
    await identity.user(token)
    clock.now_ms += USER_CACHE_MS

    google.statuses = [503, 503]
    with pytest.raises(IdentityUnavailable):
        await identity.user(token)
    assert (await identity.user(token)).uid == UID


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.005)
