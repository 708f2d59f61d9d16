"""credit_debit: only known services charge, each key charges once, and what is refused costs nothing."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.deployment import Deployment
from local.oidc import BACKEND, LocalIssuer
from local.people import Person
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from shared.base.micros import AMOUNT_MICROS_MAX
from tests.clients import add_member, answer, balance_micros, call, debit, refusal

GRANTED = WELCOME_STAGES[0].amount_micros
AT_ONCE = 8


def test_a_debit_takes_exactly_its_amount(deployment: Deployment, member: Person) -> None:
    """The answer names the entry that proves it."""
    charged = answer(debit(deployment, member, 1_234_567, key="report-1"))

    assert charged["amount_micros"] == 1_234_567
    assert charged["balance_micros"] == balance_micros(deployment, member) == GRANTED - 1_234_567
    assert charged["repeated"] is False
    assert len(charged["entry_id"]) == 64


def test_the_same_key_charges_once(deployment: Deployment, member: Person) -> None:
    """A backend that never saw the answer asks again and gets the same one."""
    first = answer(debit(deployment, member, 5_000, key="report-2"))
    answer(debit(deployment, member, 7_000, key="report-3"))
    again = answer(debit(deployment, member, 5_000, key="report-2"))

    assert again == {**first, "repeated": True}
    assert balance_micros(deployment, member) == GRANTED - 12_000


def test_the_same_key_at_the_same_moment_charges_once(deployment: Deployment, member: Person) -> None:
    """One of them charges; the others are told the same entry."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: answer(debit(deployment, member, 5_000, key="once")), range(AT_ONCE)))

    assert len({one["entry_id"] for one in answers}) == 1
    assert sum(not one["repeated"] for one in answers) == 1
    assert balance_micros(deployment, member) == GRANTED - 5_000


@pytest.mark.parametrize(("amount_micros", "reason"), [(5_001, "a report"), (5_000, "something else")])
def test_a_key_belongs_to_its_request(deployment: Deployment, member: Person, amount_micros: int, reason: str) -> None:
    """Another request under a used key is a mistake of the caller's, and must not be retried."""
    answer(debit(deployment, member, 5_000, key="report-4"))

    response = debit(deployment, member, amount_micros, key="report-4", reason=reason)

    assert refusal(response, 409) == "idempotency_key_reused"
    assert response.headers["x-should-retry"] == "false"
    assert balance_micros(deployment, member) == GRANTED - 5_000


def test_two_backends_may_choose_the_same_key(stack: Stack, project_id: str) -> None:
    """Neither answers for the other."""
    backends = [f"{name}@local.iam.gserviceaccount.com" for name in ("reports", "images")]
    callers = {"SERVICE_CALLERS": f"credit:debit={','.join(backends)}"}
    with Deployment(stack, project_id, environment=callers) as deployment:
        person = add_member(stack, deployment)
        tokens = [deployment.issuer.token(backend) for backend in backends]
        answers = [answer(debit(deployment, person, 5_000, key="job-1", token=token)) for token in tokens]

        assert [one["repeated"] for one in answers] == [False, False]
        assert balance_micros(deployment, person) == GRANTED - 10_000


@pytest.mark.parametrize("path", ["POST /v1/debits", "POST /_timers/ledger_audit"])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("no token", 401, "missing_token"),
        ("user", 401, "invalid_token"),
        ("forged", 401, "invalid_token"),
        ("audience", 401, "invalid_token"),
        ("expired", 401, "token_expired"),
        ("stranger", 401, "invalid_token"),
        ("scope", 403, "scope_missing"),
    ],
)
def test_only_the_service_that_may_is_let_in(
    deployment: Deployment, member: Person, path: str, fault: str, status: int, code: str
) -> None:
    """Each of these is one thing away from being let in."""
    right, wrong = deployment.backend_token, deployment.scheduler_token
    if path.startswith("POST /_timers"):
        right, wrong = wrong, right
    email = BACKEND if right == deployment.backend_token else "scheduler@local.iam.gserviceaccount.com"
    tokens = {
        "no token": None,
        "user": member.token,
        "forged": LocalIssuer.new().token(email),
        "audience": deployment.issuer.token(email, audience="https://elsewhere.example.com"),
        "expired": deployment.issuer.token(email, lifetime_s=-1),
        "stranger": deployment.issuer.token("stranger@local.iam.gserviceaccount.com"),
        "scope": wrong,
    }
    body = {
        "account_id": f"user:{member.uid}",
        "amount_micros": 5_000,
        "reason": "a report",
        "idempotency_key": secrets.token_hex(8),
    }
    method, _, where = path.partition(" ")

    response = call(deployment, method, where, tokens[fault], json=body if where == "/v1/debits" else {})

    assert refusal(response, status) == code
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert balance_micros(deployment, member) == GRANTED


