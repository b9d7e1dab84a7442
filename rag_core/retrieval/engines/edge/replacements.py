"""Documents of a generation that may have points of two versions, so that searches look for the newer one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from itertools import chain

import numpy as np

from rag_core.errors import RagError
from rag_core.retrieval.index import Identity

SHARE_OF_TIME = 0.1
"""Share of a core, for the check after a crash."""


class Replacements:
    """Documents that are being replaced, or whose replacement failed half way. Thread-safe.

    After a crash it is not known which these are: `check` finds out, and until it has, every document may be one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: frozenset[str] | None = None
        self._open: set[str] = set()
        self._written: set[str] = set()
        """Documents written since the check began."""
        self._closed = threading.Event()
        self._checker: threading.Thread | None = None

    @property
    def documents(self) -> frozenset[str] | None:
        """The documents; `None` while any may be one."""
        return self._documents

    def begin(self, documents: Collection[str]) -> None:
        """Documents are about to be written that have points already."""
        self._write(documents, self._open.update)

    def end(self, documents: Collection[str]) -> None:
        """Documents have the points of one version only."""
        self._write(documents, self._open.difference_update)

    def settle(self) -> None:
        """There are none, as is known before the first write."""
        self._documents = frozenset()

    def check(self, pages: Callable[[], Iterable[list[Identity]]]) -> None:
        """Find the documents with points of two versions, in the background. `pages` reads all points."""
        self._checker = threading.Thread(target=self._check, args=(pages,), name="two-versions", daemon=True)
        self._checker.start()

    def wait(self) -> None:
        """Return when the check is over."""
        if self._checker is not None:
            self._checker.join()

    def close(self) -> None:
        """End the check."""
        self._closed.set()
        self.wait()

    def _write(self, documents: Collection[str], change: Callable[[Collection[str]], None]) -> None:
        if not documents:
            return
        with self._lock:
            change(documents)
            if self._documents is None:
                self._written.update(documents)
            else:
                self._documents = frozenset(self._open)

    def _check(self, pages: Callable[[], Iterable[list[Identity]]]) -> None:
        try:
            # By hashes, which take 16 bytes a point, and then by name those with an equal one.
            hashes = [
                np.asarray([(hash(doc_id), version) for _, doc_id, version in page], dtype=np.int64)
                for page in self._paced(pages())
            ]
            pairs = np.unique(np.concatenate(hashes), axis=0) if hashes else np.empty((0, 2), dtype=np.int64)
            documents, versions = np.unique(pairs[:, 0], return_counts=True)
            several = set(documents[versions > 1].tolist())
            named = {
                doc_id
                for _, doc_id, _ in (chain.from_iterable(self._paced(pages())) if several else ())
                if hash(doc_id) in several
            }
        except RagError:  # damaged or closed: the next search says so
            return
        if self._closed.is_set():
            return
        with self._lock:
            # What was written meanwhile is known without it.
            self._open |= named - self._written
            self._documents, self._written = frozenset(self._open), set()

    def _paced(self, pages: Iterable[list[Identity]]) -> Iterable[list[Identity]]:
        began = time.monotonic()
        for page in pages:
            yield page
            if self._closed.wait((time.monotonic() - began) * (1 / SHARE_OF_TIME - 1)):
                return
            began = time.monotonic()
