"""Searching the web: a scripted Tavily, pages on a host of the test's own, and strangers' pages of all sorts."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from shared.base.egress import AddressRefused
from shared.base.fetcher import Fetched, Fetcher
from shared.base.secret import Secret
from shared.tools.errors import SearchUnavailable
from shared.tools.gateway import ANSWER_BYTES_MAX, Tavily
from shared.tools.pages import TEXT_CHARS_MAX, text_of
from shared.tools.web import Hit, Web

KEY = "tvly-do-not-tell"


class FakeTavily:
    """Answers as told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.asked, self.url = 200, b'{"results": []}', list[tuple[str, Any]](), ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("authorization", ""), await request.json()))
        return web.Response(status=self.status, body=self.body, content_type="application/json")


@pytest.fixture
async def tavily() -> AsyncIterator[FakeTavily]:
    fake, app = FakeTavily(), web.Application()
    app.router.add_post("/search", fake.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def engine(tavily: FakeTavily) -> AsyncIterator[Tavily]:
    built = Tavily(tavily.url, Secret(f"{KEY}\n"))
    yield built
    await built.close()


class Shelf(Fetcher):
    """Pages by their address. It keeps to the rules of the real one by refusing what it does not have."""

    def __init__(self, pages: dict[str, Fetched]) -> None:
        super().__init__()
        self._pages = pages

    async def fetch(self, url: str, **_: Any) -> Fetched:
        if url not in self._pages:
            raise AddressRefused("no")
        return self._pages[url]


async def test_the_engine_is_asked_with_our_key_and_tells_hits(tavily: FakeTavily, engine: Tavily) -> None:
    found = [{"title": "T", "url": "https://a.example/", "content": "c", "score": 0.9}] * 3
    tavily.body = json.dumps({"query": "q", "results": found}).encode()

    hits = await engine.hits("why?" * 200, count=2)

    assert hits == [Hit("T", "https://a.example/", "c")] * 2
    ((authorization, asked),) = tavily.asked
    assert authorization == f"Bearer {KEY}"
    assert (len(asked["query"]), asked["max_results"]) == (400, 2)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"detail": "no"}'),
        (302, b"{}"),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"results": [{"title": "no address"}]}'),
        (200, b'{"results": [3]}'),
        (200, b" " * (ANSWER_BYTES_MAX + 1)),
        (500, b""),
    ],
)
async def test_what_is_no_answer_is_a_refusal_without_a_secret(
    tavily: FakeTavily, engine: Tavily, status: int, body: bytes
) -> None:
    tavily.status, tavily.body = status, body

    with pytest.raises(SearchUnavailable) as refusal:
        await engine.hits("why?", count=2)

    assert KEY not in str(refusal.value)


async def test_pages_are_read_and_their_best_passages_given(tavily: FakeTavily, engine: Tavily) -> None:
    """With their address; of one that cannot be read, what the engine showed."""
    read, shut = "https://a.example/cats", "https://169.254.169.254/cats"
    page = b"<title>On cats</title><p>Nothing here.<script>cats cats</script><p>Cats &amp; dogs sleep."
    tavily.body = json.dumps(
        {"results": [{"title": "", "url": read, "content": "x"}, {"title": "B", "url": shut, "content": "cats too"}]}
    ).encode()

    found = await Web(engine, Shelf({read: Fetched(page, "text/html")})).search("cats", count=5)

    assert {(passage.title, passage.address) for passage in found} == {("On cats", read), ("B", shut)}
    assert "Cats & dogs sleep." in next(passage.text for passage in found if passage.address == read)
    assert not any("cats cats" in passage.text for passage in found)


async def test_no_page_of_the_inside_is_read(tavily: FakeTavily, engine: Tavily) -> None:
    """With the real guard: an engine's addresses are strangers' too."""
    inside = [f"{tavily.url}/secret", "https://metadata.google.internal/", "https://[::1]/", "file:///etc/passwd"]
    results = [{"title": "t", "url": url, "content": "shown"} for url in inside]
    tavily.body = json.dumps({"results": results}).encode()
    reader = Web(engine, Fetcher())

    found = await reader.search("shown", count=9)
    await reader.close()

    assert [passage.text for passage in found] == ["shown"] * 4
    assert len(tavily.asked) == 1


def test_a_page_is_told_as_its_reader_sees_it() -> None:
    """Blocks apart, entities read, nothing of head, scripts, styles, comments and navigation."""
    page = b"""<!doctype html><HEAD><TITLE>A &lt;b&gt;</TITLE><style>p{}</style></HEAD><body class="a"><nav>Menu</nav>
    <h1>One</h1><p>two <b>bold</b> three &copy;<!-- <p>no --><br>four<ScRiPt>if (a < b) x("</p>")</sCrIpT>
    <p>5 < 6 and 7 > 2</p><footer>legal</footer>"""

    assert text_of(page, "text/html") == ("A <b>", "One\n\ntwo bold three ©\n\nfour\n\n5 < 6 and 7 > 2")
    assert text_of(b"<p>raw", "text/plain") == ("", "<p>raw")


@given(
    st.lists(
        st.sampled_from(["<", ">", "</", "<!--", "-->", "<p", "<script>", "</script", "&amp;", "x", "é", "İ", "\0"])
    )
)
def test_whatever_a_page_is_it_has_a_text(parts: list[str]) -> None:
    title, text = text_of("".join(parts).encode(), "text/html")

    assert len(text) <= TEXT_CHARS_MAX
    assert "<script" not in text
    assert title == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<!", "<a ", "<title>", "<script>", "</script", "<p>", "&", "<svg>", "</"]
)
def test_a_page_made_to_keep_us_busy_does_not(piece: str) -> None:
    page = piece.encode() * (2 * 1024 * 1024 // len(piece))
    started_s = time.process_time()

    text_of(page, "text/html")

    assert time.process_time() - started_s < 10
