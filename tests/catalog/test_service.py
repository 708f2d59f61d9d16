"""The catalog: what of it can be called and bought, and how operators' changes come in."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.base.units import Unit
from shared.catalog.errors import ModelUnfit, ModelUnknown, ModelUnpriced
from shared.catalog.models import Modality, Route
from shared.catalog.service import OVERLAP, REFRESH_MS, RETRY_MS, STANDIN, Catalog
from tests.catalog.builders import REAL, catalog_of, price, row
from tests.catalog.memory import BEGAN, MemoryModels
from tests.ledger.builders import Ticker


def test_standin_serves_every_model_and_only_where_it_is() -> None:
    """Locally each of them answers; without any provider there is no model at all."""
    everything = Catalog.from_file(REAL | {STANDIN})

    assert len(everything.available()) == len(Catalog.from_file({STANDIN}).available()) > 0
    assert not Catalog.from_file(set()).available()


def test_real_providers_come_before_the_standin() -> None:
    """A key in `.env` switches to real models, in the file's order."""
    catalog = Catalog.from_file(REAL | {STANDIN})
    model, _ = catalog.chat_model("google/gemma-3-27b-it")

    assert [route.provider for route in catalog.routes(model)] == ["huggingface", "openrouter", STANDIN]
    assert catalog.routes(model)[-1] == Route(provider=STANDIN, model=model.id)


def test_a_provider_without_a_key_is_absent() -> None:
    """Its models are not listed and are unknown, unless somebody else serves them."""
    catalog = Catalog.from_file({"huggingface"})
    only_openrouter = "nvidia/Nemotron-Nano-V2-12b"

    assert only_openrouter not in {model.id for model in catalog.available()}
    with pytest.raises(ModelUnknown):
        catalog.chat_model(only_openrouter)
    model, _ = catalog.chat_model("google/gemma-3-27b-it")
    assert [route.provider for route in catalog.routes(model)] == ["huggingface"]


@pytest.mark.parametrize("name", ["", "gpt-4", "META-LLAMA/Meta-Llama-3.1-8B-Instruct", "x" * 200, "../secrets"])
def test_an_unknown_model_is_a_clear_404(name: str) -> None:
    """Ids are exact; the message points at the list and repeats no more than a bit of what was asked."""
    with pytest.raises(ModelUnknown) as refusal:
        Catalog.from_file(REAL).chat_model(name)

    assert refusal.value.code == "model_not_found"
    assert "x" * 101 not in refusal.value.message


@pytest.mark.parametrize("name", ["black-forest-labs/flux-dev", "BAAI/bge-en-icl", "openai/whisper-1"])
def test_a_model_of_another_kind_does_not_chat(name: str) -> None:
    """Even where the stand-in would answer."""
    with pytest.raises(ModelUnfit):
        Catalog.from_file({STANDIN}).chat_model(name)


def test_what_has_no_price_is_not_sold() -> None:
    """Half a price is no row at all."""
    with pytest.raises(ModelUnpriced):
        catalog_of(row(price=None)).chat_model("maker/model")


@pytest.mark.parametrize(
    ("modality", "prices", "units"),
    [
        ("image", {"image_micros": 5}, {Unit.IMAGE}),
        ("embedding", {"prompt_micros_per_mtok": 5}, {Unit.PROMPT_TOKEN}),
        ("speech", {"audio_second_micros": 5}, {Unit.AUDIO_MS}),
    ],
)
def test_a_model_is_found_for_the_call_it_answers(modality: str, prices: dict[str, int], units: set[Unit]) -> None:
    """With all of the units that the call is charged by, or not."""
    catalog = catalog_of(row(modality=modality, price=prices))

    model, found = catalog.model_for("maker/model", {Modality(modality)}, units, "such calls")

    assert (model.id, found.rates().keys()) == ("maker/model", units)
    with pytest.raises(ModelUnpriced):
        catalog.model_for("maker/model", {Modality(modality)}, {*units, Unit.COMPLETION_TOKEN}, "such calls")
    with pytest.raises(ModelUnfit, match="films"):
        catalog.model_for("maker/model", {Modality.VIDEO}, units, "films")


def test_a_disabled_row_is_absent() -> None:
    """Neither listed nor called."""
    catalog = catalog_of(row(enabled=False))

    assert not catalog.available()
    with pytest.raises(ModelUnknown):
        catalog.chat_model("maker/model")


def test_no_two_rows_share_an_id() -> None:
    """The second would silently change the first one's price."""
    with pytest.raises(ValueError, match="maker/model"):
        catalog_of(row(), row(name="Another"))


