"""A video from order to file. Its provider takes minutes, so it is ordered once, looked at now and then, and fetched.

What was ordered is kept as a step of the job: whoever goes on with the job looks at that order and makes no other. If a
process dies between ordering and keeping, the next one orders under the same key, by which providers that know such
keys give the same video; from others the platform gets, and pays, another.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct, to_builtins

from shared.agents import rules
from shared.agents.commits import Put
from shared.agents.desk import ArtifactRef, NotYet
from shared.agents.documents import trace_document
from shared.agents.errors import VideoFailed
from shared.agents.limits import FILM_LOOK_MS_MAX, FILM_LOOK_MS_MIN, FILM_MS_MAX
from shared.agents.models import Trace
from shared.agents.store import JobStore
from shared.agents.tenure import Tenure
from shared.base.clock import Clock
from shared.base.units import Unit
from shared.catalog.models import Model, Price
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import quote
from shared.providers.errors import UpstreamRefused
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider, VideoState

MS_PER_S = 1_000
Keep = Callable[[str, str, bytes], Awaitable[ArtifactRef]]


class Order(Struct, frozen=True):
    """What is to be filmed."""

    step: str
    prompt: str
    model: Model
    seconds: int
    size: str


class Film:
    """One video, as a paid call sees it."""

    def __init__(
        self, order: Order, tenure: Tenure, store: JobStore, upstreams: Upstreams, keep: Keep, clock: Clock
    ) -> None:
        self._order = order
        self._tenure = tenure
        self._store = store
        self._upstreams = upstreams
        self._keep = keep
        self._clock = clock

    async def ask(self, provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
        """The file, once it is there. Raise NotYet until then, VideoFailed when it never will be.

        Which provider is offered matters for the order alone: afterwards it is the one that has it.
        """
        known = await self._store.trace(self._tenure.job.job_id, _order_step(self._order))
        if known is None:
            await self._place(provider, upstream_model, timeout_s)
            raise NotYet(FILM_LOOK_MS_MIN)
        has_it, model, video_id = (str(known.facts[name]) for name in ("provider", "upstream_model", "video_id"))
        provider, waited_ms = self._upstreams[has_it], self._clock() - known.begun_at_ms
        try:
            video = await self._upstreams.video(provider, model, video_id, timeout_s=timeout_s)
        except UpstreamRefused:
            raise VideoFailed("The provider no longer knows the video.") from None
        if video.state is VideoState.FAILED:
            raise VideoFailed(f"The provider could not make the video. {video.reason}".strip())
        if video.state is VideoState.WAITING:
            if waited_ms > FILM_MS_MAX:
                raise VideoFailed("The provider did not make the video in time.")
            told = f"{video.percent} % are filmed." if video.percent else "The video is being made."
            await self._tenure.note("filming", told, {"percent": video.percent})
            raise NotYet(look_after_ms(waited_ms))
        content = await self._upstreams.video_content(provider, model, video_id, timeout_s=timeout_s)
        return {"ref": to_builtins(await self._keep(f"{self._order.step}.mp4", "video/mp4", content))}

    async def read(self, answer: dict[str, Any]) -> tuple[Usage | None, Mapping[str, Any]]:
        """All that was asked for is charged, and nothing for an empty file."""
        usage = Usage({Unit.VIDEO_MS: self._order.seconds * MS_PER_S}, UsageSource.REPORTED)
        return (usage if answer["ref"]["size_bytes"] else None), answer["ref"]

    async def _place(self, provider: Provider, upstream_model: str, timeout_s: float) -> None:
        order, job_id = self._order, self._tenure.job.job_id
        payload = {
            "model": upstream_model,
            "prompt": order.prompt,
            "seconds": str(order.seconds),
            "size": order.size,
        }
        key = rules.hold_id_of(job_id, order.step, 0)
        video = await self._upstreams.video_begin(provider, payload, key=key, timeout_s=timeout_s)
        # If we die here, the next process orders again, under the same key.
        trace = Trace(
            step=_order_step(order),
            tool="video_order",
            begun_at_ms=self._clock(),
            model=order.model.id,
            facts={"provider": provider.name, "upstream_model": upstream_model, "video_id": video.video_id},
        )
        path = f"jobs/{job_id}/steps/{rules.step_id(trace.step)}"
        await self._tenure.write(lambda job: {}, [Put(path, trace_document(trace))])
        await self._tenure.note("ordered", f"A video of {order.seconds} seconds is being made.", {})


def quote_of(order: Order, price: Price) -> Quote:
    """The worst case, which is what it costs."""
    return quote(price.rates(), {Unit.VIDEO_MS: order.seconds * MS_PER_S}, price_version=order.model.price_version)


def look_after_ms(waited_ms: int) -> int:
    """When to ask next how far a video is that was ordered so long ago."""
    return min(max(waited_ms // 6, FILM_LOOK_MS_MIN), FILM_LOOK_MS_MAX)


def _order_step(order: Order) -> str:
    return f"{order.step}:order"
