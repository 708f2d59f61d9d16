"""What a request may say: bounded bytes, strict JSON, exact types; everything else is a clear refusal."""

import asyncio
import json
from typing import Annotated

from msgspec import Meta, field

from shared.app import App
from shared.base.body import AmountMicros, Body, IdempotencyKey, ShortText
from shared.base.ids import IDEMPOTENCY_KEY_CHARS_MAX
from shared.base.micros import AMOUNT_MICROS_MAX
from shared.web.auth import Caller
from shared.web.function import HttpFunction, http_function
from tests.web.conftest import Lines
from tests.web.server import REPLY_DEADLINE_S, request_head, serve

BYTES_MAX = 2_000
SECRET = "sk-what-the-user-said"

NOT_JSON = [
    b"{",
    b"{}{}",
    b"{} x",
    b"nonsense",
    b'{"note": "a",}',
    b"{'note': 'a'}",
    b'{"note": "a\nb"}',
    b'{"note": "\\x41"}',
    b'{"note": "\\ud800"}',
    b'{"amount_micros": NaN}',
    b'{"amount_micros": Infinity}',
    b'{"amount_micros": -Infinity}',
    b'{"amount_micros": 1e999}',
    b'{"note": [-1e999]}',
    b'{"amount_micros": 01}',
    b'{"amount_micros": +1}',
    b'{"amount_micros": 1_000}',
    b'{"amount_micros": ' + b"9" * 10_000 + b"}",
    b"[" * 1_000,
    b'{"lines":' * 1_000 + b"1" + b"}" * 1_000,
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"note": "\xff"}',
    b'{"note": "\xed\xa0\x80"}',
    b'{"note": "\xc0\xae"}',
]
WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"amount_micros": 0}, "amount_micros"),
    ({"amount_micros": -1}, "amount_micros"),
    ({"amount_micros": 2**63}, "amount_micros"),
    ({"amount_micros": -(2**63)}, "amount_micros"),
    ({"amount_micros": 2**64 + 1}, "amount_micros"),
    ({"amount_micros": AMOUNT_MICROS_MAX + 1}, "amount_micros"),
    ({"amount_micros": 1.0}, "amount_micros"),
    ({"amount_micros": 1e300}, "amount_micros"),
    ({"amount_micros": "1"}, "amount_micros"),
    ({"amount_micros": True}, "amount_micros"),
    ({"amount_micros": None}, "amount_micros"),
    ({"amount_micros": [1]}, "amount_micros"),
    ({"key": ""}, "key"),
    ({"key": "a b"}, "key"),
    ({"key": "a\n"}, "key"),
    ({"key": "é"}, "key"),
    ({"key": 1}, "key"),
    ({"key": "k" * (IDEMPOTENCY_KEY_CHARS_MAX + 1)}, "key"),
    ({"note": ""}, "note"),
    ({"note": "a" * 201}, "note"),
    ({"note": 1}, "note"),
    ({"lines": {}}, "lines"),
    ({"lines": [{"text": "a"}, {"text": 1}]}, "lines.1.text"),
    ({"lines": [{"text": "a", "more": 1}]}, "lines.0.more"),
    ({"lines": [{}] * 4}, "lines"),
    ({"Note": "a"}, "Note"),
    ({"__class__": "a"}, "__class__"),
    ({"": "a"}, "body"),
    ({"x" * 1_000: "a"}, "x" * 200),
]
"""Each with the field that is named for it."""


class Line(Body, frozen=True, kw_only=True):
    """One of a list."""

    text: ShortText


class Order(Body, frozen=True, kw_only=True):
    """Every sort of field that our functions take."""

    amount_micros: AmountMicros = 1
    key: IdempotencyKey = "key"
    note: ShortText | None = None
    lines: Annotated[list[Line], Meta(max_length=3)] = field(default_factory=list)


def taking_orders() -> HttpFunction:
    """Answers with what it was given."""

    @http_function(auth="none", body=Order, body_bytes_max=BYTES_MAX, answer=Order)
    async def order(body: Order, caller: Caller, app: App) -> Order:
        return body

    return order


async def test_what_is_well_formed_arrives_as_it_was_sent() -> None:
    """At both ends of every bound."""
    async with serve(taking_orders()) as site:
        for value in (
            {"amount_micros": 1, "key": "!", "note": "a", "lines": []},
            {
                "amount_micros": AMOUNT_MICROS_MAX,
                "key": "k" * IDEMPOTENCY_KEY_CHARS_MAX,
                "note": "🙂" * 100,
                "lines": [],
            },
            {"amount_micros": 5, "key": "~", "note": None, "lines": [{"text": '"\\\n\u0000'}] * 3},
        ):
            reply = await site.post("/order", value)
            assert (reply.status, reply.json) == (200, value)


async def test_nothing_is_as_good_as_an_empty_object() -> None:
    """A function without required fields needs no body."""
    async with serve(taking_orders()) as site:
        for body in (b"", b"{}", b" \n{ } \t", '{"note":"é"}'.encode()):
            assert (await site.ask("POST", "/order", body)).status == 200


