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
from .detect import Kind as Kind, has_pages as has_pages, promised_kind as promised_kind
from .pages.values import (
    MAX_QUOTE_CHARS as MAX_QUOTE_CHARS,
    Mark as Mark,
    PageImage as PageImage,
    checked_image as checked_image,
)
from .links import (
    Link as Link,
    links_from_rows as links_from_rows,
    links_to_rows as links_to_rows,
    links_within as links_within,
)
from .parse import PARSER_VERSION as PARSER_VERSION
from .parser import Pages as Pages, open_pages as open_pages, open_parser as open_parser
