"""Sources whose servers report their changes, each watched by a thread of its own.

As with folders, a report is a hint: it may be lost while a connection is broken, and some servers send none. The
observer looks at every source at intervals in any case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from rag_assets.connectors import connector_context, find_kind
from rag_assets.source_config import SourceConfig
from rag_core.errors import RagError, Reason
from rag_core.ingestion.source_status import SourceName
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
MAX_SOURCES = 200
"""Sources of one worker that are watched; the others are only looked at in intervals."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 300.0


class ServerWatcher:
    """Calls `on_change` with each source whose server reports a change, and after each new connection."""

    def __init__(self, settings: Settings, on_change: Callable[[SourceName], None]) -> None:
        self._settings, self._on_change = settings, on_change
        self._watched: dict[SourceName, tuple[SourceConfig, threading.Event]] = {}

    def watch(self, configs: Mapping[SourceName, SourceConfig]) -> None:
        """Watch these sources from now on, as far as their kinds can be watched."""
        for name, (config, stopping) in list(self._watched.items()):
            if configs.get(name) != config:
                stopping.set()
                del self._watched[name]
        for name, config in configs.items():
            if name not in self._watched and len(self._watched) < MAX_SOURCES and find_kind(config.options.kind).watch:
                stopping = threading.Event()
                self._watched[name] = config, stopping
                threading.Thread(target=self._run, args=(config, stopping), name="server", daemon=True).start()

    def _run(self, config: SourceConfig, stopping: threading.Event) -> None:
        watch, pause = find_kind(config.options.kind).watch, _SHORTEST_SECONDS
        assert watch is not None  # noqa: S101
        while not stopping.is_set():
            began, reason = time.monotonic(), ""
            try:
                context = connector_context(config, self._settings)
                watch(config.options, context, partial(self._on_change, (config.tenant, config.name)), stopping)
            except RagError as error:
                reason = error.reason
                log.warning("source_not_watched", source=config.name, reason=reason, problem=error.message)
            except Exception:
                reason = Reason.INTERNAL
                log.exception("source_not_watched", source=config.name)
            lasted = time.monotonic() - began > _LONGEST_SECONDS
            pause = min(pause * 2, _LONGEST_SECONDS) if reason and not lasted else _SHORTEST_SECONDS
            stopping.wait(pause)
