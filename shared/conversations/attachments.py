"""What may be attached to a message: images by data or address, and files of text."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from shared.base.body import Body, ShortText
from shared.base.egress import AddressRefused, checked_host
from shared.conversations.errors import AttachmentInvalid
from shared.conversations.models import Picture, TextFile, TurnId
from shared.conversations.rules import check_text

if TYPE_CHECKING:
    from shared.base.fetcher import Fetcher

IMAGES_MAX = 4
IMAGE_BYTES_MAX = 3 * 1024 * 1024
"""Four of these as data fit the body of a request."""
FILES_MAX = 4
FILE_BYTES_MAX = 100_000
"""Four of these and the longest text fit one document."""
ATTACHMENTS_MAX = IMAGES_MAX + FILES_MAX
FETCH_TIMEOUT_S = 15.0
SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
"""What files of each type begin with."""
WEBP = b"WEBP"
"""What a WebP file says behind its length; other files, as of sound, begin as it does."""
_DATA_URL = re.compile(r"data:(image/[a-z]+);base64,([A-Za-z0-9+/=]+)")


class Attachment(Body, frozen=True, kw_only=True):
    """An image by its `url`, https or data; or a file of text by its `name` and its bytes in base64 as `data`."""

    type: Literal["image", "file"]
    url: Annotated[str, Meta(min_length=1, max_length=2 * IMAGE_BYTES_MAX)] | None = None
    name: ShortText | None = None
    data: Annotated[str, Meta(max_length=2 * FILE_BYTES_MAX)] | None = None


Attachments = Annotated[list[Attachment], Meta(max_length=ATTACHMENTS_MAX)]


def files_of(attachments: Sequence[Attachment]) -> tuple[TextFile, ...]:
    """The files, decoded. Raise AttachmentInvalid, or TextInvalid for what is no text."""
    files = [one for one in attachments if one.type == "file"]
    if len(files) > FILES_MAX:
        raise AttachmentInvalid(f"At most {FILES_MAX} files go with a message.", param="attachments")
    return tuple(_file(one) for one in files)


async def pictures_of(
    attachments: Sequence[Attachment], turn_id: TurnId, fetcher: "Fetcher"
) -> list[tuple[Picture, bytes]]:
    """The images with their bytes; those behind addresses are read now, and stay so. Raise AttachmentInvalid."""
    found = []
    for number, one in enumerate(_images(attachments)):
        media_type, content = _given(one) or await _fetched(one, fetcher)
        found.append((Picture(f"{turn_id}-{number}", media_type, len(content)), content))
    return found


def pictures_told(attachments: Sequence[Attachment], turn_id: TurnId) -> list[Picture]:
    """The images as far as they can be told without reading an address. Raise AttachmentInvalid."""
    told = []
    for number, one in enumerate(_images(attachments)):
        media_type, content = _given(one) or ("image/png", b"")
        told.append(Picture(f"{turn_id}-{number}", media_type, len(content)))
    return told


def data_url(picture: Picture, content: bytes) -> str:
    """The image as models take it."""
    return f"data:{picture.media_type};base64,{base64.b64encode(content).decode()}"


def _file(attachment: Attachment) -> TextFile:
    if attachment.name is None or attachment.data is None or attachment.url is not None:
        raise AttachmentInvalid("A file has a name, and its bytes in base64 as data.", param="attachments")
    content = _decoded(attachment.data)
    if len(content) > FILE_BYTES_MAX:
        raise AttachmentInvalid(f"A file has at most {FILE_BYTES_MAX} bytes.", param="attachments")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AttachmentInvalid("A file is text in UTF-8.", param="attachments") from None
    name = check_text(attachment.name, "attachments").replace("\n", " ").replace("\r", " ")
    return TextFile(name, check_text(text, "attachments"))


def _images(attachments: Sequence[Attachment]) -> list[Attachment]:
    images = [one for one in attachments if one.type == "image"]
    if len(images) > IMAGES_MAX:
        raise AttachmentInvalid(f"At most {IMAGES_MAX} images go with a message.", param="attachments")
    return images


def _given(attachment: Attachment) -> tuple[str, bytes] | None:
    """The image that is given as data; None for one behind an address that may be asked."""
    if attachment.url is None or attachment.data is not None:
        raise AttachmentInvalid("An image has a url, https or data:image/...", param="attachments")
    if attachment.url.startswith("data:"):
        found = _DATA_URL.fullmatch(attachment.url)
        if found is None:
            raise AttachmentInvalid("Image data are given as data:image/...;base64,...", param="attachments")
        return _checked(found[1], _decoded(found[2]))
    try:
        checked_host(attachment.url)
    except AddressRefused as error:
        raise AttachmentInvalid(error.message, param="attachments") from None
    return None


async def _fetched(attachment: Attachment, fetcher: "Fetcher") -> tuple[str, bytes]:
    try:
        fetched = await fetcher.fetch(
            attachment.url or "", bytes_max=IMAGE_BYTES_MAX, media_types=SIGNATURES.keys(), timeout_s=FETCH_TIMEOUT_S
        )
    except AddressRefused as error:
        raise AttachmentInvalid(error.message, param="attachments") from None
    return _checked(fetched.media_type, fetched.content)


def _checked(media_type: str, content: bytes) -> tuple[str, bytes]:
    """An image of its type, and not too large."""
    is_one = media_type in SIGNATURES and content.startswith(SIGNATURES[media_type])
    if not is_one or (media_type == "image/webp" and content[8:12] != WEBP):
        raise AttachmentInvalid("An image is a PNG, JPEG, GIF or WebP file.", param="attachments")
    if len(content) > IMAGE_BYTES_MAX:
        raise AttachmentInvalid(f"An image has at most {IMAGE_BYTES_MAX} bytes.", param="attachments")
    return media_type, content


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise AttachmentInvalid("This is not base64.", param="attachments") from None
