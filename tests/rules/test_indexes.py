"""Every query we send is served by `firestore.indexes.json`, and postings pay for no index that nobody queries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.rules.exercises import EXERCISES
from tests.rules.indexes import load_index_file, require_index
from tests.rules.recorder import BUILDERS, UNJUDGED, Recording, source_call_sites
from tests.rules.worded import query_in_words


@pytest.fixture
def client(stack: Any, project_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncClient]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.environment(project_id)["FIRESTORE_EMULATOR_HOST"])
    client = AsyncClient(project=project_id, credentials=AnonymousCredentials())
    yield client
    client.close()


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_our_query_is_served(client: AsyncClient, recorded_queries: Recording, exercise: str) -> None:
    await EXERCISES[exercise](client)

    assert recorded_queries.queries
    for query in recorded_queries.queries:
        require_index(query, load_index_file())


async def test_every_query_in_our_source_is_exercised(client: AsyncClient, recorded_queries: Recording) -> None:
    for exercise in EXERCISES.values():
        await exercise(client)

    missed = source_call_sites(BUILDERS) - recorded_queries.call_sites
    assert not missed, f"no exercise reaches {', '.join(map(str, sorted(missed)))}"


def test_our_source_sends_no_query_that_is_not_judged() -> None:
    assert not source_call_sites(UNJUDGED)


def test_the_source_scan_finds_each_call_of_a_chain(tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text(
        "a = (\n    b.where(c)\n    .where(d).limit(1)\n    .order_by('e')\n)\nwhere(f)\n"
    )

    assert [site.line for site in sorted(source_call_sites(BUILDERS, [tmp_path]))] == [2, 3, 4]


async def test_the_recorder_names_the_call_that_the_scan_found(recorded_queries: Recording) -> None:
    collection = AsyncClient(project="p", credentials=AnonymousCredentials()).collection("accounts")
    (
        collection.where(filter=FieldFilter("a", "==", 1))
        .where(filter=FieldFilter("b", "==", 2))
        .order_by("c")
    )  # fmt: skip

    here = {
        site for site in source_call_sites(BUILDERS, [Path(__file__).parent]) if site.path.endswith("test_indexes.py")
    }
    assert len(here & recorded_queries.call_sites) == 3


UNINDEXED_FIELDS = ["lane", "committed_at", "at_ms", "hash", "kind", "legs", "facts", "facts.model", "request_hash"]


@pytest.mark.parametrize("field", UNINDEXED_FIELDS)
def test_a_posting_pays_for_no_index_of_an_entry_but_seq(field: str) -> None:
    assert load_index_file().single("entries", field) == []


def test_a_posting_pays_for_one_composite_index_and_for_another_when_it_owes_a_person() -> None:
    """Settlement reads by lane, a payee reads their own sales; an entry that names no payee is not in the second."""
    entries = [index["fields"] for index in load_index_file().composites if index["collectionGroup"] == "entries"]

    assert [fields[0]["fieldPath"] for fields in entries] == ["lane", "payees"]
    assert [fields[1]["fieldPath"] for fields in entries] == ["committed_at", "committed_at"]


@pytest.mark.parametrize("group", ["entries", "notifications"])
def test_a_client_that_lists_its_newest_is_served(group: str) -> None:
    require_index(query_in_words(f"{group} by seq-"), load_index_file())


@pytest.mark.parametrize("field", ["at_ms", "created_at", "read", "kind", "text"])
def test_a_notice_pays_for_no_index_but_seq(field: str) -> None:
    assert load_index_file().single("notifications", field) == []


@pytest.mark.parametrize("field", ["seq", "lane", "posted_at", "spent_micros", "holds", "holds.h1.amount_micros"])
def test_a_posting_pays_for_no_single_field_index_of_a_head(field: str) -> None:
    assert load_index_file().single("accounts", field) == []


def test_a_posting_pays_for_one_index_of_a_balance() -> None:
    """The sum over all accounts, which is signed every minute, reads it instead of every head."""
    assert load_index_file().single("accounts", "balance_micros") == [("COLLECTION", "ASCENDING")]


def test_an_append_pays_for_no_index_of_the_log() -> None:
    for group in ("log", "log_heads", "log_tiles", "statements"):
        assert load_index_file().single(group, "leaf_index") == []


def test_no_time_is_indexed_alone() -> None:
    """A monotone indexed field caps its collection at about 500 writes a second."""
    leading = {index["fields"][0]["fieldPath"] for index in load_index_file().composites}
    # Orders are behind their rail, sessions behind their status: nobody sells or ends five hundred of them a second.
    # Jobs are behind their owner; checkpoints below their job, and messages below their conversation.
    assert leading == {"lane", "payees", "rail", "status", "owner", "ns", "state"}
    for group in ("accounts", "entries", "audit_marks"):
        assert [load_index_file().single(group, name) for name in ("at", "posted_at", "committed_at")] == [[], [], []]
