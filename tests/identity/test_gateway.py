"""Certificates and accounts against a real HTTP server: freshness, rotation, retries, and every way to fail."""

from collections.abc import Awaitable, Callable

import pytest
import requests
from google.auth.exceptions import DefaultCredentialsError

from shared.base.ids import UserId
from shared.identity.errors import IdentityUnavailable, TokenInvalid
from shared.identity.gateway import (
    CERTIFICATES_LIFETIME_S_MAX,
    CERTIFICATES_LIFETIME_S_MIN,
    UNKNOWN_KEY_REFETCH_MS,
    Certificates,
    FirebaseAccounts,
    open_google_session,
)
from shared.identity.models import Account
from shared.identity.rules import parse_token
from tests.identity.builders import ManualClock
from tests.identity.cases import PUBLISHED, STRANGER
from tests.identity.google import LOOKUP_SUFFIX, Google, serve_google
from tests.identity.tokens import PROJECT, UID, elliptic_certificate, sign

GOOD = parse_token(sign({}, PUBLISHED))
NEW = parse_token(sign({}, STRANGER))


@pytest.fixture
def certificates(google: Google, clock: ManualClock) -> Certificates:
    return Certificates(google.certificates_url, clock)


@pytest.fixture
def accounts(google: Google) -> FirebaseAccounts:
    return FirebaseAccounts(PROJECT, base_url=google.url, open_session=requests.Session)


@pytest.mark.parametrize(
    ("headers", "lifetime_s"),
    [
        ({"Cache-Control": "public, max-age=3600, must-revalidate"}, 3600),
        ({"Cache-Control": "public, max-age=3600", "Age": "600"}, 3000),
        ({"Cache-Control": "public, max-age=999999999"}, CERTIFICATES_LIFETIME_S_MAX),
        ({"Cache-Control": "no-store"}, CERTIFICATES_LIFETIME_S_MIN),
        ({"Cache-Control": "max-age=soon"}, CERTIFICATES_LIFETIME_S_MIN),
        ({"Cache-Control": "max-age=30", "Age": "31"}, CERTIFICATES_LIFETIME_S_MIN),
        ({}, CERTIFICATES_LIFETIME_S_MIN),
    ],
)
async def test_certificates_are_kept_as_long_as_they_are_fresh(
    headers: dict[str, str], lifetime_s: int, certificates: Certificates, google: Google, clock: ManualClock
) -> None:
    google.certificates_headers = headers
    await certificates.verify(GOOD)

    clock.now_ms += lifetime_s * 1000 - 1
    await certificates.verify(GOOD)
    assert google.count("/certs") == 1
    clock.now_ms += 1
    await certificates.verify(GOOD)
    assert google.count("/certs") == 2


async def test_a_key_withdrawn_is_refused_once_the_old_answer_is_stale(
    certificates: Certificates, google: Google, clock: ManualClock
) -> None:
    await certificates.verify(GOOD)
    google.certificates = {STRANGER.kid: STRANGER.certificate}

    clock.now_ms += 3_600_000
    with pytest.raises(TokenInvalid):
        await certificates.verify(GOOD)
    await certificates.verify(NEW)


async def test_a_new_key_is_found_before_the_old_answer_is_stale(
    certificates: Certificates, google: Google, clock: ManualClock
) -> None:
    await certificates.verify(GOOD)
    google.certificates[STRANGER.kid] = STRANGER.certificate

    clock.now_ms += UNKNOWN_KEY_REFETCH_MS
    await certificates.verify(NEW)
    await certificates.verify(GOOD)
    assert google.count("/certs") == 2


async def test_made_up_keys_cause_few_requests(certificates: Certificates, google: Google, clock: ManualClock) -> None:
    for number in range(100):
        clock.now_ms += 1_000
        with pytest.raises(TokenInvalid):
            await certificates.verify(parse_token(sign({}, STRANGER, kid=f"made-up-{number}")))

    assert google.count("/certs") == 1 + 99 * 1_000 // UNKNOWN_KEY_REFETCH_MS


async def test_a_made_up_key_while_google_is_down_is_not_called_invalid_and_hurts_nobody_else(
    certificates: Certificates, google: Google, clock: ManualClock
) -> None:
    await certificates.verify(GOOD)
    clock.now_ms += UNKNOWN_KEY_REFETCH_MS
    google.statuses = [500, 500]

    with pytest.raises(IdentityUnavailable):
        await certificates.verify(NEW)
    await certificates.verify(GOOD)


