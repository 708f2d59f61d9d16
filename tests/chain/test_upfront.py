"""Top-ups by x402 on a real local chain: x402's own client signs, x402's own facilitator settles, we prove."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from eth_account import Account
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm.exact.client import ExactEvmScheme
from x402.schemas import PaymentPayload

from local.chain.facilitator import LocalFacilitator
from shared.base.clock import system_clock
from shared.base.secret import Secret
from shared.chain.errors import (
    AuthorizationRefused,
    AuthorizationTaken,
    FacilitatorUnavailable,
    SettlementRefused,
    TransferPending,
)
from shared.chain.facilitator import HttpFacilitator
from shared.chain.gateway import Endpoint, open_local_session
from shared.chain.models import Address, Authorization, Digest, Offer, Reservation, Transfer
from shared.chain.rules import authorization_id, order_nonce
from shared.chain.service import Upfront
from shared.chain.x402 import read_payment, required_header
from tests.chain.builders import PRICE, RECEIVER, Person, World, new_digest
from tests.chain.memory import MemoryReservations

TRANSFER_WITH_AUTHORIZATION = (
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
)


class Shop:
    """Offers, what clients sign for them, and a facilitator that settles it."""

    def __init__(self, world: World, facilitator: LocalFacilitator, endpoint: Endpoint) -> None:
        self.world = world
        self.facilitator = facilitator
        self.client = HttpFacilitator(endpoint)
        self.reservations = MemoryReservations()
        self.payer = world.person()
        self.upfront = Upfront(
            world.node,
            world.token,
            facilitator=self.client,
            reservations=self.reservations,
            clock=system_clock,
        )

    def offer(self, order_id: str = "order-1", *, amount: int = PRICE) -> Offer:
        """An order's price."""
        return Offer(order_id=order_id, amount=amount, url=f"https://credence.example/v1/orders/{order_id}/pay")

    def sign(self, offer: Offer, payer: Person | None = None) -> str:
        """PAYMENT-SIGNATURE as x402's own client makes it of our PAYMENT-REQUIRED, with a nonce of its choice."""
        required = decode_payment_required_header(required_header(offer, self.world.token))
        asked = required.accepts[0]
        inner = ExactEvmScheme((payer or self.payer).account).create_payment_payload(asked)
        return encode_payment_signature_header(PaymentPayload(payload=inner, accepted=asked))

    def sign_with(self, offer: Offer, **changed: Any) -> str:
        """The same with some fields of the authorization chosen, signed over as they are."""
        token = self.world.token
        now_s = int(time.time())
        fields = {
            "from": self.payer.account.address,
            "to": RECEIVER,
            "value": offer.amount,
            "validAfter": 0,
            "validBefore": now_s + 600,
            "nonce": order_nonce(token, offer.order_id),
            **changed,
        }
        domain = {
            "name": changed.pop("domain_name", token.name),
            "version": token.version,
            "chainId": changed.pop("chain_id", token.chain_id),
            "verifyingContract": changed.pop("contract", token.asset),
        }
        message = {name: fields[name] for name in ("from", "to", "value", "validAfter", "validBefore", "nonce")}
        names = ("address", "address", "uint256", "uint256", "uint256", "bytes32")
        types = {"TransferWithAuthorization": [{"name": n, "type": t} for n, t in zip(message, names, strict=True)]}
        signed = Account.sign_typed_data(
            self.payer.account.key, domain, types, message | {"nonce": bytes.fromhex(message["nonce"][2:])}
        )
        body = json.loads(base64.b64decode(self.sign(offer)))
        body["payload"] = {
            "signature": "0x" + signed.signature.hex().removeprefix("0x"),
            "authorization": {name: str(value) for name, value in message.items()},
        }
        return encoded(body)

    async def paid(self, offer: Offer, header: str) -> Transfer:
        """Settle, wait until it is final, and look again as a client or a task does."""
        with pytest.raises(TransferPending):
            await self.upfront.settle(offer, header)
        self.world.chain.finalize()
        return await self.upfront.settle(offer, header)

    def submit(self, header: str) -> Digest:
        """Carry an authorization out past our facilitator, as anybody may who has seen it."""
        payload = json.loads(base64.b64decode(header))["payload"]
        signed, signature = payload["authorization"], bytes.fromhex(payload["signature"][2:])
        return Digest(
            self.world.chain.send(
                self.world.chain.accounts[1],
                self.world.token.asset,
                TRANSFER_WITH_AUTHORIZATION,
                signed["from"],
                signed["to"],
                int(signed["value"]),
                int(signed["validAfter"]),
                int(signed["validBefore"]),
                bytes.fromhex(signed["nonce"][2:]),
                signature[64],
                signature[:32],
                signature[32:64],
            )
        )

    @property
    def received(self) -> int:
        """What has come."""
        return self.world.chain.read(self.world.token.asset, "balanceOf(address)", RECEIVER)


