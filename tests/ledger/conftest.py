"""Stores and archives for the tests that run on both: in memory and on the Firestore emulator."""

import pytest
from google.cloud import firestore

from local.stack import Stack
from shared.ledger.memory import MemoryLedgerStore
from tests.ledger.builders import FaultyStore
from tests.ledger.tampering import LedgerAt, OnFirestore, in_memory


@pytest.fixture
def memory() -> MemoryLedgerStore:
    return MemoryLedgerStore()


@pytest.fixture
def store(memory: MemoryLedgerStore) -> FaultyStore:
    """The same store, with faults on demand."""
    return FaultyStore(memory)


@pytest.fixture
def client(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> firestore.AsyncClient:
    """A Firestore client of the test's own project."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return firestore.AsyncClient(project=project_id)


@pytest.fixture
def memory_ledger() -> LedgerAt:
    return in_memory()


@pytest.fixture
def firestore_ledger(client: firestore.AsyncClient) -> OnFirestore:
    return OnFirestore(client)


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def ledger(request: pytest.FixtureRequest) -> LedgerAt:
    """The same ledger on both stores. Firestore is looked up late, so that the fast tests do not start it."""
    kept: LedgerAt = request.getfixturevalue(f"{request.param}_ledger")
    return kept
