"""Videos over Google's wire: Veo is asked by `predictLongRunning`, looked at as an operation, and read as a file.

Sources: https://ai.google.dev/gemini-api/docs/video and https://ai.google.dev/api/files
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec.structs import replace
from yarl import URL

from shared.providers.connections import Connections
from shared.providers.errors import UpstreamRefused, UpstreamUnavailable
from shared.providers.models import Call, Video, VideoState
from shared.providers.refusals import quotes
from shared.providers.videos import REASON_CHARS_MAX, VIDEO_BYTES_MAX

_FRAMES = {"1280x720": ("16:9", "720p"), "720x1280": ("9:16", "720p")}
"""Aspect ratio and resolution of the sizes that are sold."""
_OPERATION = re.compile(r"(models/[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)?operations/[A-Za-z0-9_-]{1,200}")
"""It becomes a part of an address."""
_FILE = re.compile(r"(?:/[A-Za-z0-9._-]+)*/files/([A-Za-z0-9_-]{1,100})(?::download)?")
_REQUEST_AT_FAULT = 3
"""INVALID_ARGUMENT: what Google says with any other code may be about our account."""
_GOOGLES = (".googleapis.com", ".googleusercontent.com")
"""Where Google keeps files."""


class GoogleVideos:
    """Videos of Veo. Each method raises one of the three refusals and never retries."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def video_begin(self, call: Call, payload: Mapping[str, Any], *, key: str) -> Video:
        """A video, asked for. Google knows no idempotency keys, so `key` is not sent: who dies before noting the video
        asks for another one, which the platform pays too.
        """
        path = f"/models/{quote(str(payload['model']), safe='')}:predictLongRunning"
        asked = to_predict(payload)
        async with await self._connections.post_json(call, path, asked, _key(call)) as answer:
            return _told(call, await answer.to_object())

    async def video(self, call: Call, video_id: str) -> Video:
        """Whether it is there. Google does not tell how far it is until then."""
        return _told(call, await self._operation(call, video_id))

    async def video_content(self, call: Call, video_id: str) -> bytes:
        """The video itself, as MP4."""
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self._file(call, file_of(await self._operation(call, video_id), call.provider.name))
        except TimeoutError:
            raise UpstreamUnavailable(call.provider.name, "took too long to send the video") from None

    async def _operation(self, call: Call, video_id: str) -> dict[str, Any]:
        async with await self._connections.get(call, f"/{video_id}", _key(call)) as answer:
            return await answer.to_object()

    async def _file(self, call: Call, file_id: str) -> bytes:
        """Asked for by its name at the address that we know, whatever host the operation names."""
        path = f"/files/{file_id}:download?alt=media"
        async with await self._connections.get(call, path, _key(call), may_move=True) as answer:
            if answer.moved_to is None:
                return await answer.to_bytes(VIDEO_BYTES_MAX)
            there, path, headers = moved(call, path, answer.moved_to)
        async with await self._connections.get(there, path, headers) as answer:
            return await answer.to_bytes(VIDEO_BYTES_MAX)


def to_predict(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The body that asks for what OpenAI's payload does. Raise UpstreamRefused for a size that Google has not."""
    if payload["size"] not in _FRAMES:
        raise UpstreamRefused(f"Google makes videos of {' or '.join(_FRAMES)} only.", param="size")
    ratio, resolution = _FRAMES[payload["size"]]
    parameters = {"aspectRatio": ratio, "resolution": resolution, "durationSeconds": int(payload["seconds"])}
    return {"instances": [{"prompt": payload["prompt"]}], "parameters": parameters}


def video_of(operation: Mapping[str, Any], provider_name: str) -> Video:
    """What an operation says of its video. Raise UpstreamUnavailable for an answer that is none.

    An operation that is done and has no video failed, whether it says why or not: its filters let nothing pass.
    """
    name, error = operation.get("name"), operation.get("error")
    if not isinstance(name, str) or not _OPERATION.fullmatch(name):
        raise UpstreamUnavailable(provider_name, "gave an answer that is no video")
    if operation.get("done") is not True:
        return Video(name, VideoState.WAITING)
    if isinstance(error, dict):
        words = error.get("message") if error.get("code") == _REQUEST_AT_FAULT else ""
        return Video(name, VideoState.FAILED, reason=_line(words))
    made = _made(operation)
    if not made.get("generatedSamples"):
        reasons = made.get("raiMediaFilteredReasons")
        return Video(name, VideoState.FAILED, reason=_line(reasons[0] if isinstance(reasons, list) and reasons else ""))
    file_of(operation, provider_name)
    return Video(name, VideoState.COMPLETED, 100)


def file_of(operation: Mapping[str, Any], provider_name: str) -> str:
    """The name of the file that an operation made. Raise UpstreamUnavailable when it tells none."""
    try:
        uri = _made(operation)["generatedSamples"][0]["video"]["uri"]
        found = _FILE.fullmatch(urlsplit(uri).path)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        found = None
    if found is None:
        raise UpstreamUnavailable(provider_name, "gave an answer that names no video")
    return found[1]


def moved(call: Call, path: str, location: str) -> tuple[Call, str, dict[str, str]]:
    """How to ask where a redirect leads: with the key at the provider's own address, without it elsewhere at Google,
    by public addresses only. Raise UpstreamUnavailable for any other place.
    """
    provider = call.provider
    try:
        here = URL(provider.base_url + path)
        there = here.join(URL(location))
        origin, is_own = there.origin(), there.origin() == here.origin()
    except ValueError:
        raise UpstreamUnavailable(provider.name, "keeps its video where nobody can go") from None
    if not is_own and not (origin.scheme == "https" and (origin.host or "").endswith(_GOOGLES)):
        raise UpstreamUnavailable(provider.name, "keeps its video where we do not go")
    at = replace(provider, base_url=str(origin), guarded=provider.guarded or not is_own)
    return replace(call, provider=at), there.raw_path_qs, _key(call) if is_own else {}


def _told(call: Call, operation: Mapping[str, Any]) -> Video:
    """The video, without a reason that quotes our key."""
    video = video_of(operation, call.provider.name)
    return replace(video, reason="") if quotes(video.reason, call.key.reveal()) else video


def _made(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    response = operation.get("response")
    made = response.get("generateVideoResponse") if isinstance(response, dict) else None
    return made if isinstance(made, dict) else {}


def _line(words: object) -> str:
    return words[:REASON_CHARS_MAX] if isinstance(words, str) else ""


def _key(call: Call) -> dict[str, str]:
    return {"x-goog-api-key": call.key.reveal()}
