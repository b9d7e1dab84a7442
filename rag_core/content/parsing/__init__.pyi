from .base import ParsedDocument as ParsedDocument, ParseLimits as ParseLimits, Parser as Parser
from .blocks import (
    PROSE as PROSE,
    Block as Block,
    BlockKind as BlockKind,
    Clipper as Clipper,
    Part as Part,
    PartKind as PartKind,
    from_rows as from_rows,
    parts_of as parts_of,
    repeated as repeated,
    to_rows as to_rows,
)
from .decode import decode as decode
from .detect import promised_kind as promised_kind
from .parse import PARSER_VERSION as PARSER_VERSION
from .parser import open_parser as open_parser
