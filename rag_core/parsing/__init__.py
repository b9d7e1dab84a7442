"""Bytes to text with structure: detection, decoding, one parser per format, in a process without rights."""

from rag_core.parsing.base import ParsedDocument, ParseLimits, Parser
from rag_core.parsing.blocks import (
    PROSE,
    Block,
    BlockKind,
    Clipper,
    Part,
    PartKind,
    from_rows,
    parts_of,
    repeated,
    to_rows,
)
from rag_core.parsing.decode import decode
from rag_core.parsing.detect import promised_kind
from rag_core.parsing.parse import PARSER_VERSION
from rag_core.parsing.parser import open_parser
