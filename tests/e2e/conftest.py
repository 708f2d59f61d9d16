"""What tests over a deployment share: official clients, and the ledger behind the functions."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_member
from tests.e2e.books import Books


@pytest.fixture
def member(stack: Stack, deployment: Deployment) -> Person:
    """Somebody new with the first stage of the welcome bonus."""
    return add_member(stack, deployment)


@pytest.fixture
async def client(deployment: Deployment, member: Person) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client, set up as its users set it up: their retries, our address, the member's token."""
    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=member.token) as made:
        yield made


@pytest.fixture
def books(stack: Stack, deployment: Deployment) -> Iterator[Books]:
    """The deployment's ledger, as an operator sees it."""
    with Books.of(stack, deployment.project_id) as opened:
        yield opened
