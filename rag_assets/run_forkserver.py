"""`python -m rag_assets.run_forkserver`: a process with the code of runs imported, which forks each run from itself.

Importing Dagster and the definitions takes a run's process three seconds of processor time; a fork has them at once.
The server has one thread, opens nothing and reads no source; it begins with the first run and ends after
`IDLE_SECONDS` without one, or with the daemon. What it forked outlives it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rag_core.platform import name_process

MAX_MESSAGE = 200_000
"""Bytes; what names a run has some two thousand."""
IDLE_SECONDS = 300.0
PROCESS_NAME = "rag-run"
"""Name of the process of a run in `ps` and `top`."""
NOT_RECORDED = 75
"""Exit code of a run whose launcher ended before it had recorded the process."""
# Not polars, pandera and ONNX Runtime: they start threads when they are imported, and a fork has one thread alone.
_DEFINITIONS = "rag_assets.definitions"
_PRELOADED = (
    _DEFINITIONS,
    "rag_assets.launcher",
    "rag_assets.storage",
    "rag_assets.connectors.filesystem.connector",
    "rag_core.content.chunking.chunker",
    "rag_core.content.parsing.sandbox.pool",
    "rag_core.ingestion.pipeline.run",
    "rag_core.retrieval.engines.remote",
)


def main() -> None:
    """Serve the launcher at the other end of the standard input until it leaves; in a fork, execute its run.

    With arguments (pipe, job, and those of `dagster`), where nothing forks: execute this one run.
    """
    [command] = entry_points(group="console_scripts", name="dagster")
    cli = command.load()
    arguments: list[str] | None
    if sys.argv[1:]:
        pipe, job, *arguments = sys.argv[1:]
        _await_go(int(pipe), job)
    else:
        for module in _PRELOADED:
            import_module(module)
        arguments = _Server(socket.socket(fileno=os.dup(0))).serve()
    if arguments is not None:
        sys.argv = ["dagster", *arguments]
        cli()


def _await_go(pipe: int, job: str) -> None:
    """Wait until the process is recorded, then make it that of a run of the job.

    When the daemon dies before that, the pipe ends and so does the process: it could not be found, so the run would be
    resumed beside it.
    """
    if os.read(pipe, 2) != b"go":
        os._exit(NOT_RECORDED)
    os.close(pipe)
    os.environ[import_module(_DEFINITIONS).JOB_VARIABLE] = job


class _Server:
    def __init__(self, launcher: socket.socket) -> None:
        self._launcher, self._code = launcher, _code()
        self._ended, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._children: set[int] = set()

    def serve(self) -> list[str] | None:
        """Return the arguments of a run in the process that is to execute it, `None` at the end of the server."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        gc.freeze()  # a collection in a fork would copy the pages of everything that was imported
        with selectors.DefaultSelector() as ready, contextlib.suppress(ConnectionError):
            ready.register(self._launcher, selectors.EVENT_READ)
            ready.register(self._ended, selectors.EVENT_READ)
            while events := ready.select(None if self._children else IDLE_SECONDS):
                if any(key.fileobj is self._ended for key, _ in events):
                    self._report_ended()
                if any(key.fileobj is self._launcher for key, _ in events):
                    message, fds, _, _ = socket.recv_fds(self._launcher, MAX_MESSAGE, 1)
                    if not message:
                        return None
                    if (arguments := self._fork(json.loads(message), *fds)) is not None:
                        return arguments
        return None

    def _report_ended(self) -> None:
        self._ended.recv(4096)
        for pid in sorted(self._children):
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                seconds = used.ru_utime + used.ru_stime
                self._send({"ended": pid, "code": os.waitstatus_to_exitcode(status), "seconds": seconds})

    def _fork(self, request: dict[str, Any], go: int) -> list[str] | None:
        if _code() != self._code:  # a file was changed after it was imported
            os.close(go)
            self._send({"outdated": True})
            return None
        if pid := os.fork():
            os.close(go)
            self._children.add(pid)
            self._send({"pid": pid})
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._launcher, self._ended, self._wake):
            each.close()
        # A session of its own: neither Ctrl-C at the terminal nor the end of the daemon takes a run with it.
        os.setsid()
        name_process(PROCESS_NAME)
        _await_go(go, request["job"])
        return list(request["arguments"])

    def _send(self, answer: dict[str, Any]) -> None:
        self._launcher.send(json.dumps(answer).encode())


def _code() -> dict[str, int]:
    """Return when each imported file of the platform was written."""
    files = {getattr(module, "__file__", None) for name, module in [*sys.modules.items()] if name.startswith("rag_")}
    return {file: Path(file).stat().st_mtime_ns for file in files if file and Path(file).exists()}


if __name__ == "__main__":
    main()
