"""Attacks on the sandbox, each as a program that somebody might have a model write, each with what stops it.

All run twice: in a root of their own, and as on a machine without namespaces, where Landlock and the filter do alone.
"""

import os
import socket
from pathlib import Path

import pytest

from shared.tools.errors import SandboxUnavailable
from shared.tools.models import Ended
from shared.tools.sandbox import Sandbox
from tests.tools.attacks import EVERYWHERE, QUICK, SECRET, attack

pytestmark = EVERYWHERE


async def test_a_program_gets_its_files_and_gives_back_what_it_made(namespaces: bool) -> None:
    """New and changed files, in folders too, and what it printed; not those that are as they were given."""
    program = """
import os, threading
import helper
os.mkdir("out")
open("out/sum.txt", "w").write(str(helper.total(open("numbers.txt"))))
open("changed.txt", "a").write("!")
print("done")
"""
    files = {
        "helper.py": b"def total(lines):\n    return sum(map(int, lines))\n",
        "numbers.txt": b"1\n2\n",
        "changed.txt": b"so",
    }

    ran = await Sandbox(QUICK, namespaces=namespaces).run(program, files)

    assert (ran.ended, ran.exit_code, ran.stdout, ran.stderr) == (Ended.FINISHED, 0, "done\n", "")
    assert ran.files == {"out/sum.txt": b"3", "changed.txt": b"so!"}
    assert "seccomp" in ran.layers
    assert ("namespaces" in ran.layers) is namespaces


async def test_files_come_back_under_names_that_show_what_they_are(namespaces: bool) -> None:
    """And that lead nowhere: a name with control characters, or too long, is as if it had not been written."""
    program = """
import os
hidden = ("a\\nb.csv", "x\\u202egpj.csv", "del\\x7f.csv", "l" * 120 + ".csv")
for name in ("good name.csv", "gr\\u00f6\\u00dfe.csv", *hidden):
    open(name, "w").write(name)
for escape in ("../up.csv", "/up.csv", "/etc/up.csv"):
    try:
        open(escape, "w")
        print("broken", escape)
    except OSError:
        pass
os.symlink("/etc/passwd", "linked.csv")
"""
    ran = await attack(program, namespaces=namespaces)

    assert (ran.stderr, sorted(ran.files)) == ("", ["good name.csv", "größe.csv"])


async def test_its_own_fault_is_told_with_its_line(namespaces: bool) -> None:
    """And nothing of what runs it."""
    ran = await attack("x = 1\nraise KeyError('lost')", namespaces=namespaces)

    assert ran.exit_code == 1
    assert "line 2" in ran.stderr
    assert "launch.py" not in ran.stderr


@pytest.mark.slow
async def test_pandas_and_matplotlib_can_be_imported_and_draw(namespaces: bool) -> None:
    """Within the usual limits."""
    program = """
import pandas, matplotlib.pyplot as plot
pandas.DataFrame({"a": [1, 2, 4]}).plot()
plot.savefig("chart.svg"); plot.savefig("chart.png")
"""
    ran = await Sandbox(namespaces=namespaces).run(program)

    assert ran.stderr == ""
    assert ran.files["chart.png"].startswith(b"\x89PNG")
    assert b"<svg" in ran.files["chart.svg"]


