"""account_start: opens a wallet once, and gives each person the welcome bonus once."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.deployment import Deployment
from local.people import People, Person
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from tests.clients import add_person, answer, balance_micros, call, change_user, refusal, start_account

FIRST, *LATER = WELCOME_STAGES
AT_ONCE = 8


def first_status(started: dict[str, list[dict[str, str]]]) -> str:
    """Where the first stage of the bonus stands."""
    return started["welcome"][0]["status"]


def test_the_first_start_opens_the_wallet_and_grants_the_first_stage(deployment: Deployment, newcomer: Person) -> None:
    """The later stages are shown, and wait."""
    started = start_account(deployment, newcomer)

    assert started == {
        "account_id": f"user:{newcomer.uid}",
        "created": True,
        "balance_micros": FIRST.amount_micros,
        "welcome": [
            {"stage": FIRST.name, "amount_micros": FIRST.amount_micros, "status": "granted", "reason": None},
            *(
                {"stage": stage.name, "amount_micros": stage.amount_micros, "status": "waiting", "reason": None}
                for stage in LATER
            ),
        ],
    }


def test_a_repeat_grants_nothing(deployment: Deployment, newcomer: Person) -> None:
    """Apps start at every sign-in."""
    first = start_account(deployment, newcomer)
    again = start_account(deployment, newcomer)

    assert again == {**first, "created": False}


def test_an_unverified_address_waits_and_is_granted_once_verified(stack: Stack, deployment: Deployment) -> None:
    """The token still says unverified: the account itself is asked, so nobody has to sign in again."""
    person = add_person(stack, deployment, verified=False)

    before = start_account(deployment, person)
    change_user(stack, deployment, person, emailVerified=True)
    after = start_account(deployment, person)

    assert (first_status(before), before["balance_micros"]) == ("waiting", 0)
    assert (first_status(after), after["balance_micros"], after["created"]) == ("granted", FIRST.amount_micros, False)


@pytest.mark.parametrize(
    ("address", "alias"),
    [
        ("{}.smith@gmail.com", "{}smith@gmail.com"),
        ("{}@gmail.com", "{}+again@gmail.com"),
        ("{}@gmail.com", "{}@googlemail.com"),
        ("{}@example.com", "{}+1@example.com"),
        ("{}@example.com", "{}+1+2@EXAMPLE.com"),
    ],
)
def test_one_person_gets_one_bonus(stack: Stack, deployment: Deployment, address: str, alias: str) -> None:
    """Whoever writes one address in two ways has two wallets and one bonus, however often the second one asks."""
    name = f"a{secrets.token_hex(6)}"
    first = add_person(stack, deployment, email=address.format(name))
    second = add_person(stack, deployment, email=alias.format(name))

    assert first_status(start_account(deployment, first)) == "granted"
    for _ in range(2):
        started = start_account(deployment, second)
        assert (first_status(started), started["balance_micros"]) == ("claimed", 0)
    assert first_status(start_account(deployment, first)) == "granted"


def test_a_dot_makes_another_person_outside_gmail(stack: Stack, deployment: Deployment) -> None:
    """Only Gmail ignores dots; elsewhere two people would lose one bonus."""
    name = secrets.token_hex(6)
    people = [add_person(stack, deployment, email=f"{local}@example.com") for local in (f"a.{name}", f"a{name}")]

    assert [first_status(start_account(deployment, person)) for person in people] == ["granted", "granted"]


def test_starts_at_the_same_moment_grant_once(deployment: Deployment, newcomer: Person) -> None:
    """All of them succeed, one of them creates, and the bonus is there once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = list(pool.map(lambda _: start_account(deployment, newcomer), range(AT_ONCE)))

    assert sum(one["created"] for one in started) == 1
    assert {one["balance_micros"] for one in started} == {FIRST.amount_micros}
    assert balance_micros(deployment, newcomer) == FIRST.amount_micros


def test_one_person_with_many_users_at_the_same_moment_gets_one_bonus(stack: Stack, deployment: Deployment) -> None:
    """A race between aliases has one winner."""
    name = secrets.token_hex(6)
    users = [add_person(stack, deployment, email=f"{name}+{number}@gmail.com") for number in range(AT_ONCE)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(pool.map(lambda user: first_status(start_account(deployment, user)), users))

    assert sorted(statuses) == ["claimed"] * (AT_ONCE - 1) + ["granted"]


def test_a_disabled_user_is_refused_at_once(stack: Stack, deployment: Deployment, newcomer: Person) -> None:
    """Even just after a start: this function asks Firebase every time."""
    start_account(deployment, newcomer)
    change_user(stack, deployment, newcomer, disableUser=True)

    assert refusal(call(deployment, "POST", "/v1/account", newcomer.token), 403) == "user_disabled"


def test_an_unknown_field_is_refused(deployment: Deployment, newcomer: Person) -> None:
    """A client that believes it can ask for something is told that it cannot, and nothing is opened."""
    response = call(deployment, "POST", "/v1/account", newcomer.token, json={"balance_micros": 10**9})

    assert refusal(response, 400) == "invalid_request"
    assert refusal(call(deployment, "GET", "/v1/credits", newcomer.token), 404) == "account_not_found"


def test_an_empty_body_is_as_good_as_an_empty_object(deployment: Deployment, newcomer: Person) -> None:
    """There is nothing to say, so nothing needs to be said."""
    assert answer(call(deployment, "POST", "/v1/account", newcomer.token, json={}))["created"] is True
    assert answer(call(deployment, "POST", "/v1/account", newcomer.token, data=b""))["created"] is False


@pytest.mark.parametrize("kind", ["none", "service", "foreign"])
def test_only_users_of_this_project_start_an_account(
    kind: str, stack: Stack, deployment: Deployment, project_id: str
) -> None:
    """No token, a service's, or one of another project's user."""
    tokens = {
        "none": None,
        "service": deployment.backend_token,
        "foreign": People(stack.auth_address).add(project_id).token,
    }
    code = refusal(call(deployment, "POST", "/v1/account", tokens[kind]), 401)
    assert code == ("missing_token" if kind == "none" else "invalid_token")


def test_one_phone_that_moves_from_user_to_user_gives_one_bonus(stack: Stack, deployment: Deployment) -> None:
    """Firebase gives a number to one user at a time, so it moves on; the second is told why."""
    users = [add_person(stack, deployment) for _ in range(2)]
    number = f"+4915{secrets.randbelow(10**9):09}"
    started = []
    for user in users:
        change_user(stack, deployment, user, phoneNumber=number)
        started.append(start_account(deployment, user))
        change_user(stack, deployment, user, deleteProvider=["phone"])

    assert [one["balance_micros"] for one in started] == [FIRST.amount_micros + LATER[0].amount_micros, 0]
    assert [stage["reason"] for stage in started[1]["welcome"]] == ["phone_claimed"] * 3
