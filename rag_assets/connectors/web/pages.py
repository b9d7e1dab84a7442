"""Contents of a page: hash of its main text, links, and indexing directives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from rag_core.content.parsing import ParseLimits, decode
from rag_core.content.parsing.formats import html
from rag_core.content.parsing.formats.html_dom import parse_html
from rag_core.errors import RagError
from rag_core.http_client import Fetched

HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
READ_TYPES: Final = HTML_TYPES | {
    "text/plain", "text/x-rst", "text/markdown", "text/x-markdown", "text/csv", "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
MAX_LINKS: Final = 2000
_LIMITS: Final = ParseLimits()


@dataclass(frozen=True, slots=True)
class PageContent:
    """`text` is the main text (empty for what is not HTML), `digest` its hash, `links` as they stand in the page."""

    digest: str
    text: str = ""
    links: tuple[str, ...] = ()
    base: str | None = None
    canonical: str | None = None
    index: bool = True


def read_page(answer: Fetched) -> PageContent:
    """Read an answer with status 200. What cannot be read as HTML is taken by its bytes; the parser will say why."""
    whole = hashlib.sha256(answer.content).hexdigest()
    header = answer.headers.get("x-robots-tag", "").lower()
    index = "noindex" not in header and "none" not in header
    if answer.media_type not in HTML_TYPES:
        return PageContent(whole, index=index)
    try:
        text = decode(answer.content, answer.headers.get("content-type"))
        return _read_html(text, index=index)
    except RagError:
        return PageContent(whole, index=index)


def _read_html(text: str, *, index: bool) -> PageContent:
    tree = parse_html(text, _LIMITS.max_nesting)
    document = html.read(text, _LIMITS, "text/html")
    base = tree.css_first("base[href]")
    canonical = tree.css_first('link[rel="canonical"][href]')
    said = " ".join((tag.attributes.get("content") or "").lower() for tag in tree.css('meta[name="robots" i]'))
    links: list[str] = []
    if "nofollow" not in said and "none" not in said:
        anchors = (tag for tag in tree.css("a[href]") if "nofollow" not in (tag.attributes.get("rel") or ""))
        links = list(dict.fromkeys(tag.attributes.get("href") or "" for tag in anchors))[:MAX_LINKS]
    digest = hashlib.sha256(f"{document.title}\0{document.text}".encode("utf-8", "replace")).hexdigest()
    return PageContent(
        digest,
        document.text,
        tuple(links),
        base.attributes.get("href") if base else None,
        canonical.attributes.get("href") if canonical else None,
        index and "noindex" not in said and "none" not in said,
    )
