"""LangChain's own tests of a chat model, on the gateway. Run by test_langchain.py with the pytest of the clients.

The gateway's address, a key and the file to tell usage in come from the environment.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

MODEL, OTHER_MODEL = "google/gemma-3-27b-it", "google/gemma-3-12b-it"
"""Both see images."""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = {
    "type": "file",
    "base64": base64.b64encode(b"%PDF-1.4").decode(),
    "mime_type": "application/pdf",
    "filename": "a",
}
SOUND = {"type": "audio", "base64": base64.b64encode(b"RIFF").decode(), "mime_type": "audio/wav"}


def tell(line: dict[str, Any]) -> None:
    with Path(os.environ["TOLD_FILE"]).open("a", encoding="utf-8") as told:
        told.write(json.dumps(line) + "\n")


class UsageTeller(BaseCallbackHandler):
    """Appends a line for every call: what LangChain understood of its usage."""

    raise_error = True
    """Otherwise LangChain writes what goes wrong here to its log, and goes on."""

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        usage = response.generations[0][0].message.usage_metadata
        tell({"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]})


def tell_receipt(response: httpx.Response) -> None:
    """Append a line for every answer that came with a receipt; a stream's names no cost, for it is not charged yet."""
    if receipt := response.headers.get("x-credence-receipt"):
        tell({"receipt": receipt, "cost_micros": response.headers.get("x-credence-cost-micros")})


async def tell_receipt_at_once(response: httpx.Response) -> None:
    tell_receipt(response)


class TestCredence(ChatModelIntegrationTests):
    """The suite, with everything switched on but PDF and sound, which are not for sale."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": os.environ["GATEWAY_URL"],
            "api_key": os.environ["GATEWAY_KEY"],
            "stream_usage": True,
            "use_responses_api": False,
            # Those that LangChain keeps have connections of a loop that ended with another test: what is asked over
            # them is answered to nobody, and asked again.
            "http_client": httpx.Client(event_hooks={"response": [tell_receipt]}),
            "http_async_client": httpx.AsyncClient(event_hooks={"response": [tell_receipt_at_once]}),
            "callbacks": [UsageTeller()],
        }

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return OTHER_MODEL

    @pytest.fixture(autouse=True)
    def _picture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The suite fetches a picture from the internet; it gets one of ours."""
        monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, content=PIXEL))

    @pytest.mark.parametrize("part", [PDF, SOUND], ids=["pdf", "sound"])
    def test_what_is_not_for_sale_is_refused(self, model: ChatOpenAI, part: dict[str, Any]) -> None:
        """In the words of the OpenAI client beneath, and before anything is held."""
        with pytest.raises(openai.BadRequestError, match="Only text and images"):
            model.invoke([HumanMessage([{"type": "text", "text": "What is it?"}, part])])

    def test_a_pdf_from_a_tool_is_refused(self, model: ChatOpenAI) -> None:
        """As one from a person is."""
        call = {"type": "tool_call", "id": "1", "name": "random_pdf", "args": {}}
        messages = [HumanMessage("Hello"), AIMessage([], tool_calls=[call]), ToolMessage([PDF], tool_call_id="1")]
        with pytest.raises(openai.BadRequestError, match="Only text and images"):
            model.invoke(messages)
