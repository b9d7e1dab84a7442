"""Export a tenant: every row of it as JSON lines, its files, a manifest and checksums, in one consistent view.

It is streamed: nothing is held of a table but a page of rows, so that memory does not grow with the tenant.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rag_core.database import HEAD, Store
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.tenants import place_store, store
from rag_core.governance.tenants.place_store import PLACES

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CHECKSUMS: Final = "SHA256SUMS"
_BATCH_BYTES: Final = 262_144
Files = Iterable[tuple[str, bytes]]
"""Path in the export, and content."""
Progress = Callable[[str, int], None]
"""Called with the file that is being written and its rows so far."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export; read `content` to its end before the next entry."""

    path: str
    content: Iterator[bytes]


def record(database: Store, tenant: str, *, actor: str, why: str = "") -> None:
    """Write an export to the audit log before anything is read. Raises `NotFound` (`TENANT_NOT_FOUND`)."""
    with database.engine.begin() as connection:
        store.get(connection, tenant)
        details: dict[str, Any] = {"reason": why} if why else {}
        audit.record(connection, actor=actor, action="tenant.export", target=tenant, details=details, tenant=tenant)


def entries(database: Store, tenant: str, files: Files = (), progress: Progress | None = None) -> Iterator[ExportFile]:
    """The files of an export in order; the manifest and the checksums, which need all others, are the last."""
    written: dict[str, dict[str, Any]] = {}
    with database.snapshot() as connection:
        for place in PLACES:
            if place.export:
                lines = place_store.lines(connection, place, tenant)
                yield ExportFile(place.export, _counted(place.export, _joined(lines), written, progress))
    for path, content in files:
        yield ExportFile(path, _counted(path, iter([(content, None)]), written, progress))
    manifest = {
        "format": FORMAT,
        "tenant": tenant,
        "exported_at": datetime.now(UTC).isoformat(),
        "schema": HEAD,
        "files": dict(written),
        "left_out": {
            **{place.table: "made again from the rest" for place in PLACES if not place.export},
            **{f"{place.table}.{name}": "a secret or a fingerprint" for place in PLACES for name in place.without},
        },
    }
    text = json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n"
    yield ExportFile(MANIFEST, _counted(MANIFEST, iter([(text, None)]), written, None))
    sums = "".join(f"{known['sha256']}  {path}\n" for path, known in sorted(written.items()))
    yield ExportFile(CHECKSUMS, iter([sums.encode()]))


def _joined(lines: Iterator[str]) -> Iterator[tuple[bytes, int | None]]:
    """Lines in batches of some size, each with its number of rows."""
    batch, rows = bytearray(), 0
    for line in lines:
        batch += line.encode() + b"\n"
        rows += 1
        if len(batch) >= _BATCH_BYTES:
            yield bytes(batch), rows
            batch, rows = bytearray(), 0
    if rows:
        yield bytes(batch), rows


def _counted(
    path: str,
    pieces: Iterator[tuple[bytes, int | None]],
    written: dict[str, dict[str, Any]],
    progress: Progress | None,
) -> Iterator[bytes]:
    digest, size, rows = hashlib.sha256(), 0, 0
    counted = False
    for piece, count in pieces:
        digest.update(piece)
        size += len(piece)
        rows, counted = rows + (count or 0), counted or count is not None
        if progress is not None:
            progress(path, rows)
        yield piece
    known: dict[str, Any] = {"bytes": size, "sha256": digest.hexdigest()}
    if path.endswith(".jsonl"):
        known["rows"] = rows
    written[path] = known


# --------------------------------------------------------------------------------------------------------------------
# One archive, or a folder.


class _Sink:
    """Write-only file of a ZIP archive: it cannot seek, and gives its bytes away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def as_archive(found: Iterable[ExportFile]) -> Generator[bytes, None, None]:
    """An export as the bytes of a ZIP archive, in pieces."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for entry in found:
            info = zipfile.ZipInfo(entry.path, datetime.now(UTC).timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for piece in entry.content:
                    file.write(piece)
                    if taken := sink.take():
                        yield taken
    if taken := sink.take():
        yield taken


def write_archive(found: Iterable[ExportFile], path: Path) -> None:
    """Write an export as an archive that only its owner can read. Raises `InvalidInput` for a file that exists."""
    partial = path.with_name(f"{path.name}.part")
    _refuse_existing(path)
    try:
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            for piece in as_archive(found):
                file.write(piece)
        partial.rename(path)
    except OSError as error:
        raise Unavailable(Reason.STORAGE_FULL, f"{path}: cannot be written ({error.strerror})") from None
    finally:
        partial.unlink(missing_ok=True)


def write_folder(found: Iterable[ExportFile], path: Path) -> None:
    """Write an export as a folder that only its owner can read. Raises `InvalidInput` for one that is not empty."""
    if path.is_dir() and any(path.iterdir()):
        _refuse_existing(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in found:
            target = path / entry.path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.touch(mode=0o600)
            with target.open("wb") as file:
                for piece in entry.content:
                    file.write(piece)
    except OSError as error:
        raise Unavailable(Reason.STORAGE_FULL, f"{path}: cannot be written ({error.strerror})") from None


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise InvalidInput(Reason.FIELD_INVALID, f"{path}: exists already; choose another name, or remove it")
