"""model_list: what can be called here and what it costs; nothing that cannot be."""

from decimal import Decimal
from typing import Any

import pytest

from local.deployment import PASSED_ON, Deployment
from local.stack import Stack
from tests.clients import answer, call, refusal

PRICED = {
    "text": ("prompt_micros_per_mtok", "completion_micros_per_mtok"),
    "vision": ("prompt_micros_per_mtok", "completion_micros_per_mtok"),
    "image": ("image_micros",),
    "embedding": ("prompt_micros_per_mtok",),
    "speech": ("audio_second_micros",),
    "video": ("video_second_micros",),
}
TEXT = {
    "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "google/gemma-2-2b-it",
    "google/gemma-3-27b-it",
    "Qwen/Qwen2.5-VL-72B-Instruct",
    "nvidia/Nemotron-Nano-V2-12b",
}
IMAGES = {"black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"}
EMBEDDINGS = {"BAAI/bge-en-icl"}


@pytest.fixture(scope="module")
def models(deployment: Deployment) -> dict[str, Any]:
    """What the list says, by id."""
    listed = answer(call(deployment, "GET", "/v1/models"))
    assert listed["object"] == "list"
    assert len({model["id"] for model in listed["data"]}) == len(listed["data"])
    return {model["id"]: model for model in listed["data"]}


def test_there_are_more_than_eighty_of_every_modality(models: dict[str, Any]) -> None:
    """All that the file has, since the stand-in answers for each."""
    assert len(models) >= 80
    assert {model["modality"] for model in models.values()} == PRICED.keys()


def test_tools_for_openrouter_read_the_prices(models: dict[str, Any]) -> None:
    """Credits for one token or image, as text; exactly ours."""
    for model in models.values():
        prices = model["pricing"]
        for theirs, ours in (("prompt", "prompt_micros_per_mtok"), ("completion", "completion_micros_per_mtok")):
            assert Decimal(prices[theirs]) * 10**12 == (prices[ours] or 0)
        assert Decimal(prices["image"]) * 10**6 == (prices["image_micros"] or 0)


def test_the_models_the_product_names_are_listed(models: dict[str, Any]) -> None:
    """All eight, served by the stand-in where no real provider is configured."""
    assert models.keys() >= TEXT | IMAGES | EMBEDDINGS


def test_every_model_has_the_price_its_calls_need(models: dict[str, Any]) -> None:
    """What has no price is not sold."""
    for model in models.values():
        assert all(model["pricing"][name] > 0 for name in PRICED[model["modality"]]), model


def test_a_model_looks_like_openais(models: dict[str, Any]) -> None:
    """Clients that know OpenAI's list read ours."""
    for name, model in models.items():
        assert model["object"] == "model"
        assert model["owned_by"] == name.partition("/")[0]
        assert type(model["created"]) is int
        assert model["created"] > 1_700_000_000
        assert model["context_length"] > 0


@pytest.mark.parametrize("token", [None, "nonsense", "ключ".encode().decode("latin-1")])
def test_anybody_may_read_it(deployment: Deployment, token: str | None) -> None:
    """With a token that is no good, too: it is not looked at."""
    assert call(deployment, "GET", "/v1/models", token).status_code == 200


def test_an_unknown_query_parameter_is_refused(deployment: Deployment) -> None:
    """A filter that does not exist must not look as if it had been applied."""
    assert refusal(call(deployment, "GET", "/v1/models?modality=text"), 400) == "invalid_request"


def test_without_a_provider_nothing_is_listed(stack: Stack, project_id: str) -> None:
    """A model that nobody here can serve is absent, not broken."""
    nobody = dict.fromkeys(("STANDIN_URL", *PASSED_ON), "")
    with Deployment(stack, project_id, environment=nobody) as deployment:
        assert answer(call(deployment, "GET", "/v1/models")) == {"object": "list", "data": []}


def test_with_one_provider_its_models_are_listed(stack: Stack, project_id: str) -> None:
    """A key is enough; it is never shown."""
    environment = {**dict.fromkeys(("STANDIN_URL", *PASSED_ON), ""), "HUGGINGFACE_API_KEY": "hf_secret"}
    with Deployment(stack, project_id, environment=environment) as deployment:
        response = call(deployment, "GET", "/v1/models")
        assert answer(response)["data"]
        assert "hf_secret" not in response.text + deployment.log
