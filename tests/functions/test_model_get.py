"""model_get: one model by its id, slashes and all, as the list tells it."""

import openai
import pytest

from local.deployment import Deployment
from tests.clients import answer, call, refusal

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"


def test_it_says_what_the_list_says(deployment: Deployment) -> None:
    """To anybody."""
    listed = {model["id"]: model for model in answer(call(deployment, "GET", "/v1/models"))["data"]}

    assert answer(call(deployment, "GET", f"/v1/models/{MODEL}")) == listed[MODEL]


def test_openais_client_retrieves_every_model(deployment: Deployment) -> None:
    """Whether it escapes the slash or not."""
    with openai.OpenAI(base_url=f"{deployment.url}/v1", api_key="none") as client:
        for model in list(client.models.list())[:10]:
            assert client.models.retrieve(model.id).id == model.id
    escaped = MODEL.replace("/", "%2F")
    assert answer(call(deployment, "GET", f"/v1/models/{escaped}"))["id"] == MODEL


@pytest.mark.parametrize("name", ["", "gpt-4", "meta-llama", f"{MODEL}/", f"/{MODEL}", MODEL.lower(), "%00", "a%09b"])
def test_an_unknown_model_is_a_404(deployment: Deployment, name: str) -> None:
    """Ids are exact."""
    assert refusal(call(deployment, "GET", f"/v1/models/{name}"), 404) == "model_not_found"
