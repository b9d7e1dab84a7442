"""Wait for an event in another thread or process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import grpc


def eventually(attempt: Callable[[], object], *, seconds: float = 60) -> bool:
    """Whether an attempt succeeds in time; a call that fails is tried again.

    Who asks rests twice as long as the answer took, a second at most: the processor is for what is waited for.
    """
    began = time.monotonic()
    end = began + seconds
    pause = threading.Event()
    while began < end:
        with suppress(grpc.RpcError):
            if attempt():
                return True
        took = time.monotonic() - began
        pause.wait(min(max(0.01, 2 * took), 1))
        began = time.monotonic()
    return False


def run_together(threads: Iterable[threading.Thread]) -> None:
    """Start all of them, and wait for each to end."""
    started = list(threads)
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
