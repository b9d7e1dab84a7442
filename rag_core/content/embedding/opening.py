"""Open the configured embedder and token counter, and prepare their model files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rag_core.content.embedding.base import Embedder
from rag_core.content.embedding.bundle import open_bundle
from rag_core.content.embedding.tokenizer import load_tokenizer
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.content.embedding.tokenizer import E5TokenCounter


# --------------------------------------------------------------------------------------------------------------------
# Open implementations only through these functions: each loads only what it needs.


def open_embedder(settings: Settings) -> Embedder:
    """Open the configured embedder; close it when done.

    Raises `DataCorruption` (`MODEL_CORRUPT`) when the model's files fail their checksum.
    """
    if settings.embedder == "fake":
        from rag_core.content.embedding.fake import FakeEmbedder

        return FakeEmbedder(
            version=settings.embed_model or "1",
            dimensions=settings.embed_dimensions or FakeEmbedder.dimensions,
            query_prefix=settings.embed_query_prefix,
            prefix=settings.embed_passage_prefix,
        )
    if settings.embedder == "openai":
        from rag_core.content.embedding.openai_http import open_openai_embedder

        return open_openai_embedder(settings)
    from rag_core.content.embedding.onnx import OnnxEmbedder

    return OnnxEmbedder(settings.model_dir, threads=settings.embed_threads)


def texts_per_run(embedder: Embedder) -> int:
    """Texts that share one run of the model, so that each costs less in company; 1 where company saves nothing."""
    return getattr(embedder, "texts_per_run", 1)


def open_token_counter(settings: Settings) -> E5TokenCounter:
    """Open the bundled model's token counter, for every embedder, so that chunk sizes are comparable."""
    from rag_core.content.embedding.tokenizer import E5TokenCounter

    return E5TokenCounter(settings.model_dir)


def prepare_model(settings: Settings, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Build the files of embedder and token counter in the model folder (a few seconds, once); returns the folder.

    `progress` is called with (steps done, steps). Safe to run in several processes at once. Raises `DataCorruption`
    (`MODEL_CORRUPT`) and `Unavailable` (`STORAGE_FULL`).
    """

    return prepare(settings.model_dir, with_graph=settings.embedder == "onnx", progress=progress)


# --------------------------------------------------------------------------------------------------------------------
# Build and check the files of the model folder before the first use.


def prepare(model_dir: Path, *, with_graph: bool, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """See `rag_core.content.embedding.prepare_model`."""
    steps: list[Callable[[], object]] = [lambda: load_tokenizer(model_dir)]
    if with_graph:
        from rag_core.content.embedding.networks import load_static_graph

        steps.append(lambda: load_static_graph(model_dir, open_bundle()))
    for done, step in enumerate(steps):
        if progress:
            progress(done, len(steps))
        step()
    if progress:
        progress(len(steps), len(steps))
    return model_dir
