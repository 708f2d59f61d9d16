"""Notices of real entries, as the local stack delivers them, and of events that come twice, late or from nobody."""

import time
from typing import Any

import pytest
import requests
from google.cloud import firestore
from msgspec.structs import replace

from local.cloudevent import PostedEvent, a_large_entry, created_event
from local.deployment import Deployment
from local.people import Person
from shared.app import App
from shared.base.economy import DAY_MS, LARGE_MOVEMENT_MICROS, LOW_BALANCE_MICROS
from shared.base.ids import AccountId
from shared.base.micros import credits_to_micros
from shared.base.settings import Settings
from shared.ledger.models import Entry
from tests.clients import TIMEOUT_S, answer, balance_micros, debit, refusal

PATH = "/_events/entry_created"
ARRIVAL_DEADLINE_S = 30.0
"""A notice takes a few milliseconds; a machine that is busy must not fail a test."""


def notices(documents: firestore.Client, person: Person) -> dict[str, dict[str, Any]]:
    """What the person has been told, by id."""
    found = documents.collection(f"users/{person.uid}/notifications").stream()
    return {snapshot.id: snapshot.to_dict() or {} for snapshot in found}


def wait_for_notices(documents: firestore.Client, person: Person, count: int) -> dict[str, dict[str, Any]]:
    """The same, once there are that many."""
    gives_up_at = time.monotonic() + ARRIVAL_DEADLINE_S
    while len(found := notices(documents, person)) < count and time.monotonic() < gives_up_at:
        time.sleep(0.02)
    return found


def deliver(deployment: Deployment, event: PostedEvent, token: str | None = None) -> requests.Response:
    """What Eventarc does."""
    headers = {**event.headers, "authorization": f"Bearer {token or deployment.event_token}"}
    return requests.post(deployment.url + PATH, data=event.body, headers=headers, timeout=TIMEOUT_S)


def low_entry(person: Person, seq: int) -> Entry:
    """An entry that took the wallet below the mark."""
    low = LOW_BALANCE_MICROS
    return replace(a_large_entry(f"user:{person.uid}"), seq=seq, delta_micros=-2, balance_micros=low - 1)


def test_a_wallet_that_falls_low_is_told_of_once(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """Through the API, Firestore, its trigger and the function: the entry that fell low, not the next one."""
    to_low = balance_micros(deployment, member) - LOW_BALANCE_MICROS + 1
    fell = answer(debit(deployment, member, to_low, key="down"))
    answer(debit(deployment, member, 1, key="further"))

    told = wait_for_notices(documents, member, 1)

    assert list(told) == [f"{fell['entry_id']}-low_balance"]
    [notice] = told.values()
    assert (notice["kind"], notice["entry"], notice["read"]) == ("low_balance", fell["entry_id"], False)
    assert (notice["delta_micros"], notice["balance_micros"]) == (-to_low, LOW_BALANCE_MICROS - 1)
    assert "fell below 50 credits" in notice["text"]


async def test_a_large_movement_is_told_of(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """Delivered by the emulator: a grant larger than any that the API gives."""
    app = App(Settings.from_environment(deployment.environment))
    granted = await app.ledger.grant_promo(
        AccountId(f"user:{member.uid}"), LARGE_MOVEMENT_MICROS, lifetime_ms=DAY_MS, key="gift", facts={}
    )
    app.firestore.close()

    told = wait_for_notices(documents, member, 1)

    notice_id = f"{granted.entry.entry_id}-large_movement"
    assert list(told) == [notice_id]
    assert told[notice_id]["delta_micros"] == LARGE_MOVEMENT_MICROS


def test_a_welcome_is_not_told_of(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """The opening says nothing, a bonus of half the mark says nothing: only what follows does."""
    fell = answer(debit(deployment, member, balance_micros(deployment, member), key="all"))

    assert list(wait_for_notices(documents, member, 1)) == [f"{fell['entry_id']}-low_balance"]


def test_a_production_event_twice_and_out_of_order(
    deployment: Deployment, newcomer: Person, documents: firestore.Client
) -> None:
    """The newest first, each twice, once under another event's id: as many notices as entries, and none rewritten."""
    older, newer = low_entry(newcomer, 3), low_entry(newcomer, 9)
    first = created_event(deployment.project_id, newer)
    assert deliver(deployment, first).status_code == 200
    written = notices(documents, newcomer)
    documents.document(f"users/{newcomer.uid}/notifications/{newer.entry_id}-low_balance").update({"read": True})

    for event in (first, created_event(deployment.project_id, older), created_event(deployment.project_id, newer)):
        for _ in range(2):
            assert deliver(deployment, event).status_code == 200

    told = notices(documents, newcomer)
    assert {notice["seq"]: notice["read"] for notice in told.values()} == {3: False, 9: True}
    newest = f"{newer.entry_id}-low_balance"
    assert told[newest]["created_at"] == written[newest]["created_at"]


def test_an_entry_of_no_wallet_is_told_to_nobody(deployment: Deployment, documents: firestore.Client) -> None:
    card = replace(a_large_entry("card:c1"), balance_micros=credits_to_micros(1))

    assert deliver(deployment, created_event(deployment.project_id, card)).status_code == 200

    assert not list(documents.collection("users/c1/notifications").stream())


def test_only_the_deliverer_of_events_may_call(
    deployment: Deployment, newcomer: Person, documents: firestore.Client
) -> None:
    """Neither a user, nor a service with another scope; nothing is written for them."""
    event = created_event(deployment.project_id, low_entry(newcomer, 3))

    assert refusal(deliver(deployment, event, newcomer.token), 401)
    for token in (deployment.backend_token, deployment.scheduler_token):
        assert refusal(deliver(deployment, event, token), 403) == "scope_missing"

    assert not notices(documents, newcomer)


def test_the_deliverer_of_events_may_do_nothing_else(deployment: Deployment, member: Person) -> None:
    assert refusal(debit(deployment, member, 1, key="k", token=deployment.event_token), 403) == "scope_missing"


@pytest.mark.parametrize("uid", [".", "__ada__"])
def test_an_event_that_can_never_succeed_is_acknowledged(deployment: Deployment, uid: str) -> None:
    """Firestore takes no such name, however often it is asked; the log says which event was dropped."""
    event = created_event(deployment.project_id, a_large_entry(f"user:{uid}"), event_id=f"dropped-{uid}")

    assert deliver(deployment, event).status_code == 200

    assert f'"event_id":"dropped-{uid}","code":"notice_unwritable"' in deployment.log
