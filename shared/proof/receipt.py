"""Receipts that prove themselves: an entry and the way from it to a signed checkpoint, checked with a key alone.

The way: the entry's hash, then one content hash for each entry that followed, gives the hash in a statement; the
statement's digest is a leaf of the log; a Merkle proof leads from the leaf to the root that the checkpoint signs.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct

from shared.base.body import Body, Misshapen, shape
from shared.base.ids import AccountId, EntryId
from shared.base.merkle import ProofWrong, leaf_hash, verify_inclusion
from shared.base.micros import format_credits
from shared.ledger.chain import hash_entry, link
from shared.ledger.documents import entry_document, entry_from
from shared.ledger.errors import ChainBroken
from shared.ledger.models import Entry
from shared.proof.errors import NoteWrong, ReceiptWrong
from shared.proof.log import LoggedHead, Statement
from shared.proof.note import Checkpoint, VerifierKey, open_checkpoint

LINKS_MAX = 2_000
"""Entries of one account between two checkpoints, at 67 bytes of receipt each. A statement is made every minute."""
Value = TypeVar("Value")


class StatedHead(Body, frozen=True, kw_only=True):
    """The statement whose digest is in the log."""

    account: str
    seq: int
    hash: str
    balance_micros: int
    at_ms: int


class ReceiptProof(Body, frozen=True, kw_only=True):
    """What leads from the entry to the signature. Hashes are hexadecimal, `inclusion` from the leaf upwards."""

    links: list[str]
    statement: StatedHead
    leaf_index: int
    inclusion: list[str]
    checkpoint: str


class Receipt(Body, frozen=True, kw_only=True):
    """What a person reads first, then the entry as it is hashed, then its proof."""

    receipt_id: str
    kind: str
    credits: str
    balance_credits: str
    at: str
    facts: dict[str, str]
    entry: dict[str, Any]
    proof: ReceiptProof | None
    proof_missing: str | None
    """Why there is no proof, where there is none."""


class Verified(Struct, frozen=True):
    """What a receipt was found to prove."""

    entry: Entry
    checkpoint: Checkpoint


def write_receipt(entry: Entry, proof: ReceiptProof | None, missing: str | None) -> Receipt:
    """The receipt of an entry."""
    return Receipt(
        receipt_id=entry.entry_id,
        kind=entry.kind.value,
        credits=format_credits(entry.delta_micros),
        balance_credits=format_credits(entry.balance_micros),
        at=moment(entry.at_ms),
        facts=dict(entry.facts),
        entry=entry_document(entry),
        proof=proof,
        proof_missing=missing,
    )


def write_proof(head: LoggedHead, links: Sequence[str], inclusion: Sequence[bytes], note: str) -> ReceiptProof:
    """The proof in its written form."""
    statement = head.statement
    return ReceiptProof(
        links=list(links),
        statement=StatedHead(
            account=statement.account_id,
            seq=statement.seq,
            hash=statement.hash,
            balance_micros=statement.balance_micros,
            at_ms=statement.at_ms,
        ),
        leaf_index=head.leaf_index,
        inclusion=[hashed.hex() for hashed in inclusion],
        checkpoint=note,
    )


def verify_receipt(bundle: Mapping[str, Any], key: VerifierKey) -> Verified:
    """Check a receipt, as it came out of JSON, with the log's public key alone.

    Raise ReceiptWrong naming the first piece that fails: receipt, entry, summary, proof, links, statement, checkpoint,
    inclusion.
    """
    receipt = _piece("receipt", lambda: shape(Receipt, bundle))
    entry = _read_entry(receipt)
    if _piece("summary", lambda: write_receipt(entry, receipt.proof, receipt.proof_missing)) != receipt:
        raise ReceiptWrong("summary", "what is written for people is not what the entry says")
    proof = receipt.proof
    if proof is None:
        raise ReceiptWrong("proof", receipt.proof_missing or "there is none")
    if receipt.proof_missing is not None:
        # Words that nobody signed would stand in a receipt that holds.
        raise ReceiptWrong("proof", "it says that there is none, and there is one")
    _check_links(entry, proof)
    checkpoint = _piece("checkpoint", lambda: open_checkpoint(proof.checkpoint, key))
    _piece("inclusion", lambda: _check_inclusion(proof, checkpoint))
    return Verified(entry, checkpoint)


def follow_links(start: str, links: Sequence[str]) -> str:
    """The hash at the end of a chain of entries with these content hashes, the first of which follows `start`."""
    for content_hash in links:
        start = link(start, content_hash)
    return start


def moment(at_ms: int) -> str:
    """A time for people, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _read_entry(receipt: Receipt) -> Entry:
    entry = _piece("entry", lambda: entry_from(EntryId(receipt.receipt_id), receipt.entry))
    if entry.hash != _piece("entry", lambda: hash_entry(entry)):
        raise ReceiptWrong("entry", "it was changed: its hash differs")
    return entry


def _check_links(entry: Entry, proof: ReceiptProof) -> None:
    stated = proof.statement
    if len(proof.links) != stated.seq - entry.seq or len(proof.links) > LINKS_MAX:
        raise ReceiptWrong("links", f"{len(proof.links)} links do not lead from entry {entry.seq} to {stated.seq}")
    if _piece("links", lambda: follow_links(entry.hash, proof.links)) != stated.hash:
        raise ReceiptWrong("links", "they lead to another hash than the statement's")
    if stated.account != entry.account_id:
        raise ReceiptWrong("statement", f"it is about {stated.account}")
    if not proof.links and stated.balance_micros != entry.balance_micros:
        raise ReceiptWrong("statement", "it states another balance than the entry")


def _check_inclusion(proof: ReceiptProof, checkpoint: Checkpoint) -> None:
    stated = proof.statement
    statement = Statement(AccountId(stated.account), stated.seq, stated.hash, stated.balance_micros, stated.at_ms)
    inclusion = [bytes.fromhex(hashed) for hashed in proof.inclusion]
    if [hashed.hex() for hashed in inclusion] != proof.inclusion:
        raise ProofWrong("a hash is not written as it should be")
    verify_inclusion(
        inclusion,
        leaf=leaf_hash(statement.leaf),
        index=proof.leaf_index,
        size=checkpoint.size,
        root=checkpoint.root,
    )


def _piece(name: str, read: Callable[[], Value]) -> Value:
    try:
        return read()
    except ChainBroken as error:
        raise ReceiptWrong(name, error.reason) from None
    except (Misshapen, NoteWrong, ProofWrong, ValueError, OverflowError) as error:
        raise ReceiptWrong(name, str(error)) from None
