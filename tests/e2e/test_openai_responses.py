"""OpenAI's Responses API through the official client against the deployment."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from tests.clients import add_person, answer, balance_micros, call
from tests.e2e.books import Books

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
GEMMA = "google/gemma-3-27b-it"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Weather(BaseModel):
    """What the stand-in can be made to say of a city."""

    city: str


def charged_of(deployment: Deployment, member: Person, before_micros: int, usage: Any) -> dict[str, Any]:
    """The receipt of the only call since `before_micros`, after a look at the usage and the balance: all agree."""
    charged = before_micros - balance_micros(deployment, member)
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{usage.cost_details['receipt_id']}", member.token))
    assert usage.cost_details["charged_micros"] == charged == -receipt["entry"]["delta_micros"]
    assert (usage.input_tokens, usage.output_tokens) == tuple(
        int(receipt["facts"][name]) for name in ("prompt_tokens", "completion_tokens")
    )
    return receipt


async def test_a_whole_response_tells_usage_cost_and_receipt(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person
) -> None:
    """The cost it states is what the balance lost, and the receipt says the same."""
    before = balance_micros(deployment, member)

    raw = await client.responses.with_raw_response.create(model=LLAMA, input="hi", instructions="Be brief.")

    response = raw.parse()
    usage: Any = response.usage
    charged_of(deployment, member, before, usage)
    assert "“hi”" in response.output_text
    assert (response.status, response.model, response.instructions) == ("completed", LLAMA, "Be brief.")
    assert raw.headers["x-credence-receipt"] == usage.cost_details["receipt_id"]
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (0, 0)


async def test_a_stream_is_read_through_the_clients_own_helper(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person
) -> None:
    """It puts the events together again, which fails on any that OpenAI would not send."""
    before = balance_micros(deployment, member)

    async with client.responses.stream(model=LLAMA, input=[{"role": "user", "content": "hi"}]) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        response = await stream.get_final_response()

    assert len(deltas) > 1
    assert "".join(deltas) == response.output_text
    assert "“hi”" in response.output_text
    charged_of(deployment, member, before, response.usage)


async def test_an_answer_that_is_capped_is_incomplete(client: openai.AsyncOpenAI) -> None:
    """Whole and streamed."""
    whole = await client.responses.create(model=LLAMA, input="hi", max_output_tokens=5)
    events = [e async for e in await client.responses.create(model=LLAMA, input="hi", max_output_tokens=5, stream=True)]

    last: Any = events[-1]
    assert last.type == "response.incomplete"
    for response in (whole, last.response):
        assert response.incomplete_details.reason == "max_output_tokens"
        assert response.status == "incomplete"


def test_the_synchronous_client_works_too(deployment: Deployment, member: Person) -> None:
    """Whole and streamed."""
    with openai.OpenAI(base_url=f"{deployment.url}/v1", api_key=member.token) as client:
        whole = client.responses.create(model=LLAMA, input="hi")
        with client.responses.create(model=LLAMA, input="hi", stream=True) as stream:
            streamed = "".join(event.delta for event in stream if event.type == "response.output_text.delta")

    assert streamed == whole.output_text


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_read(client: openai.AsyncOpenAI, streamed: bool) -> None:
    """The client gives the output back as it is, with the results after it."""
    asked: list[Any] = [{"role": "user", "content": "[[tool]] What is the weather?"}]
    if streamed:
        async with client.responses.stream(model=LLAMA, input=asked, tools=[TOOL]) as stream:
            first: Any = await stream.get_final_response()
    else:
        first = await client.responses.create(model=LLAMA, input=asked, tools=[TOOL])
    (made,) = [item for item in first.output if item.type == "function_call"]
    given_back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    result: Any = {"type": "function_call_output", "call_id": made.call_id, "output": "sunny"}

    second = await client.responses.create(model=LLAMA, input=[*asked, *given_back, result], tools=[TOOL])

    assert (made.name, made.arguments, made.status) == ("get_weather", '{"city":"Paris"}', "completed")
    assert "local stand-in" in second.output_text


async def test_structured_output_is_parsed(client: openai.AsyncOpenAI) -> None:
    """The schema goes to the provider; what comes back is an object of the client's own class."""
    parsed = await client.responses.parse(model=LLAMA, input='[[json]] {"city": "Paris"}', text_format=Weather)

    assert parsed.output_parsed == Weather(city="Paris")
    assert parsed.text is not None
    assert parsed.text.format is not None
    assert parsed.text.format.type == "json_schema"


