"""Text to chunks: `spans` (where to cut), `units` (counted), `packing` (cutting), `context`, `chunker`."""

from rag_core.text.chunking.chunker import Chunker, ChunkSettings, open_chunker

__all__ = ["ChunkSettings", "Chunker", "open_chunker"]
