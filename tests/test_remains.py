"""A process that crashes with a contributed key in its memory leaves nothing of it: no line, no dump, no image."""

import re
import subprocess
import sys
from pathlib import Path

from local.node import REPOSITORY

PROGRAM = """
import asyncio, ctypes, faulthandler, resource, sys
import main
from shared.base.secret import Secret
from shared.providers.models import Call, DisconnectPolicy, Provider
from shared.providers.connections import Connections
from shared.vault.files import FileKey
from shared.vault.models import Binding
from shared.vault.service import Vault
from shared.web.crash import write_crash
from pathlib import Path

faulthandler.enable()
canary = "sk-" + "".join(chr(97 + number % 26) for number in range(30, 54))
provider = Provider("standin", "http://127.0.0.1:1/v1", Secret("ours"), DisconnectPolicy.ESTIMATE)


class Broken(Connections):
    def _session_for(self, provider):
        # As a library may: with what it was given in its words.
        raise RuntimeError(f"cannot send {canary}")


async def crash():
    vault = Vault(FileKey(Path("vault.json")), Secret("f" * 32))
    binding = Binding(owner="ada", provider="standin", host="127.0.0.1:1")
    key = await vault.open(await vault.seal(Secret(canary), binding), binding)
    call = Call(provider, key, 1.0, silence_s=1.0)
    print(repr(call), repr(key), repr(await vault.seal(key, binding)))
    try:
        await Broken().get(call, "/models", {"authorization": f"Bearer {key.reveal()}"})
    except RuntimeError as error:
        write_crash(error)
    print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    ctypes.string_at(0)


asyncio.run(crash())
"""
CANARY = "sk-" + "".join(chr(97 + number % 26) for number in range(30, 54))


def test_a_crash_leaves_nothing_of_a_key(tmp_path: Path) -> None:
    """Not in the line that is logged of a defect, not in the dump of a fatal signal, and in no image of the memory."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True
    )

    assert ended.returncode < 0, "it died of the signal"
    left = ended.stdout + ended.stderr
    assert b'"error":"RuntimeError"' in left
    assert b"Fatal Python error: Segmentation fault" in left
    assert re.search(rb"\((0|1), \1\)", left), "no image of its memory is written or handed on"
    assert CANARY.encode() not in left
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["vault.json"]
    assert CANARY.encode() not in files[0].read_bytes()
