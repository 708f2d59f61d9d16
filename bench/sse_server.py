"""The two programs that bench/stream.py measures against: a model that writes at a steady pace, and a bare relay of it.

`python -m bench.sse_server model PORT CHUNKS PAUSE_S` and `python -m bench.sse_server relay PORT MODEL_URL`.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from local.process import HOST
from shared.base.garbage import collect_rarely, keep_loaded

READY_PATH = "/_ready"
CHAT_PATH = "/chat/completions"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
READY = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready"


def answer_events(chunks: int) -> list[bytes]:
    """An answer as OpenAI streams it: pieces of a word each, the finish, the usage, `[DONE]`."""

    def event(choices: list[dict[str, object]], **fields: object) -> bytes:
        data = {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "bench",
            "choices": choices,
            **fields,
        }
        return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"

    def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, object]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    usage = {"prompt_tokens": 20, "completion_tokens": chunks, "total_tokens": 20 + chunks}
    pieces = [event(choice({"content": f" word{number}"})) for number in range(chunks)]
    return [*pieces, event(choice({}, "stop")), event([], usage=usage), b"data: [DONE]\n\n"]


async def serve_model(port: int, chunks: int, pause_s: float) -> None:
    """Plain asyncio, so that as much of the machine as possible is left to what is measured."""
    events = answer_events(chunks)
    framed = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
                await reader.readexactly(lengths[0] if lengths else 0)
                if head.startswith(b"GET"):
                    writer.write(READY)
                    continue
                writer.write(HEAD)
                for piece in framed:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, HOST, port)
    await server.serve_forever()


def serve_relay(port: int, model_url: str) -> None:
    """What a relay costs that checks nobody, looks at nothing and charges nothing."""
    session: list[aiohttp.ClientSession] = []

    async def relay(request: Request) -> Response:
        if not session:
            session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        answered = await session[0].post(model_url + CHAT_PATH, data=await request.body())

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in answered.content.iter_any():
                yield piece

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready")

    # Our functions start so as well.
    collect_rarely()
    keep_loaded()
    app = Starlette(routes=[Route("/v1" + CHAT_PATH, relay, methods=["POST"]), Route(READY_PATH, ready)])
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)


def main(arguments: Sequence[str]) -> None:
    """Serve until ended."""
    match arguments:
        case ["model", port, chunks, pause_s]:
            asyncio.run(serve_model(int(port), int(chunks), float(pause_s)))
        case ["relay", port, model_url]:
            serve_relay(int(port), model_url)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
