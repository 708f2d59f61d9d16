"""What a program may use up: memory, time, output, files and threads.

All run twice: in a root of their own, and as on a machine without namespaces, where Landlock and the filter do alone.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from shared.tools.errors import ProgramInvalid
from shared.tools.models import Ended, Limits
from shared.tools.sandbox import Sandbox
from tests.tools.attacks import EVERYWHERE, QUICK, SECRET, attack

pytestmark = EVERYWHERE


async def test_threads_are_few(namespaces: bool) -> None:
    """Where they can be counted for the program alone there are as many as the limit says, else none."""
    program = """
import threading
threading.stack_size(64 * 1024)
wait, started = threading.Event(), 0
try:
    for _ in range(1000):
        threading.Thread(target=wait.wait, daemon=True).start(); started += 1
except RuntimeError:
    pass
print(started)
"""
    ran = await attack(program, namespaces=namespaces)

    assert int(ran.stdout) == (QUICK.threads_max - 1 if namespaces else 0)


async def test_memory_is_bounded(namespaces: bool) -> None:
    """What is too much is an error to the program or the end of it."""
    ran = await attack("keep = []\nwhile True: keep.append(bytearray(10_000_000))", namespaces=namespaces)

    assert ran.exit_code != 0
    assert ran.ended is Ended.KILLED or "MemoryError" in ran.stderr


@pytest.mark.slow
async def test_endless_work_ends_with_its_processor_time(namespaces: bool) -> None:
    """Even if it hears no signal."""
    program = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    limits = Limits(wall_s=20.0, cpu_s=1)

    ran = await attack(program, namespaces=namespaces, limits=limits)

    assert (ran.ended, ran.exit_code) == (Ended.KILLED, -9)


@pytest.mark.parametrize(
    "program", ["import time\ntime.sleep(60)", "import os, time\nos.closerange(0, 9)\ntime.sleep(60)"]
)
async def test_endless_waiting_ends_with_the_time(namespaces: bool, program: str) -> None:
    """Also when it closed all that could be listened to."""
    started_s = time.monotonic()

    ran = await attack(program, namespaces=namespaces, limits=Limits(wall_s=0.5))

    assert ran.ended is Ended.TOO_LONG
    assert time.monotonic() - started_s < 5


async def test_endless_output_is_cut_and_ends_it(namespaces: bool) -> None:
    """On both ways out."""
    for way in (1, 2):
        ran = await attack(f"import os\nwhile True: os.write({way}, b'x' * 65536)", namespaces=namespaces)

        assert ran.ended is Ended.TOO_MUCH_OUTPUT
        assert len(ran.stdout) + len(ran.stderr) <= QUICK.output_bytes_max


async def test_files_are_bounded_one_by_one_and_together(namespaces: bool) -> None:
    """A large one, a large one with nothing in it, and small ones without end."""
    large = await attack("open('x', 'wb').write(bytes(10_000_000))", namespaces=namespaces)
    hollow = await attack("open('x', 'wb').truncate(10_000_000_000)", namespaces=namespaces)
    many = await attack(
        "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(bytes(100_000)); n += 1", namespaces=namespaces
    )

    assert large.exit_code != 0
    assert hollow.exit_code != 0
    assert many.exit_code != 0
    assert sum(map(len, many.files.values())) <= QUICK.files_bytes_max


async def test_only_plain_files_are_given_back(namespaces: bool, tmp_path: Path) -> None:
    """No link is followed, no pipe waited for, no folder of endless depth walked, no name that is none."""
    (tmp_path / "secret").write_text(SECRET)
    program = f"""
import os
os.symlink({str(tmp_path / "secret")!r}, "link"); os.symlink("/etc", "folder"); os.symlink("loop", "loop")
try: os.mkfifo("pipe")
except OSError: pass
open(b"\\xff.txt", "w").write("x")
open("good.txt", "w").write("fine")
open("shut.txt", "w").write("x"); os.chmod("shut.txt", 0)
for depth in range(60):
    os.mkdir("deep"); os.chdir("deep")
open("bottom", "w").write("x")
"""
    ran = await attack(program, namespaces=namespaces)

    assert ran.exit_code == 0
    assert ran.files["good.txt"] == b"fine"
    assert set(ran.files) <= {"good.txt", "shut.txt"}
    assert ran.files_left_out == 3


async def test_files_given_may_not_lie_elsewhere(namespaces: bool) -> None:
    """Nor take the program's place."""
    for name in ("../x", "/etc/x", "a/../../x", "", ".hidden", "__main__.py", "a//b", "x\n"):
        with pytest.raises(ProgramInvalid):
            await Sandbox(namespaces=namespaces).run("pass", {name: b""})


async def test_a_run_that_is_given_up_ends_at_once(namespaces: bool) -> None:
    """With its program, and all that it left."""
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(mine.read_text().split())
    run = asyncio.create_task(Sandbox(namespaces=namespaces).run("import time\ntime.sleep(60)", {"x": b""}))
    while not (begun := set(mine.read_text().split()) - before):
        await asyncio.sleep(0.01)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert not begun & set(mine.read_text().split())
