"""The timer that gives back what dead processes had leased of contributed keys' quotas."""

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.resources.store import record_document
from tests.clients import answer, call, refusal
from tests.shelf.builders import key_of

PATH = "/_timers/lease_sweep"


def test_what_a_dead_process_left_is_given_back_once(
    stack: Stack, deployment: Deployment, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was charged under the lease, so all of it comes back; only the scheduler may ask for it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.Client(project=deployment.project_id, credentials=AnonymousCredentials())
    key = key_of("sweptsweptsw", leased_micros=700)
    client.document(f"resources/{key.id}").set(record_document(key))
    lease = {"key_id": key.id, "owner": key.owner, "amount_micros": 700}
    times = {"begun_at_ms": 1, "spend_until_ms": 2, "expires_at_ms": 3, "due_ms": 3}
    client.document(f"resources/{key.id}/key_leases/lse_1").set({**lease, **times})

    report = answer(call(deployment, "POST", PATH, deployment.scheduler_token))
    again = answer(call(deployment, "POST", PATH, deployment.scheduler_token))

    assert report == {"closed": 1, "waiting": 0, "returned_micros": 700, "finished": True}
    assert again == {"closed": 0, "waiting": 0, "returned_micros": 0, "finished": True}
    assert client.document(f"resources/{key.id}").get().get("returned_micros") == 700
    assert refusal(call(deployment, "POST", PATH, deployment.backend_token), 403) == "scope_missing"
    assert refusal(call(deployment, "POST", PATH, member.token), 401)
