"""What a client may do with Firestore: every actor against every kind of document, on the real rules and emulator."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import PermissionDenied

from tests.rules.access import ACTORS, QUERIES, TABLE, TRICKY_UIDS
from tests.rules.database import ADMIN, CALL_TIMEOUT_S, Database, Metadata

RULES = Path(__file__).parents[2] / "firestore.rules"


@pytest.fixture
def database(stack: Any, project_id: str) -> Iterator[Database]:
    """A project under the repository's rules, whatever rules the emulator was started with."""
    host = stack.environment(project_id)["FIRESTORE_EMULATOR_HOST"]
    files = [{"name": RULES.name, "content": RULES.read_text()}]
    address = f"http://{host}/emulator/v1/projects/{project_id}:securityRules"
    requests.put(address, json={"rules": {"files": files}}, timeout=CALL_TIMEOUT_S).raise_for_status()
    database = Database(host, project_id)
    yield database
    database.close()


def _column(actor: str) -> dict[str, str]:
    header, _, *rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    index = header.index("tricky" if actor.startswith("tricky") else actor)
    return {row[0]: row[index] for row in rows}


def _allowed(database: Database, paths: list[str], metadata: Metadata) -> dict[str, str]:
    """What the actor may do with each document and each query, in the words of the table."""
    allowed: dict[str, list[str]] = {what: [] for what in (*paths, *QUERIES)}

    def try_all(operation: str) -> None:
        for path in paths:
            if _succeeds(lambda path=path: database.try_document(operation, path, metadata)):
                allowed[path].append(operation)

    # Creating needs their absence and the rest their presence; a denied attempt leaves both as they are.
    try_all("create")
    database.seed(paths)
    try_all("get")
    for name, query in QUERIES.items():
        if _succeeds(lambda query=query: database.try_query(query, metadata)):
            allowed[name].append("list")
    try_all("update")
    try_all("delete")
    return {what: " ".join(operations) or "-" for what, operations in allowed.items()}


def _succeeds(attempt: Callable[[], None]) -> bool:
    # Only a denial by the rules counts as one; any other failure is a fault of the test.
    try:
        attempt()
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("actor", ACTORS)
def test_an_actor_may_do_what_the_table_says_and_nothing_else(database: Database, actor: str) -> None:
    expected = _column(actor)
    paths = [what for what in expected if what not in QUERIES]

    allowed = _allowed(database, paths, database.metadata(*ACTORS[actor]))

    assert allowed == expected


@pytest.mark.parametrize("uid", [uid for uid in TRICKY_UIDS if uid and "/" not in uid])
def test_a_user_with_a_tricky_id_reads_their_own_wallet_like_anybody(database: Database, uid: str) -> None:
    paths = [f"accounts/user:{uid}", f"accounts/user:{uid}/entries/first"]
    database.seed(paths)

    for path in paths:
        database.try_document("get", path, database.metadata(uid, {}))


NOTICE = "users/alice/notifications/first"
TEXT, READ, UNREAD = {"string_value": "Low."}, {"boolean_value": True}, {"boolean_value": False}
MARK = {"read": READ}
UPDATES: dict[str, tuple[str, bool, dict[str, Any], tuple[str, ...]]] = {
    "nobody marks it as read": ("nobody", False, MARK, ("read",)),
    "another marks it as read": ("bob", False, MARK, ("read",)),
    "an operator marks it as read": ("bob with claims", False, MARK, ("read",)),
    "its owner takes the mark back": ("alice", True, {"read": UNREAD}, ("read",)),
    "its owner marks it again": ("alice", True, MARK, ("read",)),
    "its owner leaves it as it is": ("alice", False, {"read": UNREAD}, ("read",)),
    "its owner marks it with a word": ("alice", False, {"read": {"string_value": "true"}}, ("read",)),
    "its owner marks it with a number": ("alice", False, {"read": {"integer_value": 1}}, ("read",)),
    "its owner deletes the mark": ("alice", False, {}, ("read",)),
    "its owner rewrites the text": ("alice", False, {"text": {"string_value": "High."}}, ("text",)),
    "its owner marks it and rewrites the text": ("alice", False, {**MARK, "text": UNREAD}, ("read", "text")),
    "its owner marks it and deletes the text": ("alice", False, MARK, ("read", "text")),
    "its owner marks it and adds a field": ("alice", False, {**MARK, "note": TEXT}, ("read", "note")),
}
"""Who does what to a notice that was read or not: the fields written, and the mask. All of it is denied."""


@pytest.mark.parametrize("what", UPDATES)
def test_nothing_of_a_notice_can_be_changed_but_its_mark(database: Database, what: str) -> None:
    actor, was_read, fields, mask = UPDATES[what]
    database.write_fields(NOTICE, {"text": TEXT, "read": READ if was_read else UNREAD}, ("text", "read"), ADMIN)

    with pytest.raises(PermissionDenied):
        database.write_fields(NOTICE, fields, mask, database.metadata(*ACTORS[actor]))


def test_the_owner_of_a_notice_marks_it_as_read(database: Database) -> None:
    database.write_fields(NOTICE, {"text": TEXT, "read": UNREAD}, ("text", "read"), ADMIN)

    database.write_fields(NOTICE, MARK, ("read",), database.metadata("alice", {}))


def test_the_owner_of_a_notice_that_was_never_written_cannot_mark_it(database: Database) -> None:
    with pytest.raises(PermissionDenied):
        database.write_fields(NOTICE, MARK, ("read",), database.metadata("alice", {}))


JOB, CHUNK = "jobs/alices", "jobs/alices/chunks/1-0-0"


@pytest.mark.parametrize(
    ("state", "preview", "is_shown"),
    [
        ("queued", False, False),
        ("running", False, False),
        ("running", True, True),
        ("failed", False, False),
        ("expired", False, False),
        ("succeeded", False, True),
        ("succeeded", True, True),
    ],
)
def test_a_picture_is_shown_once_it_is_charged(database: Database, state: str, preview: bool, is_shown: bool) -> None:
    """To the owner of its job and nobody else; a preview before that."""
    job = {"owner": {"string_value": "alice"}, "state": {"string_value": state}}
    database.write_fields(JOB, job, job, ADMIN)
    database.write_fields(CHUNK, {"preview": {"boolean_value": preview}}, ("preview",), ADMIN)

    def may_read(actor: str) -> bool:
        return _succeeds(lambda: database.try_document("get", CHUNK, database.metadata(*ACTORS[actor])))

    assert may_read("alice") == is_shown
    assert not any(may_read(actor) for actor in ACTORS if actor != "alice")
