"""Firestore clients of the tests' own, on the emulator or where nobody answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore


@asynccontextmanager
async def firestore_at(address: str, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
    """A client of one project on the emulator at host:port, closed at the end."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", address)
        client = firestore.AsyncClient(project=project_id, credentials=AnonymousCredentials())
        yield client
        client.close()
