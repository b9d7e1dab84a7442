"""Free ports for processes about to start."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_LOWEST, _END = 10_000, 32_768
"""Below the range from which Linux takes the ports of connections (`ip_local_port_range`)."""


def free_port() -> int:
    """A TCP port on loopback that nobody uses and that no connection and no other caller on this machine is given.

    A port that the kernel picks (`bind` to 0) may serve as the local end of a connection before it is bound again.
    So ports are dealt in turn from outside of that range, to all processes of this user, from one file.
    """
    place = Path(tempfile.gettempdir()) / f"rag-ports-{os.getuid()}"
    with os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        dealt = file.read().strip()
        port = int(dealt) if dealt.isdigit() else random.randrange(_LOWEST, _END)
        while True:
            port = port + 1 if _LOWEST <= port < _END - 1 else _LOWEST
            if _is_free(port):
                break
        file.seek(0)
        file.write(f"{port:5}")
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
