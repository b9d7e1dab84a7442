"""Cross-encoders that put retrieved passages in order."""

from __future__ import annotations

from rag_core.reranking.base import Reranker
from rag_core.settings import Settings

__all__ = ["Reranker", "open_reranker"]


def open_reranker(settings: Settings) -> Reranker | None:
    """The configured reranker, `None` without one. Raises `ConfigError` or `DataCorruption` (`MODEL_CORRUPT`)."""
    if settings.reranker_dir is None:
        return None
    from rag_core.reranking.onnx import OnnxReranker

    return OnnxReranker(settings.reranker_dir, max_tokens=settings.rerank_max_tokens, threads=settings.embed_threads)
