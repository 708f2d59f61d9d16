"""One local chain for all tests of this folder; each test has a token of its own on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local.chain.anvil import Chain
from tests.chain.builders import World, node_at


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder: Path = tmp_path_factory.mktemp("chain")
    chain = Chain(folder)
    yield chain
    chain.stop()


@pytest.fixture
async def world(chain: Chain) -> AsyncIterator[World]:
    node, endpoint = node_at(chain.url, chain.chain_id)
    yield World(chain, node)
    await endpoint.close()
