"""The official OpenAI client against the deployment: what its users write works, and refusals are typed and final."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.base.micros import CREDIT_MICROS
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
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def says(content: Any) -> Any:
    return [{"role": "user", "content": content}]


async def test_a_whole_answer_tells_usage_cost_and_receipt(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person
) -> None:
    """The cost it states is what the balance lost, and the receipt in its headers says the same."""
    before = balance_micros(deployment, member)

    raw = await client.chat.completions.with_raw_response.create(model=LLAMA, messages=says("hi"), max_tokens=50)

    completion = raw.parse()
    usage: Any = completion.usage
    charged = before - balance_micros(deployment, member)
    assert "“hi”" in (completion.choices[0].message.content or "")
    assert usage.cost_details["charged_micros"] == charged > 0
    assert usage.cost == charged / CREDIT_MICROS
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-credence-cost-micros"] == str(charged)
    assert raw.headers["x-credence-balance-micros"] == str(before - charged)
    assert (raw.headers["x-credence-model"], raw.headers["x-credence-provider"]) == (LLAMA, "standin")
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{raw.headers['x-credence-receipt']}", member.token))
    assert receipt["entry"]["delta_micros"] == -charged
    assert int(receipt["facts"]["completion_tokens"]) == usage.completion_tokens


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_stream_arrives_in_chunks(
    client: openai.AsyncOpenAI, deployment: Deployment, member: Person, include_usage: bool
) -> None:
    """Usage with its cost comes last, to those who ask; the charge is the same for those who do not."""
    before = balance_micros(deployment, member)

    stream = await client.chat.completions.create(
        model=LLAMA,
        messages=says("hi"),
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    chunks = [chunk async for chunk in stream]

    charged = before - balance_micros(deployment, member)
    told: list[Any] = [chunk.usage for chunk in chunks if chunk.usage]
    words = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "“hi”" in "".join(words)
    assert len([word for word in words if word]) > 1
    assert [usage.cost_details["charged_micros"] for usage in told] == ([charged] if include_usage else [])
    assert all(chunk.choices for chunk in chunks) is not include_usage
    assert charged > 0


async def test_a_stream_can_be_read_through_the_clients_own_helper(client: openai.AsyncOpenAI) -> None:
    """It puts the chunks together again, which fails on any that OpenAI would not send."""
    async with client.chat.completions.stream(model=LLAMA, messages=says("hi")) as stream:
        async for _ in stream:
            pass
        completion = await stream.get_final_completion()

    assert "“hi”" in (completion.choices[0].message.content or "")
    assert completion.choices[0].finish_reason == "stop"


def test_the_synchronous_client_works_too(deployment: Deployment, member: Person) -> None:
    """Whole and streamed."""
    with openai.OpenAI(base_url=f"{deployment.url}/v1", api_key=member.token) as client:
        whole = client.chat.completions.create(model=LLAMA, messages=says("hi"))
        with client.chat.completions.create(model=LLAMA, messages=says("hi"), stream=True) as stream:
            streamed = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)

    assert streamed == whole.choices[0].message.content


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_read(client: openai.AsyncOpenAI, streamed: bool) -> None:
    """The call comes first; with its result in the conversation, the answer."""
    messages = says("[[tool]] What is the weather?")
    if streamed:
        async with client.chat.completions.stream(model=LLAMA, messages=messages, tools=[TOOL]) as stream:
            first = await stream.get_final_completion()
    else:
        first = await client.chat.completions.create(model=LLAMA, messages=messages, tools=[TOOL])
    choice = first.choices[0]
    (tool_call,) = choice.message.tool_calls or []
    said = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
    for made in said["tool_calls"]:
        made["function"].pop("parsed_arguments", None)
        made.pop("index", None)
    result = {"role": "tool", "tool_call_id": tool_call.id, "content": "sunny"}

    second = await client.chat.completions.create(model=LLAMA, messages=[*messages, said, result], tools=[TOOL])

    assert choice.finish_reason == "tool_calls"
    assert tool_call.type == "function"
    assert (tool_call.function.name, tool_call.function.arguments) == ("get_weather", '{"city":"Paris"}')
    assert "local stand-in" in (second.choices[0].message.content or "")


async def test_images_are_seen_by_models_that_see(client: openai.AsyncOpenAI) -> None:
    """As data or by address; a model that does not see says so before anything is held."""
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]

    seen = await client.chat.completions.create(model=GEMMA, messages=says(parts))

    assert "what is it?" in (seen.choices[0].message.content or "")
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.chat.completions.create(model=LLAMA, messages=says(parts))
    assert refusal.value.code == "model_not_supported"


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """Those that can be called, with what they cost; each chat model of the list answers."""
    models: list[Any] = [model async for model in client.models.list()]

    assert {LLAMA, GEMMA} <= {model.id for model in models}
    assert all(model.object == "model" and model.created and model.owned_by for model in models)
    for model in models:
        if model.pricing["completion_micros_per_mtok"]:
            completion = await client.chat.completions.create(model=model.id, messages=says("hi"), max_tokens=5)
            assert completion.choices[0].finish_reason == "length"


@asynccontextmanager
async def counting_proxy(deployment: Deployment) -> AsyncIterator[tuple[str, list[int]]]:
    """An address before the deployment, and the status of every answer that went through it."""
    statuses: list[int] = []

    async def forward(request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        url = f"{deployment.url}{request.path}"
        async with session.request(
            request.method, url, data=BytesIO(await request.read()), headers=headers
        ) as response:
            statuses.append(response.status)
            kept = {name: value for name, value in response.headers.items() if name.startswith(("x-", "retry"))}
            body, kind = await response.read(), response.content_type
            return web.Response(body=body, status=response.status, headers=kept, content_type=kind)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", statuses
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_cannot_be_paid_is_refused_once(
    stack: Stack, deployment: Deployment, books: Books, streamed: bool
) -> None:
    """402 is not retried, and states how long an answer could be: exactly that long a one is then given."""
    person = add_person(stack, deployment)
    await books.fund(person, 20_000)
    async with (
        counting_proxy(deployment) as (url, statuses),
        openai.AsyncOpenAI(base_url=url, api_key=person.token) as client,
    ):
        with pytest.raises(openai.APIStatusError) as refusal:
            await client.chat.completions.create(model=LLAMA, messages=says("hi"), stream=streamed)
        seen = list(statuses)
        affordable = refusal.value.body["affordable_max_tokens"]  # type: ignore[index, call-overload]
        with pytest.raises(openai.APIStatusError):
            await client.chat.completions.create(model=LLAMA, messages=says("hi"), max_tokens=affordable + 1)
        completion = await client.chat.completions.create(model=LLAMA, messages=says("hi"), max_tokens=affordable)

    assert seen == [402]
    assert (refusal.value.status_code, refusal.value.code) == (402, "insufficient_credits")
    assert completion.choices[0].message.content


REFUSED: list[tuple[dict[str, Any], type[openai.APIStatusError], str]] = [
    ({"model": "openai/o1-pro"}, openai.NotFoundError, "model_not_found"),
    ({"model": "black-forest-labs/flux-dev"}, openai.BadRequestError, "model_not_supported"),
    ({"messages": []}, openai.BadRequestError, "invalid_request"),
    ({"max_tokens": -1}, openai.BadRequestError, "invalid_request"),
    ({"n": 9}, openai.BadRequestError, "invalid_request"),
    ({"service_tier": "priority"}, openai.BadRequestError, "invalid_request"),
    ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "invalid_request"),
    ({"extra_body": {"MAX_TOKENS": 9}}, openai.BadRequestError, "invalid_request"),
    ({"messages": says("x" * 3_000_000)}, openai.BadRequestError, "context_length_exceeded"),
    ({"extra_headers": {"authorization": "Bearer forged"}}, openai.AuthenticationError, "invalid_token"),
]


@pytest.mark.parametrize(("fields", "kind", "code"), REFUSED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("streamed", [False, True])
async def test_refusals_are_typed_final_and_free(
    deployment: Deployment,
    member: Person,
    fields: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    streamed: bool,
) -> None:
    """One request, one refusal, no charge."""
    before = balance_micros(deployment, member)
    asked = {"model": LLAMA, "messages": says("hi"), "stream": streamed, **fields}
    async with (
        counting_proxy(deployment) as (url, statuses),
        openai.AsyncOpenAI(base_url=url, api_key=member.token) as client,
    ):
        with pytest.raises(kind) as refusal:
            await client.chat.completions.create(**asked)

    assert refusal.value.code == code
    assert len(statuses) == 1
    assert balance_micros(deployment, member) == before


async def test_a_wallet_that_was_never_opened_says_how_to(stack: Stack, deployment: Deployment) -> None:
    """A person of the right project, without an account."""
    person = add_person(stack, deployment)
    async with openai.AsyncOpenAI(base_url=f"{deployment.url}/v1", api_key=person.token) as client:
        with pytest.raises(openai.NotFoundError) as refusal:
            await client.chat.completions.create(model=LLAMA, messages=says("hi"))

    assert refusal.value.code == "account_not_found"
