"""A provider that fails, seen through three clients: each raises its own error, and pays for what it was given."""

import pytest

from local.stack import Stack
from tests.e2e.books import Books
from tests.independent.calls import Told, settled, usage_charged
from tests.independent.plan import CUT, FAULT_CLIENTS, LEFT, LYING, REFUSED, UNPAID, Fault

ATTEMPTS = 3
"""What all three make of a refusal that may pass, unless told otherwise: one, and two retries."""
ERRORS: dict[str, dict[str, tuple[str, int | None]]] = {
    "error-429": {
        "openai": ("RateLimitError", 429),
        "ai": ("AI_RetryError", 429),
        "litellm": ("RateLimitError", 429),
    },
    "error-500": {
        "openai": ("InternalServerError", 503),
        "ai": ("AI_RetryError", 503),
        "litellm": ("ServiceUnavailableError", 503),
    },
    "unpaid": {
        "openai": ("APIStatusError", 402),
        "ai": ("AI_APICallError", 402),
        "litellm": ("APIError", 402),
    },
    "cut": {
        "openai": ("APIError", None),
        "ai": ("event", None),
        "litellm": ("MidStreamFallbackError", 500),
    },
    "slow": {
        "openai": ("APITimeoutError", None),
        "ai": ("TimeoutError", None),
        "litellm": ("Timeout", 408),
    },
}
"""How each client names what went wrong, and the status that it gives it. LiteLLM makes up some; the 500 and the 408
are its own. `ai` hands on the event of a stream as it is."""


@pytest.fixture(params=FAULT_CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def charges_of(stack: Stack, said: Told) -> list[dict[str, str]]:
    with Books.of(stack, said.call.deployment.project_id) as books:
        return await settled(books, said.call.person)


def error_of(said: Told) -> tuple[str, int | None]:
    assert said.error is not None
    return said.error["kind"], said.error["status"]


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.name)
async def test_a_provider_that_refuses_is_tried_again_and_is_free(
    stack: Stack, told: dict[tuple[str, str], Told], client: str, fault: Fault
) -> None:
    """As often as the client does by default; every attempt gave its hold back."""
    said = told[client, fault.name]

    assert await charges_of(stack, said) == []
    assert error_of(said) == ERRORS["error-429" if fault.word == "error-429" else "error-500"][client]
    assert not said.text
    assert said.attempts_free == ATTEMPTS


@pytest.mark.parametrize("fault", UNPAID, ids=lambda fault: fault.name)
async def test_what_cannot_be_paid_is_not_tried_again(
    stack: Stack, told: dict[tuple[str, str], Told], client: str, fault: Fault
) -> None:
    """The client has a 402 in its own type, and nothing was ever held."""
    said = told[client, fault.name]

    assert await charges_of(stack, said) == []
    assert error_of(said) == ERRORS["unpaid"][client]
    assert said.attempts_free == 0


async def test_a_stream_that_breaks_off_raises_after_what_came_which_is_charged(
    stack: Stack, told: dict[tuple[str, str], Told], client: str
) -> None:
    """By our own count, since the provider never said."""
    said = told[client, CUT.name]

    (facts,) = await charges_of(stack, said)
    assert error_of(said) == ERRORS["cut"][client]
    assert said.text
    assert (facts["outcome"], facts["usage_source"]) == ("cut", "estimated")
    assert int(facts["completion_tokens"]) == -(-len(said.text.encode()) // 4)


async def test_a_client_that_does_not_wait_for_a_stream_pays_for_what_it_set_going(
    stack: Stack, told: dict[tuple[str, str], Told], client: str
) -> None:
    """It left before the first word, once for each of its attempts: the provider bills its prompt, and may write on."""
    said = told[client, LEFT.name]

    charges = await charges_of(stack, said)
    assert error_of(said) == ERRORS["slow"][client]
    # A client that goes while its request is still on the way has set nothing going.
    assert {facts["outcome"] for facts in charges} <= {"abandoned"}


@pytest.mark.parametrize("fault", LYING, ids=lambda fault: fault.name)
async def test_usage_that_cannot_be_is_told_as_it_was_charged(
    stack: Stack, told: dict[tuple[str, str], Told], client: str, fault: Fault
) -> None:
    """Never more than was held; where the provider's count is none, the client is told ours."""
    said = told[client, fault.name]

    (facts,) = await charges_of(stack, said)
    assert said.error is None
    assert said.usage == usage_charged([facts])
    assert facts["usage_source"] == ("reported" if fault.word == "usage-huge" else "estimated")
    assert ("capped_by" in facts) is (fault.word == "usage-huge")