class Desk:
    """A catalog of one model under a clock, and the store of its edits."""

    def __init__(self) -> None:
        self.models = MemoryModels()
        self.clock = Ticker()
        self.catalog = catalog_of(row(), row(id="maker/other"), edits=self.models, clock=self.clock)

    def prompt_micros(self, model_id: str = "maker/model") -> int | None:
        return self.catalog.chat_model(model_id)[1].prompt_micros_per_mtok


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_edit_is_sold_after_the_next_refresh(desk: Desk) -> None:
    """The receipt names its version, and other models stay as they are."""
    desk.models.edit("maker/model")

    await desk.catalog.refresh()

    model, found = desk.catalog.chat_model("maker/model")
    assert (model.price_version, found) == ("1", price(9))
    assert desk.prompt_micros("maker/other") == 1


async def test_a_warm_process_reads_once_a_minute_and_not_more(desk: Desk) -> None:
    """However many calls there are."""
    for _ in range(100):
        await desk.catalog.refresh()
    assert len(desk.models.readings) == 1

    desk.clock.now_ms += REFRESH_MS - 1
    await desk.catalog.refresh()
    assert len(desk.models.readings) == 1

    desk.clock.now_ms += 1
    await desk.catalog.refresh()
    assert len(desk.models.readings) == 2


async def test_calls_at_once_share_a_reading(desk: Desk) -> None:
    """The first of a process are priced when it is done."""
    await asyncio.gather(*(desk.catalog.refresh() for _ in range(50)))

    assert len(desk.models.readings) == 1


async def test_a_refresh_asks_only_for_what_came_since(desk: Desk) -> None:
    """With an overlap, because an edit can become visible after a later one."""
    desk.models.edit("maker/model")
    await desk.catalog.refresh()
    desk.clock.now_ms += REFRESH_MS
    desk.models.edit("maker/other", edited_at=BEGAN - timedelta(seconds=60))

    await desk.catalog.refresh()

    assert desk.models.readings == [None, BEGAN - OVERLAP]
    assert desk.prompt_micros("maker/other") == 9


async def test_without_an_answer_the_last_known_prices_stand(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """At first the file's, later the operator's; never none. It is asked again soon, and a line says so."""
    desk.models.down = True
    await desk.catalog.refresh()
    assert desk.prompt_micros() == 1
    assert '"message":"catalog_not_refreshed"' in capsys.readouterr().out

    desk.models.down = False
    desk.models.edit("maker/model")
    await desk.catalog.refresh()
    assert desk.prompt_micros() == 1
    desk.clock.now_ms += RETRY_MS
    await desk.catalog.refresh()
    assert desk.prompt_micros() == 9

    desk.models.down = True
    desk.clock.now_ms += REFRESH_MS
    await desk.catalog.refresh()
    assert desk.prompt_micros() == 9


async def test_an_edit_can_take_a_model_off_and_put_it_back(desk: Desk) -> None:
    """A disabled model is unknown to callers."""
    desk.models.edit("maker/model", enabled=False)
    await desk.catalog.refresh()
    with pytest.raises(ModelUnknown):
        desk.prompt_micros()

    desk.models.edit("maker/model", enabled=True)
    desk.clock.now_ms += REFRESH_MS
    await desk.catalog.refresh()
    assert desk.prompt_micros() == 9


@pytest.mark.parametrize(
    "stored",
    [
        {"price": {"prompt_micros_per_mtok": -1, "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": 0, "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": 2**63, "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": float(2**63), "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": "9", "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": 9.5, "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": float("nan"), "completion_micros_per_mtok": 9}},
        {"price": {"prompt_micros_per_mtok": 9}},
        {"price": {}},
        {"price": None},
        {"price": "free"},
        {"price": []},
        {"enabled": "yes"},
        {"enabled": None},
        {"price_version": 3},
        {"price_version": ""},
    ],
)
async def test_what_is_no_edit_is_ignored_with_an_alarm(
    desk: Desk, capsys: pytest.CaptureFixture[str], stored: dict[str, Any]
) -> None:
    """The file's row stands in for it, even over an edit before; the others come in all the same."""
    desk.models.edit("maker/model")
    await desk.catalog.refresh()
    desk.models.edit("maker/model", **stored)
    desk.models.edit("maker/other")
    desk.clock.now_ms += REFRESH_MS

    await desk.catalog.refresh()

    assert (desk.prompt_micros(), desk.prompt_micros("maker/other")) == (1, 9)
    assert '"severity":"ERROR","message":"catalog_edit_ignored","model":"maker/model"' in capsys.readouterr().out


async def test_an_edit_of_a_model_that_the_file_dropped_changes_nothing(desk: Desk) -> None:
    """Firestore has models of older files for ever."""
    desk.models.edit("maker/gone")

    await desk.catalog.refresh()

    assert {model.id for model in desk.catalog.available()} == {"maker/model", "maker/other"}
