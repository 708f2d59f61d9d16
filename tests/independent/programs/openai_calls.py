"""Makes calls with openai-python. They come as JSON on standard input; what the client says of each goes out so too."""

import asyncio
import json
import sys
from typing import Any

import openai


async def made(call: dict[str, Any]) -> dict[str, Any]:
    """Text, usage and error of one call, as the client has them."""
    told: dict[str, Any] = {"text": "", "usage": None, "error": None}
    asked: dict[str, Any] = {"model": call["model"], "messages": [{"role": "user", "content": call["prompt"]}]}
    timeout = {"timeout": call["timeout_s"]} if call["timeout_s"] else {}
    async with openai.AsyncOpenAI(base_url=call["url"], api_key=call["key"], **timeout) as client:
        try:
            if call["kind"] == "stream":
                options = {"stream": True, "stream_options": {"include_usage": True}}
                async for chunk in await client.chat.completions.create(**asked, **options):
                    told["text"] += "".join(choice.delta.content or "" for choice in chunk.choices)
                    told["usage"] = usage_of(chunk) or told["usage"]
            else:
                completion = await client.chat.completions.create(**asked)
                told |= {"text": completion.choices[0].message.content, "usage": usage_of(completion)}
        except openai.OpenAIError as error:
            told["error"] = {"kind": type(error).__name__, "status": getattr(error, "status_code", None)}
    return told


def usage_of(answer: Any) -> dict[str, int] | None:
    """The two counts that a charge is made of."""
    usage = answer.usage
    return usage and {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}


async def main() -> None:
    """All calls at once."""
    calls = json.load(sys.stdin)
    told = await asyncio.gather(*(made(call) for call in calls.values()))
    json.dump(dict(zip(calls, told, strict=True)), sys.stdout)


asyncio.run(main())
