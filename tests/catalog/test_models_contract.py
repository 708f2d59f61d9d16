"""What every store of versions promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from msgspec import structs

from local.process import free_port
from local.stack import Stack
from shared.catalog.errors import CatalogUnavailable
from shared.catalog.store import FirestoreModels, Models, ModelVersion, Outrun, document_id_of
from tests.catalog.builders import price
from tests.catalog.memory import MemoryModels

MODEL = "maker/model:v1"
FIRST = ModelVersion(
    model_id=MODEL,
    version=1,
    price_version="file-0",
    price=price(7, cached_micros_per_mtok=3),
    enabled=True,
    by="the seed",
    why="the file's price",
    from_file=True,
)
SECOND = structs.replace(FIRST, version=2, price_version="2", price=price(8), enabled=False, by="olga", from_file=False)


class ModelsContract:
    """Subclassed once per store; `models` is empty at first."""

    async def test_a_version_is_found_as_it_was_put(self, models: Models) -> None:
        """And is the current one, which names its price and not who set it."""
        await models.put(FIRST, None)

        assert await models.version(MODEL, 1) == FIRST
        assert await models.version(MODEL, 2) is None
        current = (await models.current([MODEL, "maker/none"]))[MODEL]
        assert (current.version, current.from_file, current.fields["price_version"]) == (1, True, "file-0")
        assert not {"by", "why"} & current.fields.keys()
        assert current.fields["price"] == {
            "prompt_micros_per_mtok": 7,
            "completion_micros_per_mtok": 7,
            "cached_micros_per_mtok": 3,
            "sure": True,
        }

    async def test_the_next_version_replaces_the_price_whole(self, models: Models) -> None:
        """A kind that it does not name is gone from the current one; the version before stays."""
        await models.put(FIRST, None)
        await models.put(SECOND, (await models.current([MODEL]))[MODEL])

        current = (await models.current([MODEL]))[MODEL]
        assert "cached_micros_per_mtok" not in current.fields["price"]
        assert (current.version, current.from_file, current.fields["enabled"]) == (2, False, False)
        assert await models.version(MODEL, 1) == FIRST

    async def test_who_read_an_older_version_is_outrun(self, models: Models) -> None:
        """Neither document is written."""
        await models.put(FIRST, None)
        before = (await models.current([MODEL]))[MODEL]
        await models.put(SECOND, before)
        third = structs.replace(SECOND, version=3)

        for late, seen in ((SECOND, before), (third, before), (FIRST, None)):
            with pytest.raises(Outrun):
                await models.put(late, seen)
        assert await models.version(MODEL, 3) is None

    async def test_of_many_at_once_one_is_put(self, models: Models) -> None:
        """The others are outrun."""
        tried = [models.put(structs.replace(FIRST, by=f"operator {n}"), None) for n in range(10)]

        done = await asyncio.gather(*tried, return_exceptions=True)

        assert done.count(None) == 1
        assert sum(isinstance(one, Outrun) for one in done) == 9

    async def test_only_what_operators_edited_is_read_as_an_edit(self, models: Models) -> None:
        """From a time on, that time too."""
        await models.put(FIRST, None)
        other = structs.replace(FIRST, model_id="maker/other")
        await models.put(other, None)
        assert await models.edited_since(None) == []

        await models.put(SECOND, (await models.current([MODEL]))[MODEL])

        [(model_id, at, fields)] = await models.edited_since(None)
        assert (model_id, fields["price_version"]) == (MODEL, "2")
        assert [one for one, _, _ in await models.edited_since(at)] == [MODEL]
        assert await models.edited_since(at + timedelta(milliseconds=1)) == []

    async def test_edits_come_in_the_order_they_were_made(self, models: Models) -> None:
        """So that the last one read is the latest."""
        names = ["maker/c", "maker/a", "maker/b"]
        for name in names:
            await models.put(structs.replace(SECOND, version=1, model_id=name), None)

        edits = await models.edited_since(None)

        assert [model_id for model_id, _, _ in edits] == names
        assert [at for _, at, _ in edits] == sorted(at for _, at, _ in edits)


class TestMemoryModels(ModelsContract):
    """The fake."""

    @pytest.fixture
    def models(self) -> Models:
        return MemoryModels()


class TestFirestoreModels(ModelsContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def client(
        self, stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[firestore.AsyncClient]:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
        client = firestore.AsyncClient(project=project_id, credentials=AnonymousCredentials())
        yield client
        client.close()

    @pytest.fixture
    def models(self, client: firestore.AsyncClient) -> Models:
        return FirestoreModels(client)

    async def test_a_browser_finds_a_model_by_its_encoded_id(
        self, models: Models, client: firestore.AsyncClient
    ) -> None:
        """`encodeURIComponent` of the id is the document's name."""
        await models.put(FIRST, None)

        assert document_id_of(MODEL) == "maker%2Fmodel%3Av1"
        found = await client.document("models/maker%2Fmodel%3Av1").get()
        assert (found.to_dict() or {})["id"] == MODEL

    @pytest.mark.parametrize("edited_at", ["yesterday", 5, True, None, [1]])
    async def test_what_is_no_time_of_an_edit_is_not_read(
        self, models: Models, client: firestore.AsyncClient, edited_at: Any
    ) -> None:
        """Somebody may write anything by hand; the others are still read."""
        await client.document("models/odd").set({"id": "odd", "edited_at": edited_at})
        await models.put(structs.replace(SECOND, version=1), None)

        assert [model_id for model_id, _, _ in await models.edited_since(None)] == [MODEL]

    async def test_a_server_that_is_not_there_is_said_to_be(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In time for a call to be priced without it."""
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
        client = firestore.AsyncClient(project="demo-nowhere", credentials=AnonymousCredentials())
        models = FirestoreModels(client)

        for tried in (
            models.edited_since(None),
            models.current([MODEL]),
            models.version(MODEL, 1),
            models.put(FIRST, None),
        ):
            with pytest.raises(CatalogUnavailable):
                await tried
        client.close()
