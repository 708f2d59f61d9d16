"""Deploys to a Google Cloud project: packs what functions need, builds one image of it, and has Terraform do the rest.

Run by `make deploy`. A repeat with nothing changed builds nothing and changes nothing. docs/operating.md has the steps
around it.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TERRAFORM = REPOSITORY / "infra" / "terraform"
PACKED = ("main.py", "requirements.txt", "functions", "shared", "docs")
"""What the functions run from. Jobs search `docs`, where CORPUS_FOLDER says nothing else."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
NO_IMAGE = "none-docker.pkg.dev/none/none/none@sha256:" + "0" * 64
"""Stands for the image until there is a place to put one."""
INSTALLED_FROM = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "terraform": "https://developer.hashicorp.com/terraform/install (1.9 or newer)",
}


class DeployFailed(Exception):
    """The deployment cannot go on; the message says why."""


def pack(folder: Path) -> None:
    """Copy into `folder` what the image is built of, and nothing that only developers need."""
    for name in PACKED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(source, folder / name)
    shutil.copy(REPOSITORY / "infra" / "Dockerfile", folder / "Dockerfile")


def version_of(folder: Path) -> str:
    """A name for exactly these files, so that what was built once is not built again."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


class Deployment:
    """One project in one region."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._project: str = options.project
        self._region: str = options.region
        self._only_tells: bool = options.plan
        self._apply = ["plan"] if options.plan else ["apply", *(["-auto-approve"] if options.yes else [])]
        self._variables = [
            f"-var=project={options.project}",
            f"-var=region={options.region}",
            f"-var=domain={options.domain}",
        ]
        if (file := Path(options.variables or TERRAFORM / f"{options.project}.tfvars").resolve()).is_file():
            self._variables.append(f"-var-file={file}")
        elif options.variables:
            raise DeployFailed(f"there is no file {options.variables}")

    def run(self) -> None:
        """Raise DeployFailed at the first step that does not succeed; a repeat goes on from there."""
        number = _said("gcloud", "projects", "describe", self._project, "--format=value(projectNumber)")
        if not number:
            raise DeployFailed(f"gcloud knows no project {self._project}, or nobody is signed in: gcloud auth login")
        self._variables.append(f"-var=project_number={number}")
        self._init()
        with tempfile.TemporaryDirectory(prefix="credence-deploy-") as folder:
            pack(Path(folder))
            image = self._image(Path(folder))
        _run("terraform", f"-chdir={TERRAFORM}", *self._apply, "-input=false", *self._variables, f"-var=image={image}")

    def _init(self) -> None:
        """Have a bucket for the state, and Terraform know it."""
        bucket = f"{self._project}-terraform"
        if not _said("gcloud", "storage", "buckets", "describe", f"gs://{bucket}", "--format=value(name)"):
            place = (f"--project={self._project}", f"--location={self._region}")
            closed = ("--uniform-bucket-level-access", "--public-access-prevention")
            _run("gcloud", "storage", "buckets", "create", f"gs://{bucket}", *place, *closed)
            _run("gcloud", "storage", "buckets", "update", f"gs://{bucket}", "--versioning")
        backend = f"-backend-config=bucket={bucket}"
        _run("terraform", f"-chdir={TERRAFORM}", "init", "-input=false", "-reconfigure", backend)

    def _image(self, folder: Path) -> str:
        """The image of these files, by its digest; it is built where there is none."""
        repository = f"{self._region}-docker.pkg.dev/{self._project}/credence/functions"
        tagged = f"{repository}:{version_of(folder)}"
        if not (digest := _digest(tagged)):
            if self._only_tells:
                return NO_IMAGE
            # A place for images is the first that a new project needs, and all that can be made without one.
            place = "-target=google_artifact_registry_repository.images"
            apply = ("apply", "-input=false", "-auto-approve", place)
            _run("terraform", f"-chdir={TERRAFORM}", *apply, *self._variables, f"-var=image={NO_IMAGE}")
            _run("gcloud", "builds", "submit", str(folder), f"--project={self._project}", f"--tag={tagged}")
            digest = _digest(tagged)
        if not digest:
            raise DeployFailed(f"{tagged} was built and is not there")
        return f"{repository}@{digest}"


def _digest(tagged: str) -> str:
    return _said("gcloud", "artifacts", "docker", "images", "describe", tagged, "--format=value(image_summary.digest)")


def _said(*command: str) -> str:
    """What a question is answered with; nothing where the answer is no."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _run(*command: str) -> None:
    """A step, whose words the caller sees."""
    if subprocess.run(command, check=False).returncode != 0:
        raise DeployFailed(f"this failed: {' '.join(command)}")


def missing() -> Iterator[str]:
    """The programs that are not installed, with where to get them."""
    for program, source in INSTALLED_FROM.items():
        if shutil.which(program) is None:
            yield f"{program} is not installed: {source}"


def main(arguments: list[str]) -> int:
    """Deploy, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make deploy", description="Deploy Credence to a Google Cloud project.")
    parser.add_argument("--project", required=True, help="id of a project that exists and has billing")
    parser.add_argument("--region", required=True, help="europe-west1")
    parser.add_argument("--domain", required=True, help="the host that everything is served at: api.example.com")
    parser.add_argument("--variables", help="file of other variables (default: infra/terraform/PROJECT.tfvars)")
    parser.add_argument("--plan", action="store_true", help="only say what would be changed")
    parser.add_argument("--yes", action="store_true", help="change it without asking")
    options = parser.parse_args(arguments)
    if not all((options.project, options.region, options.domain)):
        sys.stderr.write("make deploy PROJECT=my-project REGION=europe-west1 DOMAIN=api.example.com\n")
        return 2
    if lacking := list(missing()):
        sys.stderr.write("".join(f"{line}\n" for line in lacking))
        return 2
    try:
        Deployment(options).run()
    except DeployFailed as failure:
        sys.stderr.write(f"Not deployed: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
