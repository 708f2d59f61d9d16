"""Child processes: readiness, death and stopping."""

import os
import signal
import sys
from pathlib import Path

import pytest

from local.process import ProcessFailed, Service, free_port, start_child

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def test_child_that_dies_first_shows_its_last_words(tmp_path: Path) -> None:
    """The error carries the status and the log."""
    child = start_child(
        "Doomed", [sys.executable, "-c", "print('no such port'); exit(3)"], folder=tmp_path, environment=os.environ
    )

    with pytest.raises(ProcessFailed, match=r"(?s)Doomed ended with status 3.*no such port"):
        child.wait_until(lambda: False, deadline_s=10)


def test_child_that_never_answers_meets_the_deadline(tmp_path: Path) -> None:
    """The error names the deadline."""
    child = start_child("Mute", ["sleep", "60"], folder=tmp_path, environment=os.environ)

    with pytest.raises(ProcessFailed, match=r"Mute did not answer within 0.2 s"):
        child.wait_until(lambda: False, deadline_s=0.2)

    child.stop()


def test_missing_program_is_named(tmp_path: Path) -> None:
    """The log tells which program could not be run."""
    child = start_child("Absent", ["/nowhere/program"], folder=tmp_path, environment=os.environ)

    with pytest.raises(ProcessFailed, match="FileNotFoundError"):
        child.wait_until(lambda: False, deadline_s=10)


def test_child_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    """The grace is bounded."""
    child = start_child("Deaf", [sys.executable, "-c", DEAF], folder=tmp_path, environment=os.environ)
    child.wait_until(lambda: "deaf" in child.log_tail(), deadline_s=10)

    child.stop(grace_s=0.2)

    assert child.popen.returncode == -signal.SIGKILL


def test_stop_may_be_repeated(tmp_path: Path) -> None:
    """The second time finds nothing to do."""
    child = start_child("Brief", ["sleep", "60"], folder=tmp_path, environment=os.environ)

    child.stop()
    child.stop()

    assert child.popen.returncode == -signal.SIGTERM


def test_free_ports_are_not_given_twice() -> None:
    """Stacks that start at the same moment get different ports."""
    ports = [free_port() for _ in range(200)]

    assert len(set(ports)) == len(ports)


def test_absent_service_of_the_environment_is_refused() -> None:
    """A stale FIRESTORE_EMULATOR_HOST is found at once."""
    service = Service("Firestore emulator", f"127.0.0.1:{free_port()}", None, ready_path="/", deadline_s=0)

    with pytest.raises(ProcessFailed, match="nothing answers"):
        service.wait_until_ready()


def test_service_that_fails_names_its_remedy(tmp_path: Path) -> None:
    """The last words of the child come first, what to do about it last."""
    child = start_child("Doomed", [sys.executable, "-c", "exit('offline')"], folder=tmp_path, environment=os.environ)
    service = Service("Doomed", f"127.0.0.1:{free_port()}", child, "/", 10, remedy="install it")

    with pytest.raises(ProcessFailed, match=r"(?s)offline.*install it"), service:
        pass
