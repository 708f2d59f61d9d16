"""What a turn will cost: at most, which is what is held, and probably."""

from collections.abc import Iterable

from msgspec import Struct

from shared.base.units import Unit
from shared.chat.models import ChatRequest
from shared.chat.weight import tokens_of, weigh_prompt
from shared.conversations.models import Conversation
from shared.metering.models import Quote, Usage, UsageSource
from shared.metering.rules import charge_micros

COMPLETION_TOKENS_PROBABLE = 300
"""Of a first answer; later ones are taken to be as long as those before were on average."""


class CallQuote(Struct, frozen=True, kw_only=True):
    """One metered call of the turn."""

    kind: str
    at_most_micros: int
    probably_micros: int
    prompt_tokens_max: int
    completion_tokens_max: int


class TurnQuote(Struct, frozen=True, kw_only=True):
    """All calls of the turn, and what they come to."""

    model: str
    at_most_micros: int
    probably_micros: int
    calls: list[CallQuote]


def quoted(conversation: Conversation, quotes: Iterable[tuple[str, ChatRequest, Quote]], *, model: str) -> TurnQuote:
    """The quote of a turn that the model makes."""
    calls = [_call(kind, conversation, request, quote) for kind, request, quote in quotes]
    return TurnQuote(
        model=model,
        at_most_micros=sum(call.at_most_micros for call in calls),
        probably_micros=sum(call.probably_micros for call in calls),
        calls=calls,
    )


def _call(kind: str, conversation: Conversation, request: ChatRequest, quote: Quote) -> CallQuote:
    text_bytes, _, _ = weigh_prompt(request)
    average = conversation.completion_tokens // conversation.turns if conversation.turns else COMPLETION_TOKENS_PROBABLE
    counts = {
        Unit.PROMPT_TOKEN: min(tokens_of(text_bytes), quote.prompt_tokens_max),
        Unit.COMPLETION_TOKEN: min(average, quote.completion_tokens_max),
    }
    return CallQuote(
        kind=kind,
        at_most_micros=quote.amount_micros,
        probably_micros=charge_micros(quote, Usage(counts, UsageSource.ESTIMATED)),
        prompt_tokens_max=quote.prompt_tokens_max,
        completion_tokens_max=quote.completion_tokens_max,
    )
