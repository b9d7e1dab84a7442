"""Code versions of the stages: the UI marks assets as stale when code or settings changed since they were made."""

from __future__ import annotations

from rag_core.chunking import CHUNKER_VERSION
from rag_core.generations import CHUNKING
from rag_core.ids import fingerprint
from rag_core.parsing import PARSER_VERSION, ParseLimits
from rag_core.settings import Settings


def code_versions(settings: Settings) -> dict[str, str]:
    """Version by stage, from what can be known without opening a model.

    The exact fingerprints, model hash included, decide what is recomputed; the runs carry them as metadata.
    """
    chunker = (CHUNKER_VERSION, *(getattr(settings, name) for name in CHUNKING))
    embedder = (settings.embedder, settings.embed_model, settings.embed_dimensions, settings.embed_passage_prefix)
    return {
        "documents": fingerprint(PARSER_VERSION, *ParseLimits.from_settings(settings).astuple()),
        "chunks": fingerprint(*chunker),
        "embeddings": fingerprint(*embedder),
        "index": fingerprint(*chunker, *embedder),
    }
