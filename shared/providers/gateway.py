"""Calls providers, whatever wire they speak. Keys are sent to their own provider's host and nowhere else."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from shared.providers.connections import Connections
from shared.providers.credentials import ConfiguredCredentials, Credentials
from shared.providers.errors import UpstreamUnavailable
from shared.providers.models import AudioForm, Call, Provider, Video, Wire
from shared.providers.openai_wire import OpenaiWire
from shared.providers.streams import UpstreamStream

if TYPE_CHECKING:
    from shared.base.fetcher import Fetcher
    from shared.providers.google_videos import GoogleVideos
    from shared.providers.google_wire import GoogleWire
    from shared.providers.pictures import Pictures

__all__ = ["CALL_TIMEOUT_S", "UpstreamStream", "Upstreams"]

SILENCE_TIMEOUT_S = 120.0
"""The longest a stream may say nothing; slow reasoning models think for a minute before the first token."""
CALL_TIMEOUT_S = 280.0
"""The longest call: twenty seconds inside the function's own limit, so that the charge is still made."""


class ChatWire(Protocol):
    """Asks a provider for a chat in its own format; OpenAI's goes in and comes out."""

    async def chat(self, call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A chat completion in OpenAI's shape."""
        ...

    async def chat_stream(self, call: Call, payload: Mapping[str, Any]) -> UpstreamStream:
        """Its chunks in OpenAI's shape."""
        ...


class VideoWire(Protocol):
    """Has a provider make a video, asked for in OpenAI's shape."""

    async def video_begin(self, call: Call, payload: Mapping[str, Any], *, key: str) -> Video:
        """A video, asked for."""
        ...

    async def video(self, call: Call, video_id: str) -> Video:
        """How far it is."""
        ...

    async def video_content(self, call: Call, video_id: str) -> bytes:
        """The video itself, as MP4."""
        ...


class Upstreams:
    """The providers configured here. Belongs to one event loop; connections are pooled across calls.

    Every method raises UpstreamRefused, UpstreamBusy or UpstreamUnavailable, and never retries. A stream raises them
    until its answer has begun, and UpstreamUnavailable afterwards; `timeout_s` is for all of a call. An answer that is
    given whole may take all of it in silence: it says nothing until it is there.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        *,
        credentials: Credentials | None = None,
        fetcher: "Fetcher | None" = None,
        silence_timeout_s: float = SILENCE_TIMEOUT_S,
    ) -> None:
        """`fetcher` reads images that a client gave by their address."""
        self._providers = {provider.name: provider for provider in providers}
        self._credentials = credentials or ConfiguredCredentials()
        self._fetcher = fetcher
        self._silence_timeout_s = silence_timeout_s
        self._connections = Connections()
        self._pictures: Pictures | None = None
        self._openai = OpenaiWire(self._connections)
        self._anthropic: ChatWire | None = None
        self._google: GoogleWire | None = None
        self._google_videos: GoogleVideos | None = None

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    async def chat(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        """One whole answer."""
        call = await self._call(provider, payload.get("model"), timeout_s)
        if provider.inside:
            call, payload = await self._without_addresses(call, payload)
        return await self._chat_wire(provider).chat(call, payload)

    async def chat_stream(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> UpstreamStream:
        """An answer as it is written."""
        call = await self._streamed_call(provider, payload.get("model"), timeout_s)
        if provider.inside:
            call, payload = await self._without_addresses(call, payload)
        return await _begun(await self._chat_wire(provider).chat_stream(call, payload))

    async def embeddings(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        """Embeddings in OpenAI's shape: `data` has at least one item, each with its `embedding`."""
        call = await self._call(provider, payload.get("model"), timeout_s)
        return await self._openai_wire(provider).embeddings(call, payload)

    async def images(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        """Pictures in OpenAI's shape: `data` has at least one item, each with `b64_json` or `url`."""
        call = await self._call(provider, payload.get("model"), timeout_s)
        return await self._openai_wire(provider).images(call, payload)

    async def images_stream(
        self, provider: Provider, payload: Mapping[str, Any], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> UpstreamStream:
        """Partial pictures and the finished one; the payload asks for them with `stream` and `partial_images`."""
        call = await self._streamed_call(provider, payload.get("model"), timeout_s)
        return await _begun(await self._openai_wire(provider).images_stream(call, payload))

    async def transcription(
        self, provider: Provider, form: AudioForm, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        """The text of a recording, in the `json` or `verbose_json` that the form asks for."""
        call = await self._call(provider, form.model, timeout_s)
        return await self._openai_wire(provider).transcription(call, form)

    async def transcription_stream(
        self, provider: Provider, form: AudioForm, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> UpstreamStream:
        """The text as it is written; the form asks for it with a field `stream`."""
        call = await self._streamed_call(provider, form.model, timeout_s)
        return await _begun(await self._openai_wire(provider).transcription_stream(call, form))

    async def video_begin(
        self, provider: Provider, payload: Mapping[str, Any], *, key: str, timeout_s: float = CALL_TIMEOUT_S
    ) -> Video:
        """Ask for a video; the same `key` asks for the same one again, where the provider knows such keys.

        Google knows none: a death between this order and its note orders, and pays for, another video.
        """
        call = await self._call(provider, payload.get("model"), timeout_s)
        return await self._video_wire(provider).video_begin(call, payload, key=key)

    async def video(self, provider: Provider, model: str, video_id: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Video:
        """How far a video is."""
        return await self._video_wire(provider).video(await self._call(provider, model, timeout_s), video_id)

    async def video_content(
        self, provider: Provider, model: str, video_id: str, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> bytes:
        """A finished video, as MP4."""
        return await self._video_wire(provider).video_content(await self._call(provider, model, timeout_s), video_id)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._pictures is not None:
            await self._pictures.close()
        await self._connections.close()

    async def _call(self, provider: Provider, model: object, timeout_s: float) -> Call:
        return Call(provider, await self._credentials.for_call(provider, str(model)), timeout_s, silence_s=timeout_s)

    async def _streamed_call(self, provider: Provider, model: object, timeout_s: float) -> Call:
        return replace(await self._call(provider, model, timeout_s), silence_s=self._silence_timeout_s)

    async def _without_addresses(self, call: Call, payload: Mapping[str, Any]) -> tuple[Call, Mapping[str, Any]]:
        """The chat with its images as data, and the call with the time that is left of it. Raise UpstreamRefused."""
        from shared.providers.pictures import addresses_in, with_data

        messages = payload["messages"]
        if not (addresses := addresses_in(messages)):
            return call, payload
        images, call = await self._reader().read(addresses, call)
        return call, {**payload, "messages": with_data(messages, images)}

    def _reader(self) -> "Pictures":
        """Loaded when an image is first to be read."""
        if self._pictures is None:
            from shared.providers.pictures import Pictures

            self._pictures = Pictures(self._fetcher)
        return self._pictures

    def _chat_wire(self, provider: Provider) -> ChatWire:
        """Translations are loaded when first used: most cold starts need none."""
        match provider.wire:
            case Wire.OPENAI:
                return self._openai
            case Wire.ANTHROPIC:
                if self._anthropic is None:
                    from shared.providers.anthropic_wire import AnthropicWire

                    self._anthropic = AnthropicWire(self._connections)
                return self._anthropic
            case Wire.GOOGLE:
                if self._google is None:
                    from shared.providers.google_wire import GoogleWire

                    self._google = GoogleWire(self._connections, self._reader())
                return self._google

    def _video_wire(self, provider: Provider) -> VideoWire:
        if provider.wire is not Wire.GOOGLE:
            return self._openai_wire(provider)
        if self._google_videos is None:
            from shared.providers.google_videos import GoogleVideos

            self._google_videos = GoogleVideos(self._connections)
        return self._google_videos

    def _openai_wire(self, provider: Provider) -> OpenaiWire:
        if provider.wire is not Wire.OPENAI:
            raise UpstreamUnavailable(provider.name, "does not offer this kind of call")
        return self._openai


async def _begun(stream: UpstreamStream) -> UpstreamStream:
    await stream.begin()
    return stream
