"""Logs for the tests that run on both stores: in memory and on the Firestore emulator."""

import pytest
from google.cloud import firestore

from local.stack import Stack
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.store import FirestoreLedgerStore
from shared.ledger.windows import FirestoreLedgerWindows
from shared.proof.memory import MemoryVault
from shared.proof.store import FirestoreLogStore
from shared.proof.sums import FirestoreEpochSums
from tests.proof.builders import LogAt, in_memory


@pytest.fixture
def memory_log() -> LogAt:
    return in_memory()


@pytest.fixture
def client(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> firestore.AsyncClient:
    """A Firestore client of the test's own project."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return firestore.AsyncClient(project=project_id)


@pytest.fixture
def firestore_log(client: firestore.AsyncClient) -> LogAt:
    return LogAt(
        FirestoreLedgerStore(client),
        FirestoreLedgerArchive(client),
        FirestoreLogStore(client),
        FirestoreEpochSums(client, FirestoreLedgerWindows(client)),
        MemoryVault(),
    )


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def at(request: pytest.FixtureRequest) -> LogAt:
    """The same log on both stores. Firestore is looked up late, so that the fast tests do not start it."""
    kept: LogAt = request.getfixturevalue(f"{request.param}_log")
    return kept
