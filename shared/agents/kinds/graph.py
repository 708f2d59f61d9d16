"""Builds the graphs of kinds: the one place that knows LangGraph, which only who runs a job loads."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

END = "__end__"
"""What a way leads to when the job is done; LangGraph's own name for it."""
Node = Callable[[Any], Awaitable[dict[str, Any]]]
"""From the state to what changes in it. It may be run again from its top."""
Way = str | Callable[[Any], str]
"""The node that comes next, or how the state decides which."""


def answer_of_owner(question: str) -> str:
    """What the job's owner answers. Until there is an answer the job waits; then its node is run again from its top."""
    from langgraph.types import interrupt

    return str(interrupt(question))


def graph_of(state: type, nodes: Mapping[str, Node], ways: Mapping[str, Way]) -> "StateGraph[Any]":
    """The graph that begins with the first node. Each node is a super-step of its own."""
    from langgraph.graph import START, StateGraph

    graph: StateGraph[Any] = StateGraph(state)
    # Its overloads read a node's state from its argument, which is any here.
    add_node: Any = graph.add_node
    for name, node in nodes.items():
        add_node(name, node)
    graph.add_edge(START, next(iter(nodes)))
    for name, way in ways.items():
        if isinstance(way, str):
            graph.add_edge(name, way)
        else:
            graph.add_conditional_edges(name, way)
    return graph
