"""A job that paints a batch: one picture for each prompt, one after the other, each charged by itself.

A picture that cannot be painted is told with its reason and costs nothing; the others are painted all the same.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from shared.agents.desk import Desk, Painting
from shared.agents.kinds.graph import END, graph_of
from shared.base.body import Body
from shared.base.errors import CredenceError, Kind
from shared.providers.errors import UpstreamBusy, UpstreamUnavailable

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

PROMPTS_MAX = 50
PROMPT_CHARS_MAX = 2_000
REASON_CHARS_MAX = 120
"""Of why a picture failed. All may, and a result has its bounds."""
TRIES_MAX = 3
"""So often is one picture tried, at the end of the row each time. The router has tried every route before each."""
MAY_PASS = (UpstreamBusy, UpstreamUnavailable)


class ImagesParams(Body, frozen=True, kw_only=True):
    """What to paint, by which model."""

    prompts: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=PROMPT_CHARS_MAX)], ...],
        Meta(min_length=1, max_length=PROMPTS_MAX),
    ]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    size: Annotated[str, Meta(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")] = "1024x1024"


class ImagesState(TypedDict, total=False):
    """Which pictures wait, by their places; what came of the others."""

    prompts: list[str]
    model: str
    size: str
    waiting: list[int]
    tries: dict[str, int]
    images: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    result: dict[str, Any]


class ImagesKind:
    """Paints one after the other, then tells."""

    name = "images"
    params = ImagesParams
    steps_max = PROMPTS_MAX * TRIES_MAX + 2

    def first_state(self, params: ImagesParams) -> dict[str, Any]:
        """All of them wait."""
        return {
            "prompts": list(params.prompts),
            "model": params.model,
            "size": params.size,
            "waiting": list(range(len(params.prompts))),
            "tries": {},
            "images": [],
            "failed": [],
        }

    def orders(self, params: ImagesParams) -> tuple[Painting, ...]:
        """The longest prompt stands for all: what is wrong with another one costs that picture alone."""
        return (Painting(params.model, max(params.prompts, key=len), params.size),)

    def steps_expected(self, params: ImagesParams) -> int:
        """One for each picture."""
        return len(params.prompts) + 1

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """Paint while any waits."""
        steps = _Steps(desk)
        nodes = {"paint": steps.paint, "tell": steps.tell}
        return graph_of(
            ImagesState, nodes, {"paint": lambda state: "paint" if state["waiting"] else "tell", "tell": END}
        )


class _Steps:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def paint(self, state: ImagesState) -> dict[str, Any]:
        index, *rest = state["waiting"]
        count, tries = len(state["prompts"]), state["tries"].get(str(index), 0) + 1
        try:
            ref = await self._desk.paint(
                f"paint-{index}", state["prompts"][index], model=state["model"], size=state["size"]
            )
        except MAY_PASS as error:
            if tries < TRIES_MAX:
                await self._desk.note("image_later", f"Image {index + 1} of {count} is tried again later.", index=index)
                return {"waiting": [*rest, index], "tries": {**state["tries"], str(index): tries}}
            return await self._failed(state, index, rest, error)
        except CredenceError as error:
            # What the job itself is told, that it is cancelled or over budget, is of other kinds.
            if error.kind is not Kind.INVALID:
                raise
            return await self._failed(state, index, rest, error)
        painted = [*state["images"], {"index": index, **msgspec.to_builtins(ref)}]
        await self._desk.note(
            "image_painted",
            f"Image {index + 1} of {count} is painted.",
            index=index,
            painted=len(painted),
            waiting=len(rest),
            artifact=ref.artifact_id,
        )
        return {"waiting": rest, "images": painted}

    async def _failed(self, state: ImagesState, index: int, rest: list[int], error: CredenceError) -> dict[str, Any]:
        why = f"Image {index + 1} of {len(state['prompts'])} could not be painted: {error.message}"
        await self._desk.note("image_failed", why, index=index, waiting=len(rest))
        failed = {"index": index, "code": error.code, "message": error.message[:REASON_CHARS_MAX]}
        return {"waiting": rest, "failed": [*state["failed"], failed]}

    async def tell(self, state: ImagesState) -> dict[str, Any]:
        painted, asked = len(state["images"]), len(state["prompts"])
        told = f"{painted} of {asked} images are painted."
        await self._desk.note("finished", told, painted=painted, failed=len(state["failed"]))
        images = sorted(state["images"], key=lambda image: image["index"])
        return {"result": {"text": told, "artifacts": images, "failed": state["failed"]}}


KIND = ImagesKind()
