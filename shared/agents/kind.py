"""What a kind of job is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from shared.agents.desk import Desk, Filming, Painting

if TYPE_CHECKING:
    from langgraph.graph import StateGraph


class Kind(Protocol):
    """A graph and what may be asked of it. Its module is loaded by those who start or run a job of the kind, and
    imports langgraph in `graph` alone, for only who runs a job needs it.
    """

    name: str
    params: type[Struct]
    """What a request says of the job: a struct whose fields bound what they hold."""
    steps_max: int
    """More super-steps than any job of the kind takes: the recursion limit."""

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """The graph, whose nodes are async. It begins with the state that `first_state` gives."""

    def first_state(self, params: Any) -> dict[str, Any]:
        """The state that a job begins with."""

    def orders(self, params: Any) -> Sequence[Painting | Filming]:
        """What it will have made by models that its params name; of pictures that differ in their words only, one."""

    def steps_expected(self, params: Any) -> int:
        """About how many super-steps such a job takes, for the percentage and the forecast of its cost."""
