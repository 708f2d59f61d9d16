"""A response's output, put together out of a chat's deltas. A whole message is one: both give the same items."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from shared.responses.carried import Block
from shared.responses.items import IN_PROGRESS, Call, Event, Item, Message, Thoughts


class Output:
    """Collects items and tells what happens to them. Passes over what has no shape that it knows, and never raises."""

    def __init__(self, name: str) -> None:
        """`name` tells the items of this response from those of all others."""
        self._name = name
        self._items: list[Item] = []
        self._words: Thoughts | Message | None = None
        """What words are being added to. Calls stay open to the end: their pieces may come in any order."""
        self._calls: dict[int | str, Call] = {}

    def to_list(self) -> list[dict[str, Any]]:
        """All items as they are now."""
        return [item.to_dict() for item in self._items]

    def add(self, delta: object) -> list[Event]:
        """What one delta, or a whole message, adds."""
        return list(self._add(delta)) if isinstance(delta, dict) else []

    def finish(self, status: str) -> list[Event]:
        """Close all that is open, as `completed` or `incomplete`."""
        unfinished = [item for item in self._items if item.status == IN_PROGRESS]
        self._words = None
        self._calls = {}
        return [event for item in unfinished for event in _closed(item, status)]

    def _add(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        thoughts, blocks = _thoughts_of(delta), _blocks_of(delta)
        if thoughts or blocks:
            thinking = self._words
            if not isinstance(thinking, Thoughts):
                thinking = Thoughts(*self._next("rs"))
                yield from self._begin(thinking)
            yield from thinking.add(thoughts, blocks)
        for field, text in (("text", _text_of(delta.get("content"))), ("refusal", _text_of(delta.get("refusal")))):
            if text:
                message = self._words
                if not isinstance(message, Message):
                    message = Message(*self._next("msg"))
                    yield from self._begin(message)
                yield from message.add(field, text)
        for position, piece in enumerate(_objects(delta.get("tool_calls"))):
            yield from self._add_call(piece, position)

    def _begin(self, item: Thoughts | Message) -> Iterator[Event]:
        yield from self._end_words()
        self._words = item
        yield self._opened(item)

    def _end_words(self) -> Iterator[Event]:
        if self._words is not None:
            yield from _closed(self._words, "completed")
            self._words = None

    def _add_call(self, piece: Mapping[str, Any], position: int) -> Iterator[Event]:
        function = piece.get("function")
        said = function if isinstance(function, dict) else {}
        number = piece.get("index", piece.get("id"))
        key = number if isinstance(number, int | str) else position
        if key not in self._calls:
            yield from self._end_words()
            call_id = str(piece.get("id") or f"call_{self._name}_{len(self._items)}")
            extra = piece.get("extra_content")
            self._calls[key] = Call(
                *self._next("fc"),
                call_id,
                name=_text_of(said.get("name")),
                extra=extra if isinstance(extra, dict) else None,
            )
            yield self._opened(self._calls[key])
        arguments = said.get("arguments")
        # Some give the arguments as the object that they are.
        yield from self._calls[key].add(json.dumps(arguments) if isinstance(arguments, dict) else _text_of(arguments))

    def _opened(self, item: Item) -> Event:
        self._items.append(item)
        return {"type": "response.output_item.added", "output_index": len(self._items) - 1, "item": item.to_dict()}

    def _next(self, kind: str) -> tuple[str, int]:
        return f"{kind}_{self._name}_{len(self._items)}", len(self._items)


def _closed(item: Item, status: str) -> Iterator[Event]:
    yield from item.done()
    item.status = status
    index = item.place["output_index"]
    yield {"type": "response.output_item.done", "output_index": index, "item": item.to_dict()}


def _text_of(content: object) -> str:
    """Text, or the text in the parts that some providers write it in."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in _objects(content) if part.get("type") in (None, "text")]
    return "".join(part for part in parts if isinstance(part, str))


def _thoughts_of(delta: Mapping[str, Any]) -> str:
    """What was thought: DeepSeek's name for it, OpenRouter's, or Mistral's parts of the content."""
    told = _text_of(delta.get("reasoning_content")) or _text_of(delta.get("reasoning"))
    parts = [part.get("thinking") for part in _objects(delta.get("content")) if part.get("type") == "thinking"]
    return told + "".join(map(_text_of, parts))


def _blocks_of(delta: Mapping[str, Any]) -> list[Block]:
    """Signed thoughts, those of them that can be carried: flat objects."""
    blocks = _objects(delta.get("thinking_blocks"))
    return [block for block in blocks if all(isinstance(value, str | int | None) for value in block.values())]


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
