"""`python -m query_server`: serve until SIGTERM. Exit code 2 for wrong configuration, 1 when it cannot start."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from query_server.server import serve
from rag_core.errors import ConfigError, RagError
from rag_core.logging import configure_logging, get_logger, log_loop_errors
from rag_core.settings import Settings


def main() -> int:
    """Run the server and return the exit code."""
    configure_logging()
    log = get_logger("query_server")
    try:
        settings = Settings.load()
        configure_logging(level=settings.log_level, json=settings.log_json)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            log_loop_errors(runner.get_loop())
            at_rest = runner.run(serve(settings))
    except RagError as error:
        log.error("cannot start", reason=error.reason, problem=error.message)
        return 2 if isinstance(error, ConfigError) else 1
    if not at_rest:
        log.warning("a call of the index or the database never returned; leaving without it")
        sys.stderr.flush()
        os._exit(0)
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop when it is installed (the `server` extra), else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
