"""HTML: the main text with its headings, lists, tables and code. Scripts never run, links are never followed."""

from __future__ import annotations

from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.formats.front_matter import FrontMatter, front_matter
from rag_core.content.parsing.formats.html_dom import SKIPPED, has_heading, is_hidden, parse_html, walk
from rag_core.content.parsing.formats.html_walk import HtmlWalk
from rag_core.content.parsing.formats.plain import clean_line_ends
from rag_core.content.parsing.formats.site_templates import without_tags

HIDDEN_FLAG: Final = "hidden_text"
_MAIN_IDS: Final = frozenset({"main", "content", "main-content", "bodyContent"})
_MIN_MAIN_SHARE: Final = 0.25
_META: Final = frozenset({"description", "author", "keywords", "date", "last-modified"})
_PROPERTIES: Final = {"article:published_time": "published", "article:modified_time": "modified"}


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Read a page. Raises `InvalidInput` (`NESTING_TOO_DEEP`) beyond the limit on element depth.

    One that begins with front matter is the source of a page, with templates in it.
    """
    matter, text = front_matter(clean_line_ends(text))
    if matter is not None:
        text = without_tags(text, matter.metadata)
    matter = matter or FrontMatter()
    tree = parse_html(text, limits.max_nesting)
    builder = TextBuilder(limits)
    body = tree.body or tree.root
    if body is not None:
        survey = _survey(body, builder, limits)
        main = survey.main()
        _emit(builder, main or body, limits, in_main=main is not None)
        if builder.empty:
            # Every part looked like navigation: better all of it than nothing.
            _emit(builder, body, limits, in_main=False, keep_boilerplate=True)
    if builder.empty:
        builder.paragraph(matter.description)
    title = tree.css_first("head > title")
    name = matter.metadata.get("title") or (title.text() if title else "")
    return builder.finish(media_type, title=name, metadata={**_metadata(tree), **matter.metadata})


def add_html(builder: TextBuilder, fragment: str, limits: ParseLimits) -> None:
    """Append the visible text of an HTML fragment (within Markdown) to a document."""
    body = parse_html(fragment, limits.max_nesting).body
    if body is not None:
        _survey(body, builder, limits)
        _emit(builder, body, limits, in_main=True, keep_boilerplate=True)


def _emit(
    builder: TextBuilder, root: LexborNode, limits: ParseLimits, *, in_main: bool, keep_boilerplate: bool = False
) -> None:
    headed = not keep_boilerplate and has_heading(root, in_main=in_main)
    visitor = HtmlWalk(builder, in_main=in_main, keep_boilerplate=keep_boilerplate, headed=headed)
    walk(root, visitor.enter, visitor.leave, limits.max_nesting)
    visitor.finish()


def _survey(body: LexborNode, builder: TextBuilder, limits: ParseLimits) -> _Survey:
    survey = _Survey()
    walk(body, survey.enter, survey.leave, limits.max_nesting)
    if survey.hides_text:
        builder.flags.add(HIDDEN_FLAG)
    return survey


class _Survey:
    """First pass: where the main text is, and whether anything readable is hidden."""

    def __init__(self) -> None:
        self.hides_text = False
        self._chars = 0
        self._open: list[tuple[int, int, int]] = []
        self._found: list[tuple[str, int, LexborNode]] = []

    def enter(self, node: LexborNode) -> bool:
        if node.is_text_node:
            self._chars += len((node.text_content or "").strip())
            return False
        tag = node.tag or ""
        if not node.is_element_node or tag in SKIPPED:
            return False
        attributes = node.attributes
        if attributes and is_hidden(attributes):
            self.hides_text = self.hides_text or bool(node.text().strip())
            return False
        kind = _main_kind(tag, attributes)
        if kind and node.first_child is not None:
            self._open.append((node.mem_id, self._chars, len(self._found)))
            self._found.append((kind, 0, node))
        return True

    def leave(self, node: LexborNode) -> None:
        if self._open and self._open[-1][0] == node.mem_id:
            _, before, index = self._open.pop()
            kind, _, found = self._found[index]
            self._found[index] = (kind, self._chars - before, found)

    def main(self) -> LexborNode | None:
        """The element that holds the main text: marked as such, and not a mere teaser."""
        for wanted in ("main", "article", "id"):
            found = [(chars, node) for kind, chars, node in self._found if kind == wanted]
            # Several articles are a list of teasers or comments; none of them is the page.
            if len(found) == 1 and found[0][0] >= max(1, _MIN_MAIN_SHARE * self._chars):
                return found[0][1]
        return None


def _main_kind(tag: str, attributes: dict[str, str | None]) -> str:
    if tag == "main" or attributes.get("role") == "main":
        return "main"
    if tag == "article":
        return "article"
    return "id" if attributes.get("id") in _MAIN_IDS else ""


def _metadata(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in tree.css("head > meta[name][content]"):
        name = (meta.attributes.get("name") or "").lower()
        if name in _META:
            found.setdefault(name, meta.attributes.get("content") or "")
    for meta in tree.css("head > meta[property][content]"):
        name = _PROPERTIES.get((meta.attributes.get("property") or "").lower(), "")
        if name:
            found.setdefault(name, meta.attributes.get("content") or "")
    return found
