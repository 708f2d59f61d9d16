"""Changes of a model: each is one version, made once, on the version that was looked at; seeding writes over none."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.editor import SEEDER, CatalogEditor, SeedReport
from shared.catalog.errors import CatalogUnavailable, CatalogUnreadable, ChangeInvalid, VersionConflict
from shared.catalog.models import Price
from shared.catalog.rules import VERSIONS_MAX, digest_of
from tests.catalog.builders import catalog_of, change, model, price, row
from tests.catalog.memory import MemoryModels

MODEL, OTHER = model(price_version=digest_of(price(1))), model(id="maker/other", price_version=digest_of(price(1)))


class Desk:
    """An editor over a store in memory."""

    def __init__(self) -> None:
        self.models = MemoryModels()
        self.editor = CatalogEditor(self.models)

    async def prompt_micros(self) -> int | None:
        """What a gateway that starts now sells the model's prompts at."""
        catalog = catalog_of(row(), edits=self.models)
        await catalog.refresh()
        return catalog.chat_model(MODEL.id)[1].prompt_micros_per_mtok


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_change_is_the_next_version(desk: Desk) -> None:
    """It says who, why and what, and gateways sell at it."""
    await desk.editor.seed([MODEL])

    changed = await desk.editor.change(MODEL, change(1))

    made = changed.version
    assert (made.version, made.price_version, made.price, made.enabled) == (2, "2", price(5), True)
    assert (made.by, made.why, made.from_file) == ("service:olga", "a new list price", False)
    assert desk.models.versions[MODEL.id, 2] == made
    assert await desk.prompt_micros() == 5


async def test_a_model_that_was_never_seeded_begins_at_version_one(desk: Desk) -> None:
    """An operator need not wait for the seed."""
    assert (await desk.editor.change(MODEL, change(0))).version.version == 1


async def test_a_change_of_the_state_keeps_the_price(desk: Desk) -> None:
    """And one of the price the state."""
    await desk.editor.change(MODEL, change(0))
    await desk.editor.change(MODEL, change(1, price=None, enabled=False))
    made = (await desk.editor.change(MODEL, change(2, price=price(6)))).version

    assert desk.models.versions[MODEL.id, 2].price == price(5)
    assert (made.price, made.enabled) == (price(6), False)


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_a_change_of_another_version_is_refused(desk: Desk, expected: int) -> None:
    """Whoever decided on an old price looks again; nothing is written."""
    await desk.editor.seed([MODEL])

    with pytest.raises(VersionConflict) as refusal:
        await desk.editor.change(MODEL, change(expected))

    assert refusal.value.details() == {"version": 1}
    assert len(desk.models.versions) == 1


async def test_a_repeat_answers_the_same_and_writes_nothing(desk: Desk) -> None:
    """Also when others have changed it since."""
    first = await desk.editor.change(MODEL, change(0))
    await desk.editor.change(MODEL, change(1, price=price(7)))

    again = await desk.editor.change(MODEL, change(0))

    assert (first.repeated, again.repeated) == (False, True)
    assert again.version == first.version
    assert len(desk.models.versions) == 2


async def test_a_change_whose_answer_was_lost_can_be_asked_again(desk: Desk) -> None:
    """It was made once."""
    desk.models.acks_lost = 1
    with pytest.raises(CatalogUnavailable):
        await desk.editor.change(MODEL, change(0))

    assert (await desk.editor.change(MODEL, change(0))).repeated
    assert len(desk.models.versions) == 1


@pytest.mark.parametrize("other", [{"price": price(8)}, {"by": "service:otto"}, {"why": "a whim"}, {"enabled": False}])
async def test_only_the_very_same_change_is_a_repeat(desk: Desk, other: dict[str, Any]) -> None:
    """Another one that expects the same version came second."""
    await desk.editor.change(MODEL, change(0))

    with pytest.raises(VersionConflict):
        await desk.editor.change(MODEL, change(0, **other))


async def test_of_two_at_once_one_is_made(desk: Desk) -> None:
    """The other is told the version there is."""
    wanted = [change(0, price=price(micros)) for micros in range(2, 12)]

    made = await asyncio.gather(*(desk.editor.change(MODEL, one) for one in wanted), return_exceptions=True)

    assert sum(not isinstance(one, BaseException) for one in made) == 1
    assert sum(isinstance(one, VersionConflict) for one in made) == 9
    assert len(desk.models.versions) == 1


@pytest.mark.parametrize(
    "unsold", [Price(), Price(prompt_micros_per_mtok=1), Price(image_micros=1), price(1, cached_micros_per_mtok=2)]
)
async def test_a_price_that_leaves_a_side_free_is_refused(desk: Desk, unsold: Price) -> None:
    """Nothing is written."""
    with pytest.raises(ChangeInvalid):
        await desk.editor.change(MODEL, change(0, price=unsold))

    assert not desk.models.documents


