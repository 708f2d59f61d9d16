"""What an answer has delivered, and what of it to charge for: the provider's count when it can be one, else ours."""

from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.catalog.models import Model
from shared.chat.models import CHOICES_MAX, ChatRequest, Tally
from shared.chat.weight import bytes_of, text_bytes_of, tokens_of, weigh_prompt
from shared.metering.models import Usage, UsageSource

DETAILS_OF_PROMPT = {
    Unit.CACHED_TOKEN: ("cached_tokens",),
    Unit.CACHE_WRITE_LONG_TOKEN: ("cache_creation_long_tokens",),
    Unit.CACHE_WRITE_TOKEN: ("cache_creation_tokens", "cache_write_tokens"),
}
"""How `prompt_tokens_details` names the parts of a prompt: `cached_tokens` and `cache_write_tokens` are OpenAI's, the
others ours. Of two names for one part the larger count holds: who says both says the same twice."""


ANSWERED = ("stop", "length", "tool_calls", "function_call")
"""How an answer ends, if not by a fault and not withheld."""
PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


def count_chunk(tally: Tally, chunk: Mapping[str, Any]) -> None:
    """Add one chunk of a stream to the tally. Odd shapes are counted as they are, since they are passed on too."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else [choices]:
        text_bytes = _delivered_bytes(choice)
        tally.text_bytes += text_bytes
        tally.unreported_bytes += text_bytes
        tally.unreported_pieces += text_bytes > 0
        if isinstance(choice, dict):
            index = choice.get("index")
            known_index = index if type(index) is int and 0 <= index < CHOICES_MAX else 0
            if finish := choice.get("finish_reason"):
                tally.ended.add(known_index)
                tally.answered = tally.answered or finish in ANSWERED
            else:
                tally.begun.add(known_index)
    if isinstance(usage := chunk.get("usage"), dict) and _counts(usage):
        tally.reported = usage
        tally.unreported_bytes = tally.unreported_pieces = 0


def tally_of(answer: Mapping[str, Any]) -> Tally:
    """The tally of a whole answer."""
    tally = Tally()
    count_chunk(tally, answer)
    return tally


def usage_of(tally: Tally, request: ChatRequest, model: Model) -> Usage | None:
    """What to charge for. None when nothing came: that is free.

    An answer without a word may still be one: that it ended at a stop the client chose, some say at which, or that it
    thought up to its cap. It is charged where the provider counted what it wrote.
    """
    came = tally.text_bytes > 0 or (tally.answered and tally.reported is not None)
    return used(tally, request, model) if came else None


def used(tally: Tally, request: ChatRequest, model: Model) -> Usage:
    """What was used so far, even if nothing came of it yet: the provider's count when it can be one, else ours.

    What came after the provider's last count is added to it: some count the prompt at the start, and no more if cut.
    """
    # A piece of a stream is at least one token, however short.
    uncounted_tokens = max(tokens_of(tally.unreported_bytes), tally.unreported_pieces)
    if reported := _counts(tally.reported or {}):
        prompt_tokens, completion_tokens = reported
        source = UsageSource.ESTIMATED if uncounted_tokens else UsageSource.REPORTED
        return Usage(
            {
                **prompt_counts(prompt_tokens, tally.reported or {}),
                Unit.COMPLETION_TOKEN: completion_tokens + uncounted_tokens,
            },
            source,
        )
    prompt_bytes, _, images = weigh_prompt(request)
    prompt_tokens = min(tokens_of(prompt_bytes) + images * model.image_tokens_max, model.context_tokens)
    counts = {Unit.PROMPT_TOKEN: prompt_tokens, Unit.COMPLETION_TOKEN: uncounted_tokens}
    return Usage(counts, UsageSource.ESTIMATED)


def prompt_counts(prompt_tokens: int, usage: Mapping[str, Any]) -> dict[Unit, int]:
    """The reported prompt by what its parts cost. The parts never come to more than the whole, whatever is reported."""
    details = usage.get("prompt_tokens_details")
    told = details if isinstance(details, dict) else {}
    left = prompt_tokens
    counts: dict[Unit, int] = {}
    for unit, names in DETAILS_OF_PROMPT.items():
        count = max(count if type(count := told.get(name)) is int else 0 for name in names)
        if count > 0:
            counts[unit] = min(count, left)
            left -= counts[unit]
    return {Unit.PROMPT_TOKEN: left, **counts}


def _counts(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens of prompt and completion, if the usage states both and both can be counts.

    A completion of no tokens is no count: it is asked for only where text was delivered.
    """
    prompt_tokens, completion_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt_tokens) is int and type(completion_tokens) is int and prompt_tokens >= 0 and completion_tokens > 0:
        return prompt_tokens, completion_tokens
    return None


def _delivered_bytes(choice: object) -> int:
    """Bytes of text in one choice: all that is said in it, be it content, thoughts or calls of tools."""
    if not isinstance(choice, dict):
        return text_bytes_of(choice)
    if choice.keys() <= PLAIN_CHOICE and choice.get("logprobs") is None:
        delta = choice.get("delta")
        if type(delta) is dict and len(delta) == 1 and type(content := delta.get("content")) is str:
            # Nearly every chunk of a stream is this, and has nothing else that could be text.
            return bytes_of(content)
    said = [choice.get("delta"), choice.get("message"), choice.get("text")]
    roles = [part.get("role") for part in said if isinstance(part, dict)]
    return max(text_bytes_of(said) - text_bytes_of(roles), _logprob_bytes(choice.get("logprobs")))


def _logprob_bytes(logprobs: object) -> int:
    """Bytes of the tokens whose probabilities are told: they are the answer once more, or all that there is of it."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return text_bytes_of([token.get("token") for token in tokens if isinstance(token, dict)] if tokens else [])
