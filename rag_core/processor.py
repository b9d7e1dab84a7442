"""The processor: the cores that this process may use, and threads that give way to all others."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_NICE = 10


def usable_cores() -> int:
    """Count the cores this process may use (a container or taskset may limit them)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_way() -> None:
    """Lower the priority of the calling thread for the rest of its life; without effect where threads have none.

    For work outside of the interpreter: a thread that holds the interpreter lock and is not run stops the others.
    """
    if hasattr(os, "setpriority"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
