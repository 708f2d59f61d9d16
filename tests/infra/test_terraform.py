"""infra/terraform, as Terraform itself plans it: every row becomes what it says, and nobody gets more than needed."""

import re
from collections import defaultdict

import pytest

from infra.deploy import REPOSITORY
from local.admob import AD_UNITS
from local.manifest import FunctionRow, read_manifest, read_queues
from shared.app import App
from shared.base.callers import parse_callers
from shared.base.settings import Settings
from shared.proof.note import VerifierKey
from shared.tasks.rules import url_of
from tests.infra.planned import VARIABLES, planned
from tests.infra.reading import Resources, account, container, environment, may, of_type, routed
from tests.test_operating import PAGE

pytestmark = pytest.mark.slow

ROWS = read_manifest()
HTTP = [row for row in ROWS if row.trigger.http]
UNSET = "TAVILY_API_KEY"
"""A secret that has no value yet."""
SECRETS = {secret for row in ROWS for secret in row.secrets}
SETTINGS = {
    "AD_UNITS": AD_UNITS,
    "CHECKOUT_RETURN_URL": "https://app.example.com/paid",
    "CLOUDFLARE_ACCOUNT_ID": "0a1b2c",
    "CRYPTO_RECEIVER": "0x" + "1" * 40,
    "PAYOUT_RETURN_URL": "https://app.example.com/onboarded",
    "PAYPAL_CLIENT_ID": "client",
    "PAYPAL_MERCHANT_ID": "ABCDEFGH23456",
    "PAYPAL_WEBHOOK_ID": "1AB23456CD789012E",
    "RAZORPAY_KEY_ID": "rzp_live_1",
}
BACKEND = "backend@credence-production.iam.gserviceaccount.com"
ONLY_LISTS = {"reader"}
"""Its functions show what others' tasks work at; the same part posts them elsewhere."""

each_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Resources:
    """A deployment that sells everything."""
    variables = {
        "secrets": sorted(SECRETS - {UNSET}),
        "settings": SETTINGS,
        "callers": {"credit:debit": [BACKEND], "card:charge": [BACKEND]},
        "checkpoint_verifier_key": str(VerifierKey("api.example.com/log", bytes(32))),
        "alert_emails": ["on-call@example.com"],
    }
    return planned(tmp_path_factory.mktemp("plan"), variables)


@each_row
def test_a_row_is_a_service_as_it_says(row: FunctionRow, plan: Resources) -> None:
    service = of_type(plan, "google_cloud_run_v2_service")[row.name]
    template = service["template"][0]

    assert service["name"] == row.name.replace("_", "-")
    assert template["timeout"] == f"{row.timeout_s}s"
    assert template["max_instance_request_concurrency"] == row.concurrency
    assert account(row.service_account) == f"serviceAccount:{template['service_account']}"
    assert container(plan, row)["resources"][0]["limits"] == {"cpu": "1", "memory": f"{row.memory_mb}Mi"}
    assert environment(plan, row)["FUNCTION_TARGET"] == row.name


def test_there_is_no_service_beside_the_rows(plan: Resources) -> None:
    assert set(of_type(plan, "google_cloud_run_v2_service")) == {row.name for row in ROWS}


@each_row
def test_nothing_comes_past_what_calls_it(row: FunctionRow, plan: Resources) -> None:
    """Our code checks tokens, so IAM does not; but past the load balancer anybody could write their own address."""
    service = of_type(plan, "google_cloud_run_v2_service")[row.name]
    inward = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" if row.trigger.http else "INGRESS_TRAFFIC_INTERNAL_ONLY"

    assert service["invoker_iam_disabled"] is True
    assert service["ingress"] == inward
    assert environment(plan, row)["ADDRESS_FROM_END"] == "2"


