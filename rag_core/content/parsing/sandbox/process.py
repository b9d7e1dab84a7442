"""One sandbox process as seen by its owner: start, exchange one document under a deadline, stop."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

import rag_core
from rag_core.content.parsing.sandbox import frames
from rag_core.errors import InvalidInput, Reason
from rag_core.platform import LINUX, PORTABLE_VARIABLE

_READ_BYTES: Final = 1 << 16
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 2.0
# How native code ends when an allocation fails: PDFium traps, C++ aborts; SIGKILL that is not ours is the kernel's.
_MEMORY_SIGNALS: Final = frozenset({signal.SIGKILL, signal.SIGTRAP, signal.SIGILL, signal.SIGABRT})


class WorkerProcess:
    """Owned by one thread at a time. After any error but a refusal of the document it is dead."""

    def __init__(self, memory_mb: int) -> None:
        # A new program, never a fork: the caller may have threads. Nothing of the environment goes along but the way to
        # this code, so no secret can be read from it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rag_core.content.parsing.sandbox.worker", str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        self.documents = 0
        for stream in (self._stdin, self._stdout):
            os.set_blocking(stream.fileno(), False)
        try:
            self._exchange(b"", time.monotonic() + _START_SECONDS, max_bytes=0)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        running: int | None = self._process.poll()
        return running is None

    def parse(self, request: frames.Request) -> tuple[bytes, bytes]:
        """Header and payload of the response.

        Raises `InvalidInput` (`PARSER_TIMEOUT`, `PARSER_OOM`, `PARSER_CRASHED`); the process is gone by then.
        """
        self.documents += 1
        try:
            deadline = time.monotonic() + request.seconds
            return self._exchange(
                frames.encode_request(request), deadline, max_bytes=frames.max_response_bytes(request.limits)
            )
        except BaseException:
            # Interrupted half-way (Ctrl-C included), the pipes hold rests of this document: never use them again.
            self.kill()
            raise

    def close(self) -> None:
        """End a worker that is between documents."""
        self._stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._stdout.close()

    def kill(self) -> None:
        """End it now. Idempotent."""
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._process.kill()
            self._process.wait()
        for stream in (self._stdin, self._stdout):
            if not stream.closed:
                stream.close()

    def _exchange(self, outgoing: bytes, deadline: float, *, max_bytes: int) -> tuple[bytes, bytes]:
        """Write and read at once, so that neither side can block the other."""
        received = bytearray()
        unsent = memoryview(outgoing)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            if unsent:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while not _complete(received, max_bytes):
                remaining = deadline - time.monotonic()
                ready = selector.select(remaining) if remaining > 0 else []
                if not ready:
                    raise InvalidInput(
                        Reason.PARSER_TIMEOUT, "the document took too long to parse; simplify or split it"
                    )
                for key, _ in ready:
                    if key.fileobj is self._stdin:
                        unsent = self._send(unsent)
                        if not unsent:
                            selector.unregister(self._stdin)
                    else:
                        self._receive(received)
        header_size, payload_size = frames.PREFIX.unpack_from(received)
        body = bytes(received[frames.PREFIX.size :])
        if len(body) != header_size + payload_size:
            raise frames.FrameError
        return body[:header_size], body[header_size:]

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self._stdin.fileno(), unsent[: 1 << 20]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            raise self._death() from None

    def _receive(self, received: bytearray) -> None:
        piece = os.read(self._stdout.fileno(), _READ_BYTES)
        if not piece:
            raise self._death()
        received += piece

    def _death(self) -> InvalidInput:
        """Return why the process ended, as the reason its document gets."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0
        if code == -signal.SIGXCPU:
            return InvalidInput(Reason.PARSER_TIMEOUT, "the document took too long to parse; simplify or split it")
        if -code in _MEMORY_SIGNALS or code == frames.EXIT_OUT_OF_MEMORY:
            return InvalidInput(Reason.PARSER_OOM, "the document needs more memory than a parser is given")
        return InvalidInput(
            Reason.PARSER_CRASHED, "the parser ended while reading the document; it may be hostile or damaged"
        )

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101  # opened as a pipe above
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe above
        return self._process.stdout


def _environment() -> dict[str, str]:
    project = str(Path(rag_core.__file__).parent.parent)
    # A library that imports numpy would reserve memory for each core, and ends the process when it gets none.
    known = {"PYTHONPATH": project, "LANG": "C.UTF-8", "PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"}
    return known if LINUX else known | {PORTABLE_VARIABLE: "1"}


def _complete(received: bytearray, max_bytes: int) -> bool:
    if len(received) < frames.PREFIX.size:
        return False
    size: int = sum(frames.PREFIX.unpack_from(received))
    if size > max_bytes:
        raise frames.FrameError
    return len(received) - frames.PREFIX.size >= size
