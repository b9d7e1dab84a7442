"""A pool of sandbox processes. Started when first needed, replaced when they die, recycled after a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.pages.values import PageImage
from rag_core.content.parsing.sandbox import frames
from rag_core.content.parsing.sandbox.process import WorkerProcess
from rag_core.errors import InvalidInput, Reason, Unavailable

T = TypeVar("T")
_Decode = Callable[[frames.Request, bytes, bytes], T]
_RECYCLE_AFTER: Final = 2000
_DEATHS: Final = frozenset({Reason.PARSER_OOM, Reason.PARSER_CRASHED})


class _WornOutError(Exception):
    """A worker died that had read other documents: only a fresh one shows whether this document is to blame."""


def _document(request: frames.Request, header: bytes, payload: bytes) -> ParsedDocument:
    return frames.decode_response(header, payload, request.limits)


def _image(request: frames.Request, header: bytes, payload: bytes) -> PageImage:
    return frames.decode_image(header, payload)


class SandboxPool:
    """Parses documents in at most `workers` processes at once. Thread-safe; callers beyond that wait their turn."""

    def __init__(
        self, *, workers: int, memory_mb: int, timeout_seconds: float, recycle_after: int = _RECYCLE_AFTER
    ) -> None:
        self._workers = workers
        self._memory_mb = memory_mb
        self._timeout = timeout_seconds
        self._recycle_after = recycle_after
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._epoch = 0

    def parse(self, content: bytes, *, name: str, media_type: str | None, limits: ParseLimits) -> ParsedDocument:
        """Parse one document in a sandbox.

        Raises `InvalidInput` with the document's reason, `PARSER_TIMEOUT`, `PARSER_OOM` or `PARSER_CRASHED`;
        `Unavailable` when no process can be started at all.
        """
        request = frames.Request(content, name, media_type, limits, self._timeout)
        return self._carry_out(request, _document)

    def recognize(
        self, content: bytes, *, kind: Kind, name: str, page: int, language: str, limits: ParseLimits, seconds: float
    ) -> ParsedDocument:
        """Recognize the characters of one page in a sandbox. Raises as `parse`."""
        request = frames.Request(content, name, None, limits, seconds, page, str(kind), language)
        return self._carry_out(request, _document)

    def draw(self, content: bytes, *, kind: Kind, page: int, quote: str, limits: ParseLimits) -> PageImage:
        """Draw one page in a sandbox, with the quote marked. Raises as `parse`, and `PAGE_NOT_FOUND`."""
        request = frames.Request(content, "", None, limits, self._timeout, page, str(kind), quote=quote)
        return self._carry_out(request, _image)

    def _carry_out(self, request: frames.Request, decode: _Decode[T]) -> T:
        with self._slots:
            try:
                return self._attempt(request, decode, fresh=False)
            except _WornOutError:
                return self._attempt(request, decode, fresh=True)

    def _attempt(self, request: frames.Request, decode: _Decode[T], *, fresh: bool) -> T:
        worker, epoch = self._take(fresh=fresh)
        try:
            return decode(request, *worker.parse(request))
        except InvalidInput as refused:
            if refused.reason is Reason.PARSER_OOM:
                worker.kill()  # its memory is fragmented
            if refused.reason in _DEATHS and worker.documents > 1:
                raise _WornOutError from refused
            raise
        except frames.FrameError:
            worker.kill()
            raise InvalidInput(
                Reason.PARSER_CRASHED, "the parser gave no valid answer; the document may be hostile or damaged"
            ) from None
        finally:
            self._give_back(worker, epoch)

    def close(self) -> None:
        """End the idle processes; those at work end when their document is done. Idempotent."""
        with self._lock:
            self._epoch += 1
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def pids(self) -> list[int]:
        """Process ids of the idle workers."""
        with self._lock:
            return [worker.pid for worker in self._idle]

    def _take(self, *, fresh: bool) -> tuple[WorkerProcess, int]:
        with self._lock:
            epoch = self._epoch
            while self._idle and not fresh:
                worker = self._idle.pop()
                if worker.alive:
                    return worker, epoch
                worker.kill()
        return self._start(), epoch

    def _start(self) -> WorkerProcess:
        try:
            return WorkerProcess(self._memory_mb)
        except (OSError, InvalidInput, frames.FrameError) as error:
            # Not the document's fault, so not an `InvalidInput`: the run fails and is tried again.
            raise Unavailable(
                Reason.PARSER_UNAVAILABLE, "the parser sandbox cannot be started; check memory and process limits"
            ) from error

    def _give_back(self, worker: WorkerProcess, epoch: int) -> None:
        if not worker.alive:
            worker.kill()
        elif worker.documents >= self._recycle_after:
            worker.close()
        else:
            with self._lock:
                if epoch == self._epoch and len(self._idle) < self._workers:
                    self._idle.append(worker)
                    return
            worker.close()
