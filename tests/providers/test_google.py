"""Google's wire exactly: what Gemini is asked for each thing that a client may ask, and how it answers."""

import json
from typing import Any

import pytest

from shared.providers.errors import UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.providers.gateway import Upstreams
from shared.providers.google_answer import usage_of
from shared.providers.google_request import to_generate_content
from shared.providers.pictures import IMAGE_BYTES_MAX, IMAGES_BYTES_MAX, IMAGES_MAX
from tests.providers import fake as says
from tests.providers.fake import FakeProvider
from tests.providers.native import COMPLETION_TOKENS, GOOGLE, PROMPT_TOKENS, candidate, piece
from tests.providers.shelf import Shelf
from tests.providers.test_wires import PAYLOAD, finishes, last_usage, said_in, streamed

SCHEMA = {"type": "object", "additionalProperties": False}
LOOK = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}
CAT = "https://example.com/cat.png"


def body_of(*messages: dict[str, Any], **fields: object) -> dict[str, Any]:
    """The body for these messages, or for one that says hi."""
    payload = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **fields}
    return to_generate_content(payload, {CAT: ("image/png", "Y2F0")}, "google")


def image(address: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}


def test_a_plain_chat_is_asked_with_a_cap() -> None:
    """The one that was quoted."""
    assert body_of(max_tokens=7) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 7},
    }


