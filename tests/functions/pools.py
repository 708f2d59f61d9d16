"""Pools and sessions over HTTP, as tests make them."""

import secrets
from typing import Any

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from local.treasury import Treasury
from tests.clients import add_member, answer, call

GEMMA = "google/gemma-2-2b-it"
CHAT = {"model": GEMMA, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
OPEN_TO_ALL = {"public": True, "member_limit": {"amount_micros": 0, "period": "day"}}


def key() -> str:
    return secrets.token_hex(8)


def create(deployment: Deployment, owner: Person, **terms: Any) -> str:
    """A new pool's id."""
    body = {"name": "a pool", "idempotency_key": key(), **terms}
    return str(answer(call(deployment, "POST", "/v1/pools", owner.token, json=body))["pool"]["pool_id"])


def act(deployment: Deployment, person: Person, pool_id: str, what: str, **body: Any) -> Any:
    """One POST about a pool, however it is answered."""
    return call(deployment, "POST", f"/v1/pools/{pool_id}{what}", person.token, json=body)


def put_in(deployment: Deployment, person: Person, pool_id: str, amount_micros: int, **more: Any) -> dict[str, Any]:
    body = {"amount_micros": amount_micros, "idempotency_key": key(), **more}
    return answer(act(deployment, person, pool_id, "/contributions", **body))


def see(deployment: Deployment, person: Person, pool_id: str) -> dict[str, Any]:
    return answer(call(deployment, "GET", f"/v1/pools/{pool_id}", person.token))


def joined(stack: Stack, deployment: Deployment, owner: Person, pool_id: str, **limit: Any) -> Person:
    """Somebody new who was let in, under a limit if one is named."""
    person = add_member(stack, deployment)
    code = answer(act(deployment, owner, pool_id, "/invitations"))["code"]
    answer(act(deployment, person, pool_id, "/join", invitation=code))
    if limit:
        answer(act(deployment, owner, pool_id, "/members", user_id=person.uid, limit=limit))
    return person


def rich_owner(stack: Stack, deployment: Deployment, paid_micros: int) -> tuple[Person, str]:
    """Somebody whose pool has so many paid credits of theirs, lent without a limit unless a member is given one."""
    owner = add_member(stack, deployment)
    Treasury(deployment.environment).grant_paid(owner.uid, paid_micros)
    pool_id = create(deployment, owner, member_limit=None)
    put_in(deployment, owner, pool_id, paid_micros, origin="paid")
    return owner, pool_id


def open_session(deployment: Deployment, person: Person, budget_micros: int, **terms: Any) -> dict[str, Any]:
    body = {"budget_micros": budget_micros, "idempotency_key": key(), **terms}
    return answer(call(deployment, "POST", "/v1/sessions", person.token, json=body))


def session_path(session: dict[str, Any], what: str = "") -> str:
    return f"/v1/sessions/{session['session']['session_id']}{what}"
