"""Make pictures in OpenAI's wire format, whole or shown while they are painted. Called by apps and any OpenAI client;
each picture is charged. With `background: true` it is a job, answered at once and painted by `image_run`.

A repeat is another call with its own charge; OpenAI's clients send no idempotency key.
"""

from starlette.responses import Response

from shared.app import App
from shared.images.models import ImageRequest
from shared.web.asking import asking
from shared.web.auth import Caller
from shared.web.function import http_function
from shared.web.painted import painted


@http_function(auth="spender", body=ImageRequest, streams=True, routes=True, imports_ahead="shared.providers.gateway")
async def image_generate(body: ImageRequest, caller: Caller, app: App) -> Response:
    """Raise CallUnaffordable (402), ModelNotAllowed (403), ModelUnknown (404), or what the provider did."""
    return await painted(app, asking(caller), caller.owner_uid(), body)
