"""Bytes to text with structure: detection, decoding, one parser per format, in a process without rights."""

from rag_core.parsing.base import Block, BlockKind, ParsedDocument, ParseLimits, Parser
from rag_core.parsing.decode import decode
from rag_core.parsing.parse import PARSER_VERSION
from rag_core.parsing.parser import open_parser

__all__ = ["PARSER_VERSION", "Block", "BlockKind", "ParseLimits", "ParsedDocument", "Parser", "decode", "open_parser"]
