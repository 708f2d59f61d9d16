"""Pure checks: the table of callers, the form of tokens, the account behind one."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.callers import parse_callers
from shared.base.ids import UserId
from shared.identity.errors import TokenExpired, TokenInvalid, TokenRevoked, UserDisabled
from shared.identity.models import Account, UserClaims
from shared.identity.rules import check_account, check_user, parse_token
from tests.identity.cases import PUBLISHED
from tests.identity.tokens import PROJECT, sign, user_claims

CLAIMS = UserClaims(UserId("alice"), auth_time_s=1000, expires_at_s=5000, sign_in_provider="password")
ACCOUNT = Account(email="new@example.com", email_verified=True, disabled=False, valid_since_s=900)


def test_callers_are_read_by_email() -> None:
    callers = parse_callers("credit:debit=a@x.com,b@x.com  timer=a@x.com\ttimer=c@x.com")

    assert callers == {
        "a@x.com": frozenset({"credit:debit", "timer"}),
        "b@x.com": frozenset({"credit:debit"}),
        "c@x.com": frozenset({"timer"}),
    }


def test_no_callers_is_an_empty_table() -> None:
    assert parse_callers("  ") == {}


@pytest.mark.parametrize(
    "text",
    [
        "timer",
        "timer=",
        "=a@x.com",
        "timer=a@x.com,",
        "timer=a",
        "Timer=a@x.com",
        "timer=a@x.com=b@x.com",
        "a@x.com=timer",
    ],
)
def test_a_table_that_cannot_be_read_stops_the_process_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="SERVICE_CALLERS") as refusal:
        parse_callers(text)
    assert "x.com" not in str(refusal.value)


@given(st.text(max_size=300) | st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{0,40}", fullmatch=True))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    try:
        parse_token(text)
    except TokenInvalid:
        return


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_value_of_a_claim_is_accepted_or_refused(value: object) -> None:
    for name in user_claims(0):
        claims = {**user_claims(1_000_000), name: value}
        try:
            check_user(claims, project_id=PROJECT, now_ms=1_000_000_000)
        except (TokenInvalid, TokenExpired):
            continue


def test_a_refusal_never_shows_the_token_even_in_its_traceback() -> None:
    token = sign(user_claims(0), PUBLISHED) + "!"
    segment = "eyJhbGciOiAi"

    with pytest.raises(TokenInvalid) as refusal:
        parse_token(f"{segment}.{segment}.{segment}")

    shown = "".join(traceback.format_exception(refusal.value))
    assert segment not in shown
    assert "alg" not in shown
    with pytest.raises(TokenInvalid) as refusal:
        parse_token(token)
    assert token[:20] not in "".join(traceback.format_exception(refusal.value))


def test_a_user_has_the_address_the_account_has_now() -> None:
    user = check_account(CLAIMS, ACCOUNT)

    assert (user.uid, user.email, user.email_verified) == ("alice", "new@example.com", True)
    assert (user.auth_time_s, user.expires_at_s, user.sign_in_provider) == (1000, 5000, "password")


def test_a_sign_in_at_the_moment_of_revocation_is_good() -> None:
    account = Account(email=None, email_verified=False, disabled=False, valid_since_s=1000)

    assert check_account(CLAIMS, account).email is None


@pytest.mark.parametrize(
    ("account", "refusal"),
    [
        (None, TokenRevoked),
        (Account(email=None, email_verified=False, disabled=False, valid_since_s=1001), TokenRevoked),
        (Account(email=None, email_verified=False, disabled=True, valid_since_s=0), UserDisabled),
        (Account(email=None, email_verified=False, disabled=True, valid_since_s=1001), UserDisabled),
    ],
)
def test_an_account_that_is_gone_revoked_or_disabled_lets_nobody_in(
    account: Account | None, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        check_account(CLAIMS, account)
