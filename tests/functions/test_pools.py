"""The functions of pools over HTTP: whose credits are whose, who may do what, and what strangers see."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from shared.base.economy import WELCOME_STAGES
from shared.base.ids import AccountId
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.verify import verify_account
from shared.pools.models import MEMBER_LIMIT_DEFAULT
from tests.clients import add_member, add_person, answer, balance_micros, call, refusal
from tests.functions.pools import (
    CHAT,
    OPEN_TO_ALL,
    act,
    create,
    joined,
    key,
    open_session,
    put_in,
    rich_owner,
    see,
    session_path,
)

GRANTED = WELCOME_STAGES[0].amount_micros
AT_ONCE = 50


@pytest.fixture
def verified(stack: Stack, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pools whose chains, and whose books, are checked from raw documents when the test is over."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return []


def verify(deployment: Deployment, pool_id: str) -> None:
    async def walk() -> None:
        client = firestore.AsyncClient(project=deployment.project_id, credentials=AnonymousCredentials())
        await verify_account(FirestoreLedgerArchive(client), AccountId(f"pool:{pool_id}"))

    asyncio.run(walk())


@pytest.mark.usefixtures("verified")
def test_credits_that_are_put_in_are_shared_and_come_back_whole(stack: Stack, deployment: Deployment) -> None:
    """The whole life of a pool: what its members leave is theirs, to the micro."""
    owner, pool_id = rich_owner(stack, deployment, 300_000_000)
    guest = joined(stack, deployment, owner, pool_id)
    put_in(deployment, guest, pool_id, 100_000_000)
    before = see(deployment, guest, pool_id)
    assert (before["balance_micros"], before["drawable_micros"], before["members_count"]) == (
        400_000_000,
        400_000_000,
        2,
    )

    session = open_session(deployment, guest, 150_000_000, pool_id=pool_id)
    charged = answer(call(deployment, "POST", "/v1/chat/completions", session["key"], json=CHAT))
    spent = charged["usage"]["cost_details"]["charged_micros"]
    during = {member["user_id"]: member for member in see(deployment, owner, pool_id)["members"]}
    assert (during[guest.uid]["share_micros"], during[guest.uid]["used_micros"]) == (0, 150_000_000)
    assert (during[owner.uid]["share_micros"], during[owner.uid]["lent_micros"]) == (250_000_000, 50_000_000)

    ended = answer(call(deployment, "POST", session_path(session, "/end"), guest.token))
    assert (ended["session"]["status"], ended["returned_micros"]) == ("closed", 150_000_000 - spent)
    after = {member["user_id"]: member for member in see(deployment, owner, pool_id)["members"]}
    # The guest's own were used first, so the owner has lost nothing.
    assert after[guest.uid]["share_micros"] == 100_000_000 - spent
    assert (after[owner.uid]["share_micros"], after[owner.uid]["lent_micros"]) == (300_000_000, 0)

    verify(deployment, pool_id)
    closed = answer(act(deployment, owner, pool_id, "/close"))
    assert closed["pool"]["status"] == "closed"
    assert balance_micros(deployment, guest) == GRANTED - spent
    assert balance_micros(deployment, owner) == GRANTED + 300_000_000
    verify(deployment, pool_id)
    late = {"amount_micros": 1, "idempotency_key": "k"}
    assert refusal(act(deployment, owner, pool_id, "/contributions", **late), 403) == "pool_closed"


def test_nobody_takes_out_what_is_not_theirs(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, 50_000_000)
    guest = joined(stack, deployment, owner, pool_id)
    outsider = add_member(stack, deployment)
    taking = {"amount_micros": 1, "idempotency_key": "one"}

    assert refusal(act(deployment, guest, pool_id, "/withdrawals", **taking), 402) == "credit_too_low"
    assert refusal(act(deployment, outsider, pool_id, "/withdrawals", **taking), 404) == "pool_not_found"
    put_in(deployment, guest, pool_id, 5)
    for _ in range(2):
        assert answer(act(deployment, guest, pool_id, "/withdrawals", **taking))["amount_micros"] == 1
    assert see(deployment, guest, pool_id)["me"]["share_micros"] == 4
    over = {"amount_micros": 5, "idempotency_key": "over"}
    assert refusal(act(deployment, guest, pool_id, "/withdrawals", **over), 402) == "credit_too_low"
    reused = {"amount_micros": 2, "idempotency_key": "one"}
    assert refusal(act(deployment, guest, pool_id, "/withdrawals", **reused), 409) == "idempotency_key_reused"


def test_promotional_credits_stay_their_givers(stack: Stack, deployment: Deployment) -> None:
    """A hundred new accounts cannot feed one: what a welcome gave is drawn by who got it, or by nobody."""
    owner = add_member(stack, deployment)
    pool_id = create(deployment, owner)
    fed = [joined(stack, deployment, owner, pool_id) for _ in range(2)]
    for person in fed:
        put_in(deployment, person, pool_id, GRANTED)

    assert see(deployment, owner, pool_id)["drawable_micros"] == 0
    body = {"pool_id": pool_id, "budget_micros": 1, "idempotency_key": "k"}
    assert refusal(call(deployment, "POST", "/v1/sessions", owner.token, json=body), 402) == "credit_too_low"
    assert see(deployment, fed[0], pool_id)["drawable_micros"] == GRANTED
    sent = {"recipient": owner.uid, "amount_micros": 1, "idempotency_key": "k"}
    answer(act(deployment, fed[0], pool_id, "/leave"))
    assert balance_micros(deployment, fed[0]) == GRANTED
    assert refusal(call(deployment, "POST", "/v1/transfers", fed[0].token, json=sent), 402) == "credit_too_low"


def test_a_pool_is_no_way_around_what_may_be_sent_in_a_day(stack: Stack, deployment: Deployment) -> None:
    owner = add_member(stack, deployment)
    Treasury(deployment.environment).grant_paid(owner.uid, 20_000_000_000)
    pool_id = create(deployment, owner)
    put_in(deployment, owner, pool_id, 10_000_000_000, origin="paid")

    more = {"amount_micros": 1, "idempotency_key": "k"}
    assert refusal(act(deployment, owner, pool_id, "/contributions", **more), 429) == "send_limit_exceeded"


def test_a_limit_counts_what_is_drawn_of_the_others(stack: Stack, deployment: Deployment) -> None:
    """Joining again, leaving and coming back lift nothing; what is not used counts no more."""
    owner, pool_id = rich_owner(stack, deployment, 500_000_000)
    guest = joined(stack, deployment, owner, pool_id, amount_micros=60_000_000, period="day")
    session = open_session(deployment, guest, 60_000_000, pool_id=pool_id)
    body = {"pool_id": pool_id, "budget_micros": 1, "idempotency_key": "k"}

    def refused() -> bool:
        answered = call(deployment, "POST", "/v1/sessions", guest.token, json={**body, "idempotency_key": key()})
        return refusal(answered, 402) in ("spend_limit_reached", "credit_too_low")

    assert refused()
    answer(act(deployment, guest, pool_id, "/join"))
    assert refused()
    answer(call(deployment, "POST", session_path(session, "/end"), guest.token))
    assert see(deployment, guest, pool_id)["drawable_micros"] == 60_000_000
    open_session(deployment, guest, 60_000_000, pool_id=pool_id)
    put_in(deployment, guest, pool_id, 3)
    assert see(deployment, guest, pool_id)["drawable_micros"] == 3


def test_leaving_and_coming_back_lifts_no_limit(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, 500_000_000)
    answer(
        act(deployment, owner, pool_id, "", **{**OPEN_TO_ALL, "member_limit": {"amount_micros": 9, "period": "day"}})
    )
    guest = add_member(stack, deployment)
    answer(act(deployment, guest, pool_id, "/join"))
    limited = {"user_id": guest.uid, "limit": {"amount_micros": 5, "period": "month"}}
    answer(act(deployment, owner, pool_id, "/members", **limited))
    open_session(deployment, guest, 5, pool_id=pool_id)

    left = answer(act(deployment, guest, pool_id, "/leave"))
    assert left == {"returned_micros": 0, "sessions_open": 0}
    answer(act(deployment, guest, pool_id, "/join"))
    assert see(deployment, guest, pool_id)["me"]["limit"] == {"amount_micros": 5, "period": "month"}


def test_a_pool_that_says_nothing_of_a_limit_lends_little(stack: Stack, deployment: Deployment) -> None:
    """Or a member could spend it all on what only a friend's key serves, whose earnings are paid out."""
    owner = add_member(stack, deployment)
    Treasury(deployment.environment).grant_paid(owner.uid, 500_000_000)
    pool_id = create(deployment, owner)
    put_in(deployment, owner, pool_id, 500_000_000, origin="paid")
    guest = joined(stack, deployment, owner, pool_id)

    assert see(deployment, guest, pool_id)["drawable_micros"] == MEMBER_LIMIT_DEFAULT.amount_micros
    body = {"pool_id": pool_id, "budget_micros": MEMBER_LIMIT_DEFAULT.amount_micros + 1, "idempotency_key": "k"}
    assert refusal(call(deployment, "POST", "/v1/sessions", guest.token, json=body), 402) == "credit_too_low"