async def test_a_key_that_is_not_rsa_verifies_nothing(certificates: Certificates, google: Google) -> None:
    google.certificates["elliptic"] = elliptic_certificate()

    with pytest.raises(TokenInvalid):
        await certificates.verify(parse_token(sign({}, PUBLISHED, kid="elliptic")))
    await certificates.verify(GOOD)


async def test_one_failure_is_retried(certificates: Certificates, accounts: FirebaseAccounts, google: Google) -> None:
    google.statuses = [503]
    await certificates.verify(GOOD)
    google.statuses = [502]
    assert await accounts.find(UserId(UID)) is not None

    assert (google.count("/certs"), google.count(LOOKUP_SUFFIX)) == (2, 2)


def _answers(*statuses: int, bodies: list[bytes] | None = None) -> Callable[[Google], None]:
    def prepare(google: Google) -> None:
        google.statuses = list(statuses)
        google.bodies = list(bodies or [])

    return prepare


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(_answers(500, 500), id="500 twice"),
        pytest.param(_answers(403), id="forbidden"),
        pytest.param(_answers(429), id="too many requests"),
        pytest.param(_answers(302), id="redirect"),
        pytest.param(_answers(bodies=[b"<html>"]), id="not JSON"),
        pytest.param(_answers(bodies=[b"\xff"]), id="not UTF-8"),
        pytest.param(_answers(bodies=[b"[]"]), id="not an object"),
        pytest.param(_answers(bodies=[b'{"published": "no certificate", "users": {}}']), id="another shape"),
    ],
)
async def test_an_answer_that_is_none_is_unavailable_and_not_remembered(
    prepare: Callable[[Google], None],
    certificates: Certificates,
    accounts: FirebaseAccounts,
    google: Google,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: certificates.verify(GOOD),
        lambda: accounts.find(UserId(UID)),
    ]
    for ask in asks:
        prepare(google)
        with pytest.raises(IdentityUnavailable):
            await ask()
        assert "identity_source_failed" in capsys.readouterr().out
        await ask()


async def test_no_certificates_at_all_is_unavailable(certificates: Certificates, google: Google) -> None:
    google.certificates = {}

    with pytest.raises(IdentityUnavailable):
        await certificates.verify(GOOD)


async def test_nobody_listening_is_unavailable(clock: ManualClock) -> None:
    with serve_google() as gone:
        pass

    with pytest.raises(IdentityUnavailable):
        await Certificates(gone.certificates_url, clock).verify(GOOD)
    with pytest.raises(IdentityUnavailable):
        await FirebaseAccounts(PROJECT, base_url=gone.url, open_session=requests.Session).find(UserId(UID))


async def test_stale_certificates_are_not_used_when_no_new_ones_can_be_had(
    certificates: Certificates, google: Google, clock: ManualClock
) -> None:
    await certificates.verify(GOOD)

    clock.now_ms += 3_600_000
    google.statuses = [500, 500]
    with pytest.raises(IdentityUnavailable):
        await certificates.verify(GOOD)


async def test_without_google_credentials_accounts_are_unavailable_until_there_are_some(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = FirebaseAccounts(PROJECT, base_url=google.url, open_session=open_google_session)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")

    with pytest.raises(IdentityUnavailable) as refusal:
        await accounts.find(UserId(UID))
    assert isinstance(refusal.value.__cause__, DefaultCredentialsError)
    assert google.count(LOOKUP_SUFFIX) == 0


@pytest.mark.parametrize(
    ("record", "account"),
    [
        ({}, Account(email=None, email_verified=False, disabled=False, valid_since_s=0)),
        (
            {"email": "a@x.com", "emailVerified": True, "disabled": True, "validSince": "1700000000"},
            Account(email="a@x.com", email_verified=True, disabled=True, valid_since_s=1_700_000_000),
        ),
    ],
)
async def test_an_account_is_read_field_by_field(
    record: dict[str, object], account: Account, accounts: FirebaseAccounts, google: Google
) -> None:
    google.accounts = {UID: record}

    assert await accounts.find(UserId(UID)) == account


async def test_an_unknown_uid_has_no_account(accounts: FirebaseAccounts) -> None:
    assert await accounts.find(UserId("nobody")) is None


async def test_a_revocation_time_that_cannot_be_read_is_not_taken_for_none(
    accounts: FirebaseAccounts, google: Google
) -> None:
    google.accounts = {UID: {"validSince": "yesterday"}}

    with pytest.raises(IdentityUnavailable):
        await accounts.find(UserId(UID))
