"""The main job, end to end, on the local stack: sign up, buy credits, chat, prove it all, catch a forger, be paid.

`PROMPT="..." make demo` chats about something else. With a provider's key in `.env`, a real model answers.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import openai
import requests
from dotenv import load_dotenv
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.buyer import Buyer
from local.deployment import MODEL_KEYS, Deployment
from local.earner import Earner
from local.interrupt import interrupt_on_signals
from local.live import LiveDocument
from local.node import REPOSITORY
from local.people import People, Person
from local.stack import CANNOT_START, Stack
from local.treasury import Treasury
from shared.base.micros import format_credits
from shared.ledger.models import EntryKind

PROMPT = "In one sentence: why should an AI bill be provable?"
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
PROJECT = "demo-credence"
FORGED_PROJECT = "demo-credence-forged"
TIMEOUT_S = 60.0
EARNED_MICROS = 2_500_000_000
PLATFORM_MINOR = 10_000
"""What the platform has at the stand-in to pay others from; one purchase is less than a payout."""
WAIT_S = 1
SETTINGS = {"PAYOUT_WAIT_S": str(WAIT_S)}
"""Nobody watches a demo for a week. In production the setting is refused."""


class StepFailed(Exception):
    """A step of the demo did not hold."""


def main() -> int:
    """Run every step. 0 only if each of them held."""
    load_dotenv(REPOSITORY / ".env")
    interrupt_on_signals()
    print("Credence: AI by the credit, every credit proved.\n")
    try:
        with Stack(_say) as stack, Deployment(stack, PROJECT, environment=SETTINGS) as deployment:
            _say(f"Gateway: {deployment.url}")
            _run_steps(stack, deployment)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 1
    except (StepFailed, *CANNOT_START) as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    print("\nEvery step held.")
    return 0


def _run_steps(stack: Stack, deployment: Deployment) -> None:
    people = People(stack.auth_address)
    _step(1, "Sign up, verify the e-mail address, start the account")
    person = people.sign_up(f"demo-{int(time.time())}@example.com")
    people.verify_email(person)
    started = _call(deployment, person, "POST", "/v1/account")
    _expect(started["balance_micros"] > 0, f"a welcome bonus was granted: {started}")
    for stage in started["welcome"]:
        print(f"    welcome stage {stage['stage']:<10} {_credits(stage['amount_micros'])}  {stage['status']}")

    _step(2, "Buy a pack, and watch the balance as an app does")
    _buy(stack, deployment, person)

    _step(3, "Chat through the official OpenAI client, streamed")
    before = _balance(deployment, person)
    receipt_id = _chat(deployment, person)
    after = _balance(deployment, person)
    print(f"    balance before {_credits(before)}, after {_credits(after)}")
    _expect(after < before, "the call was charged")

    _step(4, "Read the receipt")
    receipt = _call(deployment, person, "GET", f"/v1/receipts/{receipt_id}")
    _expect(receipt["entry"]["delta_micros"] == after - before, "the receipt states exactly what the balance lost")
    for name in ("model", "provider", "prompt_tokens", "completion_tokens", "usage_source"):
        print(f"    {name:<18} {receipt['facts'][name]}")
    print(f"    {'credits':<18} {receipt['credits']}")
    print(f"    {'hash':<18} {receipt['entry']['hash']}")
    print(f"    {'previous hash':<18} {receipt['entry']['prev_hash']}")

    _step(5, "Verify the chain from the raw documents")
    _expect(_verify(deployment, person, PROJECT) == 0, "the account verifies")

    _step(6, "Sign the books, and check the receipt offline with the public key alone")
    _prove(deployment, person, receipt_id)

    _step(7, "Forge a copy: make the call look a tenth as dear, then verify the copy")
    entry_id = _forge_copy(stack, person)
    print(f"    forged entry {entry_id} in a copy of the account")
    _expect(_verify(deployment, person, FORGED_PROJECT, must_name=entry_id) == 1, "verification names the forged entry")
    _expect(_verify(deployment, person, PROJECT) == 0, "the original still verifies")

    _step(8, "Be paid out for what one earned")
    _pay_out(stack, deployment, person)


def _pay_out(stack: Stack, deployment: Deployment, person: Person) -> None:
    """Onboarded, asked for, approved by an operator, sent by a task, paid by the webhook of the stand-in for Stripe."""
    Treasury(deployment.environment).grant_earnings(person.uid, EARNED_MICROS)
    print(f"    {_credits(EARNED_MICROS)} of earnings, posted by hand: nothing sells to others here yet")
    print(f"    here earnings and new bank details wait {WAIT_S} second, by PAYOUT_WAIT_S; in production 7 and 3 days")
    stack.stripe.act(deployment.stripe_key, "top_up", "usd", amount=PLATFORM_MINOR)
    earner = Earner(deployment, stack.stripe, person.token)
    earner.onboard()
    payout = earner.ask(EARNED_MICROS)
    amount = f"{payout['amount_minor'] / 100:.2f} {payout['currency']}"
    print(
        f"    asked: {_credits(payout['micros'])} set aside for {amount}, {payout['state']} for {payout['waits_for']}"
    )
    left = _call(deployment, person, "GET", "/v1/earnings")["settled_paid_micros"]
    _expect(left == EARNED_MICROS - payout["micros"], "what is set aside is no longer there to spend")
    time.sleep(WAIT_S)
    earner.approve(payout)
    earner.wait_until(payout, "transferring")
    print("    approved by an operator; a task transferred it, and sent it on to the bank")
    earner.arrive(payout)
    paid = earner.wait_until(payout, "paid")
    print(f"    the bank took it, the webhook told: {paid['state']}")


def _buy(stack: Stack, deployment: Deployment, person: Person) -> None:
    """Pay at the stand-in for Stripe. Its event, one webhook and one task later, the balance is told to who listens."""
    buyer, before = Buyer(deployment, stack.stripe, person.token), _balance(deployment, person)
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    with LiveDocument(PROJECT, f"accounts/user:{person.uid}", person.token) as wallet:
        wallet.wait_for("balance_micros", before)
        order = buyer.order("popular")
        price = f"{order['amount_minor'] / 100:.2f} {order['currency']}"
        print(f"    order {order['order_id']}, {price}, to be paid at {order['url']}")
        buyer.pay(order)
        after = before + order["credits_micros"] + order["bonus_micros"]
        took_s = wallet.wait_for("balance_micros", after)
    print(f"    paid; the listener saw {_credits(after)} instead of {_credits(before)}, {took_s:.1f} s later")
    granted = buyer.wait_until(order, "granted")
    _expect(granted["invoice"] is not None, "the purchase has an invoice")
    print(f"    {_credits(order['credits_micros'])} paid, {_credits(order['bonus_micros'])} on top, ", end="")
    print(f"invoice {granted['invoice']}")


def _chat(deployment: Deployment, person: Person) -> str:
    """Stream one answer to the terminal; the id of its receipt."""
    prompt = os.environ.get("PROMPT") or PROMPT
    with openai.OpenAI(base_url=f"{deployment.url}/v1", api_key=person.token, timeout=TIMEOUT_S) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=400,
            stream=True,
            stream_options={"include_usage": True},
        )
        print(f"    you    {prompt}\n    model  ", end="", flush=True)
        usage: Any = None
        for chunk in raw.parse():
            usage = chunk.usage or usage
            for choice in chunk.choices:
                print((choice.delta.content or "").replace("\n", "\n           "), end="", flush=True)
    provider = raw.headers["x-credence-provider"]
    who = "the local stand-in" if provider == "standin" else f"the provider {provider}"
    _expect(usage is not None, "the stream ended with its usage")
    keys = [name for name in MODEL_KEYS if os.environ.get(name)]
    if keys and provider == "standin":
        who += f" (although {' and '.join(keys)} is set: no provider with a key serves this model, or it refused us)"
    print(f"\n    answered by {raw.headers['x-credence-model']} at {who}; {usage.completion_tokens} tokens,", end="")
    print(f" {usage.cost:.6f} credits")
    return str(raw.headers["x-credence-receipt"])


def _prove(deployment: Deployment, person: Person, receipt_id: str) -> None:
    """What the scheduler does every minute, and what anybody can do with the receipt they were given."""
    signed = _call(deployment, person, "POST", "/_timers/ledger_checkpoint", token=deployment.scheduler_token)
    _expect(signed["refused"] is None, f"the books balance and were signed: {signed}")
    print(f"    epoch {signed['epoch']}: {signed['heads']} accounts logged, all credits sum to zero")
    receipt = _call(deployment, person, "GET", f"/v1/receipts/{receipt_id}")
    _expect(receipt["proof"] is not None, "the receipt carries its proof")
    with tempfile.TemporaryDirectory(prefix="credence-") as folder:
        file = Path(folder, "receipt.json")
        file.write_text(json.dumps(receipt))
        print(f"    receipt with its proof: {file.stat().st_size} bytes")
        command = [sys.executable, "-m", "credence", "verify", "receipt", file, "--key", deployment.verifier_key]
        # Nothing in its environment: no project, no emulator, no credentials.
        done = subprocess.run(
            command, cwd=REPOSITORY, env={}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        print(f"    {(done.stdout + done.stderr).strip()}")
        _expect(done.returncode == 0, "the receipt proves itself")
        receipt["entry"]["delta_micros"] //= 10
        file.write_text(json.dumps(receipt))
        forged = subprocess.run(
            command, cwd=REPOSITORY, env={}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        print(f"    made a tenth as dear: {(forged.stdout + forged.stderr).strip()}")
        _expect(forged.returncode == 1, "a receipt that was changed proves nothing")


def _verify(deployment: Deployment, person: Person, project: str, *, must_name: str = "") -> int:
    """Run the verifier a stranger would run, show what it says, and return its exit status."""
    command = [sys.executable, "-m", "credence", "verify", "account", f"user:{person.uid}", "--project", project]
    environment = {**os.environ, **deployment.environment}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    for line in (done.stdout + done.stderr).strip().splitlines():
        print(f"    {line}")
    _expect(must_name in done.stdout + done.stderr, "the verifier names the entry")
    return done.returncode


def _forge_copy(stack: Stack, person: Person) -> str:
    """Copy the account's raw documents to another project and lower one charge there, balance and all."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    account = f"accounts/user:{person.uid}"
    original = firestore.Client(project=PROJECT, credentials=AnonymousCredentials())
    copy = firestore.Client(project=FORGED_PROJECT, credentials=AnonymousCredentials())
    copy.document(account).set(original.document(account).get().to_dict())
    forged = ""
    for snapshot in original.collection(f"{account}/entries").stream():
        entry = snapshot.to_dict() or {}
        if entry["kind"] == EntryKind.CAPTURE.value:
            forged = snapshot.id
            refund = -entry["delta_micros"] - (-entry["delta_micros"] // 10)
            entry["delta_micros"] += refund
            entry["balance_micros"] += refund
            entry["lots"][0]["delta_micros"] += refund
            entry["legs"][0]["amount_micros"] -= refund
        copy.document(f"{account}/entries/{snapshot.id}").set(entry)
    _expect(bool(forged), "there is a charge to forge")
    return forged


def _balance(deployment: Deployment, person: Person) -> int:
    return int(_call(deployment, person, "GET", "/v1/credits")["data"]["balance_micros"])


def _call(
    deployment: Deployment, person: Person, method: str, path: str, *, token: str | None = None
) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token or person.token}"}
    response = requests.request(method, deployment.url + path, headers=headers, timeout=TIMEOUT_S)
    _expect(response.status_code == requests.codes.ok, f"{method} {path} answers 200, not {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


def _credits(micros: int) -> str:
    return f"{format_credits(micros)} credits"


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailed(f"expected that {what}")


def _step(number: int, title: str) -> None:
    print(f"\n{number}. {title}")


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
