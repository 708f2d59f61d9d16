"""Gateways killed with SIGKILL in the middle of turns: nothing half is left, nothing is paid twice or lost."""

import random
import secrets
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, balance_micros, call

pytestmark = [pytest.mark.stack, pytest.mark.slow]

MODEL = "google/gemma-2-2b-it"
TALKERS = 10
"""Turns under way when the gateway dies, each begun at another moment before."""
DEATHS = 1
BEGUN_S_MAX = 1.6
"""So long before its gateway's death a turn has begun at most; a slow answer takes about as long."""
DEADLINE_S = 60.0
"""A turn's lease, which is half a minute, and more."""
SEED = 7


@pytest.fixture
def doomed(stack: Stack) -> Iterator[Deployment]:
    """A deployment that no other test shares."""
    with Deployment(stack, f"demo-{secrets.token_hex(8)}", events=False) as started:
        yield started


def test_a_turn_whose_process_dies_is_answered_and_paid_once(stack: Stack, doomed: Deployment) -> None:
    """Whoever asked repeats what they asked. By then each question has one answer, and the wallet lost its price."""
    moments = random.Random(SEED)  # noqa: S311 - when it happens, and the same each time
    talkers = [add_member(stack, doomed) for _ in range(TALKERS)]
    before = [balance_micros(doomed, person) for person in talkers]
    talks = [_begin(doomed, person) for person in talkers]

    for death in range(DEATHS):
        delays = [moments.uniform(0, BEGUN_S_MAX) for _ in talkers]
        asking = [
            threading.Thread(target=_ask_after, args=(doomed, person, talk, death, delay))
            for person, talk, delay in zip(talkers, talks, delays, strict=True)
        ]
        for thread in asking:
            thread.start()
        time.sleep(BEGUN_S_MAX)
        doomed.crash()
        for thread in asking:
            thread.join()
        for person, talk in zip(talkers, talks, strict=True):
            _ask_until_answered(doomed, person, talk, death)

    for person, talk, had_micros in zip(talkers, talks, before, strict=True):
        said = answer(call(doomed, "GET", f"/v1/conversations/{talk}", person.token))["messages"]
        assert [(one["role"], one["state"]) for one in said] == [("user", "said"), ("assistant", "said")] * DEATHS
        assert all(one["text"] for one in said)
        charged = [one["charged_micros"] for one in said if one["role"] == "assistant"]
        # An attempt that was not kept is free: its hold counts until it expires, and is no charge.
        assert had_micros - balance_micros(doomed, person) == sum(charged)
        receipts = {one["receipt_id"] for one in said if one["role"] == "assistant"}
        assert len(receipts) == DEATHS
        assert all(answer(call(doomed, "GET", f"/v1/receipts/{one}", person.token)) for one in receipts)


def _begin(deployment: Deployment, person: Person) -> str:
    body = {"model": MODEL, "idempotency_key": "begin"}
    return str(answer(call(deployment, "POST", "/v1/conversations", person.token, json=body))["conversation_id"])


def _ask(deployment: Deployment, person: Person, talk: str, turn: int) -> requests.Response:
    body = {"text": f"[[slow]] {turn}", "stream": False, "idempotency_key": f"turn-{turn}"}
    return call(deployment, "POST", f"/v1/conversations/{talk}/replies", person.token, json=body)


def _ask_after(deployment: Deployment, person: Person, talk: str, turn: int, delay_s: float) -> None:
    time.sleep(delay_s)
    try:
        _ask(deployment, person, talk, turn)
    except requests.ConnectionError:
        return  # The gateway died over it, or before it took the question.


def _ask_until_answered(deployment: Deployment, person: Person, talk: str, turn: int) -> None:
    gives_up_at_s = time.monotonic() + DEADLINE_S
    while (response := _ask(deployment, person, talk, turn)).status_code != requests.codes.ok:
        assert response.json()["error"]["code"] == "conversation_busy", response.text
        assert time.monotonic() < gives_up_at_s
        time.sleep(0.5)
