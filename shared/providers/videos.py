"""Videos over OpenAI's wire: what a provider says of one that it was asked for.

Source: https://platform.openai.com/docs/api-reference/videos
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.providers.errors import UpstreamUnavailable
from shared.providers.models import Video, VideoState

VIDEOS = "/videos"
VIDEO_BYTES_MAX = 20 * 1024 * 1024
"""As long a file as a job keeps; twelve seconds in 720p are five."""
REASON_CHARS_MAX = 300
_STATES = {"completed": VideoState.COMPLETED, "failed": VideoState.FAILED}
"""Whatever else a provider says means that it is not there yet: `queued` and `in_progress`."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""It becomes a part of an address."""


def video_of(answer: Mapping[str, Any], provider_name: str) -> Video:
    """Raise UpstreamUnavailable for an answer that is no video."""
    video_id, progress, error = answer.get("id"), answer.get("progress"), answer.get("error")
    if not isinstance(video_id, str) or not _ID.fullmatch(video_id) or not isinstance(answer.get("status"), str):
        raise UpstreamUnavailable(provider_name, "gave an answer that is no video")
    reason = error.get("message") if isinstance(error, dict) else None
    return Video(
        video_id,
        _STATES.get(answer["status"], VideoState.WAITING),
        min(max(progress, 0), 100) if isinstance(progress, int) else 0,
        reason[:REASON_CHARS_MAX] if isinstance(reason, str) else "",
    )
