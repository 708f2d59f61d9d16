"""Download what a job made. Called by its owner's apps and programs; reads only."""

from starlette.responses import Response

from shared.agents.models import JobId
from shared.agents.shapes import ArtifactIdText, JobIdText
from shared.app import App
from shared.base.body import Body
from shared.web.attachment import attachment, shown
from shared.web.auth import Caller
from shared.web.function import http_function


class ArtifactGetRequest(Body, frozen=True, kw_only=True):
    """Which artifact, of which job."""

    artifact_id: ArtifactIdText
    job_id: JobIdText


@http_function(
    auth="holder",
    method="GET",
    body=ArtifactGetRequest,
    path_param="artifact_id",
    media_types=("application/octet-stream",),
)
async def artifact_get(body: ArtifactGetRequest, caller: Caller, app: App) -> Response:
    """Raise JobAbsent or ArtifactAbsent (404). A model may have written it, so no browser is to run it from here."""
    job = await app.jobs.get(JobId(body.job_id), account_id=caller.account_id, uid=caller.uid)
    ref, data = await app.jobs.artifact(job, body.artifact_id)
    return Response(
        data,
        media_type="application/octet-stream",
        headers={
            "content-disposition": attachment(ref.name),
            "x-content-type-options": "nosniff",
            "x-credence-media-type": shown(ref.media_type),
            "etag": f'"{ref.artifact_id}"',
            "cache-control": "private, no-store",
        },
    )
