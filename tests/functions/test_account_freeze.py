"""account_freeze: an operator stops all that a person could spend, on the record, and lets it go again."""

import secrets

from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from tests.clients import add_member, answer, call, refusal
from tests.functions.pools import CHAT, act, create, key, open_session, put_in, session_path


def freeze(deployment: Deployment, account_id: str, frozen: bool = True, **rest: object):  # type: ignore[no-untyped-def]
    token = rest.pop("token", deployment.operator_token)
    body = {"frozen": frozen, "reason": "a stolen card", "idempotency_key": key(), **rest}
    return call(deployment, "POST", f"/v1/accounts/{account_id}/freeze", str(token), json=body)


def test_what_was_parked_before_is_not_spendable_after(
    stack: Stack, deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """On a card, in a session, in a pool; and it all comes back when the person is let go."""
    Treasury(deployment.environment).grant_paid(member.uid, 1_000_000)
    pool_id, user = create(deployment, member), f"user:{member.uid}"
    put_in(deployment, member, pool_id, 1_000)
    budget = {"name": "c", "amount_micros": 100_000, "idempotency_key": key()}
    card = answer(call(deployment, "POST", "/v1/cards", member.token, json=budget))
    session = open_session(deployment, member, 100_000)
    drawn = open_session(deployment, member, 500, pool_id=pool_id)
    other = add_member(stack, deployment)

    done = answer(freeze(deployment, user, idempotency_key="one"))

    assert (done["frozen"], done["status"], done["reason"]) == (True, "frozen", "a stolen card")
    assert answer(freeze(deployment, user, idempotency_key="one")) == done
    again = freeze(deployment, user, reason="another", idempotency_key="one")
    assert refusal(again, 409) == "idempotency_key_reused"
    for one in (card, session, drawn):
        assert refusal(call(deployment, "POST", "/v1/chat/completions", one["key"], json=CHAT), 403)
    moves = {
        "/v1/transfers": {"recipient": other.uid, "amount_micros": 1, "idempotency_key": key()},
        f"/v1/cards/{card['card']['card_id']}/close": {},
        session_path(session, "/end"): {},
        session_path(drawn, "/end"): {},
        "/v1/sessions": {"budget_micros": 1, "pool_id": pool_id, "idempotency_key": key()},
    }
    for path, body in moves.items():
        assert refusal(call(deployment, "POST", path, member.token, json=body), 403) == "account_not_open", path
    record = documents.document(f"decisions/account:{user}").get().to_dict() or {}
    assert record["owner"] == member.uid
    assert [one["outcome"] for one in record["decisions"]] == ["a stolen card"]

    assert answer(freeze(deployment, user, frozen=False, reason="it was theirs"))["status"] == "open"

    for path in list(moves)[1:4]:
        answer(call(deployment, "POST", path, member.token, json={}))


def test_a_pool_is_frozen_by_its_own_name(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    pool_id = create(deployment, member)
    put_in(deployment, member, pool_id, 1_000)

    answer(freeze(deployment, f"pool:{pool_id}"))

    out = act(deployment, member, pool_id, "/withdrawals", amount_micros=1, idempotency_key=key())
    assert refusal(out, 403) == "account_not_open"
    record = documents.document(f"decisions/account:pool:{pool_id}").get().to_dict() or {}
    assert record["owner"] == member.uid


def test_only_operators_freeze_and_only_accounts_of_people(deployment: Deployment, member: Person) -> None:
    user = f"user:{member.uid}"
    assert refusal(freeze(deployment, user, token=member.token), 401)
    assert refusal(freeze(deployment, user, token=deployment.backend_token), 403) == "scope_missing"
    for account_id in ("house:revenue", "escrow:x", "user:", "user"):
        assert refusal(freeze(deployment, account_id), 400) == "invalid_request"
    assert refusal(freeze(deployment, f"user:{secrets.token_hex(8)}"), 404) == "account_not_found"
    assert refusal(freeze(deployment, user, frozen=False), 409) == "account_not_frozen"