async def test_our_environment_is_not_there(namespaces: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as its own nor in any process that /proc would show."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    program = """
import os
print(dict(os.environ))
for who in ("self", os.getpid(), os.getppid(), 1, PARENT):
    for what in ("environ", "cmdline", "maps", "mem", "root/etc/passwd", "cwd/README.md"):
        try:
            open(f"/proc/{who}/{what}", "rb").read(10)
            print("stolen", who, what)
        except OSError:
            pass
"""
    ran = await attack(program.replace("PARENT", str(os.getpid())), namespaces=namespaces)

    assert ran.exit_code == 0


async def test_no_file_outside_can_be_read_or_listed(namespaces: bool, tmp_path: Path) -> None:
    """Our source, the users' homes, the machine's secrets, a file that anybody may read."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o644)
    places = [str(tmp_path / "secret"), __file__, "/etc/passwd", "/etc/shadow", "/etc/hosts", "/var/log/dpkg.log"]
    program = f"""
import os
for path in {places!r}:
    for way in (path, "../.." + path, "/proc/self/root" + path):
        try:
            open(way).read(10); print("stolen", way)
        except OSError:
            pass
for folder in ("/", "/root", "/home", "/tmp", "/etc", "/proc", "/sys", {str(tmp_path)!r}):
    try:
        print("stolen", os.listdir(folder))
    except OSError:
        pass
"""
    assert (await attack(program, namespaces=namespaces)).exit_code == 0


async def test_nothing_outside_its_folder_can_be_written(namespaces: bool, tmp_path: Path) -> None:
    """Not the interpreter, not the system, nowhere that everybody may write."""
    tmp_path.chmod(0o777)
    program = f"""
import os
for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/usr/lib", os.path.dirname(os.__file__), {str(tmp_path)!r}):
    for act in (lambda at: open(at, "w"), os.mkdir, lambda at: os.symlink("x", at), lambda at: os.rename("mine", at)):
        open("mine", "w").close()
        try:
            act(folder + "/planted"); print("broken", folder)
        except OSError:
            pass
"""
    assert (await attack(program, namespaces=namespaces)).exit_code == 0
    assert list(tmp_path.iterdir()) == []


async def test_no_connection_can_be_opened(namespaces: bool) -> None:
    """To this machine, the metadata server, a socket with or without a path; nor can one be listened at."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0credence-{os.getpid()}")
        abstract.listen()
        port = server.getsockname()[1]
        program = f"""
import socket
unix, inet, inet6 = socket.AF_UNIX, socket.AF_INET, socket.AF_INET6
for family, address in (
    (inet, ("127.0.0.1", {port})), (inet, ("169.254.169.254", 80)), (inet6, ("::1", {port})),
    (unix, "\\0credence-{os.getpid()}"), (unix, "/var/run/docker.sock"), (17, None), (16, None), (40, None),
):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind); print("broken", family, kind)
        except OSError:
            pass
one, other = socket.socketpair()
for act in (lambda: one.connect("/dev/log"), lambda: one.bind("here"), lambda: one.listen(),
            lambda: one.sendto(b"x", "/dev/log"), lambda: socket.socketpair(unix, socket.SOCK_DGRAM)):
    try:
        act(); print("broken")
    except OSError:
        pass
one.sendall(b"pairs work"); print(other.recv(20))
"""
        ran = await attack(program, namespaces=namespaces)

    assert ran.stdout == "b'pairs work'\n"


async def test_no_process_and_no_program_can_be_started(namespaces: bool) -> None:
    """So there is no fork bomb, and nothing outlives a run."""
    program = """
import os, subprocess, ctypes
for act in (os.fork, os.forkpty, lambda: os.posix_spawn("/usr/bin/env", ["env"], {}), lambda: os.system("true") and 1/0,
            lambda: os.execv("/usr/bin/env", ["env"]), lambda: subprocess.run(["true"]),
            lambda: os.execv(os.memfd_create("x"), ["x"])):
    try:
        act(); print("broken")
    except (OSError, ZeroDivisionError):
        pass
library = ctypes.CDLL(None, use_errno=True)
for flags in (17, 0x4000 | 0x100 | 17, 0x10000 | 0x100 | 0x20000000):
    print(library.syscall(56, flags, 0, 0, 0, 0))
"""
    ran = await attack(program, namespaces=namespaces)

    assert ran.stdout == "-1\n-1\n-1\n"


async def test_signals_reach_nobody_else(namespaces: bool) -> None:
    """Not its parent, not a group, not everybody, by whatever call; itself it may end."""
    program = """
import os, signal, fcntl, ctypes
library = ctypes.CDLL(None, use_errno=True)
parent = os.getppid() or 1
for who in (parent, 0, -1, -parent, OURS):
    if who == os.getpid(): continue
    for act in (lambda: os.kill(who, signal.SIGKILL), lambda: os.killpg(who, 9), lambda: os.pidfd_open(who)):
        try:
            act(); print("broken", who)
        except (OSError, OverflowError):
            pass
    for call in ((200, who, 9), (234, who, who, 9), (129, who, 9, b"x" * 128), (424, 3, 9, 0, 0)):
        if library.syscall(*call) != -1: print("broken", call)
