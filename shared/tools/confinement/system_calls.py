"""The system calls that a confined program may make, by their numbers on x86-64. Whatever is not here is refused.

No call here opens a connection, starts a process or a program, looks into another process, changes what is mounted,
raises a limit, or makes memory that the limits do not count.
"""

MACHINE = "x86_64"
ARCHITECTURE = 0xC000003E
"""What the kernel calls it; a call by another door (32 bit) ends the process."""

FREE = {
    # Files and folders, as far as paths are reached at all. No links: a hard one could bear another owner's file.
    **{"read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "access": 21},
    **{"pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "preadv": 295, "pwritev": 296, "openat": 257},
    **{"fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "getdents": 78, "getcwd": 79, "chdir": 80},
    **{"fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "unlink": 87, "symlink": 88, "readlink": 89},
    **{"chmod": 90, "fchmod": 91, "umask": 95, "utime": 132, "statfs": 137, "fstatfs": 138, "getdents64": 217},
    **{"utimes": 235, "mkdirat": 258, "futimesat": 261, "newfstatat": 262, "unlinkat": 263, "renameat": 264},
    **{"symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "utimensat": 280, "fallocate": 285},
    **{"renameat2": 316, "copy_file_range": 326, "preadv2": 327, "pwritev2": 328, "statx": 332, "faccessat2": 439},
    **{"sendfile": 40, "flock": 73, "fadvise64": 221, "close_range": 436, "fchmodat2": 452},
    # Descriptors and waiting. Sockets only as pairs (below), and what is read from and written to them.
    **{"poll": 7, "pipe": 22, "select": 23, "dup": 32, "dup2": 33, "pselect6": 270, "ppoll": 271, "dup3": 292},
    **{"pipe2": 293, "epoll_create": 213, "epoll_wait": 232, "epoll_ctl": 233, "epoll_pwait": 281, "eventfd": 284},
    **{"epoll_create1": 291, "eventfd2": 290, "timerfd_create": 283, "timerfd_settime": 286, "timerfd_gettime": 287},
    **{"sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "getsockname": 51},
    **{"getpeername": 52, "setsockopt": 54, "getsockopt": 55},
    # Memory of its own.
    **{"mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28},
    # Signals to itself, threads, time.
    **{"rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127, "rt_sigtimedwait": 128},
    **{"rt_sigsuspend": 130, "sigaltstack": 131, "pause": 34, "getitimer": 36, "alarm": 37, "setitimer": 38},
    **{"restart_syscall": 219, "sched_yield": 24, "nanosleep": 35, "futex": 202, "set_tid_address": 218},
    **{"set_robust_list": 273, "rseq": 334, "membarrier": 324, "exit": 60, "exit_group": 231, "arch_prctl": 158},
    **{"gettimeofday": 96, "times": 100, "time": 201, "clock_gettime": 228, "clock_getres": 229},
    **{"clock_nanosleep": 230},
    # What it may know of itself and the machine.
    **{"getpid": 39, "uname": 63, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "getuid": 102, "getgid": 104},
    **{"geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "getresuid": 118},
    **{"getresgid": 120, "getpgid": 121, "getsid": 124, "gettid": 186, "sched_getaffinity": 204, "getcpu": 309},
    **{"sched_getparam": 143, "sched_getscheduler": 145, "getrandom": 318},
}
"""May be called with any arguments."""

CLONE, FCNTL, IOCTL, KILL, PRCTL, PRLIMIT, SOCKETPAIR, TGKILL, CLONE3 = 56, 72, 16, 62, 157, 302, 53, 234, 435
"""May be called in a few ways only, as `filter.py` says."""

FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Copies, flags, locks. Those are left out that name who gets a signal, for that may be another process."""
IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Whether it is a terminal and how large, how much waits to be read, whether reading waits, what programs inherit."""
PRCTL_OPTIONS = (15, 16, 0x53564D41)
"""A thread's name, and that of a piece of memory."""
