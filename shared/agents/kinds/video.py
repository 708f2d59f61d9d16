"""A job that has a video made: ordered once, looked at by later tasks until it is there, charged by the second."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from shared.agents.desk import Desk, Filming
from shared.agents.kinds.graph import END, graph_of
from shared.base.body import Body

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

SECONDS_MAX = 20


class VideoParams(Body, frozen=True, kw_only=True):
    """What to film, by which model. The catalog's prices are for these sizes; larger ones cost more."""

    prompt: Annotated[str, Meta(min_length=1, max_length=4_000)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    seconds: Annotated[int, Meta(ge=1, le=SECONDS_MAX)] = 8
    size: Literal["1280x720", "720x1280"] = "1280x720"


class VideoState(TypedDict, total=False):
    """What was asked, and the reference to what came of it."""

    prompt: str
    model: str
    seconds: int
    size: str
    result: dict[str, Any]


class VideoKind:
    """One step, which is run again and again until the video is there."""

    name = "video"
    params = VideoParams
    steps_max = 4

    def first_state(self, params: VideoParams) -> dict[str, Any]:
        """As it was asked."""
        state: dict[str, Any] = msgspec.to_builtins(params)
        return state

    def orders(self, params: VideoParams) -> tuple[Filming, ...]:
        """The one."""
        return (Filming(params.model, params.seconds),)

    def steps_expected(self, params: VideoParams) -> int:
        """Looking whether it is there is no step of its own."""
        return 1

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """Film, and be done."""

        async def film(state: VideoState) -> dict[str, Any]:
            ref = await desk.film(
                "film", state["prompt"], model=state["model"], seconds=state["seconds"], size=state["size"]
            )
            told = f"A video of {state['seconds']} seconds is made."
            await desk.note("finished", told, artifact=ref.artifact_id)
            return {"result": {"text": told, "seconds": state["seconds"], "artifacts": [msgspec.to_builtins(ref)]}}

        return graph_of(VideoState, {"film": film}, {"film": END})


KIND = VideoKind()
