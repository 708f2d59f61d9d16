"""LiteLLM's proxy as a peer: in an environment of its own, without a database, in front of the model stand-in."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from bench.report import BenchFailed, say
from local.node import REPOSITORY
from local.process import HOST, Service, free_port, start_child

VERSION = "1.106.0"
"""The newest that installs here: 1.106.10 and later ask for a certifi newer than the registry has."""
FOLDER = REPOSITORY / ".cache" / "bench" / f"litellm-{VERSION}"
INSTALL_TIMEOUT_S = 900.0
START_DEADLINE_S = 180.0


def new_master_key() -> str:
    """A key for one run: this version does not start without one, and our gateway checks its callers as well."""
    return f"sk-{secrets.token_hex(32)}"


def start_litellm(folder: Path, *, model: str, upstream_url: str, master_key: str) -> Service:
    """Start it on a free port, installing it first where it is missing.

    One worker like ours, one key that it compares in memory, no database, no retries, no log lines.
    Raise BenchFailed when it cannot be installed.
    """
    _install()
    upstream = {"model": f"openai/{model}", "api_base": upstream_url, "api_key": "standin"}
    config = {
        "model_list": [{"model_name": model, "litellm_params": upstream}],
        # For a model named like a Llama it would fetch a tokenizer from the internet, in the middle of a call.
        "litellm_settings": {"telemetry": False, "num_retries": 0, "disable_hf_tokenizer_download": True},
    }
    path = folder / "litellm.yaml"
    # Every JSON document is a YAML document.
    path.write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    program = [FOLDER / "bin" / "python", FOLDER / "bin" / "litellm"]
    command = [*program, "--config", path, "--host", HOST, "--port", str(port), "--num_workers", "1"]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **inherited,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": master_key,
        "LITELLM_MODE": "PRODUCTION",
    }
    child = start_child("LiteLLM", command, folder=folder, environment=environment)
    return Service("LiteLLM", f"{HOST}:{port}", child, "/health/liveliness", START_DEADLINE_S)


def _install() -> None:
    installed = FOLDER / "installed"
    if installed.exists():
        return
    say(f"Installing LiteLLM {VERSION} into {FOLDER.relative_to(REPOSITORY)} (two to three minutes, once)")
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    install = [FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", "--clear", FOLDER], [*install, f"litellm[proxy]=={VERSION}"]):
        try:
            subprocess.run(command, stdout=sys.stderr, timeout=INSTALL_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchFailed(f"LiteLLM {VERSION} could not be installed: {error}") from error
    installed.touch()
