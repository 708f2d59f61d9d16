"""Whatever a client sends, the wires that translate it translate or refuse it: neither is a defect of ours."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.anthropic_request import to_messages
from shared.providers.errors import UpstreamRefused
from shared.providers.google_request import image_addresses, to_generate_content
from tests.chat.builders import FEW, json_values

odd = json_values | st.lists(json_values, max_size=3)
FIELDS = (
    "function_call",
    "logprobs",
    "max_completion_tokens",
    "n",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "stop",
    "temperature",
    "thinking",
    "tool_choice",
    "top_k",
    "user",
)
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
text_parts = st.fixed_dictionaries({"type": st.just("text"), "text": odd})
images = st.fixed_dictionaries({"type": st.just("image_url"), "image_url": odd})
calls = st.fixed_dictionaries(
    {"function": odd | st.fixed_dictionaries({"name": st.text(), "arguments": odd}), "id": odd}
)
messages = st.fixed_dictionaries(
    {"role": ROLES, "content": st.none() | st.text() | st.lists(text_parts | images | st.text(), max_size=3)},
    optional={"tool_calls": odd | st.lists(calls, max_size=2), "thinking_blocks": odd, "tool_call_id": odd},
)
tools = st.fixed_dictionaries({"type": st.just("function")}, optional={"function": odd, "cache_control": odd})


@FEW
@given(
    st.lists(messages, min_size=1, max_size=3),
    st.lists(tools, max_size=2),
    st.dictionaries(st.sampled_from(FIELDS), odd),
)
def test_no_request_is_a_defect(messages: list[Any], tools: list[Any], fields: dict[str, Any]) -> None:
    """Of all that our own checks let through to them."""
    payload = {**fields, "model": "m", "max_tokens": 10, "messages": messages, "tools": tools}

    for translate in (
        lambda: to_messages(payload, "anthropic"),
        lambda: to_generate_content(payload, dict.fromkeys(image_addresses(payload), ("image/png", "")), "google"),
    ):
        with suppress(UpstreamRefused):
            translate()


@pytest.mark.parametrize("odd", [7, True, {"a": 1}, 1.5])
@pytest.mark.parametrize("place", ["stop", "tool_calls", "thinking_blocks"])
def test_what_is_no_list_is_refused_by_name(place: str, odd: object) -> None:
    """And not taken apart as one."""
    message = {"role": "assistant", "content": "x"}
    payload = {"model": "m", "messages": [message]}
    (payload if place == "stop" else message)[place] = odd

    with pytest.raises(UpstreamRefused) as refusal:
        to_messages(payload, "anthropic")

    assert str(refusal.value.param).endswith(place)
