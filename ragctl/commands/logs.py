"""`rag logs`: what the services of the local stack write."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from ragctl.output import Json, emit_json, say

_POLL_SECONDS = 0.25
_BLOCK = 64 * 1024
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def logs(
    service: str | None = None,
    /,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative="")] = False,
    lines: Annotated[int, Parameter(name=("--lines", "-n"), validator=Number(gte=0))] = 50,
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
    if follow and json:
        raise InvalidInput(Reason.USAGE, "--follow has no end, so it is no JSON document: leave one of them out")
    files = log_files(service)
    tails = {path: last_lines(path, lines) for path in files}
    if json:
        emit_json([{"service": path.stem, "line": plain(line)} for path in files for line in tails[path].lines])
        return
    width = 0 if len(files) == 1 else max(len(path.stem) for path in files)
    for path in files:
        for line in tails[path].lines:
            _print(path, line, width)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for path, line in appended({path: tails[path].end for path in files}):
                _print(path, line, width)


def log_files(service: str | None) -> list[Path]:
    """The log files of a service and its replicas, of all services without a name.

    Raises `Unavailable` (`STACK_NOT_RUNNING`) when nothing was started yet, `NotFound` (`SERVICE_NOT_FOUND`).
    """
    from ragctl.local_stack.data_dir import load

    _, data_dir = load()
    found = sorted(data_dir.logs.glob("*.log"))
    if not found:
        raise Unavailable(Reason.STACK_NOT_RUNNING, "no service has written a log here; `rag up` starts them")
    wanted = [path for path in found if service in (None, path.stem, path.stem.rpartition("-")[0])]
    if not wanted:
        names = ", ".join(path.stem for path in found)
        raise NotFound(Reason.SERVICE_NOT_FOUND, f"no service {service!r} writes a log; there are: {names}")
    return wanted


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of a file, and where it ended when they were read."""

    lines: list[str]
    end: int


def last_lines(path: Path, count: int) -> Tail:
    """The last lines of a file, read from its end: a log may be large."""
    with path.open("rb") as file:
        end = left = file.seek(0, 2)
        data = b""
        while count > 0 and left > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK, left)
            left -= step
            file.seek(left)
            data = file.read(step) + data
    return Tail(data.decode("utf-8", "replace").splitlines()[-count:] if count > 0 else [], end)


def appended(ends: dict[Path, int]) -> Iterator[tuple[Path, str]]:
    """Lines written after these places, without end; also after a file was rotated."""
    places, rest = dict(ends), dict.fromkeys(ends, b"")
    while True:
        quiet = True
        for path in places:
            with contextlib.suppress(OSError):  # it is being rotated
                if path.stat().st_size < places[path]:
                    places[path], rest[path] = 0, b""
                with path.open("rb") as file:
                    file.seek(places[path])
                    data = file.read(_BLOCK)
                places[path] += len(data)
                *whole, rest[path] = (rest[path] + data).split(b"\n")
                quiet = quiet and not data
                yield from ((path, line.decode("utf-8", "replace")) for line in whole)
        if quiet:
            time.sleep(_POLL_SECONDS)


def plain(line: str) -> str:
    """A line without the colours that some services write also to a file."""
    return _COLOUR.sub("", line)


def _print(path: Path, line: str, width: int) -> None:
    say(f"{path.stem:<{width}}  {plain(line)}" if width else plain(line))
