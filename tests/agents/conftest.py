"""A client of a database that nobody used before."""

from collections.abc import AsyncIterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.stack import Stack


@pytest.fixture
async def client(
    stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[firestore.AsyncClient]:
    """Firestore's emulator, under a project of this test's own."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.AsyncClient(project=project_id, credentials=AnonymousCredentials())
    yield client
    client.close()
