"""`python -m rag_assets.source_admin ID`: carry out one operation, in a process that its parent may end."""

from __future__ import annotations

import sys

from rag_assets.source_admin.operations import carry_out
from rag_core.errors import RagError
from rag_core.logging import configure_logging, get_logger
from rag_core.pipeline import Pipeline
from rag_core.settings import Settings
from rag_core.sources import operation_store


def main() -> int:
    """Carry out the operation and return the exit code."""
    configure_logging()
    log = get_logger("rag_assets.source_admin")
    number = int(sys.argv[1])
    try:
        settings = Settings.load()
        configure_logging(level=settings.log_level, json=settings.log_json)
        with Pipeline(settings) as pipeline:
            with pipeline.store.engine.connect() as connection:
                operation = operation_store.get(connection, number)
            carry_out(pipeline, operation)
    except RagError as error:
        log.error("source_operation_failed", operation=number, reason=error.reason, problem=error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
