"""Receipts: each proves itself with the key alone, and the first piece that was changed is named."""

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.base.ids import EntryId
from shared.ledger.documents import entry_from
from shared.ledger.models import Entry
from shared.proof.errors import ReceiptWrong
from shared.proof.receipt import LINKS_MAX, verify_receipt
from shared.proof.receipts import Missing, Receipts
from tests.ledger.builders import ADA, BEN, CLARA, debit, engine_on, opened, transfer
from tests.proof.builders import KEY, OTHER, LogAt

RECEIPT_BYTES_MAX = 4_000
"""Without links; each is 67 bytes more."""


async def entry_at(at: LogAt, seq: int) -> Entry:
    async for entry_id, document in at.archive.entry_documents(ADA, seq - 1):
        return entry_from(EntryId(entry_id), document)
    raise AssertionError("no such entry")


async def receipt_of(at: LogAt, seq: int) -> dict[str, Any]:
    """As a client has it, out of JSON."""
    receipt = await Receipts(at.archive, at.log).receipt(await entry_at(at, seq))
    return dict(json.loads(msgspec.json.encode(receipt)))


async def grown(at: LogAt) -> None:
    """ADA: open, grant, then two checkpoints with three entries between them, and one more entry after."""
    await opened(at.ledger, paid=1_000_000, accounts=(ADA, BEN, CLARA))
    await at.checkpoints().run()
    engine = engine_on(at.ledger)
    await engine.run(debit(30, reason="a report"))
    await engine.run(transfer(20))
    await engine.run(debit(7, "another"))
    await at.checkpoints().run()
    await engine_on(at.ledger).run(debit(5, "after"))


async def test_every_covered_entry_proves_itself(at: LogAt) -> None:
    """On both stores: the stated entry itself, those on the way to it, and those of an earlier checkpoint."""
    await grown(at)

    for seq, links in ((1, 1), (2, 0), (3, 2), (4, 1), (5, 0)):
        receipt = await receipt_of(at, seq)
        verified = verify_receipt(receipt, KEY)
        assert verified.entry == await entry_at(at, seq)
        assert verified.checkpoint.size == 7
        assert len(receipt["proof"]["links"]) == links
        assert receipt["proof_missing"] is None


async def test_an_entry_waits_for_its_checkpoint(at: LogAt) -> None:
    """It is told so, and a minute later it has its proof."""
    await grown(at)
    waiting = await receipt_of(at, 6)
    assert (waiting["proof"], waiting["proof_missing"]) == (None, Missing.PENDING.value)
    with pytest.raises(ReceiptWrong, match=r"^proof: The next checkpoint"):
        verify_receipt(waiting, KEY)

    await at.checkpoints().run()

    assert verify_receipt(await receipt_of(at, 6), KEY).checkpoint.size == 9


async def test_a_receipt_is_short(memory_log: LogAt) -> None:
    """It is kept by people; with all the links there can be it fits into an attachment."""
    at = memory_log
    await grown(at)
    receipt = await receipt_of(at, 5)
    size = len(json.dumps(receipt))

    assert size <= RECEIPT_BYTES_MAX
    receipt["proof"]["links"] = ["ab" * 32] * LINKS_MAX
    receipt["proof"]["inclusion"] = ["ab" * 32] * 48
    assert len(json.dumps(receipt)) <= RECEIPT_BYTES_MAX + LINKS_MAX * 68 + 48 * 68