def encoded(body: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def nonce_of(header: str) -> Digest:
    return Digest(json.loads(base64.b64decode(header))["payload"]["authorization"]["nonce"])


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    key = Account.create()
    world.chain.ask("anvil_setBalance", key.address, hex(10**18))
    facilitator = LocalFacilitator(world.chain.url, key.key.hex(), world.token.network)
    await facilitator.start()
    endpoint = Endpoint(Secret(facilitator.url), timeout_s=20.0, open_session=open_local_session)
    yield Shop(world, facilitator, endpoint)
    await endpoint.close()
    await facilitator.stop()


async def test_what_x402s_own_client_signs_is_settled_and_becomes_a_payment_once_final(shop: Shop) -> None:
    offer = shop.offer()
    header = shop.sign(offer)

    transfer = await shop.paid(offer, header)

    assert (transfer.sender, transfer.amount) == (shop.payer.address, PRICE)
    assert transfer.payment_id == (f"eip155:31337/{shop.world.token.asset}/{shop.payer.address}/{nonce_of(header)}")
    assert shop.received == PRICE
    assert await shop.upfront.find(offer, sender=shop.payer.address, nonce=nonce_of(header)) == transfer


async def test_an_authorization_settled_again_and_again_is_one_payment(shop: Shop) -> None:
    offer = shop.offer()
    header = shop.sign(offer)

    first = await shop.paid(offer, header)
    again = [await shop.upfront.settle(offer, header) for _ in range(3)]

    assert again == [first] * 3
    assert (shop.received, shop.facilitator.settled) == (PRICE, 1)


async def test_settling_twice_at_the_same_moment_is_one_payment(shop: Shop) -> None:
    offer = shop.offer()
    header = shop.sign(offer)

    outcomes = await asyncio.gather(*(shop.upfront.settle(offer, header) for _ in range(3)), return_exceptions=True)
    shop.world.chain.finalize()

    transfer = await shop.upfront.settle(offer, header)

    # The tries that fail on the chain make blocks too, which may let the one that succeeds be final at once.
    assert all(isinstance(outcome, TransferPending) or outcome == transfer for outcome in outcomes)
    assert shop.received == PRICE


async def test_a_lost_answer_of_the_facilitator_is_no_lost_payment(shop: Shop) -> None:
    offer = shop.offer()
    header = shop.sign(offer)
    shop.facilitator.fault = lambda _: None

    with pytest.raises(FacilitatorUnavailable):
        await shop.upfront.settle(offer, header)
    transfer = await shop.paid(offer, header)

    assert transfer.amount == PRICE
    assert (shop.received, shop.facilitator.settled) == (PRICE, 1)


async def test_a_facilitator_that_lies_makes_no_payment(shop: Shop) -> None:
    poor = shop.world.person(wealth=0)
    offer = shop.offer()
    header = shop.sign(offer, poor)
    lie = {"success": True, "transaction": new_digest(), "network": "eip155:31337", "payer": poor.address}
    shop.facilitator.fault = lambda _: lie

    with pytest.raises(TransferPending):
        await shop.upfront.settle(offer, header)
    shop.world.chain.finalize()

    with pytest.raises(TransferPending):
        await shop.upfront.settle(offer, header)
    assert shop.received == 0


async def test_who_has_not_enough_is_refused_with_the_facilitators_word(shop: Shop) -> None:
    poor = shop.world.person(wealth=PRICE - 1)
    offer = shop.offer()

    with pytest.raises(SettlementRefused) as refused:
        await shop.upfront.settle(offer, shop.sign(offer, poor))

    assert refused.value.reason
    assert shop.received == 0


async def test_an_authorization_pays_for_the_order_that_showed_it_first(shop: Shop) -> None:
    first, second = shop.offer("order-1"), shop.offer("order-2")
    header = shop.sign(first)
    await shop.paid(first, header)

    with pytest.raises(AuthorizationTaken):
        await shop.upfront.settle(second, header)
    with pytest.raises(AuthorizationTaken):
        await shop.upfront.find(second, sender=shop.payer.address, nonce=nonce_of(header))


async def test_what_is_reserved_for_one_order_is_not_carried_out_for_another(shop: Shop) -> None:
    header = shop.sign(shop.offer())
    key = authorization_id(shop.world.token, sender=shop.payer.address, nonce=nonce_of(header))
    await shop.reservations.reserve(key, Reservation("order-1", 0))

    with pytest.raises(AuthorizationTaken):
        await shop.upfront.settle(shop.offer("order-2"), header)

    assert (shop.received, shop.facilitator.settled) == (0, 0)


async def test_an_authorization_copied_from_the_chain_pays_for_no_order(shop: Shop) -> None:
    header = shop.sign(shop.offer())
    shop.submit(header)
    assert shop.received == PRICE

    with pytest.raises(AuthorizationTaken):
        await shop.upfront.settle(shop.offer("order-of-the-thief"), header)


async def test_a_nonce_made_for_the_order_proves_it_even_when_the_sender_carried_it_out_alone(shop: Shop) -> None:
    offer = shop.offer()
    header = shop.sign_with(offer)
    shop.submit(header)

    assert (await shop.paid(offer, header)).amount == PRICE
    assert (shop.received, shop.facilitator.settled) == (PRICE, 0)


async def test_a_nonce_made_for_one_order_pays_for_no_other_even_before_it_is_on_the_chain(shop: Shop) -> None:
    header = shop.sign_with(shop.offer())

    with pytest.raises(AuthorizationRefused, match="another order"):
        await shop.upfront.settle(shop.offer("order-of-the-thief"), header)

    assert (await shop.paid(shop.offer(), header)).amount == PRICE


async def test_a_settled_authorization_claimed_as_a_plain_transfer_is_the_same_payment(shop: Shop) -> None:
    offer = shop.offer()
    transfer = await shop.paid(offer, shop.sign(offer))

    claimed = await shop.world.transfers.verify_transfer(shop.payer.claim(transfer.transaction, order_id="order-2"))

    assert claimed.payment_id == transfer.payment_id


async def test_an_authorization_that_a_reorganization_dropped_keeps_its_name_when_it_is_carried_out_again(
    shop: Shop,
) -> None:
    offer = shop.offer()
    header = shop.sign(offer)
    shop.world.chain.mine()
    with pytest.raises(TransferPending):
        await shop.upfront.settle(offer, header)
    shop.world.chain.ask("anvil_reorg", 1, [])
    assert shop.received == 0
    shop.submit(header)
    shop.world.chain.finalize()

    transfer = await shop.upfront.settle(offer, header)

    assert transfer.payment_id.endswith(nonce_of(header))
    assert shop.received == PRICE


FOREIGN: list[tuple[str, dict[str, Any], str]] = [
    ("receiver", {"to": "0x" + "11" * 20}, "somebody else"),
    ("less", {"value": PRICE - 1}, "another amount"),
    ("more", {"value": PRICE + 1}, "another amount"),
    ("stale", {"validBefore": 1_700_000_000}, "has ended"),
    ("early", {"validAfter": 4_000_000_000}, "not valid yet"),
    ("endless", {"validBefore": 2**63 - 1}, "ends too late"),
    ("chain", {"chain_id": 1}, "not signed by its sender"),
    ("contract", {"contract": "0x" + "22" * 20}, "not signed by its sender"),
    ("name", {"domain_name": "USDC"}, "not signed by its sender"),
    ("sender", {"from": "0x" + "33" * 20}, "not signed by its sender"),
]


@pytest.mark.parametrize(("changed", "reason"), [case[1:] for case in FOREIGN], ids=[case[0] for case in FOREIGN])
async def test_what_is_signed_must_be_what_was_asked(shop: Shop, changed: dict[str, Any], reason: str) -> None:
    offer = shop.offer()

    with pytest.raises(AuthorizationRefused, match=reason):
        await shop.upfront.settle(offer, shop.sign_with(offer, **changed))

    assert (shop.received, shop.facilitator.settled) == (0, 0)


async def test_the_price_of_another_order_is_refused(shop: Shop) -> None:
    dear, cheap = shop.offer("order-1", amount=PRICE * 10), shop.offer("order-2")

    with pytest.raises(AuthorizationRefused, match="another price"):
        await shop.upfront.settle(dear, shop.sign(cheap))


def authorization_of(shop: Shop, offer: Offer, payer: Person) -> Authorization:
    return read_payment(shop.sign(offer, payer), offer, shop.world.token)


def test_addresses_are_told_apart_by_their_digits_and_not_by_their_capitals(shop: Shop) -> None:
    authorization = authorization_of(shop, shop.offer(), shop.payer)

    assert authorization.sender == Address(shop.payer.account.address.lower())
