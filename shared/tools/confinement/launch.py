"""Runs one program confined. Started by `shared/tools/sandbox.py` as a process of its own with an empty environment.

This process builds what stands around the program, forks, and watches; the child gives up what is left to it and runs
the program. The child has no way back: what it gave up the kernel does not return.
"""

import errno
import os
import resource
import secrets
import selectors
import signal
import sys
import time
import traceback
import types
from typing import Any, NoReturn

from shared.tools.confinement import filter as call_filter
from shared.tools.confinement import folder as files
from shared.tools.confinement import kernel, landlock, system_calls, world
from shared.tools.confinement.plan import Plan, Report, packed, unpacked

_LOOK_EVERY_S = 0.05
_PIECE_BYTES = 64 * 1024
_OPEN_FILES_MAX = 128
_READY, _DESCRIPTORS_MAX = 3, 65_536
_STRANGERS, _STRANGERS_COUNT = 1_000_000, 1_000_000_000
"""Users that own nothing. One chosen at random shares no count of processes with another run."""


class Refused(Exception):
    """This machine cannot confine a program."""


def main() -> None:
    """Read the plan, run the program, write the report."""
    kernel.die_with_parent(signal.SIGKILL)
    plan = Plan(**unpacked(sys.stdin.buffer.read()))
    try:
        report = _run(plan)
    except (Refused, OSError) as error:
        report = Report(f"{type(error).__name__}: {error}", (), "", 0, b"", b"", {}, 0)
    sys.stdout.buffer.write(packed(report))
    sys.stdout.flush()


def _run(plan: Plan) -> Report:
    if os.uname().machine != system_calls.MACHINE or sys.platform != "linux":
        raise Refused("system calls can only be filtered on Linux for x86-64")
    readable = _readable(plan)
    landlock_version = kernel.landlock_version()
    is_apart = plan.namespaces and world.leave_namespaces()
    if not is_apart and not landlock_version:
        raise Refused("neither namespaces nor Landlock are to be had")
    owner, folder = _owner(is_apart), plan.stage
    if is_apart:
        world.build(plan.stage, readable, owner=owner, files_bytes_max=plan.files_bytes_max)
        folder = files.FOLDER
    files.lay_out(folder, plan.code, plan.files, owner=owner)
    layers = ("seccomp", *(("namespaces",) if is_apart else ()), *(("landlock",) if landlock_version else ()))
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        _become(plan, out_write, err_write, ready_write)
        _confine(plan, folder, readable, owner=owner, is_apart=is_apart, landlock_version=landlock_version)
        _execute(folder, plan.packages)
    for written in (out_write, err_write, ready_write):
        os.close(written)
    outputs = {out_read: bytearray(), err_read: bytearray()}
    ended = _watch(child, outputs, plan, folder="" if is_apart else folder)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not os.read(ready_read, 1):
        raise Refused(outputs[err_read].decode(errors="replace"))
    if status < 0 and ended == "finished":
        ended = "killed"
    found, left_out = files.taken_out(
        folder, plan.files, files_max=plan.files_max, files_bytes_max=plan.files_bytes_max
    )
    stdout, stderr = (bytes(output[: plan.output_bytes_max]) for output in outputs.values())
    return Report("", layers, ended, status, stdout, stderr, found, left_out)


def _readable(plan: Plan) -> tuple[str, ...]:
    """What of the machine the program may read. Raise Refused where that would be our own source too."""
    import sysconfig

    paths = dict.fromkeys((sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *plan.packages))
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if any(source == path or source.startswith(path.rstrip("/") + "/") for path in (*paths, *world.SYSTEM)):
        raise Refused("our own source lies among the interpreter's libraries")
    return (*world.SYSTEM, *paths)


def _owner(is_apart: bool) -> int:
    """Whom the program runs as: where we are everybody, somebody who owns nothing."""
    if not is_apart or os.getuid() != 0:
        return os.getuid()
    return _STRANGERS + secrets.randbelow(_STRANGERS_COUNT) if _is_initial_user_namespace() else 0


