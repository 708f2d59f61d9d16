"""What each client is made to do: things that work, and a provider's faults."""

from dataclasses import dataclass
from typing import NamedTuple

LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
EMBEDDING = "BAAI/bge-en-icl"
IMPATIENCE_S = 0.5
"""How long a client waits that leaves before the stand-in's [[slow]] answers, after two seconds."""


class Work(NamedTuple):
    """A call that works: what is in its text, and how many calls of a model it takes."""

    client: str
    kind: str
    prompt: str
    expected: str
    charges: int = 1

    @property
    def name(self) -> str:
        return f"{self.client}-{self.kind}"


WEATHER = "What is the weather in 'Paris'?"
TEMPERATURE = "How warm is it in 'Paris'? Say 21."
QUOTED = "You wrote: “Hello”."
WORKS = [
    Work("ai", "whole", "Hello", QUOTED),
    Work("ai", "stream", "Hello", QUOTED),
    Work("ai", "tools", WEATHER, "sunny in Paris", charges=2),
    Work("ai", "stream_tools", WEATHER, "local stand-in", charges=2),
    Work("ai", "object", TEMPERATURE, '{"city":"Paris","degrees":21,"sky":"clear"}'),
    Work("ai", "stream_object", TEMPERATURE, '{"city":"Paris","degrees":21,"sky":"clear"}'),
    Work("ai", "embeddings", "Hello", "[1536,1536]"),
    Work("litellm", "whole", "Hello", QUOTED),
    Work("litellm", "whole_synchronous", "Hello", QUOTED),
    Work("litellm", "stream", "Hello", QUOTED),
    Work("litellm", "stream_synchronous", "Hello", QUOTED),
    Work("litellm", "embeddings", "Hello", "[1536, 1536]"),
]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, by the word that makes the stand-in do it."""

    word: str
    kind: str
    timeout_s: float | None = None

    @property
    def name(self) -> str:
        return f"{self.word}-{self.kind}"

    @property
    def prompt(self) -> str:
        return f"[[{self.word}]]"


KINDS = ("whole", "stream")
REFUSED = [Fault(word, kind) for word in ("error-429", "error-500", "malformed") for kind in KINDS]
"""The provider fails before the client was sent anything; the last answers 200, and then nothing that could be read."""
CUT = Fault("cut", "stream")
LEFT = Fault("slow", "stream", IMPATIENCE_S)
"""The client does not wait for the first word."""
LYING = [Fault(word, kind) for word in ("usage-huge", "usage-zero", "usage-negative") for kind in KINDS]
UNPAID = [Fault("unpaid", kind) for kind in KINDS]
FAULTS = [*REFUSED, CUT, LEFT, *LYING, *UNPAID]
FAULT_CLIENTS = ("openai", "ai", "litellm")