async def test_what_is_not_json_is_refused() -> None:
    """Deep nesting, endless numbers, half characters and other encodings are not; nothing is guessed."""

    @http_function(auth="none", body=Order, body_bytes_max=100_000)
    async def order(body: Order, caller: Caller, app: App) -> Order:
        raise AssertionError("it was let through")

    async with serve(order) as site:
        for body in NOT_JSON:
            reply = await site.ask("POST", "/order", body)
            assert (reply.status, reply.error["code"]) == (400, "invalid_request"), body
            assert reply.error["type"] == "invalid_request_error"
            assert reply.error["message"].startswith("The body is not valid JSON: "), body


async def test_a_body_is_an_object() -> None:
    """Nothing else has fields."""
    async with serve(taking_orders()) as site:
        for body in (b"[]", b"null", b"1", b'"{}"', b"true", b'[{"note":"a"}]'):
            reply = await site.ask("POST", "/order", body)
            assert (reply.status, reply.error["message"]) == (400, "The body must be a JSON object.")


async def test_a_wrong_field_is_named() -> None:
    """The first one at fault; the client's SDK shows it as `param`."""
    async with serve(taking_orders()) as site:
        for value, param in WRONG_FIELDS:
            reply = await site.post("/order", value)
            assert (reply.status, reply.error["code"]) == (400, "invalid_request"), value
            assert reply.error["param"] == (None if param == "body" else param), value
            assert reply.error["message"].startswith(f"{param}: ")


async def test_a_refusal_never_repeats_what_a_field_held(log_lines: Lines) -> None:
    """Somebody may have put a key into the wrong field."""
    async with serve(taking_orders()) as site:
        for body in (
            json.dumps({"amount_micros": SECRET}).encode(),
            json.dumps({"key": f"{SECRET} {SECRET}"}).encode(),
            json.dumps({"lines": SECRET}).encode(),
            f'{{"note": "{SECRET}'.encode(),
            f"{SECRET}".encode(),
        ):
            reply = await site.ask("POST", "/order", body)
            assert reply.status == 400
            assert SECRET not in reply.body.decode()

    assert SECRET not in str(log_lines())


async def test_a_body_as_large_as_allowed_is_read() -> None:
    """And one byte more is not."""
    body = b'{"note":"a"}'
    async with serve(taking_orders()) as site:
        assert (await site.ask("POST", "/order", body + b" " * (BYTES_MAX - len(body)))).status == 200
        reply = await site.ask("POST", "/order", body + b" " * (BYTES_MAX - len(body) + 1))

    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert str(BYTES_MAX) in reply.error["message"]


async def test_a_giant_is_refused_by_what_it_says_of_itself() -> None:
    """Nothing of it is waited for: the client here never sends it."""
    async with serve(taking_orders()) as site:
        for length in (str(10**12), "9" * 30):
            reply = await site.send(request_head("POST", "/order", {"content-length": length}))
            assert reply.status in (400, 413)
            if reply.status == 413:
                assert reply.error["code"] == "request_too_large"


async def test_a_giant_that_hides_its_size_is_refused_on_the_way() -> None:
    """In chunks nothing states the whole; no more than the limit is kept. The last chunk is never sent."""
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    async with serve(taking_orders()) as site:
        reply = await site.send(request_head("POST", "/order", {"transfer-encoding": "chunked"}), chunk, chunk)

    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_a_chunked_body_is_read() -> None:
    """Clients that stream their request are served like others."""
    async with serve(taking_orders()) as site:
        head = request_head("POST", "/order", {"transfer-encoding": "chunked"})
        reply = await site.send(head, b'5\r\n{"not\r\n', b'7\r\ne":"a"}\r\n0\r\n\r\n')

    assert (reply.status, reply.json["note"]) == (200, "a")


async def test_a_body_that_breaks_off_reaches_nobody(log_lines: Lines) -> None:
    """Half a request is none, even if the half could be read as one."""
    async with serve(taking_orders()) as site:
        _, writer = await site.connect()
        writer.write(request_head("POST", "/order", {"content-length": "100"}) + b"{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        lines: list[dict[str, object]] = []
        async with asyncio.timeout(REPLY_DEADLINE_S):
            while not lines:
                await asyncio.sleep(0.02)
                lines = log_lines()

    assert [(line["status"], line["code"]) for line in lines] == [(400, "invalid_request")]


async def test_a_body_of_very_many_values_is_refused_before_it_is_read() -> None:
    """Twenty megabytes of brackets would keep everybody else waiting."""

    @http_function(auth="none", body=Order, body_bytes_max=2_000_000)
    async def order(body: Order, caller: Caller, app: App) -> Order:
        raise AssertionError("it was let through")

    async with serve(order) as site:
        for body in (b"[" * 200_001, b'{"x":[' + b"0," * 200_000 + b"0]}", b'{"x":' + b"{" * 200_001):
            reply = await site.ask("POST", "/order", body)
            assert (reply.status, reply.error["code"]) == (400, "invalid_request")
            assert "200000 values" in reply.error["message"]


async def test_a_length_written_with_thousands_of_digits_is_a_length() -> None:
    """Leading zeros, and more digits than Python converts."""
    async with serve(taking_orders()) as site:
        for length, statuses in (("0" * 5_000 + "2", (200, 400, 431)), ("9" * 6_000, (400, 413, 431))):
            reply = await site.send(request_head("POST", "/order", {"content-length": length}), b"{}")
            assert reply.status in statuses
