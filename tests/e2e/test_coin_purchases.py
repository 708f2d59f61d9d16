"""Buying on the local stack with a token: a real chain, x402's own client and facilitator, the functions as served."""

import base64
import json
import secrets
import time
from typing import Any

import pytest
import requests
from x402 import x402ClientSync
from x402.http.clients.requests import wrapRequestsWithPayment
from x402.mechanisms.evm.exact.client import ExactEvmScheme

from local.chain.anvil import Chain
from local.chain.standin import ASSET, CHAIN_ID, RECEIVER
from local.coin_buyer import TOPUP_PATH, CoinBuyer
from local.deployment import Deployment
from local.manifest import TASK_PATH
from local.people import Person
from local.stack import Stack
from shared.chain.models import Address, Token
from tests.chain.builders import Person as Payer
from tests.clients import TIMEOUT_S, add_member, answer, balance_micros, call, refusal

CREDIT = 1_000_000
WELCOME = 250 * CREDIT
STARTER = 100 * CREDIT
PRICE = 990_000
TOKEN = Token(chain_id=CHAIN_ID, asset=Address(ASSET), receiver=Address(RECEIVER), name="USD Coin", version="2")


@pytest.fixture(scope="module")
def chain(stack: Stack) -> Chain:
    return stack.chain.started()


@pytest.fixture
def person(stack: Stack, deployment: Deployment) -> Person:
    return add_member(stack, deployment)


@pytest.fixture
def buyer(stack: Stack, deployment: Deployment, person: Person) -> CoinBuyer:
    return CoinBuyer(deployment, stack.chain, person.token)


def claim_of(payer: Payer, order: dict[str, Any], transaction: str) -> dict[str, str]:
    text = order["transfer"]["text"].replace("{transaction}", transaction)
    return {"transaction": transaction, "signature": payer.sign(text)}


def paying_session(deployment: Deployment, person: Person, payer: Payer) -> requests.Session:
    """A program with x402's own client, which pays what it is asked without further ado."""
    client = x402ClientSync()
    # Of itself it signs for tokens that it knows, which the one of a local chain is not.
    client.set_spend_controls(False)
    client.register(TOKEN.network, ExactEvmScheme(payer.account))
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {person.token}"
    return wrapRequestsWithPayment(session, client)


def test_a_transfer_is_claimed_waits_until_it_is_final_and_is_granted_once(
    deployment: Deployment, person: Person, buyer: CoinBuyer
) -> None:
    order = buyer.order()
    claim = buyer.send(order, final=False)

    pending = buyer.claim(order, claim)
    assert (pending.status_code, pending.json()["blocks_missing"]) == (202, 2)
    assert balance_micros(deployment, person) == WELCOME
    buyer.finalize()
    granted = [buyer.claim(order, claim) for _ in range(2)]

    assert [response.status_code for response in granted] == [200, 200]
    assert granted[0].json() == granted[1].json()
    assert granted[0].json()["order"]["invoice"]
    assert balance_micros(deployment, person) == WELCOME + STARTER


def test_thieves_get_nothing_for_transfers_of_others_and_their_owners_get_them_once(
    stack: Stack, deployment: Deployment, chain: Chain, person: Person, buyer: CoinBuyer
) -> None:
    thief = add_member(stack, deployment)
    mallory = CoinBuyer(deployment, stack.chain, thief.token)
    payer, stranger = Payer(chain, TOKEN), Payer(chain, TOKEN)
    orders, stolen = [buyer.order(), buyer.order()], mallory.order()
    transaction = payer.pay(PRICE)
    chain.finalize()
    own = claim_of(payer, orders[0], transaction)

    assert refusal(mallory.claim(stolen, claim_of(stranger, stolen, transaction)), 403) == "claim_not_signed"
    assert refusal(mallory.claim(stolen, own), 403) == "claim_not_signed"
    assert refusal(mallory.claim(orders[0], own), 404) == "order_not_found"
    assert answer(buyer.claim(orders[0], own))["order"]["state"] == "granted"
    assert refusal(buyer.claim(orders[1], claim_of(payer, orders[1], transaction)), 409) == "transfer_taken"

    assert balance_micros(deployment, person) == WELCOME + STARTER
    assert balance_micros(deployment, thief) == WELCOME


