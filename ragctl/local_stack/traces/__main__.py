"""`python -m ragctl.local_stack.traces`: keep the last traces until SIGTERM."""

from __future__ import annotations

from contextlib import closing

import uvicorn

from rag_core.logging import configure_logging
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.traces.server import build_app
from ragctl.local_stack.traces.store import TraceStore


def main() -> None:
    """Serve on loopback: what it keeps is of every tenant."""
    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    with closing(TraceStore(DataDir.of(settings).traces, keep=settings.traces_kept)) as store:
        config = uvicorn.Config(
            build_app(store),
            host="127.0.0.1",
            port=settings.traces_port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
        )
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
