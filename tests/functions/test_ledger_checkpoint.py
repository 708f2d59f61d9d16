"""ledger_checkpoint: a minute later what was posted is logged, signed and filed."""

from pathlib import Path
from typing import Any

from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from shared.proof.note import VerifierKey, open_checkpoint
from tests.clients import answer, call, debit, refusal

CHECKPOINT_PATH = "/_timers/ledger_checkpoint"


def checkpoint(deployment: Deployment) -> dict[str, Any]:
    """One run of the timer."""
    return answer(call(deployment, "POST", CHECKPOINT_PATH, deployment.scheduler_token, json={}))


def test_what_was_posted_is_signed(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """The note in the log's state and the file in the vault are the same, and verify under the deployment's key."""
    answer(debit(deployment, member, 1_000, key="signed"))

    report = checkpoint(deployment)

    assert (report["refused"], report["drift_micros"]) == (None, 0)
    assert report["heads"] >= 1
    head = documents.document(f"accounts/user:{member.uid}").get().to_dict() or {}
    stated = documents.document(f"log_heads/user:{member.uid}").get().to_dict() or {}
    assert (stated["seq"], stated["hash"]) == (head["seq"], head["hash"])
    state = documents.document("log/state").get().to_dict() or {}
    opened = open_checkpoint(state["note"], VerifierKey.parse(deployment.verifier_key))
    assert (opened.size, opened.root.hex()) == (report["size"], state["root"])
    vault = Path(deployment.environment["CHECKPOINT_FOLDER"])
    assert max(vault.iterdir()).read_text() == state["note"]


def test_books_that_do_not_balance_are_refused(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """A balance that no entry explains: nothing is signed, an alarm stands until it is gone."""
    assert checkpoint(deployment)["refused"] is None
    head = documents.document(f"accounts/user:{member.uid}")
    honest = head.get().to_dict() or {}
    head.update({"balance_micros": honest["balance_micros"] + 5})

    report = checkpoint(deployment)

    alarm = documents.document("alarms/epoch_unbalanced").get().to_dict() or {}
    head.set(honest)
    assert (report["refused"], report["drift_micros"]) == ("epoch_unbalanced", 5)
    assert (alarm["raised"], alarm["drift_micros"]) == (True, 5)
    assert '"epoch_unbalanced"' in deployment.log
    assert checkpoint(deployment)["refused"] is None
    assert (documents.document("alarms/epoch_unbalanced").get().to_dict() or {})["raised"] is False


def test_the_audit_leaves_the_logs_alarms_alone(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """They share a collection, and no account is called like one."""
    documents.document("alarms/log_broken").set({"reason": "test", "raised": True})

    report = answer(call(deployment, "POST", "/_timers/ledger_audit", deployment.scheduler_token, json={}))

    assert "log_broken" not in [one["account_id"] for one in report["broken"]]
    assert (documents.document("alarms/log_broken").get().to_dict() or {})["raised"] is True
    checkpoint(deployment)
    assert (documents.document("alarms/log_broken").get().to_dict() or {})["raised"] is False


def test_only_the_timer_signs(deployment: Deployment, member: Person) -> None:
    assert refusal(call(deployment, "POST", CHECKPOINT_PATH, member.token), 401) == "invalid_token"
    assert refusal(call(deployment, "POST", CHECKPOINT_PATH, deployment.backend_token), 403) == "scope_missing"
