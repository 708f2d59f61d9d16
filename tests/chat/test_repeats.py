"""Chunks that are not parsed are counted as if they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chat.models import Tally
from shared.chat.repeats import LESSONS_MAX, Repeats
from shared.chat.tally import count_chunk
from shared.providers.events import event_of, parse_object
from shared.providers.models import StreamEvent
from tests.chat.builders import FEW, json_values, request_of
from tests.chat.conftest import Shop
from tests.chat.wire import STREAMED, WITH_USAGE, parsed, words_of
from tests.providers import fake


def read(tally: Tally, pieces: list[bytes]) -> list[bool]:
    """Read events as a stream does; which of them were known."""
    repeats = Repeats(tally)
    return [repeats.count(piece) or _parse(tally, repeats, piece) for piece in pieces]


def _parse(tally: Tally, repeats: Repeats, piece: bytes) -> bool:
    chunk = parse_object(piece.removeprefix(b"data: ").strip()) or {}
    count_chunk(tally, chunk)
    repeats.learn(StreamEvent(piece, chunk))
    return False


def counted(pieces: list[bytes]) -> Tally:
    """The same with each event parsed."""
    tally = Tally()
    for piece in pieces:
        count_chunk(tally, parse_object(piece.removeprefix(b"data: ").strip()) or {})
    return tally


def raw(text: str) -> bytes:
    return b"data: " + text.encode() + b"\n\n"


def test_chunks_after_the_first_are_known() -> None:
    """Whatever language the words are in, as long as they are written as they are."""
    tally = Tally()
    pieces = [
        raw(json.dumps(fake.chunk(word), ensure_ascii=False)) for word in ("Hello", ",", " wörld", "世界", "stop")
    ]

    assert read(tally, pieces) == [False, True, True, True, True]
    assert tally == counted(pieces)


WORDS = ["a", "hi", "content", "x" * 50, "é", "null", ""]
shapes: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"usage": None, "error": None},
        {"usage": fake.usage()},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 10**9}},
        {"error": {"code": 500}},
        {"content": "hi"},
        {"id": "hi"},
        {"choices": []},
        {"obfuscation": "hi"},
    ]
)
deltas: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"role": "assistant"}, {"reasoning_content": "hi"}, {"tool_calls": [{"function": {"arguments": "hi"}}]}]
)
PROBABILITIES = {"content": [{"token": "hi and more"}]}
choices: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"index": 1},
        {"index": 99},
        {"index": None},
        {"finish_reason": "stop"},
        {"text": "hi"},
        {"message": {"content": "hi"}},
        {"logprobs": PROBABILITIES},
    ]
)


@st.composite
def chunks(draw: st.DrawFn) -> dict[str, Any]:
    """Chunks that share much, of every kind that counts in a way of its own."""
    words = draw(st.sampled_from(WORDS) | st.text(max_size=5))
    choice = {"index": 0, "delta": {"content": words, **draw(deltas)}, "finish_reason": None, **draw(choices)}
    return {"id": "chatcmpl-1", "choices": [choice] * draw(st.sampled_from([1, 1, 1, 2])), **draw(shapes)}


def _written(chunk: dict[str, Any], as_ascii: bool) -> bytes:
    # A provider may send half a character, but only as an escape.
    try:
        return raw(json.dumps(chunk, ensure_ascii=as_ascii, separators=(",", ":")))
    except UnicodeEncodeError:
        return event_of(chunk)


@given(st.lists(st.tuples(chunks(), st.booleans(), st.integers(1, 4)), max_size=8))
def test_the_tally_is_that_of_chunks_that_are_all_parsed(said: list[tuple[dict[str, Any], bool, int]]) -> None:
    """Usage, finish, errors, tools, thoughts, probabilities, choices: nothing of it is taken for words."""
    pieces = [_written(chunk, as_ascii) for chunk, as_ascii, times in said for _ in range(times)]
    tally = Tally()
    read(tally, pieces)

    assert tally == counted(pieces)


@FEW
@given(st.lists(json_values | st.dictionaries(st.sampled_from(["choices", "usage"]), json_values), max_size=4))
def test_odd_chunks_teach_nothing(values: list[Any]) -> None:
    """Nor do they raise anything."""
    pieces = [event_of(value) for value in values for _ in range(2)]
    tally = Tally()
    read(tally, pieces)

    assert tally == counted(pieces)


FORM = fake.event(fake.chunk("Hello"))


@pytest.mark.parametrize(
    "piece",
    [
        FORM.replace(b"Hello", b""),
        FORM.replace(b"Hello", b'a", "tool_calls": "b'),
        FORM.replace(b"Hello", b"a\\nb"),
        FORM.replace(b"Hello", b"a\nb"),
        FORM.replace(b"Hello", b"\xff"),
        FORM.replace(b"Hello", b"\xed\xa0\x80"),
        FORM + FORM,
        FORM[:-1],
        FORM[: FORM.index(b"Hello")],
        FORM.replace(b"null", b'"stop"'),
    ],
    ids=lambda piece: repr(piece[60:90]),
)
def test_what_is_not_plainly_a_repeat_is_parsed(piece: bytes) -> None:
    """Escapes, broken text, two events at once, half of one, an end."""
    tally = Tally()
    repeats = Repeats(tally)
    repeats.learn(StreamEvent(FORM, fake.chunk("Hello")))

    assert repeats.count(FORM)
    before = Tally(text_bytes=5, unreported_bytes=5, unreported_pieces=1)
    assert tally == before
    assert not repeats.count(piece)
    assert tally == before


def test_a_stream_without_a_form_is_soon_no_longer_asked_for_one() -> None:
    """Looking for it costs as much as parsing twice."""
    tally = Tally()
    repeats = Repeats(tally)
    for number in range(LESSONS_MAX):
        repeats.learn(StreamEvent(fake.event({**fake.chunk("hi"), "n": number, "m": "hi"}), {**fake.chunk("hi")}))
    repeats.learn(StreamEvent(FORM, fake.chunk("Hello")))

    assert not repeats.count(FORM)


async def test_a_stream_of_repeats_is_relayed_and_charged_by_its_bytes_when_it_is_cut(shop: Shop) -> None:
    """Forty bytes each, of which one was parsed."""
    said = [fake.event(fake.chunk(letter * 40)) for letter in "abcde"]
    shop.first.replies.append(fake.cut(*said))
    stream = await shop.stream(request_of(**WITH_USAGE))

    chunks = parsed([event async for event in stream.events()])
    await stream.close()

    assert words_of(chunks) == "".join(letter * 40 for letter in "abcde")
    (entry,) = shop.captures()
    facts = dict(entry.facts)
    assert (facts["outcome"], facts["usage_source"], facts["completion_tokens"]) == ("cut", "estimated", "50")


async def test_words_after_the_last_count_are_charged_though_they_were_not_parsed(shop: Shop) -> None:
    """A provider that reports at the start and is cut later has not counted them."""
    first = {**fake.chunk("a"), "usage": fake.usage(10, 5)}
    shop.first.replies.append(fake.cut(*map(fake.event, [first, *(fake.chunk("b" * 40) for _ in range(3))])))
    stream = await shop.stream(request_of(**STREAMED))

    assert [event async for event in stream.events()]
    await stream.close()

    facts = dict(shop.captures()[0].facts)
    assert (facts["prompt_tokens"], facts["completion_tokens"]) == ("10", "35")
