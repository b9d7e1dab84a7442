"""Wait for an event in another thread or process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import grpc


def eventually(attempt: Callable[[], object], *, seconds: float = 60) -> bool:
    """Whether an attempt succeeds in time; a call that fails is tried again."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        with suppress(grpc.RpcError):
            if attempt():
                return True
        pause.wait(0.01)
    return False
