"""What is stored comes back the same; a document of any other shape is a broken chain and nothing worse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.ids import AccountId, EntryId, HoldId
from shared.ledger.documents import LANES, entry_document, entry_from, head_document, head_from, lane_of
from shared.ledger.errors import ChainBroken
from shared.ledger.models import (
    Entry,
    EntryKind,
    Head,
    Hold,
    Leg,
    Lot,
    LotChange,
    Origin,
    RateWindow,
    Status,
)
from tests.ledger.builders import ADA
from tests.ledger.test_store_contract import entry_of, head_of

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=12)
account_ids = texts.map(AccountId)
hold_ids = texts.filter(lambda text: text not in ("", "-")).map(HoldId)
"""Both stand for no hold where they are hashed."""
origins = st.sampled_from(Origin)
holds = st.builds(Hold, hold_ids, integers, integers, integers)

heads = st.builds(
    Head,
    account_id=account_ids,
    seq=integers,
    hash=texts,
    lots=st.lists(st.builds(Lot, origins, st.none() | integers, integers), max_size=4).map(tuple),
    spent_micros=integers,
    holds=st.lists(holds, max_size=4).map(lambda held: {hold.hold_id: hold for hold in held}),
    window=st.builds(RateWindow, integers, integers),
    status=st.sampled_from(Status),
)
entries = st.builds(
    Entry,
    account_id=account_ids,
    entry_id=texts.map(EntryId),
    seq=integers,
    prev_hash=texts,
    kind=st.sampled_from(EntryKind),
    delta_micros=integers,
    balance_micros=integers,
    lots=st.lists(st.builds(LotChange, origins, st.none() | integers, integers), max_size=4).map(tuple),
    legs=st.lists(st.builds(Leg, account_ids, origins, integers), max_size=4).map(tuple),
    hold_id=st.none() | hold_ids,
    request_hash=texts,
    facts=st.dictionaries(texts, texts, max_size=4).map(lambda facts: tuple(sorted(facts.items()))),
    at_ms=integers,
    hash=texts,
)


@given(heads)
def test_a_head_comes_back(head: Head) -> None:
    assert head_from(head.account_id, head_document(head)) == head


@given(entries)
def test_an_entry_comes_back(entry: Entry) -> None:
    assert entry_from(entry.entry_id, entry_document(entry)) == entry


@given(account_ids)
def test_a_lane_is_one_of_them(account_id: AccountId) -> None:
    assert 0 <= lane_of(account_id) < LANES
    assert lane_of(account_id) == lane_of(AccountId(str(account_id)))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a document."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    found = [path] if path else []
    for key in keys:
        found += places(document[key], (*path, key))
    return found


def is_fine(old: Any, new: Any) -> bool:
    """Whether `new` has a type that may stand where `old` did."""
    return (old is None and type(new) is int) or (type(new) is type(old) and not isinstance(old, dict | list))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


UNHASHED = {"lane", "payees"}
"""Not part of the value; those who check read it from the document."""
NAMES_OF_THE_CALLER = {"holds", "facts"}
"""Maps whose keys are free, so a key less or more is another value and not another shape."""


@pytest.mark.parametrize("document", [head_document(head_of()), entry_document(entry_of())], ids=["head", "entry"])
def test_a_document_of_another_shape_is_a_broken_chain(document: dict[str, Any]) -> None:
    """Whatever is missing, or of another type than it should be."""

    def read(changed: dict[str, Any]) -> None:
        if "holds" in document:
            head_from(ADA, changed)
        else:
            entry_from(EntryId("e"), changed)

    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copied(inner) for key, inner in value.items()}
        return [copied(inner) for inner in value] if isinstance(value, list) else value

    read(copied(document))
    for path in places(document):
        if path[0] in UNHASHED:
            continue
        for wrong in (1.5, True, b"bytes", [3], {"x": 3}, "other" * 20, 7):
            if is_fine(at(document, path), wrong):
                continue
            changed = copied(document)
            at(changed, path[:-1])[path[-1]] = wrong
            with pytest.raises(ChainBroken):
                read(changed)
        if path[-2:-1] not in {(name,) for name in NAMES_OF_THE_CALLER} and not isinstance(path[-1], int):
            changed = copied(document)
            del at(changed, path[:-1])[path[-1]]
            with pytest.raises(ChainBroken):
                read(changed)


@pytest.mark.parametrize("name", ["lots", "legs"])
@pytest.mark.parametrize("empty", ["", b"", {}, None], ids=repr)
def test_what_is_empty_and_no_list_is_not_read_as_one(name: str, empty: object) -> None:
    with pytest.raises(ChainBroken):
        entry_from(EntryId("e"), {**entry_document(entry_of()), name: empty})


@pytest.mark.parametrize("hold_id", ["", "-"])
def test_a_hold_named_like_none_is_refused(hold_id: str) -> None:
    """It would be hashed like an entry without a hold."""
    with pytest.raises(ChainBroken):
        entry_from(EntryId("e"), {**entry_document(entry_of()), "hold_id": hold_id})


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_an_unknown_format_is_not_guessed_at(number: object) -> None:
    with pytest.raises(ChainBroken):
        entry_from(EntryId("e"), {**entry_document(entry_of()), "format": number})


def test_an_entry_that_is_malformed_is_named() -> None:
    with pytest.raises(ChainBroken) as caught:
        entry_from(EntryId("e"), {**entry_document(entry_of()), "seq": "1"})

    assert (caught.value.account_id, caught.value.entry_id) == (ADA, "e")
