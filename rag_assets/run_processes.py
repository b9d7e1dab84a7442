"""The launcher's end of `rag_assets.run_forkserver`: start a process for a run, and wait until it ends."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from rag_assets.run_forkserver import MAX_MESSAGE
from rag_core.platform import FORKS

_ATTEMPTS = 3
"""A server that has just ended, or whose code is outdated, is replaced by another."""


@dataclass(slots=True)
class RunProcess:
    """A forked process, which begins its run after `go` and ends when it is closed before."""

    pid: int
    code: int | None = None
    """Exit code; `None` while it runs, and when its server ended before it."""
    seconds: float = 0.0
    """Processor time that it and its children had used by its end."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when it ended, or nothing will be known of its end."""
    _go: int = -1

    def go(self) -> None:
        """Let it begin; no-op when it has died already."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b"go")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._go)


class RunProcesses:
    """Starts processes of runs. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Connection | None = None

    def start(self, job: str, arguments: Sequence[str]) -> RunProcess:
        """Return a process for a run of this job, which waits. Raises `OSError` when none can be started."""
        if not FORKS:
            return _spawn(job, arguments)
        request = json.dumps({"job": job, "arguments": [*arguments]}).encode()
        with self._lock:
            for _ in range(_ATTEMPTS):
                self._server = self._server or _Connection()
                if (started := self._server.fork(request)) is not None:
                    return started
                self._server.close()
                self._server = None
        raise OSError("the process that starts runs ended at once; its log says why")

    def close(self) -> None:
        """End the server; the runs go on."""
        with self._lock:
            if self._server is not None:
                self._server.close()
            self._server = None


def _spawn(job: str, arguments: Sequence[str]) -> RunProcess:
    """A process that imports its code itself: seconds of processor time more than a fork."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-P", "-m", "rag_assets.run_forkserver", str(theirs), job, *arguments]
    try:
        process = subprocess.Popen(command, pass_fds=[theirs], start_new_session=True)
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    started = RunProcess(process.pid, _go=ours)
    threading.Thread(target=_watch, args=(process, started), daemon=True, name="run-processes").start()
    return started


def _watch(process: subprocess.Popen[bytes], started: RunProcess) -> None:
    _, status, used = os.wait4(process.pid, 0)
    started.code = process.returncode = os.waitstatus_to_exitcode(status)
    started.seconds = used.ru_utime + used.ru_stime
    started.ended.set()


class _Connection:
    """One server process, and a thread that reads what it reports."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Our own interpreter, because `dagster` need not be on the PATH; -P, because the working folder is not code.
        command = [sys.executable, "-P", "-m", "rag_assets.run_forkserver"]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
        self._answers: queue.SimpleQueue[RunProcess | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="run-processes").start()

    def fork(self, request: bytes) -> RunProcess | None:
        """Return the process, `None` when the server has ended or its code is outdated."""
        theirs, ours = os.pipe()
        try:
            socket.send_fds(self._socket, [request], [theirs])
            started = self._answers.get()
        except OSError:
            started = None
        finally:
            os.close(theirs)
        if started is None:
            os.close(ours)
        else:
            started._go = ours
        return started

    def _read(self) -> None:
        running: dict[int, RunProcess] = {}
        with contextlib.suppress(OSError):
            while answer := self._socket.recv(MAX_MESSAGE):
                found = json.loads(answer)
                if (pid := found.get("ended")) in running:
                    process = running.pop(pid)
                    process.code, process.seconds = found["code"], found["seconds"]
                    process.ended.set()
                elif "pid" in found:
                    running[found["pid"]] = RunProcess(found["pid"])
                    self._answers.put(running[found["pid"]])
                else:
                    self._answers.put(None)
        for process in running.values():
            process.ended.set()
        self._answers.put(None)

    def close(self) -> None:
        """End the server; the runs go on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait()
        self._socket.close()
