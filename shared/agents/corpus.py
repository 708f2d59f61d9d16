"""A corpus of this project's own documents: what research reads where nothing else is set up."""

import math
import re
from collections import Counter
from pathlib import Path

from msgspec import Struct

from shared.agents.desk import Passage

FOLDER = Path(__file__).resolve().parents[2] / "docs"
PASSAGE_CHARS_MAX = 1_500
FILES_MAX = 500
_WORD = re.compile(r"[a-z0-9]+")
_K1, _B = 1.5, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, 2009)."""


class _Known(Struct, frozen=True):
    passage: Passage
    counts: Counter[str]


class LocalCorpus:
    """Markdown files of a folder, in paragraphs, ranked by BM25. Read on the first search."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._known: list[_Known] | None = None

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages that share most with the query; the same ones for the same query."""
        if self._known is None:
            self._known = [_Known(one, Counter(_words(f"{one.title} {one.text}"))) for one in _passages(self._folder)]
        known, words = self._known, set(_words(query))
        length_mean = sum(one.counts.total() for one in known) / max(1, len(known))
        found_in = {word: sum(word in one.counts for one in known) for word in words}

        def score(one: _Known) -> float:
            length = 1 - _B + _B * one.counts.total() / max(1.0, length_mean)
            return sum(
                math.log(1 + (len(known) - found_in[word] + 0.5) / (found_in[word] + 0.5))
                * (one.counts[word] * (_K1 + 1) / (one.counts[word] + _K1 * length))
                for word in words
                if word in one.counts
            )

        ranked = sorted(((score(one), one.passage) for one in known), key=lambda it: (-it[0], it[1].source, it[1].text))
        return [passage for points, passage in ranked[:count] if points > 0]


def _passages(folder: Path) -> list[Passage]:
    passages = []
    for path in sorted(folder.rglob("*.md"))[:FILES_MAX]:
        name, title, gathered = str(path.relative_to(folder)), path.stem, ""
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            if block.startswith("#"):
                title = block.lstrip("# ").splitlines()[0]
                continue
            if gathered and len(gathered) + len(block) > PASSAGE_CHARS_MAX:
                passages.append(Passage(name, title, gathered, f"docs/{name}"))
                gathered = ""
            gathered = f"{gathered}\n\n{block}".strip()[:PASSAGE_CHARS_MAX]
        if gathered:
            passages.append(Passage(name, title, gathered, f"docs/{name}"))
    return passages


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
