"""The embedder and the chunker of each generation, opened when needed and shared where settings are equal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from rag_core.chunking import Chunker, open_chunker
from rag_core.embedding import Embedder, open_embedder
from rag_core.errors import Conflict, RagError, Reason
from rag_core.generations.generation_config import CHUNKING, GenerationConfig, generation_config_of, settings_for
from rag_core.generations.store import Generation
from rag_core.lazy import locked_property
from rag_core.settings import Settings


class Transforms:
    """What computes chunks and vectors of a generation. Each part is opened at its first use."""

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
        """Of embedder and chunker; opens both."""
        return self.embedder.fingerprint, self.chunker.fingerprint

    def close(self) -> None:
        """Close the embedder when it was opened."""
        opened = self.__dict__.pop("embedder", None)
        if opened is not None:
            opened.close()


class TransformRegistry:
    """One kit per recipe. `own` is that of this process's settings; it belongs to the caller, the others to this."""

    def __init__(self, settings: Settings, own: Transforms | None = None) -> None:
        self._settings = settings
        self.own = own or make_transforms(settings)
        self._owned = own is None
        self._others: dict[str, Transforms] = {}
        self._making = threading.Lock()

    def for_generation(self, generation: Generation) -> Transforms:
        """The kit of a generation. Raises `Conflict` (`GENERATION_STATE`) when it cannot be had any more."""
        transforms = self._named(generation.settings)
        if transforms.embedder.fingerprint != generation.embedder:
            raise _gone(generation, "embedder")
        return self.chunker_for_generation(generation)

    def chunker_for_generation(self, generation: Generation) -> Transforms:
        """As `for_generation`, but only the chunker is compared, so that no model is loaded for it."""
        transforms = self._named(generation.settings)
        if transforms.chunker.fingerprint != generation.chunker:
            raise _gone(generation, "chunker")
        return transforms

    def can_reproduce(self, generation: Generation) -> bool:
        """Whether the generation's chunks and vectors can still be computed here."""
        try:
            self.for_generation(generation)
        except RagError:
            return False
        return True

    def for_settings(self, settings: Settings) -> Transforms:
        """The kit of changed settings."""
        return self._named(generation_config_of(settings))

    def close(self) -> None:
        """Close what this opened. Idempotent."""
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
        """A kit that differs only in its chunker uses the model that is loaded already."""
        same = {name: getattr(self._settings, name) for name in CHUNKING}
        if {**generation_config_of(settings), **same} == generation_config_of(self._settings):
            return _SharedModel(lambda: self.own.embedder, lambda: transforms.chunker, transforms.generation_config)
        return transforms


class _SharedModel(Transforms):
    """A kit whose embedder belongs to another one."""

    def close(self) -> None:
        self.__dict__.pop("embedder", None)


def make_transforms(settings: Settings) -> Transforms:
    """The kit that these settings describe."""
    return Transforms(lambda: open_embedder(settings), lambda: open_chunker(settings), generation_config_of(settings))


def _gone(generation: Generation, part: str) -> Conflict:
    return Conflict(
        Reason.GENERATION_STATE,
        f"generation {generation.name}: its {part} cannot be reproduced by this installation any more; "
        "it still serves, and deletions reach it, but new text does not: build another one",
    )