def test_a_conversation_with_tools_takes_turns() -> None:
    """Gemini's results name the function; its calls carry the signature that it gave, or the documented stand-in."""
    signed = {"google": {"thought_signature": "c2ln"}}
    body = body_of(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "function": {"name": "look", "arguments": '{"a": 1}'}, "extra_content": signed},
                {"id": "c2", "function": {"name": "find", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"there": true}'},
        {"role": "tool", "tool_call_id": "c2", "content": "[1]"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c3", "function": {"name": "look"}}]},
        {"role": "tool", "tool_call_id": "c3", "content": "There."},
    )

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "find", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "look", "response": {"there": True}}},
                {"functionResponse": {"name": "find", "response": {"result": [1]}}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "look", "args": {}},
                    "thoughtSignature": "skip_thought_signature_validator",
                }
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "There."}}}]},
    ]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (None, {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "look"}}, {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_tools_are_declared_with_the_choice(choice: object, told: dict[str, Any]) -> None:
    """Schemas go as JSON Schema, which Gemini takes beside its own kind."""
    body = body_of(tools=[LOOK, {"type": "function", "function": {"name": "bare"}}], tool_choice=choice)

    declared = [{"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA}, {"name": "bare"}]
    assert body["tools"] == [{"functionDeclarations": declared}]
    assert body["toolConfig"] == {"functionCallingConfig": told}


def test_what_tunes_the_answer_is_translated() -> None:
    """Names differ; a format is a media type, with the schema beside it."""
    fields: dict[str, Any] = {
        "temperature": 1.7,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 1,
        "frequency_penalty": 0.5,
        "n": 2,
        "stream": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    }

    assert body_of(**fields)["generationConfig"] == {
        "maxOutputTokens": 4_096,
        "temperature": 1.7,
        "topP": 0.9,
        "topK": 5,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 1,
        "frequencyPenalty": 0.5,
        "candidateCount": 2,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert (
        body_of(response_format={"type": "json_object"})["generationConfig"]["responseMimeType"] == "application/json"
    )


def test_images_go_as_data() -> None:
    """Those given by their address as what was read there."""
    parts = [body_of(image(address))["contents"][0]["parts"] for address in (CAT, "data:image/webp;base64,aGk=")]

    assert parts == [
        [{"inlineData": {"mimeType": "image/png", "data": "Y2F0"}}],
        [{"inlineData": {"mimeType": "image/webp", "data": "aGk="}}],
    ]


def test_a_result_without_its_call_is_refused() -> None:
    """Nobody knows which function it is of."""
    with pytest.raises(UpstreamRefused) as refusal:
        body_of({"role": "tool", "tool_call_id": "c1", "content": "x"})

    assert refusal.value.param == "messages[0].tool_call_id"


async def test_images_are_read_through_the_guard_each_once(fake: FakeProvider) -> None:
    """And all of them within what a request may have."""
    shelf = Shelf(cat=b"c" * IMAGE_BYTES_MAX, dog=b"d" * IMAGE_BYTES_MAX, cow=b"c")
    upstreams = Upstreams([], fetcher=shelf)
    fake.replies.append(says.whole(GOOGLE.text))
    addresses = [f"https://example.com/{name}.png" for name in ("cat", "dog", "cat", "dog", "cow")]

    await upstreams.chat(GOOGLE.provider(fake), {**PAYLOAD, "messages": [image(address) for address in addresses]})

    assert [url for url, _ in shelf.asked] == [addresses[0], addresses[1], addresses[4]]
    assert [bytes_max for _, bytes_max in shelf.asked] == [
        IMAGE_BYTES_MAX,
        IMAGE_BYTES_MAX,
        IMAGES_BYTES_MAX - 2 * IMAGE_BYTES_MAX,
    ]
    sent = [
        part["inlineData"]["mimeType"] for content in fake.asked[0].payload["contents"] for part in content["parts"]
    ]
    assert sent == ["image/png"] * 5
    await upstreams.close()


@pytest.mark.parametrize(
    "addresses",
    [
        ["https://example.com/nothing.png"],
        [f"https://example.com/{number}.png" for number in range(IMAGES_MAX + 1)],
    ],
    ids=["unreadable", "too many"],
)
async def test_an_image_that_cannot_be_read_is_the_clients_fault(fake: FakeProvider, addresses: list[str]) -> None:
    """The provider is not asked."""
    upstreams = Upstreams([], fetcher=Shelf())

    with pytest.raises(UpstreamRefused):
        await upstreams.chat(GOOGLE.provider(fake), {**PAYLOAD, "messages": [image(address) for address in addresses]})

    assert not fake.asked
    await upstreams.close()


@pytest.mark.parametrize("address", ["http://example.com/cat.png", "https://127.0.0.1/cat.png", "ftp://x", "cat.png"])
async def test_the_guard_stands_before_every_address(upstreams: Upstreams, fake: FakeProvider, address: str) -> None:
    """The real one, with nothing put in its place."""
    with pytest.raises(UpstreamRefused, match="cannot be used"):
        await upstreams.chat(GOOGLE.provider(fake), {**PAYLOAD, "messages": [image(address)]})

    assert not fake.asked


def test_thoughts_are_part_of_the_completion() -> None:
    """Gemini counts them beside the answer, and the cached part inside the prompt, as OpenAI does."""
    usage = usage_of(
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 155,
        }
    )

    assert usage == {
        "prompt_tokens": 105,
        "completion_tokens": 50,
        "total_tokens": 155,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }


@pytest.mark.parametrize("count", [-1, 1.5, "7", True])
def test_what_is_no_count_is_no_usage(count: object) -> None:
    """Then our own count stands."""
    assert usage_of({"promptTokenCount": count}) is None
    assert usage_of(None) is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "error"),
    ],
)
async def test_each_reason_to_stop_has_its_name(
    upstreams: Upstreams, fake: FakeProvider, reason: str, finish: str
) -> None:
    """Whole and streamed; what was withheld for safety may have no content at all."""
    withheld = {"index": 0, "finishReason": reason}
    for said in (withheld, candidate({"text": "x"}, finish=reason)):
        fake.replies.append(says.whole(piece(said)))
        answer = await upstreams.chat(GOOGLE.provider(fake), PAYLOAD)
        events = await streamed(upstreams, fake, GOOGLE, says.stream(says.event(piece(said))))

        assert answer["choices"][0]["finish_reason"] == finish
        assert finishes(events) == [finish]
        assert events[-1].data is None


