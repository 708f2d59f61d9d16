"""Pure decisions about jobs that paint."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.base.errors import CredenceError
from shared.base.ids import HoldId
from shared.base.micros import CREDIT_MICROS
from shared.base.units import Unit
from shared.catalog.models import Capability, Model
from shared.images import rules
from shared.images.errors import ImageInvalid
from shared.images.job_errors import PictureUnreadable
from shared.images.job_models import ImageJob, JobState, PictureCharge
from shared.images.models import ImageRequest
from shared.ledger.models import HOUSE_ONLY
from shared.metering.models import Quote
from shared.metering.rules import quote

REQUEST_BYTES_MAX = 64 * 1024
"""It is kept in the job's document, which Firestore limits to a mebibyte."""
PICTURE_BYTES_MAX = 8 * 1024 * 1024
"""A million pixels without any compression are four."""
PICTURES_BYTES_MAX = 20 * 1024 * 1024
"""Of one job. As base64 they still fit into one answer of Cloud Run, which has 32 mebibytes at most."""
RUNS_MAX = 8
"""How often work at one job is begun. One that ends its process each time must not cost a provider's call for ever."""
FAILED_RUNS_MAX = 3
"""How many runs a provider's trouble may end. The router has tried every route several times in each of them."""
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
MEDIA_TYPES = frozenset(_SIGNATURES.values())


def check(request: ImageRequest, model: Model) -> None:
    """Raise ImageInvalid for what no job can do. `rules.check` has been asked already."""
    if request.stream:
        raise ImageInvalid("A job has no stream; watch its document.", param="stream")
    if request.response_format == "url":
        raise ImageInvalid("A job's pictures are answered as b64_json.", param="response_format")
    if request.partial_images and Capability.STREAMING not in model.capabilities:
        raise ImageInvalid("This model shows no partial images.", param="partial_images")
    if len(request_json(request)) > REQUEST_BYTES_MAX:
        raise ImageInvalid(f"A job's request has at most {REQUEST_BYTES_MAX} bytes.")


def request_json(request: ImageRequest) -> bytes:
    """The request as the client sent it."""
    asked = {name: getattr(request, name) for name in ImageRequest.names()}
    return msgspec.json.encode(
        {**request.others, **{name: value for name, value in asked.items() if value is not None}}
    )


def request_for(request: ImageRequest, index: int, *, shows_partials: bool) -> ImageRequest:
    """What is asked of a provider for one picture. A seed is counted on, or all pictures would be the same."""
    seed = request.others.get("seed")
    others = {**request.others, "seed": seed + index} if type(seed) is int else request.others
    partials = request.partial_images if shows_partials else None
    return replace(request, n=1, others=others, background=None, stream=shows_partials or None, partial_images=partials)


def percent_of(job: ImageJob, pictures: int, partials: int = 0) -> int:
    """How much of the work is done, as far as it shows. A hundred only when all is charged."""
    of_next = partials / ((job.request.partial_images or 0) + 1)
    return min(99, int(100 * (pictures + of_next) / job.asked))


def may_pass(error: CredenceError, job: ImageJob) -> bool:
    """Whether work that failed so may go better the next time."""
    return error.kind.passes and job.runs < FAILED_RUNS_MAX


def picture_bytes(b64_json: object) -> bytes:
    """The picture. Raise PictureUnreadable when it is none."""
    try:
        content = base64.b64decode(str(b64_json), validate=True)
    except (binascii.Error, ValueError):
        raise PictureUnreadable from None
    return content


def media_type_of(content: bytes) -> str:
    """What sort of picture it is, by how it begins. Raise PictureUnreadable for none that we know."""
    for signature, media_type in _SIGNATURES.items():
        if content.startswith(signature):
            return media_type
    raise PictureUnreadable


def told(job: ImageJob, contents: tuple[bytes, ...] = ()) -> dict[str, Any]:
    """The job as its owner is answered, with its pictures where they are given."""
    body: dict[str, Any] = {
        "id": job.job_id,
        "object": "image.job",
        "status": job.state.value,
        "model": job.model_id,
        "created": job.created_at_ms // 1_000,
        "expires_at": job.expires_at_ms // 1_000,
        "deleted_at": job.delete_at_ms // 1_000,
        "progress": {"percent": job.percent, "asked": job.asked, "painted": len(job.pictures)},
    }
    if job.state is JobState.SUCCEEDED:
        body["data"] = [{"b64_json": base64.b64encode(content).decode()} for content in contents]
        body["usage"] = usage_told(job)
    if job.failure is not None:
        body["error"] = {"code": job.failure.code, "message": job.failure.message}
    return body


def usage_told(job: ImageJob) -> Mapping[str, Any]:
    """The pictures that were charged, with their cost in the words of the other calls."""
    charged = job.charged_micros or 0
    details: dict[str, Any] = {"charged_micros": charged, "receipt_id": job.receipt_id}
    if len(job.receipt_ids) > 1:
        details["receipt_ids"] = job.receipt_ids
    return {"images": len(job.pictures), "cost": charged / CREDIT_MICROS, "cost_details": details}


def hold_of(job: ImageJob, index: int) -> HoldId:
    """What names the charge for one picture of a job, where it has one of its own."""
    return HoldId(f"{job.hold_id}:{index}")


def quote_for_one(job: ImageJob) -> Quote:
    """What one of its pictures costs."""
    whole = job.quote
    return quote(
        whole.rates,
        {Unit.IMAGE: 1},
        demand_ppm=whole.demand_ppm,
        price_version=whole.price_version,
        demand_rule=whole.demand_rule,
    )


def charges_of(job: ImageJob) -> list[PictureCharge]:
    """How a job's pictures are charged: those of contributed keys one by one, all others together.

    The last charge is the job's hold's own, which covers the others until it is made; so they need no hold. It may
    take what they leave of it, so that no rounding makes the sum more than was held.
    """
    one, left_micros = quote_for_one(job), job.quote.amount_micros
    lent = [(hold_of(job, index), job.lent.get(picture.name)) for index, picture in enumerate(job.pictures)]
    charges = [PictureCharge(hold_id, one, 1, by.facts, by.shares) for hold_id, by in lent if by is not None]
    if own := len(job.pictures) - len(charges):
        charges.append(PictureCharge(job.hold_id, job.quote, own, job.facts, HOUSE_ONLY))
    *others, last = charges
    left_micros -= sum(charge.quote.amount_micros for charge in others)
    return [*others, replace(last, hold_id=job.hold_id, quote=replace(job.quote, amount_micros=left_micros))]


def was_asked_by(job: ImageJob, account_id: str, uid: str | None) -> bool:
    """Whether the caller may see it: the account that pays, or the owner of its card."""
    return job.account_id == account_id or (uid is not None and job.owner == uid)


def needs_of(model: Model, request: ImageRequest) -> frozenset[str]:
    """As for a streamed picture where partial ones are shown."""
    return rules.needs_of(request_for(request, 0, shows_partials=shows_partials(model, request)))


def shows_partials(model: Model, request: ImageRequest) -> bool:
    """Whether the provider is asked for pictures under way."""
    return bool(request.partial_images) and Capability.STREAMING in model.capabilities
