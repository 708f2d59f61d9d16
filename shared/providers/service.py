"""Which providers this process can call: those whose key, or local address, is configured."""

from collections.abc import Iterable

from msgspec.structs import replace

from shared.base.endpoints import Endpoint, parse_endpoints
from shared.base.secret import Secret
from shared.base.settings import Environment, Settings, SettingsWrong
from shared.providers.models import DisconnectPolicy, Provider, Wire

STANDIN = "standin"
HUGGINGFACE_PARTNERS = (("nebius", True), ("nscale", False))
"""Whom Hugging Face's router passes requests on to, at a path of their own, and whether they want a picture's width and
height apart: as its client libraries call them. At its own path it answers chats only."""


def configured_providers(settings: Settings) -> list[Provider]:
    """Providers with a key, and those that only contributed keys are to open. One without is absent, not broken.

    Raise SettingsWrong when two have one name.
    """
    lent = {name.strip() for name in settings.lent_providers.split(",")}
    known = [provider for provider in _known(settings) if provider.key.reveal() or provider.name in lent]
    guarded = settings.environment is Environment.PRODUCTION
    custom = [_custom(endpoint, guarded=guarded) for endpoint in parse_endpoints(settings.custom_providers)]
    standin = _standin(settings)
    if taken := {provider.name for provider in custom} & ({provider.name for provider in _known(settings)} | {STANDIN}):
        raise SettingsWrong(f"CUSTOM_PROVIDERS: {', '.join(sorted(taken))} is the name of another provider")
    return [replace(provider, lent_only=provider.name in lent) for provider in (*known, *custom, *standin)]


def addressed_providers(settings: Settings) -> list[Provider]:
    """Providers whose address is known, whether or not we have a key of our own for them. Raise SettingsWrong as above.

    Cloudflare's address names our own account, where nobody else's key opens anything.
    """
    configured = configured_providers(settings)
    names = {provider.name for provider in configured} | {"cloudflare"}
    return [*configured, *(provider for provider in _known(settings) if provider.name not in names)]


def _known(settings: Settings) -> Iterable[Provider]:
    """The providers that we know, with an empty key where none is configured.

    What each one's bill says of an abandoned stream decides its policy. Where nothing is documented we assume that the
    whole answer is billed, and read it to its end. Of answers that are not streamed OpenRouter documents just that, and
    the others nothing.
    """
    yield Provider(
        "anthropic",
        *_opened(settings.anthropic_base_url, settings.anthropic_api_key),
        # The prompt's count comes first and the answer stops with the connection; nothing tells how long it got.
        DisconnectPolicy.ESTIMATE,
        wire=Wire.ANTHROPIC,
    )
    account_id = settings.cloudflare_account_id
    yield Provider(
        "cloudflare",
        *_opened(
            settings.cloudflare_base_url.replace("{account_id}", account_id or ""),
            settings.cloudflare_api_key if account_id else None,
        ),
        DisconnectPolicy.DRAIN,
    )
    yield Provider("deepseek", *_opened(settings.deepseek_base_url, settings.deepseek_api_key), DisconnectPolicy.DRAIN)
    yield Provider(
        "google",
        *_opened(settings.google_base_url, settings.google_api_key),
        DisconnectPolicy.DRAIN,
        wire=Wire.GOOGLE,
    )
    # What is not a chat is asked for in OpenAI's form, which Google serves beside its own.
    yield Provider(
        "google-openai",
        *_opened(f"{settings.google_base_url.rstrip('/')}/openai", settings.google_api_key),
        DisconnectPolicy.DRAIN,
    )
    yield Provider(
        "huggingface",
        *_opened(settings.huggingface_base_url, settings.huggingface_api_key),
        # A router to backends that are mostly vLLM and TGI, which stop when the connection closes.
        DisconnectPolicy.ESTIMATE,
    )
    for partner, splits_size in HUGGINGFACE_PARTNERS:
        yield Provider(
            f"huggingface-{partner}",
            *_opened(_of_partner(settings.huggingface_base_url, partner), settings.huggingface_api_key),
            DisconnectPolicy.ESTIMATE,
            splits_size=splits_size,
        )
    yield Provider(
        "mistral",
        *_opened(settings.mistral_base_url, settings.mistral_api_key),
        DisconnectPolicy.DRAIN,
        # It answers 422 to a field that it does not know, and tells the usage of a stream unasked.
        unknown=frozenset({"stream_options"}),
    )
    yield Provider(
        "openai",
        *_opened(settings.openai_base_url, settings.openai_api_key),
        # OpenAI documents that an answer is cancelled by closing its connection; what was written until then is billed.
        DisconnectPolicy.ESTIMATE,
        # Its reasoning models refuse the older name, and all its models know the newer one.
        renamed=(("max_tokens", "max_completion_tokens"),),
    )
    yield Provider(
        "openrouter",
        *_opened(settings.openrouter_base_url, settings.openrouter_api_key),
        # It documents that it stops billing when the connection of a stream closes, for most of its backends.
        DisconnectPolicy.ESTIMATE,
    )


def _custom(endpoint: Endpoint, *, guarded: bool) -> Provider:
    # Ollama, llama.cpp and vLLM stop when the connection closes; nobody bills.
    return Provider(
        endpoint.name,
        *_opened(endpoint.base_url, endpoint.key),
        DisconnectPolicy.ESTIMATE,
        disconnect_whole=DisconnectPolicy.ESTIMATE,
        guarded=guarded,
        # vLLM and llama.cpp read an image from any address, and follow wherever that redirects them.
        inside=True,
    )


def _standin(settings: Settings) -> list[Provider]:
    if not settings.standin_url:
        return []
    policy = DisconnectPolicy(settings.standin_disconnect)
    return [Provider(STANDIN, *_opened(settings.standin_url, Secret(STANDIN)), policy, disconnect_whole=policy)]


def _of_partner(base_url: str, partner: str) -> str:
    """`https://router.huggingface.co/v1` with the partner before its version."""
    root, _, version = base_url.rstrip("/").rpartition("/")
    return f"{root}/{partner}/{version}"


def _opened(base_url: str, key: Secret | None) -> tuple[str, Secret]:
    """An address without the slash that would double, and its key as a header can carry it: secrets often end with a
    line break."""
    return base_url.rstrip("/"), Secret(key.reveal().strip() if key else "")