async def test_images_are_seen_by_models_that_see(client: openai.AsyncOpenAI) -> None:
    """A model that does not see says so before anything is held, and names what was sent."""
    parts = [{"type": "input_text", "text": "what is it?"}, {"type": "input_image", "image_url": PIXEL}]
    asked: Any = [{"role": "user", "content": parts}]

    seen = await client.responses.create(model=GEMMA, input=asked)

    assert "what is it?" in seen.output_text
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.responses.create(model=LLAMA, input=asked)
    assert refusal.value.code == "model_not_supported"


REFUSED: list[tuple[dict[str, Any], type[openai.APIStatusError], str, str | None]] = [
    ({"model": "openai/o1-pro"}, openai.NotFoundError, "model_not_found", "model"),
    ({"model": "black-forest-labs/flux-dev"}, openai.BadRequestError, "model_not_supported", "model"),
    ({"input": []}, openai.BadRequestError, "invalid_request", "input"),
    ({"previous_response_id": "resp_1"}, openai.BadRequestError, "invalid_request", "previous_response_id"),
    ({"conversation": "conv_1"}, openai.BadRequestError, "invalid_request", "conversation"),
    ({"background": True}, openai.BadRequestError, "invalid_request", "background"),
    ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "invalid_request", "tools[0].type"),
    ({"input": "x" * 3_000_000}, openai.BadRequestError, "context_length_exceeded", "input"),
    ({"extra_headers": {"authorization": "Bearer forged"}}, openai.AuthenticationError, "invalid_token", None),
]


@pytest.mark.parametrize(("fields", "kind", "code", "param"), REFUSED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("streamed", [False, True])
async def test_refusals_are_typed_and_free(
    client: openai.AsyncOpenAI,
    deployment: Deployment,
    member: Person,
    fields: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: str | None,
    streamed: bool,
) -> None:
    """Each names the field at fault, before anything is held."""
    before = balance_micros(deployment, member)
    asked: dict[str, Any] = {"model": LLAMA, "input": "hi", "stream": streamed, **fields}

    with pytest.raises(kind) as refusal:
        await client.responses.create(**asked)

    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert balance_micros(deployment, member) == before


async def test_what_cannot_be_paid_is_refused(stack: Stack, deployment: Deployment, books: Books) -> None:
    """402 in the client's own type, with the answer that could be paid."""
    person = add_person(stack, deployment)
    await books.fund(person, 20_000)
    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=person.token) as client:
        with pytest.raises(openai.APIStatusError) as refusal:
            await client.responses.create(model=LLAMA, input="hi")
        affordable = refusal.value.body["affordable_max_tokens"]  # type: ignore[index, call-overload]
        response = await client.responses.create(model=LLAMA, input="hi", max_output_tokens=affordable)

    assert (refusal.value.status_code, refusal.value.code) == (402, "insufficient_credits")
    assert refusal.value.param == "max_output_tokens"
    assert response.output_text


async def test_a_client_that_leaves_pays_for_what_was_delivered(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, books: Books
) -> None:
    """The stand-in's policy is to estimate."""
    before = balance_micros(deployment, member)
    stream = await client.responses.create(model=LLAMA, input="[[long]]", stream=True)
    deltas = 0
    async for event in stream:
        deltas += event.type == "response.output_text.delta"
        if deltas == 20:
            break

    await stream.close()
    head = await books.until(member, lambda head: not head.holds)

    (entry,) = await books.charges(member)
    facts = dict(entry.facts)
    assert head.balance_micros == before + entry.delta_micros
    assert (facts["outcome"], facts["disconnect_policy"], facts["usage_source"]) == (
        "abandoned",
        "estimate",
        "estimated",
    )
    assert 20 * 20 // 4 <= int(facts["completion_tokens"]) < 1_000


async def test_a_stream_that_breaks_off_is_a_failed_response(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person
) -> None:
    """It tells what was said and what that cost."""
    before = balance_micros(deployment, member)

    events = [event async for event in await client.responses.create(model=LLAMA, input="[[cut]]", stream=True)]

    last: Any = events[-1]
    assert last.type == "response.failed"
    assert last.response.output_text
    assert last.response.error.code == "server_error"
    receipt = charged_of(deployment, member, before, last.response.usage)
    assert receipt["facts"]["outcome"] == "cut"
