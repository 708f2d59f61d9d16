"""Has everything loaded that a worker loads, and forks one for each line it reads: a fresh process in a moment.

A line is `JOB LEASE_MS STEPS_PER_LEG`; the answer is the child's process id, and later, on a line of its own, how the
child ended. Nothing is connected to before a fork.
"""

import os
import sys

import shared.agents.kinds.research
import shared.agents.pictures
import shared.agents.run
import shared.agents.service
import shared.agents.workbench
import shared.calls.service
import shared.chat.service
import shared.ledger.service
import shared.ledger.store
import shared.providers.gateway
import shared.routing.service
import shared.routing.store  # noqa: F401 - all of these are what a worker would import
from tests.agents import worker


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdout = sys.stderr
            status = 1
            try:
                worker.main(*line.split())
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()
