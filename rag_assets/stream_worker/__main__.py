"""`python -m rag_assets.stream_worker`: run until SIGTERM. Exits with 2 for wrong configuration, 1 on other errors."""

from __future__ import annotations

import sys

from rag_assets.stream_worker.worker import run_until_signal
from rag_core.errors import ConfigError, RagError
from rag_core.logging import configure_logging, get_logger
from rag_core.settings import Settings


def main() -> int:
    """Run a worker and return the exit code."""
    configure_logging()
    log = get_logger("rag_assets.stream")
    try:
        settings = Settings.load()
        configure_logging(level=settings.log_level, json=settings.log_json)
        at_rest, _ = run_until_signal(settings)
    except RagError as error:
        log.error("cannot start", reason=error.reason, problem=error.message)
        return 2 if isinstance(error, ConfigError) else 1
    return 0 if at_rest else 1


if __name__ == "__main__":
    sys.exit(main())
