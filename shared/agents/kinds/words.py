"""What is said to models, and found in what they say."""

import re
from typing import Any

from shared.agents.kinds.errors import AnswerUnusable

REPORT_CHARS_MAX = 4_000
"""Of what a program printed, shown to a model or kept for the owner."""
_BLOCK = re.compile(r"^```[ \t]*([\w+-]*)[ \t]*([\w./-]*)[^\n]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_SECONDS = re.compile(r"\bin \d+(\.\d+)?s\b")


def messages(system: str, user: str) -> list[dict[str, Any]]:
    """A chat of one question."""
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def blocks_in(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of an answer, each with the name that stands on its first line, if any does."""
    return [(found[2] if found[2] else "", found[3]) for found in _BLOCK.finditer(text)]


def only_block(text: str) -> str:
    """The first fenced block. Raise AnswerUnusable when there is none: an answer in prose is no program."""
    found = blocks_in(text)
    if not found or not found[0][1].strip():
        raise AnswerUnusable("program")
    return found[0][1]


def report_of(*parts: str) -> str:
    """The end of what a program printed, without the times that differ from run to run."""
    joined = "\n".join(part.strip() for part in parts if part.strip())
    return _SECONDS.sub("in some time", joined)[-REPORT_CHARS_MAX:]
