"""infra/functions.yaml against all that must agree with it: code, settings, the OpenAPI document, docs/functions.md."""

import re
from importlib import import_module
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
import schemathesis

from local.gateway import build_document
from local.manifest import FunctionRow, read_manifest, read_queues
from local.node import REPOSITORY
from local.oidc import CALLERS
from shared.base.body import Misshapen, shape
from shared.base.callers import parse_callers
from shared.base.economy import HOLD_LIFETIME_MS
from shared.base.secret import Secret
from shared.base.settings import Settings
from shared.tasks.targets import TARGETS
from shared.web.event import EventContract
from shared.web.function import Contract
from shared.web.task import TaskContract
from tests.claims import of_each

ROWS = read_manifest()
MAP = (REPOSITORY / "docs" / "functions.md").read_text(encoding="utf-8").splitlines()
QUEUES = {row.name: row for row in read_queues()}
CLOUD_RUN_BODY_BYTES_MAX = 32 * 1024 * 1024
CLOUD_RUN_TIMEOUT_S_MAX = 3600
SCHEDULER_TIMEOUT_S_MAX = 1800
"""Cloud Scheduler waits no longer for an HTTP target."""
EVENTARC_TIMEOUT_S_MAX = 600
"""A push subscription of Pub/Sub, which Eventarc delivers through, waits no longer."""
TASK_DEADLINE_S_MIN, TASK_DEADLINE_S_MAX = 15, 1800
"""As short and as long as Cloud Tasks waits for an answer."""
SECRETS = {name.upper() for name, kind in get_type_hints(Settings).items() if Secret in (kind, *get_args(kind))}

each_row = of_each(ROWS, lambda row: row.name)


def contract_of(row: FunctionRow) -> Contract | EventContract | TaskContract:
    """What the function's own file promises."""
    contract: Contract | EventContract | TaskContract = getattr(
        import_module(f"functions.{row.name}"), row.name
    ).contract
    return contract


def test_every_file_is_deployed_and_every_deployed_function_has_its_file() -> None:
    """One file, one function, one row."""
    files = {path.stem for path in (REPOSITORY / "functions").glob("*.py")} - {"__init__"}

    assert [row.name for row in ROWS] == sorted(files)


def test_no_two_functions_share_a_route() -> None:
    """Otherwise one of them could never be reached."""
    routes = [(row.method, re.sub(r"{\w+}", "{}", row.path)) for row in ROWS]

    assert len(set(routes)) == len(routes)


@each_row
def test_the_row_and_the_contract_agree(row: FunctionRow) -> None:
    """The load balancer sends what the function takes, from whom the function lets in."""
    contract = contract_of(row)

    assert contract.name == row.name
    assert contract.method == row.method
    assert {"user_now": "user", "holder": "spender"}.get(contract.auth, contract.auth) == row.auth


@each_row
def test_the_paths_parameter_is_the_contracts(row: FunctionRow) -> None:
    """It stands at the end, or before what the function expects there, and is a field of the request."""
    contract = contract_of(row)
    if not isinstance(contract, Contract):
        return
    parameters = re.findall(r"{(\w+)}", row.path)

    assert parameters == ([contract.path_param] if contract.path_param else [])
    if contract.path_param:
        assert row.path.endswith(f"/{{{contract.path_param}}}{contract.path_suffix or ''}")
        assert contract.path_param in contract.body.__struct_fields__
        assert contract.path_prefix in (None, row.path.removesuffix(f"{{{contract.path_param}}}"))


@each_row
def test_a_service_needs_a_scope_that_somebody_has(row: FunctionRow) -> None:
    """A function for services names what one must be allowed; on the local stack somebody is."""
    contract = contract_of(row)
    granted = set().union(*parse_callers(CALLERS).values())

    assert (contract.scope is not None) == (row.auth in ("service", "card"))
    assert contract.scope is None or contract.scope in granted


@each_row
def test_a_row_has_one_trigger(row: FunctionRow) -> None:
    """A route, a schedule of five fields, an event, or a queue."""
    triggers = (row.trigger.http, row.trigger.schedule, row.trigger.event, row.trigger.task)
    assert len([trigger for trigger in triggers if trigger is not None]) == 1
    if row.trigger.schedule is not None:
        assert re.fullmatch(r"([\d*/,-]+ ){4}[\d*/,-]+", row.trigger.schedule)
        assert row.auth == "service"
        assert row.timeout_s <= SCHEDULER_TIMEOUT_S_MAX


