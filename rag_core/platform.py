"""The differences between Linux and other systems (macOS), each with its portable fallback.

Linux is what the tests run on. They also run the fallbacks there, which `RAG_PORTABLE=1` switches on.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

PORTABLE_VARIABLE = "RAG_PORTABLE"
LINUX = sys.platform.startswith("linux") and PORTABLE_VARIABLE not in os.environ
TESTED = "Linux on x86-64"
OPEN_PATH: int = getattr(os, "O_PATH", os.O_RDONLY) if LINUX else os.O_RDONLY
"""Flag that opens a path without reading it. The fallback needs the right to read it."""
FORKS = LINUX
"""A process that has imported libraries may fork without exec; frameworks of macOS end such a child."""
_NICE = 10
_PR_SET_PDEATHSIG = 1
_PARENT_SECONDS = 0.5


def is_tested() -> bool:
    """Return whether the tests run on this kind of machine."""
    return LINUX and os.uname().machine == "x86_64"


def usable_cores() -> int:
    """Count the cores this process may use (on Linux a container or taskset may limit them)."""
    return len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1


def give_way() -> None:
    """Lower the priority of the calling thread for the rest of its life; without effect where threads have none.

    For work outside of the interpreter: a thread that holds the interpreter lock and is not run stops the others.
    """
    if LINUX:  # elsewhere the number of a thread may be that of another process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def end_with_parent(number: int) -> None:
    """Get this signal when the parent process ends, however it ends.

    Survives exec on Linux. The fallback does not: services that outlive their supervisor are found by the mark in their
    environment (`ragctl.local_stack.processes`).
    """
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(os.getppid(), number), daemon=True).start()


def _watch_parent(parent: int, number: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os.kill(os.getpid(), number)


def name_process(name: str) -> None:
    """Name this process in `ps` and `top`; without effect elsewhere."""
    if LINUX:
        Path("/proc/self/comm").write_text(name)


def resident_bytes(process: int | None = None) -> int | None:
    """Resident memory of a process, by default this one; `None` when it is gone."""
    if not LINUX:
        return _resident_bytes_by_psutil(process)
    try:
        text = Path(f"/proc/{process or 'self'}/status").read_text("ascii", errors="replace")
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) * 1024 if "VmRSS" in lines else None


def _resident_bytes_by_psutil(process: int | None) -> int | None:
    import psutil

    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return None