async def test_a_prompt_that_is_blocked_is_an_answer_without_content(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Gemini gives no candidate then, only the reason."""
    blocked = {**piece(), "promptFeedback": {"blockReason": "SAFETY"}}
    fake.replies.append(says.whole(blocked))

    answer = await upstreams.chat(GOOGLE.provider(fake), PAYLOAD)
    events = await streamed(upstreams, fake, GOOGLE, says.stream(says.event(blocked)))

    assert answer["choices"][0]["finish_reason"] == "content_filter"
    assert answer["choices"][0]["message"]["content"] is None
    assert finishes(events) == ["content_filter"]


async def test_calls_keep_their_signatures_and_numbers(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Across pieces; an id that Gemini leaves out is made from the answer's own."""
    first = candidate({"functionCall": {"name": "a", "args": {"x": 1}}, "thoughtSignature": "c2ln"}, finish=None)
    second = candidate({"functionCall": {"name": "b", "id": "own"}})
    reply = says.stream(says.event(piece(first)), says.event(piece(second)))

    events = await streamed(upstreams, fake, GOOGLE, reply)

    calls = [call for delta in said_in(events) for call in delta.get("tool_calls", [])]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "call_r1_0_0"), (1, "own")]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"x": 1}, {}]
    assert finishes(events) == ["tool_calls"]


async def test_choices_and_thoughts_are_told_apart(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Whole and streamed."""
    said = piece(
        candidate({"text": "Hm.", "thought": True}, {"text": "Yes."}),
        candidate({"text": "No."}, index=1),
        candidatesTokenCount=3,
    )
    fake.replies.append(says.whole(said))

    answer = await upstreams.chat(GOOGLE.provider(fake), {**PAYLOAD, "n": 2})
    events = await streamed(upstreams, fake, GOOGLE, says.stream(says.event(said)))

    messages = [choice["message"] for choice in answer["choices"]]
    assert messages == [
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
        {"role": "assistant", "content": "No."},
    ]
    assert said_in(events) == messages


async def test_a_cut_stream_has_told_the_count_so_far(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Every piece counts all before it."""
    events: list[Any] = []

    with pytest.raises(UpstreamUnavailable):
        await streamed(upstreams, fake, GOOGLE, says.cut(*GOOGLE.text_stream[:2]), events)

    usage = last_usage(events)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS, 2)
    assert COMPLETION_TOKENS > 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}),
        (400, {"code": 400, "message": "User location is not supported.", "status": "FAILED_PRECONDITION"}),
    ],
)
async def test_what_is_wrong_with_our_account_is_not_the_clients_fault(
    upstreams: Upstreams, fake: FakeProvider, status: int, error: dict[str, Any]
) -> None:
    """Google answers 400 to a wrong key; the client is told nothing of it."""
    fake.replies.append(says.whole({"error": error}, status))

    with pytest.raises(UpstreamUnavailable) as failure:
        await upstreams.chat(GOOGLE.provider(fake), PAYLOAD)

    assert error["message"] not in failure.value.message


async def test_a_delay_in_the_refusal_itself_is_heeded(upstreams: Upstreams, fake: FakeProvider) -> None:
    """Google sends no header for it, and refuses streams with a list."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    words = "You exceeded your current quota, please check your plan and billing details."
    error = {"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    for body in (error, [error]):
        fake.replies.append(says.whole(body, 429))

        with pytest.raises(UpstreamBusy) as refusal:
            await upstreams.chat_stream(GOOGLE.provider(fake), PAYLOAD)

        assert refusal.value.details() == {"retry_after_ms": 34_000}


@pytest.mark.parametrize(
    "said",
    [
        {"candidates": [7]},
        {"candidates": 7},
        {"candidates": [{"content": 7}]},
        {"candidates": [{"content": {"parts": [7]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]},
    ],
    ids=str,
)
async def test_a_piece_of_another_shape_is_a_failure(
    upstreams: Upstreams, fake: FakeProvider, said: dict[str, Any]
) -> None:
    """Whole and streamed."""
    fake.replies.append(says.whole(said))
    with pytest.raises(UpstreamUnavailable):
        await upstreams.chat(GOOGLE.provider(fake), PAYLOAD)
    with pytest.raises(UpstreamUnavailable, match="garbled"):
        await streamed(upstreams, fake, GOOGLE, says.stream(says.event(said)))
