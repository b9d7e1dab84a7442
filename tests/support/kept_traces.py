"""The trace store of the local stack, served as `rag up --traces` does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn

from ragctl.local_stack.traces.server import build_app
from ragctl.local_stack.traces.store import TraceStore
from tests.support.waiting import eventually
from tests.support.wire import free_port


@contextmanager
def kept_traces(folder: Path, kind: type[TraceStore] = TraceStore) -> Iterator[str]:
    """Its base URL."""
    with closing(kind(folder / "traces.db", keep=100)) as store:
        port = free_port()
        config = uvicorn.Config(build_app(store), host="127.0.0.1", port=port, log_config=None, ws="none")
        service = uvicorn.Server(config)
        thread = threading.Thread(target=service.run, daemon=True)
        thread.start()
        try:
            assert eventually(lambda: service.started)
            yield f"http://127.0.0.1:{port}"
        finally:
            service.should_exit = True
            thread.join(20)
