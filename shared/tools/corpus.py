"""A corpus of documents that can be searched: by BM25, in memory, with the same answer to the same question every time.

Source of the formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from shared.tools.models import Passage

PASSAGE_CHARS_MAX = 1_200
"""Long enough for a thought with its reasons, short enough that several fit into a model's prompt."""
DOCUMENT_BYTES_MAX = 1024 * 1024
DOCUMENTS_MAX = 2_000
"""All are read when a process first searches: a corpus for a team's own papers, and no search engine."""
QUERY_WORDS_MAX = 64
SUFFIXES = (".md", ".txt")
_SATURATION, _LENGTH = 1.2, 0.75
"""The usual values: how soon a word that comes again adds nothing, and how much a long passage is held against it."""
_WORD = re.compile(r"\w+")
_GAP = re.compile(r"\n\s*\n")


class Document(Struct, frozen=True):
    """A document by a name of its own."""

    source: str
    title: str
    text: str
    address: str = ""


class _Indexed(Struct, frozen=True):
    passage: Passage
    counts: Counter[str]
    words: int


class Corpus:
    """Documents cut into passages, and how often each word stands in each."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._indexed = [
            _Indexed(passage, counts := Counter(words_of(f"{passage.title} {passage.text}")), counts.total())
            for document in documents
            for passage in passages_of(document)
        ]
        self._passages_with = Counter(word for indexed in self._indexed for word in indexed.counts)
        self._words_mean = sum(indexed.words for indexed in self._indexed) / max(1, len(self._indexed))

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages nearest to the query, best first; equal ones in the documents' order. None without its words."""
        words = list(dict.fromkeys(words_of(query)))[:QUERY_WORDS_MAX]
        scored = [(self._score(indexed, words), -place) for place, indexed in enumerate(self._indexed)]
        best = sorted((entry for entry in scored if entry[0] > 0), reverse=True)[:count]
        return [self._indexed[-place].passage for _, place in best]

    def _score(self, indexed: _Indexed, words: Sequence[str]) -> float:
        score = 0.0
        for word in words:
            if not (times := indexed.counts[word]):
                continue
            having = self._passages_with[word]
            rarity = math.log(1 + (len(self._indexed) - having + 0.5) / (having + 0.5))
            length = 1 - _LENGTH + _LENGTH * indexed.words / self._words_mean
            score += rarity * times * (_SATURATION + 1) / (times + _SATURATION * length)
        return score


class FolderCorpus:
    """The corpus of a folder, read when it is first searched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._corpus: Corpus | None = None

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """As the corpus does."""
        if (corpus := self._corpus) is None:
            self._corpus = corpus = await asyncio.to_thread(corpus_in, self._folder)
        return await corpus.search(query, count=count)


def corpus_in(folder: Path) -> Corpus:
    """The corpus of all texts below a folder, in the order of their paths. A document is named by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return Corpus(_read(path, folder) for path in paths[:DOCUMENTS_MAX] if path.stat().st_size <= DOCUMENT_BYTES_MAX)


def _read(path: Path, folder: Path) -> Document:
    text, source = path.read_text(encoding="utf-8", errors="replace"), path.relative_to(folder).as_posix()
    first = next((line.strip("# \t") for line in text.splitlines() if line.strip("# \t")), "")
    return Document(source, first[:200] or source, text, f"{folder.name}/{source}")


def words_of(text: str) -> list[str]:
    """Its words, whatever their case."""
    return _WORD.findall(text.casefold())


def passages_of(document: Document) -> list[Passage]:
    """Its paragraphs in order, as many to a passage as there is room for; one that is too long in pieces."""
    passages: list[str] = []
    for paragraph in _GAP.split(document.text):
        for start in range(0, len(paragraph.strip()), PASSAGE_CHARS_MAX):
            piece = paragraph.strip()[start : start + PASSAGE_CHARS_MAX]
            if passages and len(passages[-1]) + len(piece) + 2 <= PASSAGE_CHARS_MAX:
                passages[-1] += f"\n\n{piece}"
            else:
                passages.append(piece)
    return [Passage(document.source, document.title, text, document.address) for text in passages]
