"""The desk of one tenure: calls of models, artifacts, notes, tools."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from shared.agents import rules
from shared.agents.commits import Put, portions
from shared.agents.desk import ArtifactRef, ChatAnswer, Filming, Painting, Passage, RunResult
from shared.agents.documents import trace_document
from shared.agents.errors import ArtifactAbsent, ArtifactTooLarge, JobInvalid
from shared.agents.films import Film, Order, quote_of
from shared.agents.limits import (
    ARTIFACT_BYTES_MAX,
    ARTIFACTS_BYTES_MAX,
    CHUNK_BYTES,
    COMMIT_BYTES_MAX,
    FILM_HOLD_MS,
    NOTE_CHARS_MAX,
)
from shared.agents.models import Job, Trace
from shared.agents.payers import Payers
from shared.agents.pictures import Pictures
from shared.agents.purse import PaidCall, Purse
from shared.agents.sales import filmed_by, painted_by, request_of
from shared.agents.store import JobStore, pieces_of
from shared.agents.tenure import Tenure
from shared.agents.tools import Tools
from shared.base.body import shape
from shared.base.clock import Clock
from shared.calls.service import Calls
from shared.catalog.allowed import check_allowed
from shared.catalog.service import Catalog
from shared.chat import rules as chat_rules
from shared.chat.models import ChatRequest
from shared.chat.tally import tally_of, usage_of
from shared.images import rules as image_rules
from shared.metering.models import Usage
from shared.metering.service import Meter
from shared.providers.gateway import Upstreams
from shared.providers.models import Provider


class Trade(Struct, frozen=True):
    """What all desks of a process share."""

    catalog: Catalog
    upstreams: Upstreams
    calls: Calls
    meter: Meter
    payers: Payers
    pictures: Pictures
    tools: Tools


class Workbench:
    """Implements `shared.agents.desk.Desk`."""

    def __init__(self, tenure: Tenure, store: JobStore, trade: Trade, clock: Clock) -> None:
        self._tenure = tenure
        self._store = store
        self._trade = trade
        self._clock = clock
        self._purse = Purse(tenure, store, trade.calls, trade.meter, trade.payers, clock)

    async def chat(
        self,
        step: str,
        messages: list[dict[str, Any]],
        *,
        model: str | None = None,
        tokens_max: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> ChatAnswer:
        asked = {"model": model or self._tenure.job.model_id, "messages": messages, "max_tokens": tokens_max}
        request = shape(ChatRequest, {**asked, "tools": tools} if tools else asked)
        await self._trade.catalog.refresh()
        sold, price = self._trade.catalog.chat_model(request.model)
        check_allowed(sold, self._models_allowed())
        chat_rules.check_payload(request, sold)
        quote = chat_rules.quote_of(request, sold, price)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = chat_rules.upstream_payload(request, upstream_model, quote)
            return await self._trade.upstreams.chat(provider, payload, timeout_s=timeout_s)

        async def read(answer: dict[str, Any]) -> tuple[Usage | None, Mapping[str, Any]]:
            return usage_of(tally_of(answer), request, sold), _said(answer)

        call = PaidCall(
            step=step,
            tool="chat",
            model=sold,
            quote=quote,
            needs=chat_rules.needs_of(request),
            request_hash=_hash_of(asked),
            ask=ask,
            read=read,
        )
        done = await self._purse.pay(call)
        return ChatAnswer(done.answer["text"], tuple(done.answer["tool_calls"]), done.charged_micros)

    async def paint(self, step: str, prompt: str, *, model: str, size: str = "1024x1024") -> ArtifactRef:
        painting = Painting(model, prompt, size)
        request = request_of(painting)
        await self._trade.catalog.refresh()
        sold, price = painted_by(self._trade.catalog, self._models_allowed(), painting)

        async def ask(provider: Provider, upstream_model: str, timeout_s: float) -> dict[str, Any]:
            payload = image_rules.upstream_payload(request, upstream_model)
            return await self._trade.upstreams.images(provider, payload, timeout_s=timeout_s)

        async def read(answer: dict[str, Any]) -> tuple[Usage | None, Mapping[str, Any]]:
            picture = await self._trade.pictures.first_of(answer)
            ref = await self.keep(f"{step}.{picture.suffix}", picture.media_type, picture.content)
            return image_rules.usage_of(answer, request), to_builtins(ref)

        call = PaidCall(
            step=step,
            tool="image",
            model=sold,
            quote=image_rules.quote_of(request, sold, price),
            request_hash=_hash_of([model, prompt, size]),
            ask=ask,
            read=read,
        )
        done = await self._purse.pay(call)
        return msgspec.convert(done.answer, ArtifactRef)

    async def film(self, step: str, prompt: str, *, model: str, seconds: int, size: str = "1280x720") -> ArtifactRef:
        await self._trade.catalog.refresh()
        sold, price = filmed_by(self._trade.catalog, self._models_allowed(), Filming(model, seconds))
        order = Order(step, prompt, sold, seconds, size)
        film = Film(order, self._tenure, self._store, self._trade.upstreams, self.keep, self._clock)
        call = PaidCall(
            step=step,
            tool="video",
            model=sold,
            quote=quote_of(order, price),
            request_hash=_hash_of([model, prompt, seconds, size]),
            hold_ms=FILM_HOLD_MS,
            lends=False,
            ask=film.ask,
            read=film.read,
        )
        done = await self._purse.pay(call)
        return msgspec.convert(done.answer, ArtifactRef)

    async def note(self, kind: str, text: str, **facts: str | int) -> None:
        await self._tenure.note(kind, text[:NOTE_CHARS_MAX], facts)

    async def keep(self, name: str, media_type: str, data: bytes) -> ArtifactRef:
        """The pieces first and then, with what names them, the count: a repeat finds it and counts nothing."""
        job = self._tenure.job
        ref = ArtifactRef(hashlib.sha256(data).hexdigest(), rules.artifact_name(name), media_type, len(data))
        if await self._store.artifact(job.job_id, ref.artifact_id) is not None:
            return ref
        if len(data) > ARTIFACT_BYTES_MAX:
            raise ArtifactTooLarge(ARTIFACT_BYTES_MAX)
        if job.artifact_bytes + len(data) > ARTIFACTS_BYTES_MAX:
            raise ArtifactTooLarge(ARTIFACTS_BYTES_MAX)
        *earlier, last = portions(_artifact_puts(job, ref, data, self._clock()), bytes_max=COMMIT_BYTES_MAX)
        for portion in earlier:
            await self._tenure.write(lambda job: {}, portion)
        await self._tenure.write(
            lambda job: {"artifacts": job.artifacts + 1, "artifact_bytes": job.artifact_bytes + len(data)}, last
        )
        return ref

    async def read(self, ref: ArtifactRef) -> bytes:
        data = await self._store.artifact_bytes(self._tenure.job.job_id, ref)
        if data is None:
            raise ArtifactAbsent
        return data

    async def run_python(self, step: str, code: str, files: Mapping[str, bytes]) -> RunResult:
        if self._trade.tools.sandbox is None:
            raise JobInvalid("Programs are not run here.")
        begun_at_ms, begun_s = self._clock(), time.monotonic()
        result = await self._trade.tools.sandbox.run(code, files)
        facts: dict[str, str | int] = {"exit_code": result.exit_code, "files": len(result.files)}
        await self._record(step, "run_python", begun_at_ms, begun_s, facts)
        return result

    async def search(self, query: str, *, count: int) -> list[Passage]:
        begun_at_ms, begun_s = self._clock(), time.monotonic()
        passages = await self._trade.tools.search.search(query, count=count)
        await self._record(f"search:{query}", "search", begun_at_ms, begun_s, {"passages": len(passages)})
        return passages

    async def _record(
        self, step: str, tool: str, begun_at_ms: int, begun_s: float, facts: Mapping[str, str | int]
    ) -> None:
        took_ms = round(1_000 * (time.monotonic() - begun_s))
        trace = Trace(step=step, tool=tool, begun_at_ms=begun_at_ms, facts=facts, took_ms=took_ms)
        path = f"jobs/{self._tenure.job.job_id}/steps/{rules.step_id(step)}"
        await self._tenure.write(lambda job: {}, [Put(path, trace_document(trace))])

    def _models_allowed(self) -> frozenset[str] | None:
        allowed = self._tenure.job.models_allowed
        return None if allowed is None else frozenset(allowed)


def _artifact_puts(job: Job, ref: ArtifactRef, data: bytes, now_ms: int) -> list[Put]:
    """The pieces may be read as soon as they are there, by whom the job is."""
    puts = []
    for number in range(pieces_of(len(data))):
        piece = data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        path = f"jobs/{job.job_id}/chunks/{ref.artifact_id}-{number}"
        puts.append(Put(path, {"data": piece, "preview": True}, size_bytes=len(piece)))
    fields = {
        "name": ref.name,
        "media_type": ref.media_type,
        "size_bytes": ref.size_bytes,
        "chunks": len(puts),
        "at_ms": now_ms,
    }
    return [*puts, Put(f"jobs/{job.job_id}/artifacts/{ref.artifact_id}", fields)]


def _said(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is kept of a chat's answer."""
    choices = answer.get("choices") or [{}]
    message = choices[0].get("message") or {}
    content = message.get("content")
    return {"text": content if isinstance(content, str) else "", "tool_calls": message.get("tool_calls") or []}


def _hash_of(asked: object) -> str:
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()
