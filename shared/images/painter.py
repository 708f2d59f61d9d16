"""One picture of a job: asked for, shown while it is painted, kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.base.errors import CredenceError
from shared.base.fetcher import Fetcher
from shared.base.ids import RequestId
from shared.calls.service import Calls, call_facts
from shared.catalog.models import Model
from shared.images import job_rules, rules
from shared.images.claim import Claim
from shared.images.content import content_of
from shared.images.job_errors import PicturesTooLarge
from shared.images.job_models import LentPicture, Picture
from shared.images.models import ImageRequest
from shared.images.store import ImageJobStore, chunks_of
from shared.images.stream import COMPLETED, PARTIAL
from shared.metering.models import Outcome
from shared.metering.service import MeteredCall
from shared.providers.errors import UpstreamUnavailable
from shared.providers.gateway import Upstreams, UpstreamStream
from shared.providers.models import Provider
from shared.routing.service import Routed

if TYPE_CHECKING:
    from shared.shelf.lending import Lending

Made = tuple[dict[str, Any], Mapping[str, str | int]]
"""A picture as its provider answered it, and what a receipt says of its way."""


class Painter:
    """Has single pictures made and keeps them."""

    def __init__(self, calls: Calls, upstreams: Upstreams, store: ImageJobStore, fetcher: Fetcher) -> None:
        """`fetcher` reads pictures that a provider gives by their address."""
        self._calls = calls
        self._upstreams = upstreams
        self._store = store
        self._fetcher = fetcher

    async def paint(self, claim: Claim, model: Model) -> None:
        """One more picture, kept and noted on the job. Raise what the router does, or why it cannot be kept."""
        job = claim.job
        one = self._calls.resume(
            job.account_id, job_rules.hold_of(job, len(job.pictures)), job_rules.quote_for_one(job)
        )
        try:
            await self._paint(claim, model, one)
        finally:
            # What a key made that was not kept is charged to nobody, even if the process was stopped over it.
            one.settle_lent(0)

    async def _paint(self, claim: Claim, model: Model, one: MeteredCall) -> None:
        job, index = claim.job, len(claim.job.pictures)
        lending = self._calls.lending(model, one, payers=job.payers, preference=job.preference)
        shows_partials = job_rules.shows_partials(model, job.request)
        asked = job_rules.request_for(job.request, index, shows_partials=shows_partials)
        made_by = self._shown if shows_partials else self._whole
        item, route_facts = await made_by(claim, model, asked, lending)
        content = await content_of(item, self._fetcher)
        if sum(picture.size_bytes for picture in job.pictures) + len(content) > job_rules.PICTURES_BYTES_MAX:
            raise PicturesTooLarge
        # Under the run's own number: a run that lost the job writes over no picture of the one that has it.
        picture = await self._keep(claim, f"{job.runs}-{index}", content, is_preview=False)
        pictures = (*job.pictures, picture)
        facts = call_facts(model, route_facts, RequestId(job.hold_id), Outcome.FINISHED)
        made: dict[str, Any] = {"facts": facts}
        if one.lent is not None:
            made = {"lent": {**job.lent, picture.name: LentPicture({**facts, **one.lent_facts}, one.shares)}}
        # What is noted on the job will be charged. A write whose answer is lost may stand, so the quota of a key counts
        # it from here on: part of it is rather lost than lent twice.
        one.settle_lent(one.quote.amount_micros)
        percent = job_rules.percent_of(job, len(pictures))
        await claim.write(pictures=pictures, preview=None, percent=percent, **made)

    async def _whole(self, claim: Claim, model: Model, asked: ImageRequest, lending: "Lending | None") -> Made:
        """A picture that nobody sees before it is finished."""

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = rules.upstream_payload(asked, upstream_model)
            return await self._upstreams.images(provider, payload, timeout_s=timeout_s)

        routed = await self._calls.routed(model, ask, preference=claim.job.preference, begun=False, lending=lending)
        await routed.close()
        return next(filter(rules.is_picture, routed.answer["data"]), {}), routed.facts

    async def _shown(self, claim: Claim, model: Model, asked: ImageRequest, lending: "Lending | None") -> Made:
        """A picture whose partial ones are shown meanwhile."""

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> UpstreamStream:
            payload = rules.upstream_payload(asked, upstream_model)
            return await self._upstreams.images_stream(provider, payload, timeout_s=timeout_s)

        needs = rules.needs_of(asked)
        routed = await self._calls.routed(
            model, ask, preference=claim.job.preference, needs=needs, begun=True, lending=lending
        )
        return await self._watch(claim, routed), routed.facts

    async def _watch(self, claim: Claim, routed: Routed[UpstreamStream]) -> dict[str, Any]:
        """The finished picture of a stream whose partial ones are shown."""
        upstream, partials = routed.answer, 0
        try:
            async for event in upstream.events():
                if event.data is None:
                    break
                kind = event.data.get("type")
                if event.data.get("error") or kind == "error":
                    raise UpstreamUnavailable(upstream.provider.name, "failed in the middle of its picture")
                if kind == PARTIAL and rules.is_picture(event.data):
                    partials += 1
                    await self._show(claim, event.data, partials)
                if kind == COMPLETED and rules.is_picture(event.data):
                    return event.data
            raise UpstreamUnavailable(upstream.provider.name, "ended its answer without a picture")
        except UpstreamUnavailable:
            routed.broke_off()
            raise
        finally:
            upstream.close()
            await routed.close()

    async def _show(self, claim: Claim, item: dict[str, Any], partials: int) -> None:
        job, index = claim.job, len(claim.job.pictures)
        try:
            content = await content_of(item, self._fetcher)
        except CredenceError:
            # The picture itself may still come.
            return
        preview = await self._keep(claim, f"{job.runs}-{index}-{partials}", content, is_preview=True)
        await claim.write(preview=preview, percent=job_rules.percent_of(job, index, partials))

    async def _keep(self, claim: Claim, name: str, content: bytes, *, is_preview: bool) -> Picture:
        picture = Picture(name, job_rules.media_type_of(content), len(content), chunks_of(content))
        await self._store.put_picture(claim.job, picture, content, is_preview=is_preview)
        return picture