@each_row
def test_an_event_is_the_contracts(row: FunctionRow) -> None:
    """Eventarc is told of the same documents as the function takes, and waits no longer than its service does."""
    contract = contract_of(row)

    assert isinstance(contract, EventContract) == (row.trigger.event is not None)
    if isinstance(contract, EventContract):
        assert contract.event == row.trigger.event
        assert row.timeout_s <= EVENTARC_TIMEOUT_S_MAX


@each_row
def test_a_task_is_waited_for_as_long_as_its_function_may_run(row: FunctionRow) -> None:
    """Who posts tasks knows the queue and the time that the manifest names; only services deliver them."""
    target = TARGETS.get(row.name)

    assert (target is not None) == isinstance(contract_of(row), TaskContract) == (row.trigger.task is not None)
    if target is not None:
        assert row.auth == "service"
        assert (target.queue, target.deadline_s) == (row.trigger.task, row.timeout_s)
        assert TASK_DEADLINE_S_MIN <= target.deadline_s <= TASK_DEADLINE_S_MAX
        assert target.queue in QUEUES


def test_tasks_have_a_function_and_queues_have_tasks() -> None:
    """Nothing is posted to nobody, and no queue is made for nothing."""
    assert set(TARGETS) <= {row.name for row in ROWS}
    assert {target.queue for target in TARGETS.values()} == set(QUEUES)


@each_row
def test_a_row_fits_cloud_run(row: FunctionRow) -> None:
    """Names, sizes and times that `gcloud run deploy` takes."""
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,47}", row.name)
    assert re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", row.service_account)
    assert row.memory_mb in (256, 512, 1024, 2048, 4096)
    assert 0 < row.timeout_s <= CLOUD_RUN_TIMEOUT_S_MAX
    assert 0 < row.concurrency <= 1000
    assert contract_of(row).body_bytes_max < CLOUD_RUN_BODY_BYTES_MAX


@each_row
def test_no_call_outlives_its_hold(row: FunctionRow) -> None:
    """A request that could run longer than a hold lives would capture what is no longer held."""
    assert row.timeout_s * 1000 < HOLD_LIFETIME_MS


@each_row
def test_a_secret_is_a_setting(row: FunctionRow) -> None:
    """What is mounted is read, under the same name; what is not a secret is not mounted as one."""
    assert set(row.secrets) <= SECRETS
    assert len(set(row.secrets)) == len(row.secrets)


def test_every_secret_reaches_somebody() -> None:
    """A key that no function gets would be a provider that is never called."""
    assert set().union(*(row.secrets for row in ROWS)) == SECRETS


def test_only_those_who_call_providers_hold_their_keys() -> None:
    """What tells of models or their prices needs to know which keys there are; nobody else does."""
    models = [row for row in ROWS if "OPENAI_API_KEY" in row.secrets]
    assert {row.name for row in models} == {
        "chat_completions",
        "conversation_quote",
        "conversation_regenerate",
        "conversation_reply",
        "conversation_start",
        "conversation_title",
        "conversation_update",
        "embedding_create",
        "image_generate",
        "image_run",
        "job_start",
        "job_step",
        "model_get",
        "model_list",
        "price_get",
        "response_create",
        "session_request",
        "speech_transcribe",
    }
    # The one that works at jobs searches the web, too.
    assert len({tuple(name for name in row.secrets if name != "TAVILY_API_KEY") for row in models}) == 1
    assert [row.name for row in ROWS if "TAVILY_API_KEY" in row.secrets] == ["job_step"]
    assert {row.service_account for row in models} == {"gateway"}
    assert {row.service_account for row in ROWS if row not in models} & {"gateway"} == set()


def test_only_those_who_sell_hold_the_keys_of_rails() -> None:
    """What the whole world may post to can check a signature, and has no key that moves money."""
    selling = {row.name: row.secrets for row in ROWS if any(name.startswith("STRIPE") for name in row.secrets)}

    cashiers = {
        "checkout_create",
        "order_check",
        "order_refund",
        "order_release",
        "pack_list",
        "payment_apply",
        "payment_refund",
    }
    # Who holds their books against ours must be let into them. No provider has a key that only reads all of it.
    bookkeepers = {"reconcile_daily", "settlement_daily"}

    paymasters = {"payout_apply", "payout_onboard", "payout_request", "payout_send"}

    for key, others in (("STRIPE_API_KEY", paymasters), ("PAYPAL_CLIENT_SECRET", set())):
        assert {row.name for row in ROWS if key in row.secrets} == cashiers | bookkeepers | others
    assert next(row.secrets for row in ROWS if row.name == "paypal_webhook") == ()
    assert selling["stripe_webhook"] == ("STRIPE_WEBHOOK_SECRET",)
    assert selling["stripe_connect_webhook"] == ("STRIPE_CONNECT_WEBHOOK_SECRET",)
    # Who pays out takes nothing in, and who sells sends nothing out.
    assert {name for name, keys in selling.items() if "STRIPE_CONNECT_WEBHOOK_SECRET" in keys} == {
        "stripe_connect_webhook",
        *paymasters,
    }
    assert {row.name for row in ROWS if "RAZORPAY_KEY_SECRET" in row.secrets} == {
        *cashiers,
        *bookkeepers,
        "payment_confirm",
    }
    assert next(row.secrets for row in ROWS if row.name == "razorpay_webhook") == ("RAZORPAY_WEBHOOK_SECRET",)