def test_what_makes_no_sense_is_refused(stack: Stack, deployment: Deployment, member: Person) -> None:
    def refused(status: int, **body: object) -> str:
        asked = {"name": "a pool", "idempotency_key": "k", **body}
        return refusal(call(deployment, "POST", "/v1/pools", member.token, json=asked), status)

    assert refused(400, public=True) == "public_pool_needs_limit"
    for wrong in (
        {"members_max": 0},
        {"members_max": 101},
        {"name": ""},
        {"member_limit": {"amount_micros": -1, "period": "day"}},
        {"member_limit": {"amount_micros": 1, "period": "total"}},
        {"owner": "somebody"},
    ):
        assert refused(400, **wrong) == "invalid_request"
    stranger = add_person(stack, deployment)
    body = {"name": "a pool", "idempotency_key": "k"}
    assert refusal(call(deployment, "POST", "/v1/pools", stranger.token, json=body), 404) == "account_not_found"
    first = create(deployment, member, idempotency_key="one")
    assert create(deployment, member, idempotency_key="one") == first
    other = {"name": "another", "idempotency_key": "one"}
    assert refusal(call(deployment, "POST", "/v1/pools", member.token, json=other), 409) == "idempotency_key_reused"


@pytest.mark.usefixtures("verified")
def test_withdrawals_and_sessions_at_once_never_overdraw(stack: Stack, deployment: Deployment) -> None:
    """Fifty hands in one pool that has enough for twenty: each micro leaves once."""
    owner, pool_id = rich_owner(stack, deployment, 20_000)
    guests = [joined(stack, deployment, owner, pool_id) for _ in range(3)]

    def grab(number: int) -> tuple[str, int]:
        if number % 2:
            body = {"amount_micros": 1_000, "idempotency_key": f"take{number}"}
            return "taken", act(deployment, owner, pool_id, "/withdrawals", **body).status_code
        guest = guests[number % 3]
        body = {"pool_id": pool_id, "budget_micros": 1_000, "idempotency_key": f"draw{number}"}
        return "drawn", call(deployment, "POST", "/v1/sessions", guest.token, json=body).status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(grab, range(AT_ONCE)))
    assert {status for _, status in outcomes} <= {200, 402}
    done = [what for what, status in outcomes if status == 200]
    assert len(done) == 20
    state = see(deployment, owner, pool_id)
    assert state["balance_micros"] == 0
    assert state["me"]["withdrawn_micros"] == 1_000 * done.count("taken")
    assert state["me"]["lent_micros"] == 1_000 * done.count("drawn")
    assert balance_micros(deployment, owner) == GRANTED + 1_000 * done.count("taken")
    verify(deployment, pool_id)
    answer(act(deployment, owner, pool_id, "/close"))
    assert balance_micros(deployment, owner) == GRANTED + 20_000
    verify(deployment, pool_id)
