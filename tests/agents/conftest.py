"""A client of a database that nobody used before."""

from collections.abc import AsyncIterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.stack import Stack
from tests.agents.yard import Yard


@pytest.fixture
async def client(
    stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[firestore.AsyncClient]:
    """Firestore's emulator, under a project of this test's own."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.AsyncClient(project=project_id, credentials=AnonymousCredentials())
    yield client
    client.close()


@pytest.fixture
async def yard(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    """A database with one rich person."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    yard = Yard(stack, project_id)
    await yard.open()
    yield yard
    await yard.close()
