"""Identity as its callers see it, made of the real parts, with Google replaced by a local server."""

from collections.abc import Callable

import pytest

from shared.base.errors import CredenceError
from shared.base.settings import Environment, Settings
from shared.identity.errors import TokenExpired, TokenInvalid
from shared.identity.models import Service
from shared.identity.rules import CLOCK_SKEW_MS
from shared.identity.service import Identity
from tests.identity.builders import ManualClock
from tests.identity.cases import PUBLISHED, STRANGER, USER_CASES, Case
from tests.identity.google import LOOKUP_SUFFIX, Google
from tests.identity.tokens import (
    AUDIENCE,
    MISSING,
    PROJECT,
    UID,
    WORKER,
    leave_unsigned,
    replace_claims,
    service_claims,
    sign,
    sign_with_public_key,
    user_claims,
)


@pytest.mark.parametrize("case", USER_CASES, ids=lambda case: case.name)
async def test_users_are_let_in_by_good_tokens_alone(
    case: Case, identity: Identity, google: Google, clock: ManualClock
) -> None:
    google.accounts["u" * 128] = {}
    token = case.make(clock.now_s)

    if case.refusal is None:
        assert (await identity.user(token)).uid in google.accounts
        return
    with pytest.raises(CredenceError) as refusal:
        await identity.user(token)
    assert type(refusal.value) is case.refusal
    assert google.count(LOOKUP_SUFFIX) == 0
    assert not token or token not in refusal.value.message


async def test_a_user_is_told_whole(identity: Identity, clock: ManualClock) -> None:
    user = await identity.user(sign(user_claims(clock.now_s), PUBLISHED))

    assert (user.uid, user.email, user.email_verified) == (UID, "alice@example.com", True)
    assert user.auth_time_s == clock.now_s - 1200
    assert user.expires_at_s == clock.now_s + 3000
    assert user.sign_in_provider == "password"


def _service_case(**changes: object) -> Callable[[int], str]:
    return lambda now_s: sign(service_claims(now_s, **changes), PUBLISHED)


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        pytest.param(_service_case(), None, id="valid"),
        pytest.param(_service_case(iss="accounts.google.com"), None, id="issuer without scheme"),
        pytest.param(_service_case(exp=1), TokenExpired, id="expired"),
        pytest.param(_service_case(iat=4_000_000_000), TokenInvalid, id="not yet valid"),
        pytest.param(_service_case(exp=MISSING), TokenInvalid, id="no exp"),
        pytest.param(_service_case(aud="https://other.example"), TokenInvalid, id="foreign audience"),
        pytest.param(_service_case(aud=[AUDIENCE]), TokenInvalid, id="audience in a list"),
        pytest.param(_service_case(aud=MISSING), TokenInvalid, id="no audience"),
        pytest.param(_service_case(iss="https://accounts.google.com.evil.example"), TokenInvalid, id="foreign issuer"),
        pytest.param(_service_case(iss=["https://accounts.google.com"]), TokenInvalid, id="issuer in a list"),
        pytest.param(_service_case(email="mallory@example.com"), TokenInvalid, id="unknown caller"),
        pytest.param(_service_case(email=WORKER.upper()), TokenInvalid, id="email in capitals"),
        pytest.param(_service_case(email=MISSING), TokenInvalid, id="no email"),
        pytest.param(_service_case(email_verified=False), TokenInvalid, id="email not verified"),
        pytest.param(_service_case(email_verified="true"), TokenInvalid, id="email verified in words"),
        pytest.param(lambda now_s: sign(service_claims(now_s), STRANGER), TokenInvalid, id="unknown kid"),
        pytest.param(
            lambda now_s: sign(service_claims(now_s), STRANGER, kid="published"), TokenInvalid, id="another key"
        ),
        pytest.param(lambda now_s: leave_unsigned(service_claims(now_s)), TokenInvalid, id="alg none"),
        pytest.param(lambda now_s: sign_with_public_key(service_claims(now_s), PUBLISHED), TokenInvalid, id="HS256"),
        pytest.param(
            lambda now_s: replace_claims(
                sign(service_claims(now_s, email="cron@example.com"), PUBLISHED), service_claims(now_s)
            ),
            TokenInvalid,
            id="other claims",
        ),
        pytest.param(lambda now_s: sign(service_claims(now_s), PUBLISHED)[:-9], TokenInvalid, id="truncated"),
        pytest.param(lambda now_s: sign(user_claims(now_s), PUBLISHED), TokenInvalid, id="a user's token"),
        pytest.param(lambda _: "\udcff", TokenInvalid, id="not ASCII"),
        pytest.param(lambda _: "a" * 1_000_000, TokenInvalid, id="huge"),
    ],
)
async def test_services_are_let_in_by_good_tokens_alone(
    make: Callable[[int], str], refusal: type[CredenceError] | None, identity: Identity, clock: ManualClock
) -> None:
    if refusal is None:
        assert await identity.service(make(clock.now_s)) == Service(WORKER, frozenset({"credit:debit", "timer"}))
        return
    with pytest.raises(refusal):
        await identity.service(make(clock.now_s))