def _is_initial_user_namespace() -> bool:
    with open("/proc/self/uid_map", encoding="ascii") as opened:
        return [int(number) for number in opened.read().split()][2] > _STRANGERS + _STRANGERS_COUNT


def _become(plan: Plan, out: int, err: int, ready: int) -> None:
    """Have nothing open but an empty input, the two ways out, and the way to say that all is given up."""
    empty = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((empty, 0), (out, 1), (err, 2), (ready, _READY)):
        os.dup2(source, target)
    os.closerange(_READY + 1, _DESCRIPTORS_MAX)
    limits = {
        resource.RLIMIT_AS: plan.memory_bytes_max,
        resource.RLIMIT_CPU: plan.cpu_s,
        resource.RLIMIT_FSIZE: plan.files_bytes_max,
        resource.RLIMIT_NPROC: plan.threads_max,
        resource.RLIMIT_NOFILE: _OPEN_FILES_MAX,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))
    # A file that would grow past its limit is an error to who writes it, and no end.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _confine(
    plan: Plan, folder: str, readable: tuple[str, ...], *, owner: int, is_apart: bool, landlock_version: int
) -> None:
    """Give up everything but what the program may have. If any of it fails, nothing is run."""
    try:
        if os.getuid() != owner:
            os.setgroups([])
            os.setresgid(owner, owner, owner)
            os.setresuid(owner, owner, owner)
        kernel.drop_capabilities()
        kernel.die_with_parent(signal.SIGKILL)
        kernel.gain_nothing()
        if landlock_version:
            landlock.enter(landlock_version, folder=folder, readable=readable, devices=world.DEVICES)
        # Threads are counted by the user; where ours is not alone, there are none.
        kernel.filter_calls(call_filter.program(os.getpid(), threads=is_apart))
        os.write(_READY, b"1")
        os.close(_READY)
    except BaseException:
        # Whatever it is: what is not confined does not go on.
        traceback.print_exc()
        os._exit(errno.EPERM)


def _execute(folder: str, packages: tuple[str, ...]) -> NoReturn:
    """Run the program as `python program` would."""
    path = os.path.join(folder, files.PROGRAM)
    os.chdir(folder)
    os.environ.update({"HOME": folder, "TMPDIR": f"{folder}/.tmp", "MPLCONFIGDIR": f"{folder}/.config"})
    sys.path[:] = [folder, *(entry for entry in sys.path if not _is_ours(entry)), *packages]
    sys.argv[:] = [path]
    for name in [name for name in sys.modules if name.partition(".")[0] == "shared"]:
        del sys.modules[name]
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    module: Any = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    try:
        with open(path, "rb") as opened:
            source = opened.read()
        exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - which is what all this is for
    except Exception as error:
        trace = error.__traceback__
        traceback.print_exception(error.with_traceback(trace.tb_next if trace else None))
        sys.exit(1)
    sys.exit(0)


def _is_ours(entry: str) -> bool:
    return __file__.startswith(entry.rstrip("/") + "/shared/")


def _watch(child: int, outputs: dict[int, bytearray], plan: Plan, *, folder: str) -> str:
    """Read what it prints until it ends or must be ended. `folder` is measured where no mount limits it."""
    ends_at_s = time.monotonic() + plan.wall_s
    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output, selectors.EVENT_READ)
        while selector.get_map():
            ended = ""
            for key, _ in selector.select(_LOOK_EVERY_S):
                piece = os.read(key.fd, _PIECE_BYTES)
                outputs[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
                if len(outputs[key.fd]) > plan.output_bytes_max:
                    ended = "too_much_output"
            if time.monotonic() > ends_at_s:
                ended = "too_long"
            if folder and files.size_bytes(folder) > 2 * plan.files_bytes_max:
                ended = "killed"
            if ended:
                os.kill(child, signal.SIGKILL)
                return ended
            # It may have closed both ways and live on.
            if not selector.get_map():
                return _wait(child, ends_at_s)
    return "finished"


def _wait(child: int, ends_at_s: float) -> str:
    while time.monotonic() < ends_at_s:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return "finished"
        time.sleep(_LOOK_EVERY_S / 10)
    os.kill(child, signal.SIGKILL)
    return "too_long"
