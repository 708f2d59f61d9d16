"""Our wire beside x402's own package: what it reads of ours, and what we refuse of others'."""

import base64
import json
from typing import Any

import pytest
from x402.http import constants
from x402.http.utils import decode_payment_required_header, decode_payment_response_header
from x402.mechanisms.evm.default_assets import get_default_asset
from x402.mechanisms.evm.exact.server import ExactEvmScheme
from x402.payment_flow import resolve_payment_flow
from x402.schemas import PaymentPayload, PaymentRequirements

from shared.chain import x402
from shared.chain.errors import AuthorizationRefused
from shared.chain.models import Address, Authorization, Digest, Offer
from shared.web.function import PAYMENT_HEADER
from tests.chain.tokens import usdc_on_base

DIGEST = Digest("0x" + "ab" * 32)
SENDER = Address("0x" + "a1" * 20)
BASE_USDC = usdc_on_base(Address("0x" + "c0de" * 10))
OFFER = Offer(order_id="order-1", amount=4_990_000, url="https://credence.example/v1/orders/order-1/pay")


def body(**changed: Any) -> dict[str, Any]:
    signed = {
        "from": SENDER,
        "to": BASE_USDC.receiver,
        "value": "4990000",
        "validAfter": "0",
        "validBefore": "1800000000",
        "nonce": DIGEST,
    }
    payload = {"signature": "0x" + "11" * 65, "authorization": signed}
    return {"x402Version": 2, "payload": payload, "accepted": x402.requirements(OFFER, BASE_USDC), **changed}


def header(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_x402_reads_our_price_and_finds_the_upfront_flow_in_it() -> None:
    required = decode_payment_required_header(x402.required_header(OFFER, BASE_USDC))
    assert not isinstance(required, PaymentPayload)
    asked = required.accepts[0]

    assert isinstance(asked, PaymentRequirements)
    assert (required.x402_version, asked.scheme, asked.network) == (2, "exact", "eip155:8453")
    assert (asked.amount, asked.pay_to.lower()) == ("4990000", BASE_USDC.receiver)
    assert resolve_payment_flow(ExactEvmScheme(), asked).payment_flow == "upfront"


def test_x402_knows_the_dollar_of_base_as_we_do() -> None:
    known = get_default_asset("eip155:8453")
    asked = x402.requirements(OFFER, BASE_USDC)

    assert (asked["asset"], asked["extra"]["name"], asked["extra"]["version"]) == (
        known["asset"],
        known["name"],
        known["version"],
    )


def test_x402_reads_our_settlement() -> None:
    header = x402.response_header(BASE_USDC, payer=SENDER, transaction=DIGEST, amount=4_990_000)

    told = decode_payment_response_header(header)

    assert (told.success, told.transaction, told.payer, told.network) == (True, DIGEST, SENDER, "eip155:8453")


def test_x402_calls_the_headers_as_we_do() -> None:
    assert [
        constants.PAYMENT_REQUIRED_HEADER.lower(),
        constants.PAYMENT_SIGNATURE_HEADER.lower(),
        constants.PAYMENT_RESPONSE_HEADER.lower(),
    ] == [x402.REQUIRED_HEADER, PAYMENT_HEADER, x402.RESPONSE_HEADER]


def test_what_a_facilitator_is_asked_has_the_shapes_of_x402() -> None:
    asked = x402.facilitator_request(x402.read_payment(header(body()), OFFER, BASE_USDC), OFFER, BASE_USDC)

    payload = PaymentPayload.model_validate(asked["paymentPayload"])
    assert payload.accepted == PaymentRequirements.model_validate(asked["paymentRequirements"])
    assert payload.payload["authorization"]["value"] == "4990000"


def test_a_payment_is_read_as_it_was_signed() -> None:
    assert x402.read_payment(header(body()), OFFER, BASE_USDC) == Authorization(
        sender=SENDER,
        receiver=BASE_USDC.receiver,
        amount=4_990_000,
        valid_after_s=0,
        valid_before_s=1_800_000_000,
        nonce=DIGEST,
        signature="0x" + "11" * 65,
    )


def accepted(**changed: Any) -> dict[str, Any]:
    return body(accepted=x402.requirements(OFFER, BASE_USDC) | changed)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not base64",
        header("text"),
        header([]),
        header(body(x402Version=1)),
        header(body(payload={"signature": "0x", "authorization": {}})),
        header(body(payload={"permit2Authorization": {}, "signature": "0x" + "11" * 65})),
        header(body(payload=body()["payload"] | {"signature": "0x" + "11" * 200})),
        header(body(payload=body()["payload"] | {"authorization": {**body()["payload"]["authorization"], "value": 1}})),
        header(
            body(payload=body()["payload"] | {"authorization": {**body()["payload"]["authorization"], "value": "-1"}})
        ),
        header(accepted(scheme="upto")),
        header(accepted(network="eip155:1")),
        header(accepted(amount="1")),
        header(accepted(asset="0x" + "22" * 20)),
        header(accepted(payTo="0x" + "22" * 20)),
        "A" * (x402.HEADER_CHARS_MAX + 1),
        base64.b64encode(b"[" * 5_000).decode(),
    ],
)
def test_a_header_of_any_other_form_or_price_is_refused(value: str) -> None:
    with pytest.raises(AuthorizationRefused):
        x402.read_payment(value, OFFER, BASE_USDC)
