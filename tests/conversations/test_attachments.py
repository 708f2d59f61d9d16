"""What may be attached: files that are text, and images that are what they say."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.base.fetcher import Fetcher
from shared.conversations import attachments
from shared.conversations.attachments import FILE_BYTES_MAX, IMAGE_BYTES_MAX, SIGNATURES, Attachment
from shared.conversations.errors import AttachmentInvalid, TextInvalid
from shared.conversations.models import Message, Role, TurnId
from shared.conversations.shapes import MESSAGE_CHARS_MAX
from tests.conversations.conftest import PNG, image_of

TURN = TurnId("t1")
SEEN = {**SIGNATURES, "image/webp": b"RIFF\x00\x00\x00\x00WEBP"}


def file_of(content: bytes, name: str = "a.txt") -> Attachment:
    return Attachment(type="file", name=name, data=base64.b64encode(content).decode())


@given(st.binary(max_size=200))
def test_a_file_is_its_text_or_refused(content: bytes) -> None:
    """Never something else than was sent."""
    try:
        [file] = attachments.files_of([file_of(content)])
    except (AttachmentInvalid, TextInvalid):
        return
    assert file.text.encode() == content.removeprefix(b"\xef\xbb\xbf")
    assert file.name == "a.txt"


@pytest.mark.parametrize("name", ["a\nb", "a\r\nb"])
def test_a_name_is_one_line(name: str) -> None:
    """Else it could tell a model of a file that is none."""
    [file] = attachments.files_of([file_of(b"x", name)])

    assert len(file.name.splitlines()) == 1


@pytest.mark.parametrize(
    "refused",
    [
        [file_of(b"x" * (FILE_BYTES_MAX + 1))],
        [file_of(b"x")] * 5,
        [Attachment(type="file", name="a", data="!")],
        [Attachment(type="file", name="a")],
        [Attachment(type="file", data="eA==")],
        [Attachment(type="file", name="a", data="eA==", url="https://a.example/")],
    ],
)
def test_what_is_no_file_of_ours_is_refused(refused: list[Attachment]) -> None:
    with pytest.raises(AttachmentInvalid):
        attachments.files_of(refused)


@given(st.sampled_from(sorted(SEEN)), st.sampled_from(sorted(SEEN)), st.binary(max_size=50))
def test_an_image_is_of_the_type_that_it_says(said: str, real: str, rest: bytes) -> None:
    image = image_of(SEEN[real] + rest, said)
    if said != real:
        with pytest.raises(AttachmentInvalid):
            attachments.pictures_told([image], TURN)
        return
    [picture] = attachments.pictures_told([image], TURN)
    assert (picture.media_type, picture.bytes) == (said, len(SEEN[real] + rest))


@pytest.mark.parametrize(
    "refused",
    [
        [image_of(b"RIFF\x00\x00\x00\x00WAVEfmt ", "image/webp")],
        [image_of(b"<svg/>", "image/svg")],
        [image_of(PNG + b"0" * IMAGE_BYTES_MAX)],
        [image_of()] * 5,
        [Attachment(type="image", url="data:image/png;base64,!")],
        [Attachment(type="image", url="data:text/html;base64,eA==")],
        [Attachment(type="image", data="eA==")],
        [Attachment(type="image", url="https://a.example/", data="eA==")],
        [Attachment(type="image", url="https://127.0.0.1/a.png")],
        [Attachment(type="image", url="https://metadata.google.internal:8080/a.png")],
        [Attachment(type="image", url="file:///etc/passwd")],
        [Attachment(type="image", url="http://a.example/a.png")],
    ],
)
async def test_what_is_no_image_of_ours_is_refused_by_the_quote_and_by_the_reply(refused: list[Attachment]) -> None:
    with pytest.raises(AttachmentInvalid):
        attachments.pictures_told(refused, TURN)
    with pytest.raises(AttachmentInvalid):
        await attachments.pictures_of(refused, TURN, Fetcher())


async def test_pictures_are_named_after_their_turn() -> None:
    """A repeat writes over what a try that broke off has left."""
    [(first, content), (second, _)] = await attachments.pictures_of([image_of(), image_of()], TURN, Fetcher())

    assert [first.name, second.name] == ["t1-0", "t1-1"]
    assert content == PNG
    assert attachments.data_url(first, content) == image_of().url


def test_the_largest_message_fits_one_document() -> None:
    """A mebibyte, in UTF-8."""
    files = attachments.files_of([file_of(b"x" * FILE_BYTES_MAX)] * 4)
    said = Message(seq=1, role=Role.USER, text="\U0001f600" * MESSAGE_CHARS_MAX, created_at_ms=0, files=files)

    assert len(msgspec.json.encode(said)) < 1_000_000