async def test_a_service_token_is_no_user_token(identity: Identity, clock: ManualClock) -> None:
    with pytest.raises(TokenInvalid):
        await identity.user(sign(service_claims(clock.now_s), PUBLISHED))


async def test_without_an_audience_no_service_is_let_in(google: Google, clock: ManualClock) -> None:
    settings = Settings(
        environment=Environment.LOCAL,
        project_id=PROJECT,
        oidc_certs_url=google.certificates_url,
        service_callers=f"timer={WORKER}",
    )
    identity = Identity.from_settings(settings, clock)

    for audience in (AUDIENCE, "", None):
        with pytest.raises(TokenInvalid):
            await identity.service(sign(service_claims(clock.now_s, aud=audience), PUBLISHED))


async def test_our_clock_decides_to_the_millisecond(identity: Identity, clock: ManualClock) -> None:
    token = sign(user_claims(clock.now_s), PUBLISHED)

    clock.now_ms += 3_000_000 - 1
    assert (await identity.user(token)).uid == UID
    clock.now_ms += 1
    with pytest.raises(TokenExpired):
        await identity.user(token)


async def test_the_issuers_clock_may_run_ahead_by_the_skew_and_no_more(identity: Identity, clock: ManualClock) -> None:
    ahead_s = clock.now_s + CLOCK_SKEW_MS // 1000

    for claim in ("iat", "auth_time"):
        assert (await identity.user(sign(user_claims(clock.now_s, **{claim: ahead_s}), PUBLISHED))).uid == UID
        with pytest.raises(TokenInvalid):
            await identity.user(sign(user_claims(clock.now_s, **{claim: ahead_s + 1}), PUBLISHED))


async def test_without_an_emulator_unsigned_tokens_are_refused(google: Google, clock: ManualClock) -> None:
    settings = Settings(environment=Environment.LOCAL, project_id=PROJECT, identity_certs_url=google.certificates_url)
    identity = Identity.from_settings(settings, clock)

    with pytest.raises(TokenInvalid):
        await identity.user(leave_unsigned(user_claims(clock.now_s)))


async def test_with_an_emulator_claims_are_checked_all_the_same(google: Google, clock: ManualClock) -> None:
    settings = Settings(
        environment=Environment.LOCAL,
        project_id=PROJECT,
        firebase_auth_emulator_host=google.url.removeprefix("http://"),
    )
    identity = Identity.from_settings(settings, clock)

    assert (await identity.user(leave_unsigned(user_claims(clock.now_s)))).uid == UID
    [(path, headers, body)] = google.asked
    assert path == f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts:lookup"
    assert headers["Authorization"] == "Bearer owner"
    assert body == b'{"localId": ["%s"]}' % UID.encode()
    for refused in (
        leave_unsigned(user_claims(clock.now_s, exp=clock.now_s)),
        leave_unsigned(user_claims(clock.now_s, aud="other")),
        leave_unsigned(user_claims(clock.now_s)) + "c2ln",
        sign(user_claims(clock.now_s), PUBLISHED),
    ):
        with pytest.raises((TokenInvalid, TokenExpired)):
            await identity.user(refused)