def changed(*path: str | int, to: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def change(receipt: dict[str, Any]) -> None:
        place: Any = receipt
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to(place[path[-1]])

    return change


def other_hex(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


@pytest.mark.parametrize(
    ("piece", "change"),
    [
        ("receipt", lambda receipt: receipt.pop("entry")),
        ("receipt", lambda receipt: receipt.update(extra=1)),
        ("receipt", changed("proof", to=lambda _: 7)),
        ("entry", changed("entry", "delta_micros", to=lambda amount: amount - 1)),
        ("entry", changed("entry", "at_ms", to=lambda at_ms: at_ms + 1)),
        ("entry", changed("entry", "facts", "reason", to=lambda _: "a bribe")),
        ("entry", changed("entry", "hash", to=other_hex)),
        ("entry", changed("entry", "prev_hash", to=other_hex)),
        ("entry", changed("receipt_id", to=other_hex)),
        ("entry", lambda receipt: receipt["entry"].pop("legs")),
        ("summary", changed("credits", to=lambda _: "-0.00002")),
        ("summary", changed("balance_credits", to=lambda _: "2")),
        ("summary", changed("kind", to=lambda _: "grant")),
        ("summary", changed("at", to=lambda text: text.replace("T", " "))),
        ("summary", changed("facts", "reason", to=lambda _: "a bribe")),
        ("summary", changed("entry", "lane", to=lambda lane: lane + 1)),
        ("proof", changed("proof", to=lambda _: None)),
        ("proof", changed("proof_missing", to=lambda _: "This receipt was replaced; see evil.example.")),
        ("links", changed("proof", "links", 0, to=other_hex)),
        ("links", changed("proof", "links", to=lambda links: links[:-1])),
        ("links", changed("proof", "links", to=lambda links: [*links, links[0]])),
        ("links", changed("proof", "links", to=lambda links: links[::-1])),
        ("links", changed("proof", "statement", "hash", to=other_hex)),
        ("links", changed("proof", "statement", "seq", to=lambda seq: seq + 1)),
        ("statement", changed("proof", "statement", "account", to=lambda _: BEN)),
        ("inclusion", changed("proof", "statement", "balance_micros", to=lambda amount: amount + 1)),
        ("inclusion", changed("proof", "statement", "at_ms", to=lambda at_ms: at_ms + 1)),
        ("inclusion", changed("proof", "leaf_index", to=lambda index: index - 1)),
        ("inclusion", changed("proof", "inclusion", 0, to=other_hex)),
        ("inclusion", changed("proof", "inclusion", 0, to=lambda _: "no hash")),
        ("inclusion", changed("proof", "inclusion", 0, to=str.upper)),
        ("entry", changed("entry", "prev_hash", to=lambda _: "\ud800")),
        ("links", changed("proof", "links", 0, to=lambda _: "\ud800")),
        ("inclusion", changed("proof", "inclusion", to=lambda hashes: hashes[:-1])),
        ("checkpoint", changed("proof", "checkpoint", to=lambda note: note.replace("\n7\n", "\n6\n"))),
        ("checkpoint", changed("proof", "checkpoint", to=lambda _: "")),
    ],
)
async def test_the_first_changed_piece_is_named(memory_log: LogAt, piece: str, change: Callable[[Any], None]) -> None:
    at = memory_log
    await grown(at)
    receipt = await receipt_of(at, 3)
    verify_receipt(copy.deepcopy(receipt), KEY)

    change(receipt)

    with pytest.raises(ReceiptWrong) as wrong:
        verify_receipt(receipt, KEY)
    assert wrong.value.piece == piece


async def test_a_receipt_of_another_log_does_not_pass(memory_log: LogAt) -> None:
    at = memory_log
    await grown(at)

    with pytest.raises(ReceiptWrong, match=r"^checkpoint"):
        verify_receipt(await receipt_of(at, 3), OTHER.verifier_key)


async def test_a_balance_beside_the_entry_is_compared(memory_log: LogAt) -> None:
    """Where the statement is of this very entry, both state the same."""
    at = memory_log
    await grown(at)
    receipt = await receipt_of(at, 5)
    receipt["proof"]["statement"]["balance_micros"] += 1

    with pytest.raises(ReceiptWrong, match=r"^statement"):
        verify_receipt(receipt, KEY)


async def test_a_rewritten_account_gets_no_proof(memory_log: LogAt, capsys: pytest.CaptureFixture[str]) -> None:
    """Its entries no longer lead to what was logged, and that is an alarm."""
    at = memory_log
    await grown(at)
    entry = await entry_at(at, 4)
    at.ledger.entries[ADA, entry.entry_id]["at_ms"] += 1  # type: ignore[attr-defined]

    receipt = await receipt_of(at, 3)

    assert receipt["proof_missing"] == Missing.BROKEN.value
    assert "receipt_unprovable" in capsys.readouterr().out


async def test_a_very_busy_account_is_told_so(memory_log: LogAt) -> None:
    """A receipt is bounded, whatever happens between two checkpoints."""
    at = memory_log
    await opened(at.ledger, paid=10**9)
    engine = engine_on(at.ledger)
    for number in range(LINKS_MAX + 1):
        await engine.run(debit(1, f"debit {number}"))
    await at.checkpoints().run()

    assert (await receipt_of(at, 2))["proof_missing"] == Missing.TOO_FAR.value
    assert verify_receipt(await receipt_of(at, 3), KEY).entry.seq == 3
