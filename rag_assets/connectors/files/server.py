"""The server of a source of files: a connection that is made again, and the backends' errors as the platform's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rag_assets.connectors.files.options import FilesOptions
from rag_assets.connectors.servers import Reconnecting, refused
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.http_client import FetchPolicy, Pacing

Entry = dict[str, Any]


class LinkAway(Unavailable):
    """The target of a link between servers cannot be read; files beside the link can."""


class FileServer:
    """fsspec's file system of a source. A call that fails for a moment is tried again, by a new connection; so a
    listing continues at the folder where it was interrupted. Used from one thread."""

    def __init__(self, options: FilesOptions, policy: FetchPolicy, max_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        # Each has a module: how it connects and closes, and what its library's errors mean.
        backend: Any = import_module(f"rag_assets.connectors.files.{options.kind}")
        pacing = Pacing(options.requests_per_second, options.attempts)
        self._files = Reconnecting[Any](
            lambda: backend.connect(options, policy), backend.close, lambda error: _explained(error, backend), pacing
        )

    def entries(self, folder: str) -> list[Entry]:
        """Return what is in a folder. Raises as `info`."""
        return self._files.run(lambda files: list(files.ls(folder, detail=True)))

    def info(self, path: str) -> Entry:
        """Return size, times and tags of a file.

        Raises `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`, `RESPONSE_INVALID`, …),
        `DeadlineExceeded`, `LinkAway`, `InvalidInput` (`SSRF_BLOCKED`, …) and `ConfigError` (`SECRET_MISSING`).
        """
        return self._files.run(lambda files: dict(files.info(path)))

    def read(self, path: str) -> bytes:
        """Return the content of a file, and no more than a byte above the limit. Raises as `info`."""

        def read(files: Any) -> bytes:
            with files.open(path, "rb") as stream:
                return bytes(stream.read(self._max_bytes + 1))

        return self._files.run(read)

    def watch(self, on_change: Callable[[], object], stopping: threading.Event) -> None:
        """Watch the source's folder, see `rag_assets.connectors.kind.Watch`. Raises as `info`."""
        self._files.run(lambda files: files.watch(on_change, stopping))

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._files.close()


def _explained(error: Exception, backend: Any) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NotFound(Reason.VANISHED, "the server does not have it any more")
    if isinstance(error, PermissionError):
        return refused("the server refuses to let the user read it; check its rights")
    if isinstance(error, UnicodeDecodeError):
        return Unavailable(Reason.ID_CHARS, "a name on the server is no UTF-8; rename it, or exclude it")
    explained: Exception = backend.explained(error)
    return explained
