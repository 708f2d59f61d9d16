"""Every call of every client, made once: starting a client takes longer than all of its calls."""

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.deployment import Deployment
from local.node import REPOSITORY
from local.stack import Stack
from tests.clients import add_member, answer, balance_micros, debit
from tests.e2e.books import Books
from tests.independent.calls import COMMANDS, Call, Told, make_calls
from tests.independent.plan import EMBEDDING, FAULT_CLIENTS, FAULTS, LLAMA, UNPAID, WORKS, Fault, Work

PEOPLE_AT_ONCE = 8


@pytest.fixture(scope="package")
def sick(stack: Stack) -> Iterator[Deployment]:
    """A deployment whose provider fails: the routes that it rests for that are nobody else's."""
    with Deployment(stack, f"demo-{secrets.token_hex(8)}", events=False) as started:
        yield started


@pytest.fixture
def books(stack: Stack, deployment: Deployment) -> Iterator[Books]:
    """The ledger of the deployment where nothing fails, as an operator sees it."""
    with Books.of(stack, deployment.project_id) as opened:
        yield opened


@pytest.fixture(scope="package")
def told(
    stack: Stack, deployment: Deployment, sick: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Told]:
    """What each client said of each of its calls, by client and name."""
    calls = _calls(stack, deployment, sick)
    with ThreadPoolExecutor(len(COMMANDS)) as clients:
        made = {
            client: clients.submit(
                make_calls, client, [call for call in calls if call.client == client], tmp_path_factory.mktemp(client)
            )
            for client in COMMANDS
        }
    return {(client, name): said for client, told in made.items() for name, said in told.result().items()}


def _calls(stack: Stack, deployment: Deployment, sick: Deployment) -> list[Call]:
    """Each by a person of its own, who pays for nothing else."""
    faults = [(client, fault) for client in FAULT_CLIENTS for fault in FAULTS]
    models = dict(zip(faults, _chat_models(), strict=False))

    def working(work: Work) -> Call:
        model = EMBEDDING if work.kind == "embeddings" else LLAMA
        payer = add_member(stack, deployment)
        return Call(work.client, work.kind, work.kind, work.prompt, model, None, payer, deployment)

    def failing(case: tuple[str, Fault]) -> Call:
        client, fault = case
        payer = add_member(stack, sick)
        if fault in UNPAID:
            answer(debit(sick, payer, balance_micros(sick, payer), key="all"))
        return Call(client, fault.name, fault.kind, fault.prompt, models[case], fault.timeout_s, payer, sick)

    with ThreadPoolExecutor(PEOPLE_AT_ONCE) as signing_up:
        return [*signing_up.map(working, WORKS), *signing_up.map(failing, faults)]


def _chat_models() -> list[str]:
    """Models to make sick, each with a breaker of its own."""
    rows = json.loads((REPOSITORY / "shared" / "catalog" / "catalog.json").read_text(encoding="utf-8"))
    return [row["id"] for row in rows if row["modality"] in ("text", "vision")]
