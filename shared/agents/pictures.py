"""A picture out of a provider's answer, whether it is in it or at an address."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.base.fetcher import Fetcher
from shared.images import job_rules, rules
from shared.images.content import content_of


class Picture(Struct, frozen=True):
    """Its bytes, and what sort they are."""

    media_type: str
    content: bytes

    @property
    def suffix(self) -> str:
        """How the name of a file of it ends."""
        return self.media_type.partition("/")[2]


class Pictures:
    """Reads pictures."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def first_of(self, answer: Mapping[str, Any]) -> Picture:
        """Raise PictureUnreadable, PicturesTooLarge, or what the fetcher does."""
        item: Mapping[str, Any] = next((one for one in answer.get("data") or [] if rules.is_picture(one)), {})
        content = await content_of(item, self._fetcher)
        return Picture(job_rules.media_type_of(content), content)
