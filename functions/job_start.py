"""Ask for a job of agents: queued at once, worked at by `job_step`. Called by apps and programs.

A repeat with the same idempotency key answers with the same job, however far it is.
"""

from typing import Annotated, Any

from msgspec import Meta

from shared.agents.limits import CEILING_MICROS_MAX
from shared.agents.shapes import JobView, view_of
from shared.app import App
from shared.base.body import Body, IdempotencyKey, ShortText
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function


class JobStartRequest(Body, frozen=True, kw_only=True):
    """What to do, and what it may cost at most. `params` are those of the kind."""

    kind: ShortText
    params: dict[str, Any]
    model: ShortText
    ceiling_micros: Annotated[int, Meta(gt=0, le=CEILING_MICROS_MAX)]
    idempotency_key: IdempotencyKey


@http_function(auth="spender", body=JobStartRequest, answer=JobView)
async def job_start(body: JobStartRequest, caller: Caller, app: App) -> JobView:
    """Raise JobInvalid (400), ModelNotAllowed (403), ModelUnknown (404), KeyReused (409), or JobsUnavailable (503).

    Nothing is held before the first call of a model, and then the worst case of that call alone.
    """
    job = await app.job_starts.start(
        asking(caller),
        caller.owner_uid(),
        kind=body.kind,
        params=body.params,
        model_id=body.model,
        ceiling_micros=body.ceiling_micros,
        key=body.idempotency_key,
    )
    return view_of(job)
