"""Which providers there are, from what is configured."""

import subprocess
import sys

import pytest

from shared.base.secret import Secret
from shared.base.settings import Settings, SettingsWrong
from shared.providers.models import DisconnectPolicy, Wire
from shared.providers.service import configured_providers


def settings(**environment: str) -> Settings:
    return Settings.from_environment({"ENVIRONMENT": "local", "PROJECT_ID": "demo-x", **environment})


def test_a_provider_without_a_key_is_absent() -> None:
    """Nothing is configured, so there is nobody; an empty key, or one of blanks, is none."""
    assert configured_providers(settings()) == []
    assert configured_providers(settings(HUGGINGFACE_API_KEY="", OPENROUTER_API_KEY=" \n")) == []


def test_keys_are_bound_to_their_own_addresses() -> None:
    """Each key goes with its own provider; addresses lose the slash that would double."""
    hugging, *partners, router = configured_providers(
        settings(HUGGINGFACE_API_KEY="hf_1", OPENROUTER_API_KEY="or_2", OPENROUTER_BASE_URL="https://example.com/v1/")
    )

    assert (hugging.name, hugging.key, hugging.base_url) == (
        "huggingface",
        Secret("hf_1"),
        "https://router.huggingface.co/v1",
    )
    assert [(partner.name, partner.key, partner.base_url) for partner in partners] == [
        (f"huggingface-{name}", Secret("hf_1"), f"https://router.huggingface.co/{name}/v1")
        for name in ("nebius", "nscale")
    ]
    assert (router.name, router.key, router.base_url) == ("openrouter", Secret("or_2"), "https://example.com/v1")


def test_a_key_is_taken_without_the_line_break_that_secrets_often_have() -> None:
    """Else no request could be written, and the error would be a crash."""
    (provider,) = configured_providers(settings(MISTRAL_API_KEY="ms_1\n"))

    assert provider.key == Secret("ms_1")


def test_every_provider_can_be_configured() -> None:
    """Each at its own address, on its own wire."""
    names = ("ANTHROPIC", "CLOUDFLARE", "DEEPSEEK", "GOOGLE", "HUGGINGFACE", "MISTRAL", "OPENAI", "OPENROUTER")
    keys = {f"{name}_API_KEY": f"key of {name.lower()}" for name in names}

    configured = configured_providers(settings(**keys, CLOUDFLARE_ACCOUNT_ID="a1b2"))

    own = [provider for provider in configured if "-" not in provider.name]
    assert [provider.name for provider in own] == [name.lower() for name in names]
    assert all(provider.key == Secret(f"key of {provider.name.partition('-')[0]}") for provider in configured)
    assert all(provider.base_url.startswith("https://") for provider in configured)
    assert len({provider.base_url for provider in configured}) == len(configured)
    wires = {provider.name: provider.wire for provider in configured if provider.wire is not Wire.OPENAI}
    assert wires == {"anthropic": Wire.ANTHROPIC, "google": Wire.GOOGLE}
    by_name = {provider.name: provider for provider in configured}
    assert by_name["google-openai"].base_url == f"{by_name['google'].base_url}/openai"
    cloudflare = by_name["cloudflare"]
    assert cloudflare.base_url == "https://api.cloudflare.com/client/v4/accounts/a1b2/ai/v1"


def test_workers_ai_needs_an_account_too() -> None:
    """A key alone has no address."""
    assert configured_providers(settings(CLOUDFLARE_API_KEY="cf_1")) == []


def test_endpoints_of_ones_own_are_providers() -> None:
    """On OpenAI's wire; a key is not needed at home."""
    endpoints = (
        '[{"name": "ollama", "base_url": "http://127.0.0.1:11434/v1/"}, {"name": "v", "base_url": "https://x.io"}]'
    )

    ollama, other = configured_providers(settings(CUSTOM_PROVIDERS=endpoints))

    assert (ollama.name, ollama.base_url, ollama.wire) == ("ollama", "http://127.0.0.1:11434/v1", Wire.OPENAI)
    assert other.base_url == "https://x.io"
    assert not ollama.guarded
    assert ollama.inside


def test_in_production_endpoints_of_ones_own_are_guarded() -> None:
    """There, no address on the inside may be called, whoever wrote it down."""
    environment = {"PROJECT_ID": "credence", "CUSTOM_PROVIDERS": '[{"name": "v", "base_url": "https://x.io/v1"}]'}

    (provider,) = configured_providers(Settings.from_environment(environment))

    assert provider.guarded


@pytest.mark.parametrize("name", ["openai", "standin"])
def test_no_endpoint_takes_the_name_of_another_provider(name: str) -> None:
    """Routes would lead to it, and so would prices."""
    with pytest.raises(SettingsWrong, match="CUSTOM_PROVIDERS"):
        configured_providers(settings(CUSTOM_PROVIDERS=f'[{{"name": "{name}", "base_url": "http://x"}}]'))


@pytest.mark.parametrize("policy", list(DisconnectPolicy))
def test_standin_is_there_when_it_has_an_address(policy: DisconnectPolicy) -> None:
    """Last, and with the policy that tests choose."""
    configured = configured_providers(
        settings(HUGGINGFACE_API_KEY="hf_1", STANDIN_URL="http://127.0.0.1:1/v1/", STANDIN_DISCONNECT=policy.value)
    )

    assert [(provider.name, provider.disconnect) for provider in configured][-1] == ("standin", policy)
    assert configured[-1].base_url == "http://127.0.0.1:1/v1"


def test_translations_are_loaded_only_where_they_are_used() -> None:
    """Most chats need none, and each would start a little later."""
    source = "import sys, shared.providers.gateway, shared.providers.service; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, text=True).stdout.split()

    assert "shared.providers.openai_wire" in loaded
    assert not [name for name in loaded if name.startswith(("shared.providers.anthropic", "shared.providers.google"))]
    assert not {"shared.base.fetcher", "shared.base.egress", "langchain", "openai", "anthropic"} & set(loaded)
