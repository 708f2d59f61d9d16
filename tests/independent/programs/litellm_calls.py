"""Makes calls with LiteLLM as a library. In and out as in openai_calls.py; run with the Python of the clients."""

import asyncio
import json
import sys
from typing import Any

import litellm
import openai

# It would write hints among the answers.
litellm.suppress_debug_info = True
# For a model named like a Llama it would fetch a tokenizer from the internet, in the middle of a call.
litellm.disable_hf_tokenizer_download = True


def asked_of(call: dict[str, Any]) -> dict[str, Any]:
    """What every call says. `openai/` tells LiteLLM whose wire it is, and does not reach the gateway."""
    return {
        "model": f"openai/{call['model']}",
        "api_base": call["url"],
        "api_key": call["key"],
        "timeout": call["timeout_s"],
    }


def messages_of(call: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": call["prompt"]}]


async def whole(call: dict[str, Any], told: dict[str, Any]) -> None:
    tell(await litellm.acompletion(**asked_of(call), messages=messages_of(call)), told)


async def whole_synchronous(call: dict[str, Any], told: dict[str, Any]) -> None:
    tell(await asyncio.to_thread(litellm.completion, **asked_of(call), messages=messages_of(call)), told)


async def stream(call: dict[str, Any], told: dict[str, Any]) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    async for chunk in await litellm.acompletion(**asked_of(call), messages=messages_of(call), **options):
        told["text"] += "".join(choice.delta.content or "" for choice in chunk.choices)
        told["usage"] = usage_of(chunk) or told["usage"]


async def stream_synchronous(call: dict[str, Any], told: dict[str, Any]) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}

    def read() -> None:
        for chunk in litellm.completion(**asked_of(call), messages=messages_of(call), **options):
            told["text"] += "".join(choice.delta.content or "" for choice in chunk.choices)
            told["usage"] = usage_of(chunk) or told["usage"]

    await asyncio.to_thread(read)


async def embeddings(call: dict[str, Any], told: dict[str, Any]) -> None:
    """Two texts; the lengths of what came are told."""
    answer = await litellm.aembedding(**asked_of(call), input=[call["prompt"], "and another"])
    told["text"] = json.dumps([len(one["embedding"]) for one in answer.data])
    told["usage"] = {"prompt_tokens": answer.usage.prompt_tokens, "completion_tokens": 0}


KINDS = {
    "whole": whole,
    "whole_synchronous": whole_synchronous,
    "stream": stream,
    "stream_synchronous": stream_synchronous,
    "embeddings": embeddings,
}


def tell(completion: Any, told: dict[str, Any]) -> None:
    told |= {"text": completion.choices[0].message.content, "usage": usage_of(completion)}


def usage_of(answer: Any) -> dict[str, int] | None:
    usage = getattr(answer, "usage", None)
    return usage and {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}


async def made(call: dict[str, Any]) -> dict[str, Any]:
    """Text, usage and error of one call, as the client has them."""
    told: dict[str, Any] = {"text": "", "usage": None, "error": None}
    try:
        await KINDS[call["kind"]](call, told)
    except openai.OpenAIError as error:
        # Every error of LiteLLM's is one of the client's that it stands on.
        told["error"] = {"kind": type(error).__name__, "status": getattr(error, "status_code", None)}
    return told


async def main() -> None:
    """One call, for which LiteLLM imports what it had put off while nothing else can go on; then all others at once."""
    calls = json.load(sys.stdin)
    first, *others = calls.values()
    told = [await made(first), *await asyncio.gather(*(made(call) for call in others))]
    json.dump(dict(zip(calls, told, strict=True)), sys.stdout)


asyncio.run(main())
