"""The embedder and chunker of each generation, opened at first use and shared when settings are equal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from rag_core.content.chunking import Chunker, open_chunker
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.errors import Conflict, RagError, Reason
from rag_core.ingestion.generations.generation_config import (
    CHUNKING,
    GenerationConfig,
    generation_config_of,
    settings_for,
)
from rag_core.ingestion.generations.store import Generation
from rag_core.lazy import locked_property
from rag_core.settings import Settings


class Transforms:
    """The chunker and embedder of a generation, each opened at its first use."""

    def __init__(
        self, embedder: Callable[[], Embedder], chunker: Callable[[], Chunker], generation_config: GenerationConfig
    ) -> None:
        self._open_embedder, self._open_chunker = embedder, chunker
        self.generation_config = generation_config

    @locked_property
    def embedder(self) -> Embedder:
        return self._open_embedder()

    @locked_property
    def chunker(self) -> Chunker:
        return self._open_chunker()

    @property
    def fingerprints(self) -> tuple[str, str]:
        """The fingerprints of embedder and chunker; opens both."""
        return self.embedder.fingerprint, self.chunker.fingerprint

    def close(self) -> None:
        """Close the embedder if it was opened."""
        opened = self.__dict__.pop("embedder", None)
        if opened is not None:
            opened.close()


class TransformRegistry:
    """One `Transforms` per generation config. `own`, for this process's settings, belongs to the caller."""

    def __init__(self, settings: Settings, own: Transforms | None = None) -> None:
        self._settings = settings
        self.own = own or make_transforms(settings)
        self._owned = own is None
        self._others: dict[str, Transforms] = {}
        self._making = threading.Lock()

    def for_generation(self, generation: Generation) -> Transforms:
        """The transforms of a generation. Raises `Conflict` (`GENERATION_STATE`) when it is not reproducible."""
        transforms = self._named(generation.settings)
        if transforms.embedder.fingerprint != generation.embedder:
            raise _gone(generation, "embedder")
        return self.chunker_for_generation(generation)

    def chunker_for_generation(self, generation: Generation) -> Transforms:
        """As `for_generation`, but compares only the chunker, so that no model is loaded."""
        transforms = self._named(generation.settings)
        if transforms.chunker.fingerprint != generation.chunker:
            raise _gone(generation, "chunker")
        return transforms

    def can_reproduce(self, generation: Generation) -> bool:
        """Return whether this process can compute the generation's chunks and vectors."""
        try:
            self.for_generation(generation)
        except RagError:
            return False
        return True

    def for_settings(self, settings: Settings) -> Transforms:
        """The transforms for changed settings."""
        return self._named(generation_config_of(settings))

    def close(self) -> None:
        """Close the transforms that the registry opened. Idempotent."""
        for transforms in (*self._others.values(), *((self.own,) if self._owned else ())):
            transforms.close()
        self._others.clear()

    def _named(self, generation_config: GenerationConfig) -> Transforms:
        settings = settings_for(self._settings, generation_config)
        if settings is self._settings:
            return self.own
        key = json.dumps(generation_config_of(settings), sort_keys=True)
        with self._making:
            if key not in self._others:
                self._others[key] = self._with_shared_model(make_transforms(settings), settings)
            return self._others[key]

    def _with_shared_model(self, transforms: Transforms, settings: Settings) -> Transforms:
        """Reuse a loaded model for transforms that differ only in their chunker."""
        same = {name: getattr(self._settings, name) for name in CHUNKING}
        if {**generation_config_of(settings), **same} == generation_config_of(self._settings):
            return _SharedModel(lambda: self.own.embedder, lambda: transforms.chunker, transforms.generation_config)
        return transforms


class _SharedModel(Transforms):
    """Transforms whose embedder belongs to others."""

    def close(self) -> None:
        self.__dict__.pop("embedder", None)


def make_transforms(settings: Settings) -> Transforms:
    """The transforms that these settings describe."""
    return Transforms(lambda: open_embedder(settings), lambda: open_chunker(settings), generation_config_of(settings))


def _gone(generation: Generation, part: str) -> Conflict:
    return Conflict(
        Reason.GENERATION_STATE,
        f"generation {generation.name}: its {part} cannot be reproduced by this installation any more; "
        "it still serves, and deletions reach it, but new text does not: build another one",
    )
