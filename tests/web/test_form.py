"""Forms with files: what clients send is read as it is, and nothing odd is guessed at."""

import contextlib

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.base.errors import BadRequest
from shared.web import form
from shared.web.form import FIELD_BYTES_MAX, PARTS_MAX, form_of, parse_form

EDGE = b"edge"
contents = st.binary(max_size=200) | st.sampled_from([b"\r\n", b"--edge", b"\r\n--edg", b"\r\n\r\n", b"--\r\n"])


def part(head: bytes, content: bytes = b"x") -> bytes:
    return b"--edge\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes = b"x") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"'.encode(), content)


def ended(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--edge--\r\n"


@given(contents, st.text(st.characters(codec="utf-8"), max_size=50), st.lists(st.just("word"), max_size=3))
def test_what_a_client_sends_is_what_is_read(content: bytes, prompt: str, words: list[str]) -> None:
    """Bytes of every value, line breaks and what looks like the boundary among them."""
    sent = [("prompt", (None, prompt)), *(("words[]", (None, word)) for word in words)]
    prepared = requests.Request(
        "POST", "http://localhost", files=[*sent, ("file", ("é \u2603.mp3", content, "audio/mpeg"))]
    ).prepare()
    assert isinstance(prepared.body, bytes)
    boundary = prepared.headers["content-type"].partition("boundary=")[2].encode()

    read = parse_form(prepared.body, boundary)

    assert read["file"]["content"] == content
    assert read["file"]["media_type"] == "audio/mpeg"
    assert read["prompt"] == prompt
    assert read.get("words[]", []) == words


@pytest.mark.parametrize("name", ["a.mp3", "", "☃.wav"])
def test_a_part_with_a_file_name_is_a_file(name: str) -> None:
    """Even with an empty one; without a type it is just bytes."""
    head = f'content-disposition: form-data; filename="{name}"; name="file"'.encode()

    assert parse_form(ended(part(head, b"\xff")), EDGE) == {
        "file": {"name": name, "media_type": "application/octet-stream", "content": b"\xff"}
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"--edge",
        b"--edge\r\n",
        field("a"),
        b"preamble\r\n" + ended(field("a")),
        ended(field("a"), b"--edgeX\r\n"),
        ended(field("")),
        ended(part(b"Content-Type: text/plain")),
        ended(part(b'Content-Disposition: attachment; name="a"')),
        ended(part(b"X: " + b"x" * form.HEAD_BYTES_MAX + b'\r\nContent-Disposition: form-data; name="a"')),
        ended(field("a", b"\xff")),
        ended(part(b'Content-Disposition: form-data; name="\xff"')),
        ended(field("a"), field("a")),
        ended(field("a", b"x" * (form.FIELD_BYTES_MAX + 1))),
        ended(*(field(f"a{number}") for number in range(form.PARTS_MAX + 1))),
    ],
)
def test_what_is_odd_is_refused(raw: bytes) -> None:
    """Two readers of one odd form would read two different ones."""
    with pytest.raises(BadRequest):
        parse_form(raw, EDGE)


@given(st.binary(max_size=300))
def test_no_bytes_are_a_defect(raw: bytes) -> None:
    """Whatever comes is read or refused."""
    with contextlib.suppress(BadRequest):
        parse_form(b"--edge\r\n" + raw, EDGE)


def test_as_many_parts_as_there_may_be_are_read() -> None:
    """The bound is no closer than it says."""
    assert len(parse_form(ended(*(field(f"a{number}") for number in range(form.PARTS_MAX))), EDGE)) == form.PARTS_MAX


def test_a_form_sent_as_json_has_the_fields_it_would_have_as_a_form() -> None:
    file = {"name": "a.mp3", "media_type": "audio/mpeg", "content": "SUQz"}
    body = {"file": file, "model": "m", "stream": True, "temperature": 0.5, "timestamp_granularities[]": ["word", 1]}

    fields = form_of(body)

    texts = {"model": "m", "stream": "true", "temperature": "0.5", "timestamp_granularities[]": ["word", "1"]}
    assert fields == {"file": file, **texts}


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "x" * (FIELD_BYTES_MAX + 1)},
        {str(n): "x" for n in range(PARTS_MAX + 1)},
        {"timestamp_granularities[]": ["word"] * (PARTS_MAX + 1)},
    ],
)
def test_a_form_sent_as_json_is_bounded_as_a_form_is(body: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        form_of(body)
