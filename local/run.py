"""Serves every function on the local stack until Ctrl-C, and says how to call it."""

import asyncio
import errno
import os
import socket
import sys
import time

from dotenv import load_dotenv

from credence.catalog import seed
from local.deployment import MODEL_KEYS, PASSED_ON, Deployment
from local.interrupt import interrupt_on_signals
from local.manifest import read_manifest
from local.node import REPOSITORY
from local.people import People
from local.process import HOST, ProcessFailed
from local.stack import CANNOT_START, Stack

PROJECT = "demo-credence"
FOREVER_S = 86_400 * 365


def main() -> int:
    """Serve. `PORT` chooses the gateway's port; otherwise a free one is taken."""
    load_dotenv(REPOSITORY / ".env")
    interrupt_on_signals()
    try:
        with Stack(print) as stack, Deployment(stack, PROJECT, port=_port(os.environ.get("PORT", ""))) as deployment:
            _seed(deployment)
            _explain(stack, deployment)
            time.sleep(FOREVER_S)
    except KeyboardInterrupt:
        print("\nStopped.")
    except CANNOT_START as failure:
        print(f"The local stack failed: {failure}", file=sys.stderr)
        return 1
    return 0


def _seed(deployment: Deployment) -> None:
    """Write the catalog's prices, as an operator does after a deployment."""
    # The client library finds the emulator by this.
    os.environ["FIRESTORE_EMULATOR_HOST"] = deployment.environment["FIRESTORE_EMULATOR_HOST"]
    print(f"Seeded {len(asyncio.run(seed(PROJECT)).created)} models")


def _explain(stack: Stack, deployment: Deployment) -> None:
    """Say what is served, and give commands that work as they stand."""
    person = People(stack.auth_address).add(PROJECT)
    keys = [name.removesuffix("_API_KEY").lower() for name in PASSED_ON if name in MODEL_KEYS and os.environ.get(name)]
    print(f"\nCredence listens on {deployment.url}\n")
    for row in read_manifest():
        print(f"  {row.method:<5} {row.path:<34} {row.name} ({row.auth})")
    print(f"\nModels answer from {', '.join([*keys, 'the local stand-in'])}.")
    print("\nTokens for the next hour: a user's, those of services that may debit and set prices, the scheduler's:\n")
    print(f"  export USER_TOKEN={person.token}")
    print(f"  export SERVICE_TOKEN={deployment.backend_token}\n")
    print(f"  export OPERATOR_TOKEN={deployment.operator_token}")
    print(f"  export TIMER_TOKEN={deployment.scheduler_token}\n")
    print("The wallet of the local chain, which is started by the first request that needs it:\n")
    print(f"  export CHAIN_URL={stack.chain.url}\n")
    print("Start the account, then point any OpenAI client here, with the user's token as its API key:\n")
    print(f'  curl -X POST {deployment.url}/v1/account -H "authorization: Bearer $USER_TOKEN"')
    print(f"  OPENAI_BASE_URL={deployment.url}/v1 OPENAI_API_KEY=$USER_TOKEN python your_program.py\n")
    print("Pay what was ordered by Razorpay, whose checkout is a page of the app's:\n")
    print(f"  open {stack.razorpay.url}\n")
    print("Run a timer, which nobody does here by itself, and verify the user's account:\n")
    print(f'  curl -X POST {deployment.url}/_timers/ledger_audit -H "authorization: Bearer $TIMER_TOKEN"')
    print(f"  FIRESTORE_EMULATOR_HOST={stack.firestore_address} PROJECT_ID={PROJECT} \\")
    print(f'    make verify ARGS="account user:{person.uid}"\n')
    print("Ctrl-C stops everything.", flush=True)


def _port(text: str) -> int | None:
    """The port asked for; None where any will do. Raise ProcessFailed when it cannot be had."""
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ProcessFailed(f"PORT must be a number from 1 to 65535, not {text!r}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            why = "somebody else listens there" if error.errno == errno.EADDRINUSE else str(error)
            raise ProcessFailed(f"PORT={text} cannot be used: {why}") from None
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
