"""A batch of pictures: each by itself."""

import pytest

from shared.agents.errors import CancelAsked
from shared.agents.kinds.images import PROMPTS_MAX, TRIES_MAX, ImagesKind, ImagesParams
from shared.base.body import Misshapen, shape
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from tests.agents.kinds.memory import COST_MICROS, MemoryDesk, Scripted, run

MODEL = "black-forest-labs/flux-schnell"
REFUSED = UpstreamRefused("This prompt is not allowed.")
DOWN = UpstreamUnavailable("acme", "could not be reached")


def params(count: int) -> ImagesParams:
    return ImagesParams(prompts=tuple(f"cat {n}" for n in range(count)), model=MODEL)


def desk_for(*pictures: Scripted | list[Scripted]) -> MemoryDesk:
    return MemoryDesk({f"paint-{index}": picture for index, picture in enumerate(pictures)})


async def test_each_prompt_gets_its_picture_and_its_progress() -> None:
    desk = desk_for("a", "b", "c")

    result = await run(ImagesKind(), params(3), desk)

    assert [(image["index"], desk.kept[image["artifact_id"]]) for image in result["artifacts"]] == [
        (0, b"a"),
        (1, b"b"),
        (2, b"c"),
    ]
    painted = [facts for kind, _, facts in desk.notes if kind == "image_painted"]
    assert [(facts["index"], facts["painted"], facts["waiting"]) for facts in painted] == [
        (0, 1, 2),
        (1, 2, 1),
        (2, 3, 0),
    ]
    assert desk.charges == {f"paint-{n}": COST_MICROS for n in range(3)}


async def test_a_picture_that_is_refused_does_not_sink_the_others() -> None:
    """It costs nothing and is told with its reason."""
    desk = desk_for("a", REFUSED, "c")

    result = await run(ImagesKind(), params(3), desk)

    assert [image["index"] for image in result["artifacts"]] == [0, 2]
    assert result["failed"] == [{"index": 1, "code": REFUSED.code, "message": REFUSED.message}]
    assert result["text"] == "2 of 3 images are painted."
    assert set(desk.charges) == {"paint-0", "paint-2"}


async def test_what_may_pass_is_tried_again_after_the_others() -> None:
    desk = desk_for([DOWN, "a"], "b")

    result = await run(ImagesKind(), params(2), desk)

    assert [step for step, _ in desk.asked] == ["paint-0", "paint-1", "paint-0"]
    assert [image["index"] for image in result["artifacts"]] == [0, 1]
    assert result["failed"] == []


async def test_what_does_not_pass_is_given_up_after_a_few_tries() -> None:
    desk = desk_for(DOWN, "b")

    result = await run(ImagesKind(), params(2), desk)

    assert [step for step, _ in desk.asked].count("paint-0") == TRIES_MAX
    assert [failed["index"] for failed in result["failed"]] == [0]


async def test_what_the_job_itself_is_told_is_no_failed_picture() -> None:
    with pytest.raises(CancelAsked):
        await run(ImagesKind(), params(2), desk_for("a", CancelAsked()))


async def test_a_death_at_any_call_changes_nothing() -> None:
    undisturbed = await run(ImagesKind(), params(3), desk_for("a", REFUSED, "c"))
    for moment in range(2, 8):
        desk = desk_for("a", REFUSED, "c")
        desk.dies_at = {moment}

        assert await run(ImagesKind(), params(3), desk) == undisturbed
        assert set(desk.charges.values()) == {COST_MICROS}


async def test_the_largest_batch_fits_its_steps() -> None:
    """Though each picture is tried as often as it may be."""
    desk = desk_for(*[DOWN] * PROMPTS_MAX)

    result = await run(ImagesKind(), params(PROMPTS_MAX), desk)

    assert len(result["failed"]) == PROMPTS_MAX


def test_what_is_asked_is_bounded() -> None:
    for wrong in (
        {"prompts": [], "model": MODEL},
        {"prompts": ["x"] * (PROMPTS_MAX + 1), "model": MODEL},
        {"prompts": [""], "model": MODEL},
        {"prompts": ["x"], "model": MODEL, "size": "huge"},
    ):
        with pytest.raises(Misshapen):
            shape(ImagesParams, wrong)
