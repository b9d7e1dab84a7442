"""Files derived from the bundled model, built once and kept in the model folder under the hash of their content.

`<kind>-<recipe>-<sha256><suffix>`: the recipe names what it was built from, the SHA-256 is checked at every load. A
file appears by an atomic rename, so a reader never sees half of one, and a lock keeps two processes from building at
once.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag_core.errors import DataCorruption, RagError, Reason, Unavailable
from rag_core.files import replace_file


@dataclass(frozen=True, slots=True)
class Artifact:
    """One kind of derived file. `recipe` is a fingerprint of everything its content depends on."""

    kind: str
    suffix: str
    recipe: str

    def find(self, folder: Path) -> Path | None:
        """The file, if it was built."""
        return min(folder.glob(f"{self.kind}-{self.recipe}-*{self.suffix}"), default=None)

    def load(self, folder: Path, build: Callable[[], bytes]) -> bytes:
        """The checked content, built first if need be.

        Raises `DataCorruption` (`MODEL_CORRUPT`) when the file was changed since, `Unavailable` (`STORAGE_FULL`,
        `EMBEDDER_UNAVAILABLE`) when the folder cannot be used.
        """
        try:
            path = self.find(folder)
            return self._read(path) if path else self._build_once(folder, build)
        except OSError as error:
            raise _unusable(error) from error

    def _build_once(self, folder: Path, build: Callable[[], bytes]) -> bytes:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f".{self.kind}.lock"):
            path = self.find(folder)
            if path:
                return self._read(path)
            content = build()
            self._write(folder, content)
            return content

    def _write(self, folder: Path, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        for leftover in folder.glob(f".{self.kind}-*"):  # of a process that was killed; we hold the lock
            leftover.unlink()
        replace_file(folder / f"{self.kind}-{self.recipe}-{digest}{self.suffix}", content)

    def _read(self, path: Path) -> bytes:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != path.name.removesuffix(self.suffix).rpartition("-")[2]:
            raise DataCorruption(
                Reason.MODEL_CORRUPT,
                f"{path.name[:40]}… in the model folder was changed or damaged; delete it and it is built again",
            )
        return content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel drops it when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unusable(error: OSError) -> RagError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(Reason.STORAGE_FULL, "no space left for the model folder; free some and retry")
    return Unavailable(Reason.EMBEDDER_UNAVAILABLE, f"the model folder cannot be used: {error.strerror}")
