"""The web as a place to look things up: a search that knows addresses, and a reader of what is there.

Pages are strangers' and are read as warily as a client's URL: public hosts only, bounded, without anything of ours.
"""

import asyncio
from typing import Protocol

from msgspec import Struct

from shared.base.egress import AddressRefused
from shared.base.fetcher import Fetcher
from shared.base.together import all_of
from shared.tools.corpus import Corpus, Document
from shared.tools.models import Passage
from shared.tools.pages import text_of

PAGES_MAX = 5
"""Read for one search, at once."""
PAGE_BYTES_MAX = 1024 * 1024
PAGE_TIMEOUT_S = 10.0
MEDIA_TYPES = frozenset({"text/html", "text/plain", "application/xhtml+xml"})


class Hit(Struct, frozen=True):
    """A page that a search engine thinks fits."""

    title: str
    address: str
    excerpt: str


class Engine(Protocol):
    """A search engine."""

    async def hits(self, query: str, *, count: int) -> list[Hit]:
        """The pages that fit best, best first. Raise SearchUnavailable."""


class Web:
    """Searches the web and reads what it finds. Belongs to one event loop."""

    def __init__(self, engine: Engine, fetcher: Fetcher) -> None:
        self._engine = engine
        self._fetcher = fetcher

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages of the found pages that are nearest to the query, best first. Raise SearchUnavailable.

        Of a page that cannot be read there is what the engine shows of it.
        """
        hits = await self._engine.hits(query, count=PAGES_MAX)
        documents = await all_of(self._document(hit) for hit in hits[:PAGES_MAX])
        # In a thread: five long pages have a million characters to be taken apart.
        corpus = await asyncio.to_thread(Corpus, documents)
        found = await corpus.search(query, count=count)
        # A page may fit without having one of the words.
        return found or [Passage(hit.address, hit.title, hit.excerpt, hit.address) for hit in hits[:count]]

    async def _document(self, hit: Hit) -> Document:
        title, text = "", ""
        try:
            page = await self._fetcher.fetch(
                hit.address, bytes_max=PAGE_BYTES_MAX, media_types=MEDIA_TYPES, timeout_s=PAGE_TIMEOUT_S
            )
            # In a thread: a page made for it takes seconds.
            title, text = await asyncio.to_thread(text_of, page.content, page.media_type)
        except AddressRefused:
            pass
        return Document(hit.address, hit.title or title or hit.address, text or hit.excerpt, hit.address)

    async def close(self) -> None:
        """Close the pooled connections to pages."""
        await self._fetcher.close()
