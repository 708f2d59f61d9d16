"""OpenAI's wire: what the client asked and what the provider answered, passed through."""

from collections.abc import Mapping
from typing import Any

from shared.providers.connections import Answer, Connections
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.models import RECORDING_BYTES_MAX, AudioForm, Call, Video
from shared.providers.streams import PICTURE_EVENT_BYTES_MAX, PassThrough, UpstreamStream, shows
from shared.providers.videos import VIDEO_BYTES_MAX, VIDEOS, video_of

_CHAT, _EMBEDDINGS, _IMAGES, _AUDIO = (
    "/chat/completions",
    "/embeddings",
    "/images/generations",
    "/audio/transcriptions",
)


class OpenaiWire:
    """Calls over OpenAI's wire. Each method raises one of the three refusals and never retries."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def chat(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        answer = await self._whole(call, _CHAT, _fitted(call, payload))
        if not _is_completion(answer):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is no chat completion")
        return answer

    async def chat_stream(self, call: Call, payload: Mapping[str, Any]) -> UpstreamStream:
        """The chunks of a chat completion."""
        answer = await self._post(call, _CHAT, _fitted(call, payload))
        return UpstreamStream(call.provider, answer, PassThrough(call.provider.name))

    async def embeddings(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A list of embeddings, each a list of numbers or base64."""
        answer = await self._whole(call, _EMBEDDINGS, payload)
        if not _all_have(answer.get("data"), {"embedding": (list, str)}):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is no list of embeddings")
        return answer

    async def images(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Pictures, each as base64 or as an address."""
        answer = await self._whole(call, _IMAGES, _sized(call, payload))
        if not _all_have(answer.get("data"), {"b64_json": (str,), "url": (str,)}):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is no list of images")
        return answer

    async def images_stream(self, call: Call, payload: Mapping[str, Any]) -> UpstreamStream:
        """Partial pictures, and the finished one: the body may end without `[DONE]`."""
        answer, reader = await self._post(call, _IMAGES, payload), PassThrough(call.provider.name)
        return UpstreamStream(call.provider, answer, reader, event_bytes_max=PICTURE_EVENT_BYTES_MAX, begins=shows)

    async def transcription(self, call: Call, form: AudioForm) -> dict[str, Any]:
        """The text of a recording. Ask for `json` or `verbose_json`; other formats are no objects."""
        async with await self._post_form(call, form) as response:
            answer = await response.to_object()
        if not isinstance(answer.get("text"), str):
            raise UpstreamUnavailable(call.provider.name, "gave an answer that is no transcription")
        return answer

    async def transcription_stream(self, call: Call, form: AudioForm) -> UpstreamStream:
        """The text as it is written; the form asks for it with `stream`. The body may end without `[DONE]`."""
        answer, reader = await self._post_form(call, form), PassThrough(call.provider.name)
        return UpstreamStream(call.provider, answer, reader, begins=shows)

    async def video_begin(self, call: Call, payload: Mapping[str, Any], *, key: str) -> Video:
        """A video, asked for. The same `key` asks for the same one again, where a provider knows such keys."""
        headers = {**_authorization(call), "idempotency-key": key}
        async with await self._connections.post_json(call, VIDEOS, payload, headers) as answer:
            return video_of(await answer.to_object(), call.provider.name)

    async def video(self, call: Call, video_id: str) -> Video:
        """How far it is."""
        async with await self._connections.get(call, f"{VIDEOS}/{video_id}", _authorization(call)) as answer:
            return video_of(await answer.to_object(), call.provider.name)

    async def video_content(self, call: Call, video_id: str) -> bytes:
        """The video itself, as MP4."""
        path = f"{VIDEOS}/{video_id}/content"
        async with await self._connections.get(call, path, _authorization(call)) as answer:
            return await answer.to_bytes(VIDEO_BYTES_MAX)

    async def _whole(self, call: Call, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        async with await self._post(call, path, payload) as answer:
            return await answer.to_object()

    async def _post(self, call: Call, path: str, payload: Mapping[str, Any]) -> Answer:
        return await self._connections.post_json(call, path, payload, _authorization(call))

    async def _post_form(self, call: Call, form: AudioForm) -> Answer:
        if len(form.content) > RECORDING_BYTES_MAX:
            raise UpstreamRefused(f"A recording may have at most {RECORDING_BYTES_MAX} bytes.", param="file")
        return await self._connections.post_form(call, _AUDIO, form, _authorization(call))


def _authorization(call: Call) -> dict[str, str]:
    return {"authorization": f"Bearer {call.key.reveal()}"}


def _fitted(call: Call, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload with this provider's names for fields that others call differently."""
    if not call.provider.renamed and not call.provider.unknown:
        return payload
    names = dict(call.provider.renamed)
    return {names.get(name, name): value for name, value in payload.items() if name not in call.provider.unknown}


def _sized(call: Call, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload with the size of a picture as this provider takes it."""
    width, _, height = str(payload.get("size", "")).partition("x")
    if not call.provider.splits_size or not (width.isdecimal() and height.isdecimal()):
        return payload
    kept = {name: value for name, value in payload.items() if name != "size"}
    return {**kept, "width": int(width), "height": int(height)}


def _is_completion(answer: Mapping[str, Any]) -> bool:
    """Whether there is at least one choice, and each says something, be it nothing."""
    choices = answer.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices)
    )


def _all_have(items: object, fields: Mapping[str, tuple[type, ...]]) -> bool:
    """True for a list of objects, at least one, each with one of the fields in one of its types."""
    return (
        isinstance(items, list)
        and bool(items)
        and all(
            isinstance(item, dict) and any(isinstance(item.get(name), kinds) for name, kinds in fields.items())
            for item in items
        )
    )
