"""Confinement of a sandbox process before it reads its first document.

Every step is best effort on its own (a container may forbid user namespaces, an old kernel has no Landlock), except the
limits on memory, processor time and files, without which the process refuses to work.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Final

from rag_core.content.parsing.sandbox.frames import EXIT_OUT_OF_MEMORY
from rag_core.platform import LINUX, resident_bytes

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
# Landlock system calls have the same numbers on every architecture.
_LANDLOCK_CREATE: Final = 444
_LANDLOCK_ADD_RULE: Final = 445
_LANDLOCK_RESTRICT: Final = 446
_RULE_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_EXECUTE: Final = 1 << 0
_ALL_FILE_RIGHTS_ABI_1: Final = (1 << 13) - 1
_OPEN_FILES: Final = 32
_WATCH_SECONDS: Final = 0.02


def limit_resources(memory_mb: int) -> None:
    """Cap address space, open files, written files and core dumps.

    Raises `MemoryError` when the process is already larger than that. The kernel only refuses what is asked for from
    now on, so a worker could otherwise start on memory it holds already and blame a document for the limit.
    """
    size = memory_mb * 1024 * 1024
    if LINUX:
        if _address_space() >= size:
            raise MemoryError("the libraries alone need more than the limit")
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    else:
        _watch_memory(size)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _watch_memory(size: int) -> None:
    """End the process when more is resident than that, for kernels that do not enforce a limit (macOS)."""
    # What is resident now: the peak that `getrusage` has is inherited from the process that started this one.
    if (resident_bytes() or 0) >= size:
        raise MemoryError("the libraries alone need more than the limit")

    def watch() -> None:
        while (resident_bytes() or 0) < size:
            time.sleep(_WATCH_SECONDS)
        os._exit(EXIT_OUT_OF_MEMORY)

    threading.Thread(target=watch, daemon=True).start()


def _address_space() -> int:
    """Bytes of address space in use now (proc(5), the first field of statm, in pages)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit_time(seconds: float) -> None:
    """Allow so much more processor time, and end the process soon after that in real time.

    The pool kills a slow worker much earlier; this is for a worker whose pool was killed.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds + 5)


def no_time_limit() -> None:
    """Between documents a worker waits as long as it must."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def drop_access(readable: list[Path]) -> dict[str, bool]:
    """Leave the network, forbid new privileges, and allow reading below `readable` only. Returns what took effect."""
    if not LINUX:
        return {"network": False, "files": False}
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    network = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWNET) == 0
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return {"network": network, "files": _landlock(libc, readable)}


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _landlock(libc: ctypes.CDLL, readable: list[Path]) -> bool:
    """Handle all file rights of the first Landlock version, so what is not allowed below is denied."""
    handled = ctypes.c_uint64(_ALL_FILE_RIGHTS_ABI_1)
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            if path.exists():
                _allow(libc, ruleset, path)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    rights = _READ_FILE | _READ_DIR | _EXECUTE if path.is_dir() else _READ_FILE
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathRule(rights, parent)
        libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
