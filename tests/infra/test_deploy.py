"""`make deploy`: what it packs, in which order it does things, and what it says where it cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deploy import NO_IMAGE, pack, version_of
from local.node import REPOSITORY

LOAD_ALL = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import main
names = [path.stem for path in sorted(pathlib.Path(sys.argv[1], "functions").glob("[a-z]*.py"))]
loaded = [getattr(main, name).__name__ for name in names]
assert loaded == names
print(len(names), all(str(sys.modules[name].__file__).startswith(sys.argv[1]) for name in sys.modules
                      if name.partition(".")[0] in ("main", "functions", "shared")))
"""
DIGEST = "sha256:" + "a" * 64
ARGUMENTS = ("--project", "my-project", "--region", "europe-west1", "--domain", "api.example.com")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image is built of."""
    folder = tmp_path_factory.mktemp("packed")
    pack(folder)
    return folder


class Programs:
    """A folder of programs that write down how they were called, and answer what they are told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "bin"
        self._folder.mkdir()
        self._log = folder / "called"

    def add(self, name: str, script: str = "") -> None:
        """A program that runs `script` after it has written itself down."""
        path = self._folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._log}\n{script}\n', encoding="utf-8")
        path.chmod(0o755)

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the deployment with no other programs than these."""
        command = [sys.executable, str(REPOSITORY / "infra" / "deploy.py"), *arguments]
        environment = {**os.environ, "PATH": str(self._folder)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    @property
    def called(self) -> list[str]:
        """Each call as a line."""
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """None of them yet."""
    return Programs(tmp_path)


def test_every_function_loads_from_what_is_packed(packed: Path) -> None:
    """None of them needs anything of the repository that stays behind."""
    command = [sys.executable, "-I", "-B", "-c", LOAD_ALL, str(packed)]
    environment = {"PATH": os.environ["PATH"], "PROJECT_ID": "credence-production"}
    ran = subprocess.run(command, cwd=packed, env=environment, capture_output=True, text=True, check=False)

    functions = len([*(REPOSITORY / "functions").glob("[a-z]*.py")])
    assert ran.stdout.split() == [str(functions), "True"], ran.stderr


def test_nothing_that_only_developers_need_is_packed(packed: Path) -> None:
    """No tests, no stand-ins, no environment file, nothing compiled here."""
    assert {path.name for path in packed.iterdir()} == {
        "Dockerfile",
        "docs",
        "functions",
        "main.py",
        "requirements.txt",
        "shared",
    }
    assert not [path for path in packed.rglob("*") if path.name.startswith(".") or "__pycache__" in path.parts]


def test_the_same_files_are_the_same_version(packed: Path, tmp_path: Path) -> None:
    """So a second deployment of them builds nothing; of any other it does."""
    pack(tmp_path)
    assert version_of(tmp_path) == version_of(packed)

    (tmp_path / "main.py").write_text("", encoding="utf-8")
    assert version_of(tmp_path) != version_of(packed)


def test_a_program_that_is_missing_is_named_before_anything_is_done(programs: Programs) -> None:
    """With where to get it."""
    programs.add("gcloud")
    ended = programs.deploy(*ARGUMENTS)

    assert ended.returncode == 2
    assert ended.stderr.startswith("terraform is not installed: https://")
    assert programs.called == []


def test_make_without_a_project_says_how_it_is_called(programs: Programs) -> None:
    """Variables of make that nobody set come as empty words."""
    ended = programs.deploy("--project", "", "--region", "", "--domain", "")

    assert ended.returncode == 2
    assert ended.stderr.startswith("make deploy PROJECT=")


def test_a_project_that_gcloud_does_not_know_ends_it(programs: Programs) -> None:
    """And nothing was asked of Terraform."""
    programs.add("gcloud", "exit 1")
    programs.add("terraform")
    ended = programs.deploy(*ARGUMENTS)

    assert ended.returncode == 1
    assert "knows no project my-project" in ended.stderr
    assert [line.split()[0] for line in programs.called] == ["gcloud"]


def test_a_first_deployment_makes_a_place_for_the_image_and_builds_it(programs: Programs, tmp_path: Path) -> None:
    """State first, then the image, then all the rest with the image by its digest."""
    built = tmp_path / "built"
    programs.add(
        "gcloud",
        f"""case "$*" in
          projects*) echo 123456789012 ;;
          "storage buckets describe"*) exit 1 ;;
          "builds submit"*) : > {built} ;;
          artifacts*) [ -e {built} ] && echo {DIGEST} || exit 1 ;;
        esac""",
    )
    programs.add("terraform")
    ended = programs.deploy(*ARGUMENTS, "--yes")

    assert ended.returncode == 0, ended.stderr
    steps = [line.replace(f" -chdir={REPOSITORY}/infra/terraform", "") for line in programs.called]
    changing = [step for step in steps if "describe" not in step]
    assert [" ".join(step.split()[:4]) for step in changing] == [
        "gcloud storage buckets create",
        "gcloud storage buckets update",
        "terraform init -input=false -reconfigure",
        "terraform apply -input=false -auto-approve",
        f"gcloud builds submit {changing[4].split()[3]}",
        "terraform apply -auto-approve -input=false",
    ]
    assert f"-var=image={NO_IMAGE}" in changing[3]
    assert changing[5].endswith(f"-var=image=europe-west1-docker.pkg.dev/my-project/credence/functions@{DIGEST}")
    assert "-var=project_number=123456789012" in changing[5]


def test_a_plan_changes_nothing(programs: Programs) -> None:
    """Neither is an image built, nor anything applied."""
    programs.add(
        "gcloud", 'case "$*" in projects*) echo 1234567 ;; storage*) echo bucket ;; artifacts*) exit 1 ;; esac'
    )
    programs.add("terraform")
    ended = programs.deploy(*ARGUMENTS, "--plan")

    assert ended.returncode == 0, ended.stderr
    assert not [line for line in programs.called if " apply " in line or "submit" in line]
    assert f"-var=image={NO_IMAGE}" in programs.called[-1]


def test_a_step_that_fails_is_named_and_ends_it(programs: Programs) -> None:
    """What comes after it would do harm."""
    programs.add("gcloud", 'case "$*" in projects*) echo 1234567 ;; storage*) echo bucket ;; esac')
    programs.add("terraform", "exit 1")
    ended = programs.deploy(*ARGUMENTS)

    assert ended.returncode == 1
    assert ended.stderr.startswith("Not deployed: this failed: terraform")
    assert len([line for line in programs.called if line.startswith("terraform")]) == 1
