"""Which providers this process can call: those whose key, or local address, is configured."""

from shared.base.secret import Secret
from shared.base.settings import Settings
from shared.providers.models import DisconnectPolicy, Provider


def configured_providers(settings: Settings) -> list[Provider]:
    """Providers with a key. One without is absent, not broken."""
    keyed: list[tuple[str, Secret | None, str, DisconnectPolicy]] = [
        ("huggingface", settings.huggingface_api_key, settings.huggingface_base_url, DisconnectPolicy.ESTIMATE),
        # OpenRouter documents that it stops billing when the connection of a stream closes, for most of its backends.
        ("openrouter", settings.openrouter_api_key, settings.openrouter_base_url, DisconnectPolicy.ESTIMATE),
    ]
    providers = [
        Provider(name, base_url.rstrip("/"), Secret(secret), policy)
        for name, key, base_url, policy in keyed
        # Secrets often end with a line break, which no header can carry.
        if key is not None and (secret := key.reveal().strip())
    ]
    if settings.standin_url:
        policy = DisconnectPolicy(settings.standin_disconnect)
        providers.append(Provider("standin", settings.standin_url.rstrip("/"), Secret("standin"), policy))
    return providers