@pytest.mark.parametrize(
    "amount",
    [0, -1, -(2**63), 2**63, 2**64, 10**400, AMOUNT_MICROS_MAX + 1, 1.0, 1.5, "1", "", True, None, [], {}],
    ids=lambda amount: str(amount)[:24],
)
def test_an_amount_is_a_positive_integer_within_bounds(deployment: Deployment, member: Person, amount: object) -> None:
    """Nothing is rounded, converted or wrapped around."""
    response = debit(deployment, member, amount, key="amount")

    assert refusal(response, 400) == "invalid_request"
    assert response.json()["error"]["param"] == "amount_micros"
    assert balance_micros(deployment, member) == GRANTED


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "1e2", "0x10", "01"])
def test_an_amount_is_written_as_json_writes_integers(deployment: Deployment, member: Person, literal: str) -> None:
    """What Python or JavaScript would read is refused all the same."""
    body = f'{{"account_id": "user:{member.uid}", "amount_micros": {literal}, "reason": "x", "idempotency_key": "k"}}'

    assert refusal(call(deployment, "POST", "/v1/debits", deployment.backend_token, data=body), 400)
    assert balance_micros(deployment, member) == GRANTED


@pytest.mark.parametrize(
    "account_id",
    [
        "house:revenue",
        "earn:somebody",
        "escrow:order",
        "user:",
        "user:a/b",
        "user:..",
        "user:a\n",
        "USER:a",
        "user:" + "a" * 129,
        "",
        7,
        None,
    ],
)
def test_only_wallets_cards_and_pools_are_charged(deployment: Deployment, account_id: object, member: Person) -> None:
    """The platform's own accounts are not, and no id leaves its collection."""
    assert refusal(debit(deployment, member, 1, key="account", account_id=account_id), 400) == "invalid_request"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\x00", "ключ", "k" * 201, 7, None])
def test_a_key_is_printable_and_short(deployment: Deployment, member: Person, key: object) -> None:
    """So that it can be logged, compared and stored as it is."""
    response = debit(deployment, member, 1, key=key)

    assert (refusal(response, 400), response.json()["error"]["param"]) == ("invalid_request", "idempotency_key")


@pytest.mark.parametrize("reason", ["\x00", "line\nbreak", "🙂" * 200, "\u202e", '"}', "\ud7ff\uffff"])
def test_any_text_is_a_reason(deployment: Deployment, member: Person, reason: str) -> None:
    """It is hashed and shown as it was sent."""
    entry_id = answer(debit(deployment, member, 1, key="reason", reason=reason))["entry_id"]

    receipt = answer(call(deployment, "GET", f"/v1/receipts/{entry_id}", member.token))
    assert receipt["facts"]["reason"] == reason


def test_more_than_there_is_takes_nothing(deployment: Deployment, member: Person) -> None:
    """The refusal says in micros what was needed and what there is; a retry would not help."""
    response = debit(deployment, member, GRANTED + 1, key="too-much")

    assert refusal(response, 402) == "credit_too_low"
    assert response.headers["x-should-retry"] == "false"
    error = response.json()["error"]
    assert (error["needed_micros"], error["spendable_micros"]) == (GRANTED + 1, GRANTED)
    assert balance_micros(deployment, member) == GRANTED


def test_a_refusal_is_not_remembered(deployment: Deployment, member: Person) -> None:
    """The key that was too dear charges what the account can pay."""
    refusal(debit(deployment, member, GRANTED + 1, key="later"), 402)

    assert answer(debit(deployment, member, GRANTED, key="later"))["balance_micros"] == 0


def test_an_account_that_was_never_started_is_not_charged(deployment: Deployment, newcomer: Person) -> None:
    """And is not opened by the attempt."""
    assert refusal(debit(deployment, newcomer, 1, key="early"), 404) == "account_not_found"
    assert refusal(call(deployment, "GET", "/v1/credits", newcomer.token), 404) == "account_not_found"
