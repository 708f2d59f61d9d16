"""The bytes of a picture in a provider's answer, whether they are in it or at an address."""

from collections.abc import Mapping
from typing import Any

from shared.base.fetcher import Fetcher
from shared.images import job_rules
from shared.images.job_errors import PicturesTooLarge, PictureUnreadable

FETCH_TIMEOUT_S = 60.0


async def content_of(item: Mapping[str, Any], fetcher: Fetcher) -> bytes:
    """Raise PictureUnreadable, PicturesTooLarge, or what the fetcher does.

    An address is the provider's own choice, and is called as warily as a stranger's.
    """
    if isinstance(item.get("b64_json"), str) and item["b64_json"]:
        content = job_rules.picture_bytes(item["b64_json"])
    elif isinstance(item.get("url"), str):
        fetched = await fetcher.fetch(
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
    return content
