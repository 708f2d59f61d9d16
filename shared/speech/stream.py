"""A text that is told while a recording is written down, and one that is told at once because its provider waits."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from shared.base.units import Unit
from shared.calls.service import told_cost
from shared.calls.stream import told_event
from shared.metering.models import Charge, Usage
from shared.speech import rules
from shared.speech.models import SpeechRequest, Transcribed

DELTA, DONE = "transcript.text.delta", "transcript.text.done"


class Transcript:
    """A text as a work that is shown while it is made. Implements `shared.calls.stream.Work`."""

    noun = "transcription"
    partial = DELTA
    finished = DONE
    owed_unseen = True

    def __init__(self, request: SpeechRequest) -> None:
        self._request = request
        self._said = ""

    def shown(self, event: Mapping[str, Any]) -> None:
        """Take note of what was said in a part."""
        self._said += event["delta"]

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether there is text in it, be it an empty one: silence has been heard, too."""
        return isinstance(event.get("delta" if event.get("type") == DELTA else "text"), str)

    def usage(self, finished: Mapping[str, Any] | None) -> Usage:
        """The whole recording, which the provider has been sent and bills, however much of its text has come."""
        if finished is None:
            return rules.usage_estimated(self._request, self._said)
        return rules.usage_of(finished, self._request)

    def told(self, finished: Mapping[str, Any], usage: Usage | None, charge: Charge) -> dict[str, Any]:
        """The text with its cost."""
        return {**finished, "usage": told_usage(finished.get("usage"), usage, charge)}


class TranscriptAtOnce:
    """A text of which all came in one piece, as a stream. It was charged before, so nothing is left to settle."""

    def __init__(self, whole: Transcribed) -> None:
        self._body = whole.body if isinstance(whole.body, dict) else {"text": whole.body}
        self.headers = dict(whole.headers)

    async def events(self) -> AsyncIterator[bytes]:
        """The text, and that it is done."""
        if self._body["text"]:
            yield told_event({"type": DELTA, "delta": self._body["text"]})
        yield told_event({**self._body, "type": DONE})

    async def close(self) -> None:
        """Nothing is held any more."""


def told_usage(reported: object, usage: Usage | None, charge: Charge) -> dict[str, Any]:
    """What the provider says it used, or else the length that was charged; with that length and its cost beside it."""
    audio_ms = usage.count(Unit.AUDIO_MS) if usage else 0
    ours = {"type": "duration", "seconds": -(-audio_ms // 1_000)}
    return {**(reported if isinstance(reported, dict) else ours), "audio_ms": audio_ms, **told_cost(charge)}
