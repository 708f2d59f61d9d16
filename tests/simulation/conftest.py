"""A client of the emulator for the test that kills real processes."""

import pytest
from google.cloud import firestore

from local.stack import Stack


@pytest.fixture
def client(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> firestore.AsyncClient:
    """A Firestore client of the test's own project."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    return firestore.AsyncClient(project=project_id)
