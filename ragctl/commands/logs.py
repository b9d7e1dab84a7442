"""`rag logs`: what the services of the local stack write."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ragctl.output import Json, emit_json, say

_POLL_SECONDS = 0.25
_BLOCK = 64 * 1024


def logs(
    service: str | None = None,
    /,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative="")] = False,
    lines: Annotated[int, Parameter(name=("--lines", "-n"))] = 50,
    json: Json = False,
) -> None:
    """Print the newest log lines of a service, or of all of them, and follow them with `-f`.

    Example: rag logs query-server -f

    Parameters
    ----------
    service
        Only this service (`rag status` names them). Several replicas of one are shown together.
    follow
        Go on with what is written from now on; Ctrl-C ends it.
    lines
        Lines of each service to begin with.
    """
    from rag_core.errors import InvalidInput, Reason

    if follow and json:
        raise InvalidInput(Reason.USAGE, "--follow has no end, so it is no JSON document: leave one of them out")
    files = log_files(service)
    if json:
        emit_json([{"service": path.stem, "line": line} for path in files for line in last_lines(path, lines)])
        return
    width = max(len(path.stem) for path in files)
    alone = len(files) == 1
    for path in files:
        for line in last_lines(path, lines):
            _print(path, line, width, alone=alone)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for path, line in appended(files):
                _print(path, line, width, alone=alone)


def log_files(service: str | None) -> list[Path]:
    """The log files of a service and its replicas, of all services without a name.

    Raises `Unavailable` (`STACK_NOT_RUNNING`) when nothing was started yet, `NotFound` (`SERVICE_NOT_FOUND`).
    """
    from rag_core.errors import NotFound, Reason, Unavailable
    from ragctl.local_stack.data_dir import load

    _, data_dir = load()
    found = sorted(data_dir.logs.glob("*.log")) if data_dir.logs.is_dir() else []
    if not found:
        raise Unavailable(Reason.STACK_NOT_RUNNING, "no service has written a log here; `rag up` starts them")
    wanted = [path for path in found if service in (None, path.stem, path.stem.rpartition("-")[0])]
    if not wanted:
        names = ", ".join(path.stem for path in found)
        raise NotFound(Reason.SERVICE_NOT_FOUND, f"no service {service!r} writes a log; there are: {names}")
    return wanted


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, read from its end: a log may be large."""
    if count <= 0:
        return []
    with path.open("rb") as file:
        left, data = file.seek(0, 2), b""
        while left > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK, left)
            left -= step
            file.seek(left)
            data = file.read(step) + data
    return data.decode("utf-8", "replace").splitlines()[-count:]


def appended(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Lines that are written from now on, also after a file was rotated."""
    ends = {path: path.stat().st_size for path in files}
    rest = dict.fromkeys(files, b"")
    while True:
        quiet = True
        for path in files:
            with contextlib.suppress(OSError):  # it is being rotated
                size = path.stat().st_size
                if size < ends[path]:
                    ends[path], rest[path] = 0, b""
                if size == ends[path]:
                    continue
                with path.open("rb") as file:
                    file.seek(ends[path])
                    data = file.read(_BLOCK)
                ends[path] += len(data)
                *whole, rest[path] = (rest[path] + data).split(b"\n")
                quiet = quiet and not whole
                yield from ((path, line.decode("utf-8", "replace")) for line in whole)
        if quiet:
            time.sleep(_POLL_SECONDS)


def _print(path: Path, line: str, width: int, *, alone: bool) -> None:
    say(line if alone else f"{path.stem:<{width}}  {line}")
