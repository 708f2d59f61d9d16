"""Pure decisions about pictures: what a model's price covers, what they can cost, what the provider is sent."""

import json
import re
from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.catalog.errors import ModelUnfit
from shared.catalog.models import Capability, Model, Price
from shared.images.errors import ImageInvalid
from shared.images.models import ImageRequest
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import quote

SIZE_DEFAULT = "1024x1024"
"""What is sent when the client leaves the size open or to the provider, which might choose a dearer one."""
PIXELS_MAX = 1024 * 1024
"""The catalog's price is for so many, in any shape. Providers ask more for larger pictures."""
QUALITIES = frozenset({"auto", "low", "medium", "high", "standard"})
"""The catalog's price is for the best of these. A name that we do not know might be a dearer one."""
PROMPT_BYTES_MAX = 4_000
"""The price of a picture has the prompt in it; a longer one would cost a provider more than our margin."""
NAME_CHARS_MAX = 100
"""Of a field's name, told to whoever sent it."""
_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")

KNOWN = frozenset(
    {
        # OpenAI's own, beside the ones we read.
        "moderation",
        "output_compression",
        "output_format",
        "safety_identifier",
        "style",
        "user",
        # Of other makers, which change what is painted, and neither how much of it nor in how many steps.
        "cfg_scale",
        "guidance",
        "guidance_scale",
        "negative_prompt",
        "response_extension",
        "sampler",
        "scheduler",
        "seed",
    }
)
NOT_FOR_SALE = {
    "aspect_ratio": "another measure than size",
    "batch_count": "another number than n",
    "batch_size": "another number than n",
    "control_image": "pictures to start from",
    "controlnet": "pictures to start from",
    "enhance_prompt": "prompts written anew",
    "extra_body": "settings of the provider",
    "fidelity": "pictures to start from",
    "generation_config": "settings of the provider",
    "height": "another measure than size",
    "image": "pictures to start from",
    "image_prompt": "pictures to start from",
    "image_prompts": "pictures to start from",
    "image_size": "another measure than size",
    "image_url": "pictures to start from",
    "image_urls": "pictures to start from",
    "images": "pictures to start from",
    "inference_steps": "numbers of steps",
    "input_fidelity": "pictures to start from",
    "input_image": "pictures to start from",
    "input_images": "pictures to start from",
    "lora_weights": "weights of one's own",
    "loras": "weights of one's own",
    "mask": "pictures to start from",
    "megapixels": "another measure than size",
    "models": "a list of models",
    "n_iter": "another number than n",
    "num_images": "another number than n",
    "num_images_per_prompt": "another number than n",
    "num_inference_steps": "numbers of steps",
    "num_outputs": "another number than n",
    "num_samples": "another number than n",
    "num_steps": "numbers of steps",
    "number_of_images": "another number than n",
    "parameters": "settings of the provider",
    "prompt_upsampling": "prompts written anew",
    "provider": "provider preferences",
    "reference_images": "pictures to start from",
    "resolution": "another measure than size",
    "route": "provider routing",
    "sample_count": "another number than n",
    "samples": "another number than n",
    "sampling_steps": "numbers of steps",
    "service_tier": "service tiers",
    "steps": "numbers of steps",
    "tools": "tools",
    "upscale": "another measure than size",
    "width": "another measure than size",
}
"""Of the fields that are not known those that clients send, in words that say why. One that nobody looked at might make
a provider sell us something else than what was quoted, at a price we have not agreed."""


