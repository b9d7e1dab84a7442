"""Documents to chunks: spans of whole blocks, packed to a number of tokens, with their headings."""

from rag_core.chunking import store
from rag_core.chunking.chunker import CHUNKER_VERSION, Chunker, open_chunker
from rag_core.chunking.spans import Chunk
from rag_core.chunking.store import ChunkingResult, StoredText
