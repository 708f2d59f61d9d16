"""receipt_get: the caller's own receipts, and no sign that anybody else's exist."""

from pathlib import Path

import pytest

from credence.__main__ import main
from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.proof.note import VerifierKey
from shared.proof.receipt import verify_receipt
from tests.clients import add_member, answer, call, debit, refusal


def charge(deployment: Deployment, person: Person) -> str:
    """Spend a little; the id of the receipt."""
    return str(answer(debit(deployment, person, 1_500_000, key="receipt", reason="a report"))["entry_id"])


def test_a_receipt_tells_what_was_charged_and_all_that_its_hash_covers(deployment: Deployment, member: Person) -> None:
    """A person reads the first part, a verifier the second."""
    receipt_id = charge(deployment, member)

    receipt = answer(call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token))

    assert receipt["receipt_id"] == receipt_id
    assert (receipt["kind"], receipt["credits"], receipt["balance_credits"]) == ("debit", "-1.5", "248.5")
    assert receipt["facts"]["reason"] == "a report"
    entry = receipt["entry"]
    assert entry["delta_micros"] + sum(leg["amount_micros"] for leg in entry["legs"]) == 0
    assert len(entry["hash"]) == len(entry["prev_hash"]) == 64


def test_a_receipt_proves_itself_a_minute_later(deployment: Deployment, member: Person, tmp_path: Path) -> None:
    """Until the checkpoint it says that it waits; then the key alone is enough, here and on the command line."""
    receipt_id = charge(deployment, member)
    answer(debit(deployment, member, 1_000, key="after"))
    waiting = answer(call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token))
    assert waiting["proof"] is None
    assert "ask again in a minute" in waiting["proof_missing"]
    answer(call(deployment, "POST", "/_timers/ledger_checkpoint", deployment.scheduler_token, json={}))

    response = call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token)

    verified = verify_receipt(answer(response), VerifierKey.parse(deployment.verifier_key))
    assert (verified.entry.entry_id, verified.entry.delta_micros) == (receipt_id, -1_500_000)
    file = tmp_path / "receipt.json"
    file.write_bytes(response.content)
    assert main(["verify", "receipt", str(file), "--key", deployment.verifier_key]) == 0


def test_the_log_is_consistent_over_http(deployment: Deployment, member: Person, tmp_path: Path) -> None:
    """Whoever kept an older checkpoint checks the newer one against it, with tiles from the public address."""
    notes = []
    for number in range(2):
        answer(debit(deployment, member, 1_000, key=f"minute-{number}"))
        answer(call(deployment, "POST", "/_timers/ledger_checkpoint", deployment.scheduler_token, json={}))
        notes.append(tmp_path / f"{number}.note")
        notes[-1].write_bytes(call(deployment, "GET", "/log/checkpoint").content)

    log = ["--log", f"{deployment.url}/log", "--key", deployment.verifier_key]
    assert main(["verify", "consistency", *map(str, notes), *log]) == 0


def test_another_persons_receipt_looks_like_none(stack: Stack, deployment: Deployment, member: Person) -> None:
    """The two refusals are the same, so that nobody learns which ids exist."""
    other = add_member(stack, deployment)
    receipt_id = charge(deployment, other)

    foreign = call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token)
    absent = call(deployment, "GET", f"/v1/receipts/{'0' * 64}", member.token)

    assert refusal(foreign, 404) == refusal(absent, 404) == "receipt_not_found"
    assert foreign.json() == absent.json()


@pytest.mark.parametrize(
    "receipt_id",
    [
        "0" * 63,
        "0" * 65,
        "A" * 64,
        "g" * 64,
        "0" * 64 + "%0A",
        "0" * 32 + "%09" + "0" * 32,
        "0" * 64 + "%3Fx",
        "0" * 64 + "%23x",
        "%00" * 64,
        "%FF" * 64,
        "..",
        "%2E%2E",
        "x",
        "٠" * 64,
    ],
)
def test_a_malformed_id_is_refused(deployment: Deployment, member: Person, receipt_id: str) -> None:
    """It never reaches the database."""
    response = call(deployment, "GET", f"/v1/receipts/{receipt_id}", member.token)

    assert response.status_code in (400, 404), response.text
    assert response.json()["error"]["code"] in ("invalid_request", "unknown_url")


@pytest.mark.parametrize("path", ["/v1/receipts", "/v1/receipts/", "/v1/receipts/{id}/more", "/v1/receipts/..%2F{id}"])
def test_nothing_lies_beside_the_receipts(deployment: Deployment, member: Person, path: str) -> None:
    """There is no list, and nothing below a receipt."""
    receipt_id = charge(deployment, member)

    assert refusal(call(deployment, "GET", path.format(id=receipt_id), member.token), 404) == "unknown_url"


def test_the_id_belongs_in_the_path(deployment: Deployment, member: Person) -> None:
    """An id in the query is a mistake, not a second way."""
    receipt_id = charge(deployment, member)

    response = call(deployment, "GET", f"/v1/receipts/{receipt_id}?receipt_id={receipt_id}", member.token)

    assert (refusal(response, 400), response.json()["error"]["param"]) == ("invalid_request", "receipt_id")


def test_a_receipt_needs_its_owner(deployment: Deployment, member: Person) -> None:
    """Knowing the id is not enough."""
    receipt_id = charge(deployment, member)

    assert refusal(call(deployment, "GET", f"/v1/receipts/{receipt_id}"), 401) == "missing_token"
    assert refusal(call(deployment, "GET", f"/v1/receipts/{receipt_id}", deployment.backend_token), 401)
