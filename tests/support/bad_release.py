"""A release with a fault: `bad_release.py FAULT … -m query_server` is the query server, but slow, wrong or silent.

The faults are put in from outside, so that the server itself has no switch for them.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FAULTS = ("slow", "wrong", "silent")
DELAY_SECONDS = 8.0


def make_interpreter(folder: Path, fault: str) -> str:
    """A program to be given as `--python` for a release with this fault."""
    path = folder / f"python-{fault}"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" {fault} "$@"\n')
    path.chmod(0o755)
    return str(path)


def _slow() -> None:
    from query_server.servicers.query_v2 import QueryV2Servicer

    search = QueryV2Servicer.Search

    async def late(self: Any, request: Any, context: Any) -> Any:
        await asyncio.sleep(DELAY_SECONDS)
        return await search(self, request, context)

    QueryV2Servicer.Search = late  # type: ignore[method-assign]


def _wrong() -> None:
    from query_server.servicers.query_v2 import QueryV2Servicer

    search = QueryV2Servicer.Search

    async def astray(self: Any, request: Any, context: Any) -> Any:
        found = await search(self, request, context)
        for passage in found.passages:
            passage.locator = "elsewhere.md"
        return found

    QueryV2Servicer.Search = astray  # type: ignore[method-assign]


def _silent() -> None:
    from rag_core.status_pages import StatusPages

    route = StatusPages._route

    def without_metrics(self: StatusPages, environ: Any, start_response: Any) -> Any:
        page = environ.get("PATH_INFO")
        return route(self, {**environ, "PATH_INFO": "/none" if page == "/metrics" else page}, start_response)

    StatusPages._route = without_metrics  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.path.pop(0)  # as `python -P` would: the folder of this file must not shadow modules
    faults: dict[str, Callable[[], None]] = {"slow": _slow, "wrong": _wrong, "silent": _silent}
    faults[sys.argv[1]]()
    sys.argv[1:] = []
    runpy.run_module("query_server", run_name="__main__", alter_sys=True)
