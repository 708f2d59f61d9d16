"""ledger_audit: a forged document raises an alarm at the next run, and a repaired one ends it."""

import json
from typing import Any

from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from tests.clients import answer, call, debit, refusal

AUDIT_PATH = "/_timers/ledger_audit"


def audit(deployment: Deployment) -> dict[str, Any]:
    """One run of the timer."""
    return answer(call(deployment, "POST", AUDIT_PATH, deployment.scheduler_token, json={}))


def broken_entries(report: dict[str, Any], person: Person) -> list[str]:
    """What the run says of one person's account; tests share the project, so others may be broken too."""
    return [one["entry_id"] for one in report["broken"] if one["account_id"] == f"user:{person.uid}"]


def test_a_whole_ledger_raises_nothing(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """The account was looked at, and has no alarm."""
    answer(debit(deployment, member, 1_000, key="audited"))

    report = audit(deployment)

    assert broken_entries(report, member) == []
    assert report["accounts"] >= 1
    assert report["entries"] >= 1
    assert not documents.document(f"alarms/user:{member.uid}").get().exists
    mark = documents.document(f"audit_marks/user:{member.uid}").get().to_dict() or {}
    head = documents.document(f"accounts/user:{member.uid}").get().to_dict() or {}
    assert mark["seq"] == head["seq"]


def test_a_forged_entry_is_named_until_it_is_repaired(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """In the answer, in a document for the console, and in a CRITICAL line for the alert."""
    entry_id = answer(debit(deployment, member, 1_000_000, key="forged"))["entry_id"]
    entry = documents.document(f"accounts/user:{member.uid}/entries/{entry_id}")
    alarm = documents.document(f"alarms/user:{member.uid}")
    honest = entry.get().to_dict() or {}
    entry.update({"delta_micros": honest["delta_micros"] // 10})

    first, again = audit(deployment), audit(deployment)

    assert broken_entries(first, member) == broken_entries(again, member) == [entry_id]
    raised = alarm.get().to_dict() or {}
    assert (raised["open"], raised["entry_id"]) == (True, entry_id)
    lines = [json.loads(line) for line in deployment.log.splitlines() if '"ledger_broken"' in line]
    assert ("CRITICAL", entry_id) in [(line["severity"], line["entry"]) for line in lines]

    entry.set(honest)
    assert broken_entries(audit(deployment), member) == []
    assert (alarm.get().to_dict() or {})["open"] is False
    assert broken_entries(audit(deployment), member) == []


def test_a_deleted_entry_is_noticed(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """A gap in the numbers is a break, whoever made it."""
    entry_id = answer(debit(deployment, member, 1_000_000, key="deleted"))["entry_id"]
    entry = documents.document(f"accounts/user:{member.uid}/entries/{entry_id}")
    honest = entry.get().to_dict() or {}
    entry.delete()

    assert len(broken_entries(audit(deployment), member)) == 1

    entry.set(honest)
    assert broken_entries(audit(deployment), member) == []


def test_a_richer_head_is_noticed(deployment: Deployment, member: Person, documents: firestore.Client) -> None:
    """A balance that no entry explains is a break."""
    head = documents.document(f"accounts/user:{member.uid}")
    honest = head.get().to_dict() or {}
    head.update({"lots": [{**lot, "remaining_micros": lot["remaining_micros"] * 2} for lot in honest["lots"]]})

    assert len(broken_entries(audit(deployment), member)) == 1

    head.set(honest)
    assert broken_entries(audit(deployment), member) == []


def test_a_user_may_not_audit(deployment: Deployment, member: Person) -> None:
    """Nor may a backend that debits."""
    assert refusal(call(deployment, "POST", AUDIT_PATH, member.token), 401) == "invalid_token"
    assert refusal(call(deployment, "POST", AUDIT_PATH, deployment.backend_token), 403) == "scope_missing"


def test_the_scheduler_needs_no_body(deployment: Deployment) -> None:
    """Cloud Scheduler posts nothing at all."""
    assert call(deployment, "POST", AUDIT_PATH, deployment.scheduler_token).status_code == 200
