"""A picture out of a provider's answer, whether it is in it or at an address."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.base.fetcher import Fetcher
from shared.images import job_rules, rules
from shared.images.job_errors import PicturesTooLarge, PictureUnreadable

FETCH_TIMEOUT_S = 60.0


class Picture(Struct, frozen=True):
    """Its bytes, and what sort they are."""

    media_type: str
    content: bytes

    @property
    def suffix(self) -> str:
        """How the name of a file of it ends."""
        return self.media_type.partition("/")[2]


class Pictures:
    """Reads pictures. An address is the provider's own choice, and is called as warily as a stranger's."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def first_of(self, answer: Mapping[str, Any]) -> Picture:
        """Raise PictureUnreadable, PicturesTooLarge, or what the fetcher does."""
        item: Mapping[str, Any] = next((one for one in answer.get("data") or [] if rules.is_picture(one)), {})
        if isinstance(item.get("b64_json"), str) and item["b64_json"]:
            content = job_rules.picture_bytes(item["b64_json"])
        elif isinstance(item.get("url"), str):
            fetched = await self._fetcher.fetch(
                item["url"],
                bytes_max=job_rules.PICTURE_BYTES_MAX,
                media_types=job_rules.MEDIA_TYPES,
                timeout_s=FETCH_TIMEOUT_S,
            )
            content = fetched.content
        else:
            raise PictureUnreadable
        if len(content) > job_rules.PICTURE_BYTES_MAX:
            raise PicturesTooLarge
        return Picture(job_rules.media_type_of(content), content)
