"""Chats whose providers are asked with contributed keys, over the checked ledger that chats are tested with."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.secret import Secret
from shared.resources.models import ContributedKey
from shared.resources.rules import host_of
from shared.shelf.complaints import Complaints
from shared.shelf.lending import Lender
from shared.shelf.service import Shelf
from shared.vault.service import Vault
from tests.chat.conftest import Shop, shop
from tests.providers.fake import Asked, FakeProvider
from tests.shelf.builders import key_of, vault
from tests.shelf.memory import MemoryShelf

__all__ = ["shop"]
SECRET = "sk-lent-0123456789-do-not-tell"
"""What a contributed key begins with in these tests; its id follows."""


@dataclass
class Posted:
    """Tasks as they were posted."""

    tasks: list[tuple[str, Any, str]] = field(default_factory=list)

    async def post(self, function_name: str, payload: Any, *, name_key: str) -> None:
        self.tasks.append((function_name, payload, name_key))


class Library:
    """A shop with a shelf. Keys are Grace's and open the first provider unless a test says otherwise."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.store = MemoryShelf(ledger=shop.store, owed=shop.owed)
        self.posted = Posted()
        self.vault: Vault = vault()
        self.shelf = self.another_shelf()
        shop.lender = Lender(self.shelf, lambda: self.vault)

    def another_shelf(self, seed: int = 0) -> Shelf:
        """As another process has it."""
        hosts = {fake.name: host_of(fake.url) for fake in (self.shop.first, self.shop.second)}
        complaints = Complaints(self.store, self.posted, self.shop.clock)
        return Shelf(self.store, complaints, hosts, clock=self.shop.time, wall_clock=self.shop.clock, seed=seed)

    async def add(self, id: str = "key1", *, at: FakeProvider | None = None, **fields: Any) -> ContributedKey:
        """A key whose secret is SECRET and its id, sealed for the provider it is for."""
        provider = at or self.shop.first
        key = key_of(id, provider=provider.name, host=host_of(provider.url), **fields)
        key = self.store.put(replace(key, sealed=await self.vault.seal(Secret(f"{SECRET}-{id}"), key.binding)))
        await self.shelf.refresh()
        return key


def asked_with(asked: Asked) -> str:
    """The key that a request bore."""
    return asked.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
async def library(shop: Shop, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Library]:
    """Afterwards no key has leased more than its quota, and no secret is in a log line or in the ledger."""
    library = Library(shop)
    yield library
    await library.shelf.settle_down()
    for key in library.store.keys.values():
        assert key.leased_micros - key.returned_micros <= key.quota_micros
    logged = capsys.readouterr()
    assert SECRET not in logged.out + logged.err + str(shop.store.entries) + str(shop.owed.charges)
