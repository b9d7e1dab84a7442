"""The start of every service of the local stack: prepare the process, then become the command of the service.

`python -m ragctl.local_stack.exec --part NAME [--count FILE] [--wait HOST:PORT]… [--env K=V]… -- COMMAND…`

It becomes COMMAND, so that the supervisor watches the service itself. Before that it
  * asks the kernel to end this process when the supervisor dies (Linux), so that kill -9 of it leaves no strays;
  * marks the process (and all it starts) with the service's name, by which a later `rag` finds the remaining processes;
  * counts the start, for `rag status`;
  * waits until the servers it needs accept connections, so that a service is not started into a failure.
Little more than the standard library is imported: this runs before every start.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rag_core.files import replace_file
from rag_core.platform import end_with_parent

SERVICE_VARIABLE = "RAG_STACK_PART"
STACK_VARIABLE = "RAG_STACK_ID"
_WAIT_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, prepare, become the command."""
    options = _parse(arguments)
    parent = os.getppid()
    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")
    if options.count:
        _count(Path(options.count))
    for address in options.wait:
        _wait_for(address)
    environment = {**os.environ, SERVICE_VARIABLE: options.part, **dict(item.split("=", 1) for item in options.env)}
    os.execvpe(options.command[0], options.command, environment)  # noqa: S606


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ragctl.local_stack.exec")
    parser.add_argument("--part", required=True)
    parser.add_argument("--count")
    parser.add_argument("--wait", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _count(path: Path) -> None:
    """Count a start, for people: neither a full disk nor a damaged file keeps the service from starting."""
    try:
        starts = int(path.read_text())
    except (OSError, ValueError):
        starts = 0
    with suppress(OSError):
        replace_file(path, str(starts + 1).encode())


def _wait_for(address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{address} did not accept a connection within {_WAIT_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
