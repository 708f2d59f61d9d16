"""Which providers there are, from what is configured."""

import pytest

from shared.base.secret import Secret
from shared.base.settings import Settings
from shared.providers.models import DisconnectPolicy
from shared.providers.service import configured_providers


def settings(**environment: str) -> Settings:
    return Settings.from_environment({"ENVIRONMENT": "local", "PROJECT_ID": "demo-x", **environment})


def test_a_provider_without_a_key_is_absent() -> None:
    """Nothing is configured, so there is nobody; an empty key, or one of blanks, is none."""
    assert configured_providers(settings()) == []
    assert configured_providers(settings(HUGGINGFACE_API_KEY="", OPENROUTER_API_KEY=" \n")) == []


def test_keys_are_bound_to_their_own_addresses() -> None:
    """Each key goes with its own provider; addresses lose the slash that would double."""
    hugging, router = configured_providers(
        settings(HUGGINGFACE_API_KEY="hf_1", OPENROUTER_API_KEY="or_2", OPENROUTER_BASE_URL="https://example.com/v1/")
    )

    assert (hugging.name, hugging.key, hugging.base_url) == (
        "huggingface",
        Secret("hf_1"),
        "https://router.huggingface.co/v1",
    )
    assert (router.name, router.key, router.base_url) == ("openrouter", Secret("or_2"), "https://example.com/v1")


def test_a_key_is_taken_without_the_line_break_that_secrets_often_have() -> None:
    """Else no request could be written, and the error would be a crash."""
    (provider,) = configured_providers(settings(HUGGINGFACE_API_KEY="hf_1\n"))

    assert provider.key == Secret("hf_1")


@pytest.mark.parametrize("policy", list(DisconnectPolicy))
def test_standin_is_there_when_it_has_an_address(policy: DisconnectPolicy) -> None:
    """Last, and with the policy that tests choose."""
    configured = configured_providers(
        settings(HUGGINGFACE_API_KEY="hf_1", STANDIN_URL="http://127.0.0.1:1/v1/", STANDIN_DISCONNECT=policy.value)
    )

    assert [(provider.name, provider.disconnect) for provider in configured][-1] == ("standin", policy)
    assert configured[-1].base_url == "http://127.0.0.1:1/v1"
