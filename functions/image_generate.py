"""Make pictures in OpenAI's wire format, whole or shown while they are painted. Called by apps and any OpenAI client;
each picture is charged. With `background: true` it is a job, answered at once and painted by `image_run`.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.images.models import ImageRequest
from shared.web.answers import json_response
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.called import call
from shared.web.function import http_function

JOBS_PATH = "/v1/images/jobs"
"""Where a job is read: the route of `image_job_get`."""


@http_function(auth="spender", body=ImageRequest, streams=True, routes=True, imports_ahead="shared.providers.gateway")
async def image_generate(body: ImageRequest, caller: Caller, app: App) -> Response:
    """Raise CallUnaffordable (402), ModelNotAllowed (403), ModelUnknown (404), or what the provider did."""
    if body.background is True:
        # Loaded by those who ask for a job only.
        from shared.images.job_rules import told

        job = await app.image_jobs.accept(asking(caller), caller.owner_uid(), body)
        return json_response(told(job), status=202, headers={"location": f"{JOBS_PATH}/{job.job_id}"})
    return await call(app.images, asking(caller), body)