read, write = os.pipe()
for command, value in ((8, OURS), (15, b"\\0" * 4 + (OURS).to_bytes(4, "little")), (10, 9)):
    try:
        fcntl.fcntl(read, command, value); print("broken", command)
    except OSError:
        pass
print("end"); import sys; sys.stdout.flush()
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
os.kill(os.getpid(), signal.SIGTERM)
"""
    ran = await attack(program.replace("OURS", str(os.getpid())), namespaces=namespaces)

    assert (ran.stdout, ran.exit_code) == ("end\n", 7)


async def test_system_calls_made_by_hand_are_refused_too(namespaces: bool) -> None:
    """Mounting, namespaces, tracing, other processes' memory, io_uring, keys, kernels, limits, identities."""
    calls = {
        **{"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "ptrace": 101},
        **{"process_vm_readv": 310, "io_uring_setup": 425, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323},
        **{"keyctl": 250, "add_key": 248, "kexec_load": 246, "init_module": 175, "reboot": 169, "setuid": 105},
        **{"setresuid": 117, "capset": 126, "setrlimit": 160, "prlimit64 of itself": 302, "shmget": 29, "mq_open": 240},
        **{"memfd_create": 319, "link": 86, "linkat": 265, "mknod": 133, "open_by_handle_at": 304, "quotactl": 179},
        **{"setsid": 112, "sched_setscheduler": 144, "personality": 135, "fanotify_init": 300, "seccomp": 317},
        **{"landlock_create_ruleset": 444, "pidfd_getfd": 438, "clone3": 435, "vfork": 58, "x32 getpid": 0x40000027},
        **{"chown": 92, "fchown": 93, "setxattr": 188, "mlock": 149, "swapon": 167, "syslog": 103, "socket": 41},
        **{"execve": 59, "execveat": 322},
    }
    program = f"""
import ctypes
library, room = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(4096)
for name, number in {calls!r}.items():
    if library.syscall(number, 0, 0, room, room, 0, 0) != -1 or ctypes.get_errno() not in (1, 38):
        print("broken", name, ctypes.get_errno())
"""
    assert (await attack(program, namespaces=namespaces)).exit_code == 0


async def test_a_call_by_the_door_for_32_bits_ends_it(namespaces: bool) -> None:
    """There the same numbers mean other calls."""
    program = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print("broken")
"""
    ran = await attack(program, namespaces=namespaces)

    assert ran.ended is Ended.KILLED or ran.exit_code < 0


@pytest.mark.parametrize(
    "lacking",
    [
        "system_calls.MACHINE = 'another'",
        "kernel.landlock_version, world.leave_namespaces = (lambda: 0), (lambda: False)",
        "kernel.filter_calls = None",
        "kernel.landlock_allow = None",
        "kernel.gain_nothing = None",
    ],
)
async def test_where_something_cannot_confine_it_no_program_runs(
    namespaces: bool, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine of another sort, one without both walls, a kernel that refuses to put one up: a refusal and no more."""
    launcher = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from shared.tools.confinement import kernel, system_calls, world\n"
        f"{lacking}\n"
        "from shared.tools.confinement.launch import main; main()"
    )
    monkeypatch.setattr("shared.tools.sandbox._START", launcher)

    with pytest.raises(SandboxUnavailable):
        await Sandbox(namespaces=namespaces).run("print('broken')")


async def test_who_could_be_anybody_is_somebody_who_owns_nothing(namespaces: bool) -> None:
    """In a root of its own, that is, where it can read the libraries as anybody. Who was nobody before still is."""
    ran = await attack("import os\nprint(os.getuid())", namespaces=namespaces)

    is_dropped = namespaces and os.getuid() == 0
    assert (int(ran.stdout) > 1_000_000) if is_dropped else (int(ran.stdout) == os.getuid())
