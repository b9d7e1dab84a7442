"""The frame of every program of this package: settings, logging, event loop, exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rag_core.errors import ConfigError, RagError
from rag_core.logging import configure_logging, get_logger, log_loop_errors
from rag_core.settings import Settings

Result = TypeVar("Result")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run_program(
    serve: Callable[[Settings], Awaitable[Result]], logger: str, *, loop_factory: LoopFactory | None = None
) -> tuple[int, Result | None]:
    """Run until `serve` returns; gives the exit code and what it returned.

    The exit code is 2 for wrong configuration, 1 when it cannot start.
    """
    configure_logging()

    async def served(settings: Settings) -> Result:
        return await serve(settings)

    try:
        settings = Settings.load()
        configure_logging(level=settings.log_level, json=settings.log_json)
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            log_loop_errors(runner.get_loop())
            return 0, runner.run(served(settings))
    except RagError as error:
        get_logger(logger).error("cannot start", reason=error.reason, problem=error.message)
        return (2 if isinstance(error, ConfigError) else 1), None
