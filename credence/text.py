"""Text that others wrote: read as JSON in one way only, and shown so that it cannot pass for a line of ours."""

import json
import math
from typing import Any, NoReturn


class JsonWrong(Exception):
    """The text is no JSON object, or one that two readers may understand differently."""


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that is the whole text. Raise JsonWrong.

    A name that stands twice in an object is refused: people see the first, programs take the last.
    """
    try:
        value = json.loads(text, object_pairs_hook=_named_once, parse_float=_finite, parse_constant=_refused)
        if "\\u" in text:
            # Half of a surrogate pair can be written as an escape, and is no text that could be hashed.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise JsonWrong(f"no JSON as it should be: {error}") from None
    if not isinstance(value, dict):
        raise JsonWrong("no JSON object")
    return value


def printable(text: str) -> str:
    """The text with everything that moves the cursor, breaks the line or turns its direction written as an escape."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
