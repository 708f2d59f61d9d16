"""The items that a response is made of, each with what is told while it grows."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from shared.responses import carried
from shared.responses.carried import Block

IN_PROGRESS = "in_progress"
Event = dict[str, Any]
"""An event of a stream without its number."""


class Item(ABC):
    """One item of the output: who adds to it passes on the events that this makes."""

    def __init__(self, item_id: str, index: int) -> None:
        self.place = {"item_id": item_id, "output_index": index}
        self.item_id = item_id
        self.status = IN_PROGRESS

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The item as it is told."""

    @abstractmethod
    def done(self) -> Iterator[Event]:
        """What is told of its inside when nothing more comes."""


class Thoughts(Item):
    """What the model thought before it answered, told as a summary: a provider tells no other."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._said: list[str] = []
        self._unsigned: list[str] = []
        self._blocks: list[Block] = []

    def add(self, text: str, blocks: list[Block]) -> Iterator[Event]:
        """Add thoughts, and blocks that sign them."""
        if text:
            if not self._said:
                part = {"type": "summary_text", "text": ""}
                yield {"type": "response.reasoning_summary_part.added", **self.place, "summary_index": 0, "part": part}
            self._said.append(text)
            self._unsigned.append(text)
            yield {
                "type": "response.reasoning_summary_text.delta",
                **self.place,
                "summary_index": 0,
                "delta": text,
            }
        for block in blocks:
            # In a stream a signature comes by itself, after the thoughts that it signs.
            signs_earlier = block.get("type") == "thinking" and not block.get("thinking")
            self._blocks.append({**block, "thinking": "".join(self._unsigned)} if signs_earlier else block)
            self._unsigned = [] if block.get("type") == "thinking" else self._unsigned

    def done(self) -> Iterator[Event]:
        """The whole summary."""
        for part in self._summary():
            whole = {**self.place, "summary_index": 0}
            yield {"type": "response.reasoning_summary_text.done", **whole, "text": part["text"]}
            yield {"type": "response.reasoning_summary_part.done", **whole, "part": part}

    def to_dict(self) -> dict[str, Any]:
        """A reasoning item."""
        told = {"type": "reasoning", "id": self.item_id, "status": self.status, "summary": self._summary()}
        return {**told, "encrypted_content": text} if (text := carried.sealed(self._blocks)) else told

    def _summary(self) -> list[dict[str, str]]:
        return [{"type": "summary_text", "text": "".join(self._said)}] if self._said else []


class Message(Item):
    """What the model said, or why it would not."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._parts: list[tuple[str, list[str]]] = []

    def add(self, field: str, text: str) -> Iterator[Event]:
        """Add to the text, or to the refusal: `field` is one of these."""
        if not self._parts or self._parts[-1][0] != field:
            if self._parts:
                yield from self._part_done()
            self._parts.append((field, []))
            yield {"type": "response.content_part.added", **self._where(), "part": _part(field, "")}
        self._parts[-1][1].append(text)
        if field == "text":
            yield {"type": "response.output_text.delta", **self._where(), "delta": text, "logprobs": []}
        else:
            yield {"type": "response.refusal.delta", **self._where(), "delta": text}

    def done(self) -> Iterator[Event]:
        """The last part, whole."""
        if self._parts:
            yield from self._part_done()

    def to_dict(self) -> dict[str, Any]:
        """A message item."""
        content = [_part(field, "".join(said)) for field, said in self._parts]
        return {
            "type": "message",
            "id": self.item_id,
            "status": self.status,
            "role": "assistant",
            "content": content,
        }

    def _part_done(self) -> Iterator[Event]:
        field, said = self._parts[-1]
        part = _part(field, "".join(said))
        if field == "text":
            yield {"type": "response.output_text.done", **self._where(), "text": part["text"], "logprobs": []}
        else:
            yield {"type": "response.refusal.done", **self._where(), "refusal": part["refusal"]}
        yield {"type": "response.content_part.done", **self._where(), "part": part}

    def _where(self) -> dict[str, Any]:
        return {**self.place, "content_index": len(self._parts) - 1}


class Call(Item):
    """A function that the model wants called."""

    def __init__(self, item_id: str, index: int, call_id: str, *, name: str, extra: Mapping[str, Any] | None) -> None:
        super().__init__(item_id, index)
        self._call_id = call_id
        self._name = name
        self._extra = extra
        self._arguments: list[str] = []

    def add(self, arguments: str) -> Iterator[Event]:
        """Add to the arguments."""
        if arguments:
            self._arguments.append(arguments)
            yield {"type": "response.function_call_arguments.delta", **self.place, "delta": arguments}

    def done(self) -> Iterator[Event]:
        """The whole of the arguments."""
        whole = {"name": self._name, "arguments": "".join(self._arguments)}
        yield {"type": "response.function_call_arguments.done", **self.place, **whole}

    def to_dict(self) -> dict[str, Any]:
        """A function_call item."""
        told = {
            "type": "function_call",
            "id": self.item_id,
            "status": self.status,
            "call_id": self._call_id,
            "name": self._name,
            "arguments": "".join(self._arguments),
        }
        # Google's signature of the thoughts behind a call, which it wants back. Clients give items back as they are.
        return {**told, "extra_content": dict(self._extra)} if self._extra else told


def _part(field: str, said: str) -> dict[str, Any]:
    if field == "refusal":
        return {"type": "refusal", "refusal": said}
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