async def test_versions_end(desk: Desk) -> None:
    """A count that is stored as more is none of ours."""
    desk.models.edit(MODEL.id, version=VERSIONS_MAX)
    with pytest.raises(ChangeInvalid):
        await desk.editor.change(MODEL, change(VERSIONS_MAX))

    for version in (VERSIONS_MAX + 1, -1, 0, 1.0, True, "1", None):
        desk.models.edit(MODEL.id, version=version)
        with pytest.raises(CatalogUnreadable):
            await desk.editor.change(MODEL, change(1))


async def test_a_price_that_cannot_be_read_is_mended_by_the_next_change(desk: Desk) -> None:
    """A change of the state alone starts from what gateways sell, which is the file's row."""
    desk.models.edit(MODEL.id, price={"prompt_micros_per_mtok": -1})

    made = (await desk.editor.change(MODEL, change(1, price=None, enabled=True))).version

    assert made.price == price(1)
    assert await desk.prompt_micros() == 1


async def test_seeding_writes_each_model_once(desk: Desk) -> None:
    """A repeat finds nothing to do."""
    first = await desk.editor.seed([MODEL, OTHER])
    again = await desk.editor.seed([MODEL, OTHER])

    assert first == SeedReport([MODEL.id, OTHER.id], [], [])
    assert again == SeedReport([], [], [])
    made = desk.models.versions[MODEL.id, 1]
    assert (made.by, made.price_version, made.from_file) == (SEEDER, digest_of(price(1)), True)


async def test_seeding_goes_on_where_it_died(desk: Desk) -> None:
    """The first model was written and its answer lost; the next run writes the second."""
    desk.models.acks_lost = 1
    with pytest.raises(CatalogUnavailable):
        await desk.editor.seed([MODEL, OTHER])

    assert await desk.editor.seed([MODEL, OTHER]) == SeedReport([OTHER.id], [], [])
    assert len(desk.models.versions) == 2


async def test_a_new_price_of_the_file_is_a_version_too(desk: Desk) -> None:
    """Named as receipts name it."""
    await desk.editor.seed([MODEL])
    dearer = model(
        price={"prompt_micros_per_mtok": 2, "completion_micros_per_mtok": 2}, price_version=digest_of(price(2))
    )

    assert await desk.editor.seed([dearer]) == SeedReport([], [MODEL.id], [])
    assert desk.models.versions[MODEL.id, 2].price_version == dearer.price_version


async def test_seeding_leaves_what_an_operator_set(desk: Desk) -> None:
    """And says so."""
    await desk.editor.seed([MODEL, OTHER])
    await desk.editor.change(MODEL, change(1))

    assert await desk.editor.seed([MODEL, OTHER]) == SeedReport([], [], [MODEL.id])
    assert await desk.prompt_micros() == 5


async def test_a_gateway_reads_nothing_of_a_catalog_that_was_only_seeded(desk: Desk) -> None:
    """Its own file says the same, so a refresh is billed one read and not one for each model."""
    await desk.editor.seed([MODEL, OTHER])

    assert await desk.models.edited_since(None) == []


@given(
    st.lists(st.tuples(st.sampled_from(["olga", "otto", "seed"]), st.integers(1, 3), st.integers(-1, 1)), max_size=12)
)
def test_whatever_is_done_versions_have_no_gap_and_the_last_one_is_sold(steps: list[tuple[str, int, int]]) -> None:
    """Operators who look at the right version or a wrong one, and seeds of files with another price in between."""

    async def do() -> None:
        desk = Desk()
        for who, micros, off in steps:
            stands = len(desk.models.versions)
            if who == "seed":
                one = model(
                    price={"prompt_micros_per_mtok": micros, "completion_micros_per_mtok": micros},
                    price_version=digest_of(price(micros)),
                )
                await desk.editor.seed([one])
            else:
                wanted = change(max(0, stands + off), price=price(micros), by=who)
                try:
                    changed = await desk.editor.change(MODEL, wanted)
                    assert changed.repeated or off == 0 or stands + off < 0
                except VersionConflict:
                    assert off != 0
        numbers = sorted(number for _, number in desk.models.versions)
        assert numbers == list(range(1, len(numbers) + 1))
        if numbers:
            last = desk.models.versions[MODEL.id, numbers[-1]]
            assert desk.models.documents[MODEL.id]["version"] == last.version
            sold = await desk.prompt_micros()
            assert sold == (1 if last.from_file else last.price.prompt_micros_per_mtok)

    asyncio.run(do())
