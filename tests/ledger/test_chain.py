"""The format: golden vectors, no ambiguity, every field covered; and a walk names the first entry that does not fit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from shared.base.ids import AccountId, EntryId, HoldId
from shared.ledger.chain import ENTRY_TAG, Walk, encode, hash_entry, seal
from shared.ledger.documents import FORMAT, entry_from
from shared.ledger.errors import ChainBroken
from shared.ledger.models import Entry, EntryKind, Head, Leg, Lot, LotChange, Origin
from tests.ledger.builders import ADA, BEN, DAY, NOW, capture, debit, grant, open_account, place, transfer

GOLDEN = Path(__file__).parent.parent / "golden"


def golden(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text())
    return vectors


def plainly_encoded(texts: list[str]) -> bytes:
    """The encoding once more, from its description alone."""
    return b"".join(str(len(t.encode())).encode() + b":" + t.encode() + b"," for t in texts)


def plainly_hashed(e: dict[str, Any]) -> str:
    """The entry hash once more, from its description alone, over the document as JSON shows it."""
    texts = ["credence.entry.v1", e["account"], e["entry_id"], str(e["seq"]), e["kind"]]
    texts += [str(e["delta_micros"]), str(e["balance_micros"]), e["hold_id"] or "-", e["request_hash"], str(e["at_ms"])]
    texts.append(str(len(e["lots"])))
    for lot in e["lots"]:
        expiry = "-" if lot["expires_at_ms"] is None else str(lot["expires_at_ms"])
        texts += [lot["origin"], expiry, str(lot["delta_micros"])]
    texts.append(str(len(e["legs"])))
    for leg in e["legs"]:
        texts += [leg["account"], leg["origin"], str(leg["amount_micros"])]
    texts.append(str(len(e["facts"])))
    for name in sorted(e["facts"]):
        texts += [name, e["facts"][name]]
    content_hash = hashlib.sha256(plainly_encoded(texts)).hexdigest()
    return hashlib.sha256(plainly_encoded(["credence.link.v1", e["prev_hash"], content_hash])).hexdigest()


@pytest.mark.parametrize("vector", golden("entries"), ids=lambda vector: vector["kind"])
def test_entries_hash_as_they_always_did(vector: dict[str, Any]) -> None:
    entry = entry_from(EntryId(vector["entry_id"]), {**vector, "format": FORMAT})

    assert hash_entry(entry) == vector["hash"] == plainly_hashed(vector)


@pytest.mark.parametrize("vector", golden("encodings"))
def test_fields_encode_as_they_always_did(vector: dict[str, Any]) -> None:
    assert encode(vector["fields"]).hex() == vector["encoded_hex"] == plainly_encoded(vector["fields"]).hex()


@given(st.lists(st.text(max_size=4) | st.builds(str.__mul__, st.sampled_from("xü"), st.integers(120, 300)), max_size=6))
def test_fields_of_any_length_encode_as_described(texts: list[str]) -> None:
    assert encode(texts) == plainly_encoded(texts)


def test_requests_hash_as_they_always_did() -> None:
    operations = [
        open_account(),
        grant(1000, "k", promo_until=NOW),
        debit(7, "k", reason="ünï"),
        capture(9),
        transfer(3),
    ]
    for operation, vector in zip(operations, golden("requests"), strict=True):
        plain = hashlib.sha256(plainly_encoded(["credence.request.v1", *vector["fields"]])).hexdigest()
        assert operation.request_hash == vector["request_hash"] == plain


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_fields_never_encode_alike(one: list[str], other: list[str]) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=5), st.data())
def test_moving_a_character_between_neighbours_changes_the_encoding(texts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(texts) - 2))
    moved = [*texts]
    moved[at], moved[at + 1] = texts[at][:-1], texts[at][-1] + texts[at + 1]

    assert encode(moved) != encode(texts)


WHOLE = seal(
    Entry(
        account_id=ADA,
        entry_id=EntryId("e"),
        seq=2,
        prev_hash="p",
        kind=EntryKind.DEBIT,
        delta_micros=-3,
        balance_micros=4,
        lots=(LotChange(Origin.PAID, None, -3),),
        legs=(Leg(BEN, Origin.PAID, 3),),
        hold_id=None,
        request_hash="r",
        facts=(("name", "value"),),
        at_ms=NOW,
    )
)
CHANGES: dict[str, list[Any]] = {
    "account_id": [BEN],
    "entry_id": [EntryId("f")],
    "seq": [3],
    "prev_hash": ["q"],
    "kind": [EntryKind.CAPTURE],
    "delta_micros": [-4, 3],
    "balance_micros": [5],
    "lots": [(), (LotChange(Origin.PROMO, None, -3),), (LotChange(Origin.PAID, 0, -3),), WHOLE.lots * 2],
    "legs": [(), (Leg(ADA, Origin.PAID, 3),), (Leg(BEN, Origin.PROMO, 3),), (Leg(BEN, Origin.PAID, 4),)],
    "hold_id": [HoldId("h")],
    "request_hash": ["s"],
    "facts": [(), (("names", "value"),), (("name", "values"),), (("namev", "alue"),)],
    "at_ms": [NOW + 1],
}


@pytest.mark.parametrize("name", [field.name for field in fields(Entry) if field.name != "hash"])
def test_every_field_of_an_entry_is_hashed(name: str) -> None:
    """A field added to Entry fails here until it is hashed and listed above."""
    for value in CHANGES[name]:
        assert hash_entry(replace(WHOLE, **{name: value})) != WHOLE.hash


def test_an_absent_expiry_is_not_one_at_zero() -> None:
    assert ENTRY_TAG == "credence.entry.v1"
    sealed = {seal(replace(WHOLE, lots=(LotChange(Origin.PAID, e, -3),))).hash for e in (None, 0, -1, 1)}

    assert len(sealed) == 4


def chain() -> tuple[list[Entry], Head]:
    """open, grant, promotional grant, debit, capture of a hold."""
    head = open_account().apply({ADA: None}).heads[0]
    entries = list(open_account().apply({ADA: None}).entries)
    for operation in (grant(100), grant(40, "promo", promo_until=NOW + DAY), debit(10), place(20), capture(15)):
        step = operation.apply({ADA: head})
        head = step.heads[0]
        entries += step.entries
    return entries, head


def walked(entries: list[Entry], head: Head) -> Walk:
    walk = Walk(ADA)
    for entry in entries:
        walk.step(entry)
    walk.finish(head)
    return walk


def test_a_whole_chain_folds_to_its_head() -> None:
    entries, head = chain()

    walk = walked(entries, head)

    assert (walk.seq, walk.balance_micros, walk.spent_micros) == (5, 115, 25)


TAMPERED: dict[str, tuple[Any, int]] = {
    "deleted": (lambda e: [*e[:2], *e[3:]], 4),
    "doubled": (lambda e: [*e[:3], e[2], *e[3:]], 3),
    "swapped": (lambda e: [*e[:2], e[3], e[2], e[4]], 4),
    "edited": (lambda e: [*e[:2], replace(e[2], at_ms=1), *e[3:]], 3),
    "resealed": (lambda e: [*e[:2], seal(replace(e[2], at_ms=1)), *e[3:]], 4),
    "renumbered": (lambda e: [*e[:4], seal(replace(e[4], seq=6))], 6),
    "first missing": (lambda e: e[1:], 2),
    "another account's": (lambda e: [*e[:2], seal(replace(e[2], account_id=BEN)), *e[3:]], 3),
    "opened twice": (lambda e: [*e[:3], seal(replace(e[3], kind=EntryKind.OPEN)), e[4]], 4),
    "never opened": (lambda e: [seal(replace(e[0], kind=EntryKind.GRANT)), *e[1:]], 1),
    "delta without lots": (lambda e: [*e[:3], seal(replace(e[3], delta_micros=-9)), e[4]], 4),
    "lots without delta": (
        lambda e: [
            *e[:3],
            seal(replace(e[3], delta_micros=-9, legs=(Leg(AccountId("house:revenue"), Origin.PROMO, 9),))),
            e[4],
        ],
        4,
    ),
    "minted": (lambda e: [*e[:3], seal(replace(e[3], legs=())), e[4]], 4),
    "a gift turned into what was paid for": (
        lambda e: [*e[:2], seal(replace(e[2], lots=(LotChange(Origin.PAID, None, 40),))), *e[3:]],
        3,
    ),
    "wrong balance": (lambda e: [*e[:3], seal(replace(e[3], balance_micros=131)), e[4]], 4),
    "overdrawn lot": (
        lambda e: [
            *e[:3],
            seal(
                replace(
                    e[3],
                    delta_micros=-41,
                    balance_micros=99,
                    lots=(LotChange(Origin.PROMO, NOW + DAY, -41),),
                    legs=(Leg(AccountId("house:revenue"), Origin.PROMO, 41),),
                )
            ),
            e[4],
        ],
        4,
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_named(name: str) -> None:
    entries, head = chain()
    tamper, bad_seq = TAMPERED[name]

    with pytest.raises(ChainBroken) as caught:
        walked(tamper(entries), head)

    assert caught.value.seq == bad_seq


@pytest.mark.parametrize("name", TAMPERED)
def test_a_failed_step_leaves_the_walk_at_the_last_good_entry(name: str) -> None:
    entries, _ = chain()
    tamper, _ = TAMPERED[name]
    walk = Walk(ADA)
    good: dict[str, Any] = {}
    try:
        for entry in tamper(entries):
            good = dict(vars(walk))
            walk.step(entry)
    except ChainBroken:
        assert vars(walk) == good
    else:
        pytest.fail("nothing was found")


@pytest.mark.parametrize(
    "changed",
    [{"seq": 4}, {"hash": "h"}, {"lots": (Lot(Origin.PAID, None, 115),)}, {"spent_micros": 24}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_head_that_is_not_the_fold_is_found(changed: dict[str, Any]) -> None:
    entries, head = chain()

    with pytest.raises(ChainBroken):
        walked(entries, replace(head, **changed))


def test_a_cut_tail_is_found_by_the_head() -> None:
    entries, head = chain()

    with pytest.raises(ChainBroken):
        walked(entries[:-1], head)
