"""People of the shared deployment, and its raw documents."""

from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, add_person


@pytest.fixture
def newcomer(stack: Stack, deployment: Deployment) -> Person:
    """Somebody signed in, with a verified address and no account yet."""
    return add_person(stack, deployment)


@pytest.fixture
def member(stack: Stack, deployment: Deployment) -> Person:
    """Somebody with a started account and the first stage of the welcome bonus."""
    return add_member(stack, deployment)


@pytest.fixture
def documents(stack: Stack, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    """The deployment's database as an administrator sees it, past all rules."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.Client(project=deployment.project_id, credentials=AnonymousCredentials())
    yield client
    client.close()
