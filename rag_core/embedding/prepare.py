"""Builds and checks the files of the model folder ahead of the first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rag_core.embedding.bundle import open_bundle
from rag_core.embedding.tokenizer import load_tokenizer


def prepare(model_dir: Path, *, with_graph: bool, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """See `rag_core.embedding.prepare_model`."""
    steps: list[Callable[[], object]] = [lambda: load_tokenizer(model_dir)]
    if with_graph:
        from rag_core.embedding.onnx import load_graph

        steps.append(lambda: load_graph(model_dir, open_bundle()))
    for done, step in enumerate(steps):
        if progress:
            progress(done, len(steps))
        step()
    if progress:
        progress(len(steps), len(steps))
    return model_dir