def test_only_those_who_look_at_a_chain_know_its_node() -> None:
    """A node's address may hold a key, and whoever sets it decides what was paid."""
    assert {row.name for row in ROWS if "CRYPTO_RPC_URL" in row.secrets} == {
        "checkout_create",
        "credit_topup",
        "crypto_claim",
        "order_check",
        "order_refund",
        "pack_list",
        "payment_apply",
        "payment_refund",
        "reconcile_daily",
        "settlement_daily",
    }


def test_only_those_who_count_people_hold_the_key_of_their_hashes() -> None:
    """Whoever has it can tell whether a number or an address is known to us."""
    selling = {row.name for row in ROWS if "STRIPE_API_KEY" in row.secrets}
    selling -= {"pack_list", "reconcile_daily", "settlement_daily"}
    selling -= {"payout_apply", "payout_onboard", "payout_request", "payout_send"}
    others = {"account_start", "credit_topup", "crypto_claim", "payment_confirm", "review_resolve"}

    assert {row.name for row in ROWS if "RISK_KEY" in row.secrets} == selling | others


def test_whoever_takes_or_tries_contributed_keys_holds_none_of_ours() -> None:
    """And only they can make or compare fingerprints."""
    holders = {row.name: row.secrets for row in ROWS if "VAULT_FINGERPRINT_KEY" in row.secrets}

    assert {"key_deposit", "key_validate"} <= set(holders)
    assert all("OPENAI_API_KEY" not in holders[name] for name in ("key_deposit", "key_validate"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "anyone"},
        {"trigger": {"http": "DELETE /v1/x"}},
        {"trigger": {"topic": "x"}},
        {"trigger": {"event": "x"}},
        {"cpu": 2},
    ],
)
def test_a_malformed_row_is_refused(wrong: dict[str, object]) -> None:
    """A typing mistake in the manifest is found here and not by Terraform."""
    with pytest.raises(Misshapen):
        shape(FunctionRow, {**msgspec.to_builtins(ROWS[0]), **wrong})


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """What `/openapi.json` serves, made once: it reads the types of every function."""
    return build_document()


def test_openapi_lists_exactly_the_routes(document: dict[str, Any]) -> None:
    """No timer, nothing of the local gateway's own, and every operation under its function's name."""
    operations = {
        (method.upper(), path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert operations == {(row.method, row.path): row.name for row in ROWS if row.trigger.http}


def test_openapi_is_valid(document: dict[str, Any]) -> None:
    """By the specification's own schema, and every reference leads somewhere."""
    schema = schemathesis.openapi.from_dict(document)

    schema.validate()
    assert [operation.ok().label for operation in schema.get_all_operations()]


def test_openapi_says_who_may_call(document: dict[str, Any]) -> None:
    """Only what everybody may call is without a lock."""
    operations = {row.name: document["paths"][row.path][row.method.lower()] for row in ROWS if row.trigger.http}

    assert {name for name, operation in operations.items() if "security" not in operation} == {
        row.name for row in ROWS if row.trigger.http and row.auth == "none"
    }
    assert [name for name, operation in operations.items() if not operation["summary"]] == []


def test_the_readme_names_every_function_once() -> None:
    """A reader sees all that there is, by what it is for."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## The functions\n")[2].partition("\n## ")[0]
    named = [name for line in section.splitlines() if line.startswith("| ") for name in re.findall(r"`(\w+)`", line)]

    assert sorted(named) == [row.name for row in ROWS]


@each_row
def test_the_map_has_it(row: FunctionRow) -> None:
    """A reader finds each function with its route, or with what else calls it."""
    found = [line for line in MAP if line.startswith(f"| `{row.name}` |")]

    assert len(found) == 1
    route = found[0].split("|")[2]
    assert f"`{row.trigger.http}`" in route if row.trigger.http else re.search(r"every|each new|each task", route)
