"""Landlock for itself: what it denies to a process whose user might do it."""

import subprocess
import sys
from pathlib import Path

from local.node import REPOSITORY

PROGRAM = """
import sys
from shared.tools.confinement import kernel, landlock

own, other = sys.argv[1:]
kernel.gain_nothing()
landlock.enter(kernel.landlock_version(), folder=own, readable=[other], devices=[])
print("read", open(other + "/given").read())
for folder in (own, other):
    try:
        open(folder + "/planted", "w").close()
        print("written", folder)
    except PermissionError:
        print("refused", folder)
"""


def test_what_may_be_read_may_not_be_changed(tmp_path: Path) -> None:
    """Both folders are ours, so that nothing but Landlock tells them apart."""
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
    (other / "given").write_text("words", encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, own, other], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert ran.stdout.splitlines() == ["read words", f"written {own}", f"refused {other}"]
    assert list(other.iterdir()) == [other / "given"]
