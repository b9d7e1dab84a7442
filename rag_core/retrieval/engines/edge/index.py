"""The Qdrant Edge index: a folder with one folder per generation, an alias file and a lock.

One process at a time may open the folder (docs/adr/0002-qdrant-edge-ownership.md); other processes use `remote`.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rag_core.errors import Conflict, DataCorruption, NotFound, Reason, Unavailable
from rag_core.files import sync_folder
from rag_core.retrieval.engines.edge import files as edge_files
from rag_core.retrieval.engines.edge.filters import FILTER_BUILDER
from rag_core.retrieval.engines.edge.generation import EdgeGeneration
from rag_core.retrieval.index import (
    ApplyResult,
    ChunkRange,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    SearchRequest,
    SearchResult,
    SelfRetrieval,
    at_places,
    checks,
    within,
)
from rag_core.retrieval.search import hybrid as retrieval
from rag_core.retrieval.search import self_retrieval

ALIAS = "alias.json"
_FOLDER = "generations"


class EdgeIndex:
    """See `VectorIndex`. Opens every generation at start, so that damage is found before a search."""

    def __init__(
        self, path: Path | str, *, repair: bool = False, space_reserve: int = edge_files.SPACE_RESERVE
    ) -> None:
        """Open or create the index at `path`.

        Raises `Conflict` (`INDEX_LOCKED`) when another process has it open, and `DataCorruption` (`INDEX_CORRUPT`) when
        a generation or the alias is damaged. With `repair` damaged generations are listed and raise that error when
        used, so that they can be reset or dropped. `space_reserve` is the free disk space in bytes that a write must
        leave.
        """
        self._root = Path(path)
        self._space_reserve = space_reserve
        (self._root / _FOLDER).mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o700)  # it contains the text of every document
        self._changes = threading.Lock()
        self._alias: str | None = None
        self._generations: dict[str, EdgeGeneration] = {}
        self._lock = edge_files.FolderLock(self._root)
        try:
            self._open(repair=repair)
        except BaseException:
            self.close()
            raise

    def create(self, spec: GenerationSpec) -> None:
        checks.check_spec(spec)
        with self._changes:
            existing = self._generations.get(spec.name)
            if existing is None:
                edge_files.require_space(self._root, self._space_reserve)
                EdgeGeneration.create(self._root / _FOLDER / spec.name, spec)
                self._generations[spec.name] = self._load(spec.name)
            elif existing.spec != spec:
                raise Conflict(Reason.GENERATION_STATE, f"generation {spec.name} exists and was built differently")

    def drop(self, generation: str) -> None:
        with self._changes:
            if self._alias == generation:
                raise Conflict(Reason.GENERATION_STATE, f"generation {generation} is active; promote another one first")
            dropped = self._generations.pop(generation, None)
            if dropped is None:
                return
            dropped.close()
            trash = dropped.folder.with_name(f".old-{uuid.uuid4().hex}")
            dropped.folder.rename(trash)
            sync_folder(trash.parent)
            shutil.rmtree(trash, ignore_errors=True)

    def reset(self, generation: str) -> None:
        self._get(generation).reset()

    def generations(self) -> list[GenerationSpec]:
        return [generation.spec for _, generation in sorted(self._generations.items())]

    def alias(self) -> str | None:
        return self._alias

    def promote(self, generation: str) -> None:
        with self._changes:
            self._get(generation)
            edge_files.write_durably(self._root / ALIAS, {"generation": generation})
            self._alias = generation

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        with self._watched(generation) as held:
            return held.apply(updates)

    def search(self, request: SearchRequest) -> SearchResult:
        name = request.generation or self._alias
        if name is None:
            raise Unavailable(Reason.INDEX_EMPTY, "no index generation has been promoted yet; run the pipeline once")
        with self._served(name) as generation:
            return SearchResult(name, retrieval.search(generation.reader, request, generation.spec.dimensions))

    def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        name, limit = request.generation or self._alias, checks.check_places(request, places)
        if name is None or not limit:
            return []
        with self._served(name) as generation:
            return generation.reader.matching(at_places(FILTER_BUILDER, request, places), limit)

    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        with self._served(generation) as held:
            return held.reader.count(within(FILTER_BUILDER, tenant=tenant, source=source))

    def differences(self, generation: str) -> list[str]:
        return []  # opening a generation checks its files against their manifest

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[IndexPoint]]:
        with self._served(generation) as held:
            return held.scroll(batch, with_vectors=with_vectors)

    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        with self._served(generation) as held:
            return held.reader.fetch(chunk_ids)

    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        with self._served(generation) as held:
            return self_retrieval(held.reader, chunk_ids)

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        return self._get(generation).delete_points(chunk_ids)

    def optimize(self, generation: str) -> None:
        self._get(generation).optimize()

    def written_since_graph(self, generation: str) -> int:
        """Number of points written since the search graph was built, also again: a search compares each of them."""
        return self._get(generation).written_since_graph

    def has_old_graph(self, generation: str) -> bool:
        """Return whether a generation has the search graph of other settings, which `optimize` replaces."""
        return self._get(generation).has_old_graph

    def damaged(self) -> list[str]:
        """Generations that serve no reads until they are rebuilt (`rag_core.ingestion.verify.rebuild`)."""
        return [name for name, generation in sorted(self._generations.items()) if generation.unserved is not None]

    def examine(self) -> list[tuple[str, bool]]:
        """Examine each generation with a suspicious failure; returns whether each is sound."""
        suspects = [(name, held) for name, held in sorted(self._generations.items()) if held.suspect]
        return [(name, held.examine()) for name, held in suspects]

    def set_due(self, generation: str) -> None:
        """Stop serving a generation until `set_filled`, because a partly filled one gives wrong results."""
        self._get(generation).set_due()

    def set_filled(self, generation: str) -> None:
        """Serve a generation again."""
        self._get(generation).set_filled()

    def close(self) -> None:
        """Close every generation with its checksum manifest, then release the folder. Idempotent.

        All generations are closed even when one fails (a full disk); its error is raised at the end.
        """
        with ExitStack() as closing:
            closing.callback(self._lock.release)
            for generation in self._generations.values():
                closing.callback(generation.close)

    @contextmanager
    def _served(self, name: str) -> Iterator[EdgeGeneration]:
        with self._watched(name) as generation:
            if generation.unserved is not None:
                raise generation.unserved
            yield generation

    @contextmanager
    def _watched(self, name: str) -> Iterator[EdgeGeneration]:
        generation = self._get(name)
        try:
            yield generation
        except DataCorruption:
            generation.suspect = generation.unserved is None
            raise

    def _get(self, name: str) -> EdgeGeneration:
        try:
            return self._generations[name]
        except KeyError:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation") from None

    def _open(self, *, repair: bool) -> None:
        for folder in sorted((self._root / _FOLDER).iterdir()):
            if folder.name.startswith("."):  # a creation or removal that a crash interrupted
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir():
                self._open_generation(folder, repair=repair)
        self._alias = self._read_alias(repair=repair)

    def _open_generation(self, folder: Path, *, repair: bool) -> None:
        try:
            generation = self._load(folder.name)
        except DataCorruption:
            if not repair:
                raise
            shutil.rmtree(folder)  # its specification is lost as well; `create` creates it again
            return
        self._generations[folder.name] = generation
        if generation.unserved is not None and not repair:
            raise generation.unserved

    def _load(self, name: str) -> EdgeGeneration:
        return EdgeGeneration(self._root / _FOLDER / name, space_reserve=self._space_reserve)

    def _read_alias(self, *, repair: bool) -> str | None:
        if not (self._root / ALIAS).exists():
            return None
        try:
            name = edge_files.read_json(self._root / ALIAS).get("generation")
        except DataCorruption:
            if not repair:
                raise
            return None
        if isinstance(name, str) and name in self._generations:
            return name
        if repair:
            return None
        raise DataCorruption(
            Reason.INDEX_CORRUPT,
            "the active generation's folder is missing; stop the stack and run `rag index rebuild`",
        )
