"""A kind that pays for so many calls, one a step, and may ask its owner first; `sides` of them at once in each."""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from msgspec import Meta, to_builtins

from shared.agents.desk import Desk
from shared.base.body import Body

if TYPE_CHECKING:
    from langgraph.graph import StateGraph


class AskingParams(Body, frozen=True, kw_only=True):
    """How many calls, what is said in each, and whether something is left open or goes wrong on the way."""

    calls: Annotated[int, Meta(ge=0, le=100)] = 3
    says: str = "Hello"
    approve: bool = False
    calls_tool: bool = False
    fails: bool = False


class AskingState(TypedDict, total=False):
    """Bounded by the number of calls, which is small."""

    calls: int
    says: str
    approve: bool
    calls_tool: bool
    fails: bool
    done: int
    cost_micros: int
    said: str
    messages: list[dict[str, Any]]
    result: dict[str, Any]


class Asking:
    """Implements `shared.agents.kind.Kind`."""

    name = "asking"
    params = AskingParams
    steps_max = 120

    def first_state(self, params: AskingParams) -> dict[str, Any]:
        return {**to_builtins(params), "done": 0, "cost_micros": 0, "messages": []}

    def orders(self, params: AskingParams) -> tuple[()]:
        return ()

    def steps_expected(self, params: AskingParams) -> int:
        return params.calls + 2

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import interrupt

        async def begin(state: AskingState) -> dict[str, Any]:
            if not state["approve"]:
                return {"said": ""}
            return {"said": interrupt("May I?")}

        async def ask(state: AskingState) -> dict[str, Any]:
            number = state["done"]
            await desk.note("asks", f"Call {number}")
            message = {"role": "user", "content": f"{state['says']} {number}"}
            answer = await desk.chat(f"ask:{number}", [message], tokens_max=60)
            if state["fails"]:
                raise ValueError("a defect of the kind")
            call = {"id": f"call-{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            said = {
                "role": "assistant",
                "content": answer.text,
                **({"tool_calls": [call]} if state["calls_tool"] else {}),
            }
            return {
                "done": number + 1,
                "cost_micros": state["cost_micros"] + answer.cost_micros,
                "messages": [*state["messages"], message, said],
            }

        async def finish(state: AskingState) -> dict[str, Any]:
            text = "\n".join(str(message["content"]) for message in state["messages"])
            ref = await desk.keep("all.txt", "text/plain", text.encode())
            result = {"said": state["said"], "cost_micros": state["cost_micros"], "artifact": to_builtins(ref)}
            return {"result": result}

        def what_next(state: AskingState) -> str:
            return "ask" if state["done"] < state["calls"] else "finish"

        graph: StateGraph[Any] = StateGraph(AskingState)
        for node in (begin, ask, finish):
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "begin")
        graph.add_conditional_edges("begin", what_next, ["ask", "finish"])
        graph.add_conditional_edges("ask", what_next, ["ask", "finish"])
        graph.add_edge("finish", END)
        return graph


KIND = Asking()