def check(request: ImageRequest, model: Model) -> None:
    """Raise ImageInvalid or ModelUnfit for what the price does not cover. Everything else is the provider's to judge.

    Covered are pictures of up to a million pixels (1024 by 1024), in every quality that we know by name.
    """
    for name, value in request.others.items():
        # Some providers' parsers ignore case, and would let a second `Size` or `N` win over ours.
        plain = name.casefold()
        if plain in ImageRequest.names():
            raise ImageInvalid(f"{plain} is written in lower case.", param=name)
        # A second and a third picture have the name of the first with a number behind it.
        plain = plain.rstrip("_0123456789") or plain
        if plain in NOT_FOR_SALE and value is not None:
            raise ImageInvalid(f"Not offered here: {NOT_FOR_SALE[plain]} ({plain}).", param=name)
        if name not in KNOWN and value is not None:
            known = name[:NAME_CHARS_MAX]
            raise ImageInvalid(f"There is no such field: {known}.", param=known)
    if _said_bytes(request) > PROMPT_BYTES_MAX:
        raise ImageInvalid(f"A prompt, with what we do not know, has at most {PROMPT_BYTES_MAX} bytes.", param="prompt")
    if request.quality is not None and request.quality not in QUALITIES:
        raise ImageInvalid(f"The price covers these qualities: {', '.join(sorted(QUALITIES))}.", param="quality")
    _check_size(size_of(request))
    if request.partial_images and not request.stream and request.background is not True:
        raise ImageInvalid("Partial images are shown in a stream or a job only.", param="partial_images")
    if request.stream:
        _check_stream(request, model)


def _said_bytes(request: ImageRequest) -> int:
    """Bytes of all that the model may be told: some providers read a second prompt under a name of their own."""
    others = json.dumps(request.others) if request.others else ""
    return len(request.prompt.encode(errors="surrogatepass")) + len(others)


def _check_size(size: str) -> None:
    sides = _SIZE.fullmatch(size)
    if sides is None:
        raise ImageInvalid("A size is auto, or width and height in pixels, like 1024x1024.", param="size")
    if int(sides[1]) * int(sides[2]) > PIXELS_MAX:
        raise ImageInvalid("The price covers pictures of at most 1024 by 1024 pixels in all.", param="size")


def _check_stream(request: ImageRequest, model: Model) -> None:
    if Capability.STREAMING not in model.capabilities:
        raise ModelUnfit(model.id, "streamed images")
    if images_max(request) > 1:
        raise ImageInvalid("A stream shows one picture.", param="n")


def size_of(request: ImageRequest) -> str:
    """The size that is quoted and sent."""
    return SIZE_DEFAULT if request.size in (None, "auto") else str(request.size)


def images_max(request: ImageRequest) -> int:
    """How many pictures are asked for."""
    return request.n or 1


def needs_of(request: ImageRequest) -> frozenset[str]:
    """Capabilities that the request uses, in the catalog's words: a route that lacks one is not asked."""
    return frozenset({Capability.STREAMING.value} if request.stream else ())


def quote_of(request: ImageRequest, model: Model, price: Price) -> Quote:
    """The worst case: all the pictures that are asked for."""
    return quote(price.rates(), {Unit.IMAGE: images_max(request)}, price_version=model.price_version)


def upstream_payload(request: ImageRequest, upstream_model: str) -> dict[str, Any]:
    """What the provider is sent: the client's own request under the provider's name for the model, with a size."""
    ours = {
        "prompt": request.prompt,
        "n": request.n,
        "quality": request.quality,
        "response_format": request.response_format,
        "stream": request.stream,
        "partial_images": request.partial_images,
        "background": request.background if isinstance(request.background, str) else None,
    }
    asked = {**request.others, **{name: value for name, value in ours.items() if value is not None}}
    return {**asked, "model": upstream_model, "size": size_of(request)}


def usage_of(answer: Mapping[str, Any], request: ImageRequest) -> Usage | None:
    """What to charge for: the pictures that came, and no more than were asked for. None when none did: that is free."""
    came = sum(is_picture(item) for item in answer["data"])
    return Usage({Unit.IMAGE: min(came, images_max(request))}, UsageSource.REPORTED) if came else None


def is_picture(item: Mapping[str, Any]) -> bool:
    """True for what holds a picture, or says where one is."""
    return any(isinstance(item.get(name), str) and item[name] for name in ("b64_json", "url"))
