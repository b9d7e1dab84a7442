"""Documents to text with structure, and text to chunks."""

from rag_core.text.base import ParseLimits, Parser
from rag_core.text.chunking import Chunker, ChunkSettings, open_chunker
from rag_core.text.parse import parse
from rag_core.text.parser import open_parser

__all__ = ["ChunkSettings", "Chunker", "ParseLimits", "Parser", "open_chunker", "open_parser", "parse"]
