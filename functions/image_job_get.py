"""Tell how far a job is, with its pictures once they are charged. Called by apps and programs; a repeat is harmless.

Apps that use the Firebase SDK watch `jobs/{id}` instead.
"""

from typing import Annotated

from msgspec import Meta
from starlette.responses import Response

from shared.app import App
from shared.base.body import LAST, Body
from shared.images.job_models import JobId
from shared.images.job_rules import told
from shared.web.answers import json_response
from shared.web.auth import Caller
from shared.web.function import http_function


class ImageJobGetRequest(Body, frozen=True, kw_only=True):
    """Which job."""

    job_id: Annotated[str, Meta(pattern=rf"^imgjob_[0-9a-f]{{32}}{LAST}")]


@http_function(auth="holder", method="GET", body=ImageJobGetRequest, path_param="job_id")
async def image_job_get(body: ImageJobGetRequest, caller: Caller, app: App) -> Response:
    """Raise JobAbsent (404) for a job that is not the caller's."""
    job, contents = await app.image_job_reader.read(JobId(body.job_id), account_id=caller.account_id, uid=caller.uid)
    return json_response(told(job, contents), headers={"cache-control": "no-store"})
