"""Serves every function on the local stack until Ctrl-C, and says how to call it."""

import contextlib
import os
import signal
import sys
import threading

from dotenv import load_dotenv

from local.deployment import Deployment
from local.manifest import read_manifest
from local.node import REPOSITORY
from local.people import People
from local.process import ProcessFailed
from local.stack import Stack

PROJECT = "demo-credence"


def main() -> int:
    """Serve. `PORT` chooses the gateway's port; otherwise a free one is taken."""
    load_dotenv(REPOSITORY / ".env")
    port = int(os.environ["PORT"]) if os.environ.get("PORT") else None
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with Stack(print) as stack, Deployment(stack, PROJECT, port=port) as deployment:
            person = People(stack.auth_address).add(PROJECT)
            print(f"\nCredence listens on {deployment.url}\n")
            for row in read_manifest():
                print(f"  {row.method:<5} {row.path:<28} {row.name} ({row.auth})")
            print("\nA signed-in user's token for the next hour, and one for a service that may debit:\n")
            print(f"  export USER_TOKEN={person.token}\n  export SERVICE_TOKEN={deployment.backend_token}\n")
            print("Start the account, then point any OpenAI client here, with the user's token as its API key:\n")
            print(f'  curl -X POST {deployment.url}/v1/account -H "authorization: Bearer $USER_TOKEN"')
            print(f"  OPENAI_BASE_URL={deployment.url}/v1 OPENAI_API_KEY=$USER_TOKEN python your_program.py\n")
            print("Ctrl-C stops everything.", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                stopped.wait()
            print("Stopping.")
    except ProcessFailed as failure:
        print(f"The local stack failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