@each_row
def test_a_function_gets_its_secrets_and_no_others(row: FunctionRow, plan: Resources) -> None:
    """By name of Secret Manager's, and only those that have a value: with an empty one a service does not start."""
    mounted = {each["name"]: each["value_source"] for each in container(plan, row)["env"] if each["value_source"]}
    readers = of_type(plan, "google_secret_manager_secret_iam_member")

    assert set(mounted) == set(row.secrets) - {UNSET}
    for name, source in mounted.items():
        assert source[0]["secret_key_ref"][0]["secret"] == name
        assert readers[f"{row.service_account}/{name}"]["member"] == account(row.service_account)


def test_an_account_reads_no_secret_that_its_functions_do_not_list(plan: Resources) -> None:
    wanted = {f"{row.service_account}/{secret}" for row in ROWS for secret in row.secrets if secret != UNSET}

    assert set(of_type(plan, "google_secret_manager_secret_iam_member")) == wanted


def test_every_secret_is_made_and_none_has_its_value_here(plan: Resources) -> None:
    """Neither in the code, nor in the state, nor in a plan."""
    assert set(of_type(plan, "google_secret_manager_secret")) == SECRETS
    assert of_type(plan, "google_secret_manager_secret_version") == {}


@each_row
async def test_a_function_is_told_all_that_its_parts_are_built_from(
    row: FunctionRow, plan: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production, where nothing is made up for want of a setting. With an emulator's name nobody asks Google."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    app = App(Settings.from_environment(environment(plan, row)))
    source = (REPOSITORY / "functions" / f"{row.name}.py").read_text(encoding="utf-8")

    for name in sorted(set(re.findall(r"\bapp\.(\w+)", source))):
        getattr(app, name)
    if app.settings.vault_kms_key is not None:
        assert app.vault
    posts = "tasks" in vars(app) and row.service_account not in ONLY_LISTS
    queues = {key.partition("/")[0] for key in of_type(plan, "google_cloud_tasks_queue_iam_member")}
    assert not posts or row.service_account in queues
    assert not posts or account(row.service_account) in may(
        plan, "google_service_account_iam_member", "roles/iam.serviceAccountUser"
    )


def test_services_are_let_in_by_the_scopes_that_they_need(plan: Resources) -> None:
    """Timers, tasks and events by accounts of their own, and those whom the deployment names."""
    callers = parse_callers(environment(plan, ROWS[0])["SERVICE_CALLERS"])
    project = f"{VARIABLES['project']}.iam.gserviceaccount.com"

    assert {email: set(scopes) for email, scopes in callers.items()} == {
        f"credence-timer@{project}": {"timer"},
        f"credence-task@{project}": {"task"},
        f"credence-event@{project}": {"event"},
        BACKEND: {"credit:debit", "card:charge"},
    }


@each_row
def test_what_calls_a_function_brings_a_token_that_it_takes(row: FunctionRow, plan: Resources) -> None:
    """Of the account with the scope, for the audience that the function is told, at the address where it is."""
    told = environment(plan, row)
    callers = parse_callers(told["SERVICE_CALLERS"])
    address = url_of(told["TASK_URL"], row.name)
    if row.trigger.schedule:
        job = of_type(plan, "google_cloud_scheduler_job")[row.name]
        target = job["http_target"][0]
        token = target["oidc_token"][0]
        assert (job["schedule"], job["time_zone"]) == (row.trigger.schedule, "Etc/UTC")
        assert job["attempt_deadline"] == f"{row.timeout_s}s"
        assert (target["http_method"], target["uri"]) == ("POST", address)
        assert token["audience"] == told["SERVICE_AUDIENCE"]
        assert callers[token["service_account_email"]] == {"timer"}
    if row.trigger.task:
        assert callers[told["TASK_SERVICE_ACCOUNT"]] == {"task"}
        assert row.trigger.task in of_type(plan, "google_cloud_tasks_queue")
    if row.trigger.event:
        trigger = of_type(plan, "google_eventarc_trigger")[row.name]
        criteria = {each["attribute"]: each["value"] for each in trigger["matching_criteria"]}
        assert f"{criteria['type']} {criteria['document']}" == row.trigger.event
        assert trigger["event_data_content_type"] == "application/protobuf"
        assert trigger["destination"][0]["cloud_run_service"][0]["service"] == row.name.replace("_", "-")
        assert callers[trigger["service_account"]] == {"event"}
        assert told["SERVICE_AUDIENCE"] == address


def test_a_queue_is_as_its_row_says(plan: Resources) -> None:
    queues = of_type(plan, "google_cloud_tasks_queue")

    assert set(queues) == {row.name for row in read_queues()}
    for row in read_queues():
        rate, retry = queues[row.name]["rate_limits"][0], queues[row.name]["retry_config"][0]
        assert rate["max_dispatches_per_second"] == row.dispatches_per_s_max
        assert rate["max_concurrent_dispatches"] == row.dispatches_at_once_max
        assert (retry["max_attempts"], retry["max_doublings"]) == (row.attempts_max, row.doublings_max)
        assert retry["max_retry_duration"] == f"{row.retry_s_max}s"
        assert (retry["min_backoff"], retry["max_backoff"]) == (f"{row.backoff_s_min:g}s", f"{row.backoff_s_max:g}s")


@pytest.mark.parametrize("row", HTTP, ids=[row.name for row in HTTP])
def test_a_route_leads_to_its_own_function(row: FunctionRow, plan: Resources) -> None:
    """Whatever stands where the parameter does, and however many slashes the last one has."""
    for value in ("x", "close", "a-b_c.d~1"):
        assert routed(plan, row.method, re.sub(r"{\w+}", value, row.path)) == row.name.replace("_", "-")
    if row.path.endswith("}") and row.path.count("{") == 1 and row.name in ("log_read", "model_get", "price_get"):
        path = re.sub(r"{\w+}", "meta-llama/Meta-Llama-3.1-8B/tile", row.path)
        assert routed(plan, row.method, path) == row.name.replace("_", "-")
    # A browser that asks before a call is answered by some function of this path.
    shared = {other.name.replace("_", "-") for other in HTTP if other.path == row.path}
    assert routed(plan, "OPTIONS", re.sub(r"{\w+}", "x", row.path)) in shared


def test_the_rules_are_in_order_and_within_what_one_map_holds(plan: Resources) -> None:
    rules = plan["google_compute_url_map.front"]["path_matcher"][0]["route_rules"]

    assert [rule["priority"] for rule in rules] == list(range(1, len(HTTP) + 1))
    assert len(rules) <= 200


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v2/credits", "/v1/credits/", "/_timers/ledger_settle"])
def test_an_unknown_path_leads_nowhere(path: str, plan: Resources) -> None:
    """A function would answer at any path."""
    assert routed(plan, "GET", path) is None


def test_every_account_of_the_rows_is_made_and_no_other(plan: Resources) -> None:
    made = {values["account_id"] for values in of_type(plan, "google_service_account").values()}

    assert made == {f"credence-{name}" for name in {row.service_account for row in ROWS} | {"timer", "task", "event"}}


def test_each_account_reads_or_writes_firestore(plan: Resources) -> None:
    writers = may(plan, "google_project_iam_member", "roles/datastore.user")
    readers = may(plan, "google_project_iam_member", "roles/datastore.viewer")

    assert writers | readers == {account(row.service_account) for row in ROWS}
    assert readers == {account("reader")}


def test_who_serves_users_may_ask_about_them_and_nobody_else(plan: Resources) -> None:
    asking = {account(row.service_account) for row in ROWS if row.auth in ("user", "spender")}

    assert may(plan, "google_project_iam_member", "roles/firebaseauth.viewer") == asking


def test_no_account_has_any_other_role_in_the_project(plan: Resources) -> None:
    granted = [values for address, values in plan.items() if address.startswith("google_project_iam_member.")]
    roles = {values["role"] for values in granted}

    assert roles == {
        "roles/datastore.user",
        "roles/datastore.viewer",
        "roles/firebaseauth.viewer",
        "roles/eventarc.eventReceiver",
    }


def test_only_the_notary_signs_and_files_checkpoints(plan: Resources) -> None:
    """And it can neither replace nor delete one."""
    bucket = of_type(plan, "google_storage_bucket_iam_member").values()

    assert may(plan, "google_kms_crypto_key_iam_member", "roles/cloudkms.signer") == {account("notary")}
    assert {(values["member"], values["role"]) for values in bucket} == {
        (account("notary"), "roles/storage.objectCreator"),
        (account("notary"), "roles/storage.objectViewer"),
    }
    retention = plan["google_storage_bucket.checkpoints"]["retention_policy"][0]
    assert retention["is_locked"] is True
    assert int(retention["retention_period"]) >= 10 * 365 * 86_400


def test_contributed_keys_are_opened_by_few_and_sealed_by_one(plan: Resources) -> None:
    kind = "google_kms_crypto_key_iam_member"

    assert may(plan, kind, "roles/cloudkms.cryptoKeyEncrypterDecrypter") == {account("keykeeper")}
    assert may(plan, kind, "roles/cloudkms.cryptoKeyDecrypter") == {account("gateway"), account("keyprover")}
    told = defaultdict(set)
    for row in ROWS:
        told["VAULT_KMS_KEY" in environment(plan, row)].add(row.service_account)
    assert told[True] == {"gateway", "keykeeper", "keyprover"}
    assert told[False].isdisjoint(told[True])


def test_the_keys_are_what_the_code_asks_for(plan: Resources) -> None:
    log, vault = plan["google_kms_crypto_key.log"], plan["google_kms_crypto_key.vault"]

    assert (log["purpose"], log["version_template"][0]["algorithm"]) == ("ASYMMETRIC_SIGN", "EC_SIGN_ED25519")
    assert vault["purpose"] == "ENCRYPT_DECRYPT"
    assert vault["rotation_period"]
    assert "CHECKPOINT_KMS_KEY" in environment(plan, next(row for row in ROWS if row.name == "ledger_checkpoint"))


def test_the_database_is_the_emulators(plan: Resources) -> None:
    """Its rules and its indexes are of the files that tests run against, and it survives mistakes."""
    database = plan["google_firestore_database.default"]
    source = plan["google_firebaserules_ruleset.firestore"]["source"][0]["files"][0]

    assert (database["name"], database["type"]) == ("(default)", "FIRESTORE_NATIVE")
    assert database["concurrency_mode"] == "OPTIMISTIC"
    assert database["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert database["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
    assert source["content"] == (REPOSITORY / "firestore.rules").read_text(encoding="utf-8")
    assert plan["google_firestore_backup_schedule.daily"]["daily_recurrence"]
    expiring = {key for key, field in of_type(plan, "google_firestore_field").items() if field["ttl_config"]}
    assert expiring
    assert all(key.endswith(("/delete_at", "/expires_at")) for key in expiring)


def test_every_alarm_wakes_somebody(plan: Resources) -> None:
    """With the words of docs/operating.md, which another test holds to the code; and what it has none for does, too."""
    alarms = of_type(plan, "google_monitoring_alert_policy")
    rows = PAGE.partition("\n## What to look at\n")[2].partition("\n## ")[0].splitlines()
    told = {name: row for row in rows for name in re.findall(r"`([a-z_]+)`", row.split(" | ")[0]) if row[:3] == "| `"}

    assert len(told) > 5
    assert set(alarms) == told.keys() | {"critical", "given_up", "timers"}
    assert all(alarms[name]["documentation"][0]["content"] in row for name, row in told.items())
    assert 'severity>="CRITICAL"' in alarms["critical"]["conditions"][0]["condition_matched_log"][0]["filter"]
    assert all(policy["notification_channels"] for policy in alarms.values())