def test_what_a_reorganization_drops_is_granted_once_it_is_mined_again_though_the_client_left(
    deployment: Deployment, chain: Chain, person: Person, buyer: CoinBuyer
) -> None:
    order, payer = buyer.order(), Payer(chain, TOKEN)
    chain.mine()
    transaction = payer.pay(PRICE)
    raw = chain.ask("eth_getTransactionByHash", transaction)
    assert buyer.claim(order, claim_of(payer, order, transaction)).status_code == 202

    chain.ask("anvil_reorg", 1, [])
    chain.finalize()
    gone = buyer.claim(order, claim_of(payer, order, transaction))
    assert (gone.status_code, gone.json()["blocks_missing"]) == (202, None)
    assert balance_micros(deployment, person) == WELCOME

    # The wallet sends the same again: same sender, nonce and content, so the same hash.
    again = {
        name: raw[name] for name in ("from", "to", "gas", "value", "nonce", "maxFeePerGas", "maxPriorityFeePerGas")
    }
    assert chain.ask("eth_sendTransaction", {**again, "data": raw["input"]}) == transaction
    assert _look(deployment, order).status_code == 425
    chain.finalize()
    assert _look(deployment, order).status_code == 200
    assert balance_micros(deployment, person) == WELCOME + STARTER


def _look(deployment: Deployment, order: dict[str, Any]) -> requests.Response:
    """The task that a claim leaves behind, a minute before its time."""
    body = {"order_id": order["order_id"]}
    return call(deployment, "POST", f"{TASK_PATH}/order_check", deployment.task_token, json=body)


def test_x402s_own_client_buys_a_pack_and_repeats_change_nothing(
    deployment: Deployment, chain: Chain, person: Person, buyer: CoinBuyer
) -> None:
    payer = Payer(chain, TOKEN)
    session = paying_session(deployment, person, payer)
    body = {"pack": "starter", "idempotency_key": secrets.token_hex(8)}

    pending = session.post(deployment.url + TOPUP_PATH, json=body, timeout=TIMEOUT_S)
    assert pending.status_code == 202, pending.text
    chain.finalize()
    payment = pending.request.headers["payment-signature"]
    granted = [
        call(deployment, "POST", TOPUP_PATH, person.token, json=body, headers=headers)
        for headers in ({"payment-signature": payment}, {"payment-signature": payment}, {})
    ]

    assert [answer(response) for response in granted] == [granted[0].json()] * 3
    told = json.loads(base64.b64decode(granted[0].headers["payment-response"]))
    assert told == json.loads(base64.b64decode(pending.headers["payment-response"]))
    assert (told["success"], told["transaction"]) == (True, granted[0].json()["transaction"])
    assert told["payer"] == payer.address
    assert balance_micros(deployment, person) == WELCOME + STARTER
    assert chain.read(ASSET, "balanceOf(address)", payer.address) == 1_000 * CREDIT - PRICE
    _not_taken_again(buyer, payer, granted[0].json()["transaction"])
    assert balance_micros(deployment, person) == WELCOME + STARTER


def _not_taken_again(buyer: CoinBuyer, payer: Payer, transaction: str) -> None:
    """Neither as a plain transfer, nor for another order of x402."""
    order = buyer.order()
    assert refusal(buyer.claim(order, claim_of(payer, order, transaction)), 409) == "transfer_taken"


def test_a_poor_payer_is_told_so_and_nothing_is_granted(deployment: Deployment, chain: Chain, person: Person) -> None:
    poor = Payer(chain, TOKEN, wealth=PRICE - 1)
    session = paying_session(deployment, person, poor)
    body = {"pack": "starter", "idempotency_key": secrets.token_hex(8)}

    refused = session.post(deployment.url + TOPUP_PATH, json=body, timeout=TIMEOUT_S)

    assert refusal(refused, 402) == "payment_required"
    assert refused.headers["payment-required"]
    assert refused.json()["error"]["reason"]
    assert balance_micros(deployment, person) == WELCOME


def test_without_a_node_nothing_is_sold_on_a_chain(stack: Stack) -> None:
    with Deployment(
        stack, f"demo-uncoined-{time.time_ns()}", environment={"CRYPTO_RPC_URL": ""}, events=False
    ) as deployment:
        person = add_member(stack, deployment)
        body = {"rail": "crypto", "pack": "starter", "currency": "USD", "idempotency_key": "x"}
        claim = {"transaction": "0x" + "ab" * 32, "signature": "0x" + "11" * 65}
        top_up = {"pack": "starter", "idempotency_key": "x"}

        for path, sent in (("/v1/checkout", body), (TOPUP_PATH, top_up), (f"/v1/orders/{'a' * 24}/claim", claim)):
            assert refusal(call(deployment, "POST", path, person.token, json=sent), 404) == "rail_not_offered"
