"""Pictures as their endpoint answers them: whole, shown while they are painted, or as a job that is painted later."""

from starlette.responses import Response

from shared.app import App
from shared.base.ids import UserId
from shared.calls.models import Asking
from shared.images.models import ImageRequest
from shared.web.answers import json_response
from shared.web.called import call

JOBS_PATH = "/v1/images/jobs"
"""Where a job is read: the route of `image_job_get`."""


async def painted(app: App, asking: Asking, owner: UserId, request: ImageRequest) -> Response:
    """The answer to a request for pictures; a job is its `owner`'s. Raise what the call does."""
    if request.background is True:
        # Loaded by those who ask for a job only.
        from shared.images.job_rules import told

        job = await app.image_jobs.accept(asking, owner, request)
        return json_response(told(job), status=202, headers={"location": f"{JOBS_PATH}/{job.job_id}"})
    return await call(app.images, asking, request)
