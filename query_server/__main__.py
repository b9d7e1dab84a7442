"""`python -m query_server`: serve until SIGTERM. Exit code 2 for wrong configuration, 1 when it cannot start."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from query_server.runtime.program import LoopFactory, run_program
from rag_core.content.embedding import open_token_counter
from rag_core.errors import RagError
from rag_core.logging import get_logger
from rag_core.settings import Settings

_SWITCH_SECONDS = 0.0005
"""After each wait for the network the event loop waits so long for the interpreter lock while an answer is composed. At
Python's own 5 ms it could take 200 steps a second, fewer than a few searches need."""


def main() -> int:
    """Run the server and return the exit code."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    code, at_rest = run_program(_serve, "query_server", loop_factory=_loop_factory())
    if code == 0 and not at_rest:
        get_logger("query_server").warning("a call of the index or the database never returned; leaving without it")
        sys.stderr.flush()
        os._exit(0)
    return code


async def _serve(settings: Settings) -> bool:
    """Load the vocabulary, which is outside of Python, beside the imports of the server, which are half of a start."""
    if settings.embedder == "onnx":
        threading.Thread(target=_load_vocabulary, args=(settings,), daemon=True).start()
    from query_server.server import serve

    return await serve(settings)


def _load_vocabulary(settings: Settings) -> None:
    with suppress(RagError):  # the embedder, which shares it, raises the same
        open_token_counter(settings).count("")


def _loop_factory() -> LoopFactory | None:
    """uvloop's loop when it is installed (the `server` extra), else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
