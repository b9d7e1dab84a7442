"""Walk an HTML tree without recursion, and skip what is not content."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from rag_core.errors import InvalidInput, Reason

_SKIPPED = (
    "script style noscript template iframe object embed svg canvas audio video select textarea button input "
    "map head title link meta base param source track img datalist"
)
SKIPPED: Final = frozenset(_SKIPPED.split())
# Elements that never hold others, or that end by themselves.
_FLAT = (
    "area base br col embed hr img input link meta param source track wbr "
    "p li dt dd tr td th tbody thead tfoot colgroup option optgroup rp rt html head body"
)
_VOID_OR_IMPLIED: Final = frozenset(_FLAT.split())
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
# The tree builder searches open elements at each start tag, so its time grows with depth: 10^5 open elements take a
# minute, this many a tenth of a second.
_SCAN_DEPTH: Final = 4000
_HIDING_STYLE: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|!|$)|(?:left|top|text-indent)\s*:\s*-\d{4,}",
    re.IGNORECASE,
)
_BOILERPLATE_ROLES: Final = frozenset(
    {"navigation", "search", "menu", "menubar", "toolbar", "doc-pagefooter", "doc-toc"}
)
_SITE_ROLES: Final = frozenset({"banner", "contentinfo", "complementary"})
_LINE_NUMBERS: Final = frozenset({"linenos", "linenodiv"})
_READER_ONLY: Final = frozenset({"sr-only", "visually-hidden", "screen-reader-text"})
# How documentation sets and site generators of the last twenty years call what leads to other pages.
_NAVIGATION_CLASSES: Final = frozenset(
    {
        "navheader", "navfooter", "docnav", "breadcrumb", "breadcrumbs", "pagination", "pager", "navbar",
        "sphinxsidebar", "rst-footer-buttons", "footer-relations", "toc", "table-of-contents", "toctree-wrapper",
        "list-of-tables", "list-of-figures", "list-of-examples",
    }
)  # fmt: skip
_FOOTER_CLASSES: Final = frozenset({"footer", "page-footer", "site-footer"})
# What stands beside the text: its title names it alone, not the text behind it.
_CALLOUTS: Final = frozenset(
    {
        "note", "tip", "hint", "caution", "warning", "danger", "important", "sidebar", "admonition", "admonitionblock",
        "sidebarblock", "callout", "alert",
    }
)  # fmt: skip
_LABEL_CLASSES: Final = frozenset({"title", "admonition-title", "callout-title", "alert-heading"})
_LABEL_DEPTH: Final = 5
"""Elements from a callout's title up to it at most: a cell of a table, or what DocBook writes around a title."""
_LAYOUT_ROWS: Final = 2
"""Rows of a table that is the frame of a note: its title and its text."""
HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_ANY_HEADING: Final = ",".join(HEADINGS)
_PERMALINKS: Final = frozenset({"¶", "#", "§", "🔗", "\uf0c1"})


def parse_html(text: str, max_depth: int) -> LexborHTMLParser:
    """Parse in time linear in the text. Raises `InvalidInput` (`NESTING_TOO_DEEP`)."""
    depth = 0
    for match in _TAG.finditer(text):
        if match.group(2).lower() in _VOID_OR_IMPLIED:
            continue
        depth = max(depth - 1, 0) if match.group(1) else depth + 1
        if depth > max(_SCAN_DEPTH, max_depth):
            raise _too_deep(max_depth)
    try:
        return LexborHTMLParser(text.encode("utf-8", "replace"))
    except SelectolaxError as error:
        # Any bytes are HTML, so the one way to fail is to find no memory for the tree.
        raise MemoryError from error


def walk(
    root: LexborNode,
    enter: Callable[[LexborNode], bool],
    leave: Callable[[LexborNode], None],
    max_depth: int,
) -> None:
    """Visit `root` and all below it in document order; `enter` returns whether to go below a node.

    `leave` is called for each node whose children were offered. Raises `InvalidInput` (`NESTING_TOO_DEEP`).
    """
    open_nodes: list[LexborNode] = []
    node: LexborNode | None = root
    while node is not None:
        below = enter(node)
        child = node.first_child if below else None
        if child is not None:
            open_nodes.append(node)
            if len(open_nodes) > max_depth:
                raise _too_deep(max_depth)
            node = child
            continue
        if below:
            leave(node)
        following = node.next if open_nodes else None
        while following is None and open_nodes:
            parent = open_nodes.pop()
            leave(parent)
            following = parent.next if open_nodes else None
        node = following


def is_hidden(attributes: dict[str, str | None]) -> bool:
    """Return whether an element says, by attribute or inline style, that readers do not see it."""
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    return style is not None and _HIDING_STYLE.search(style) is not None


def is_boilerplate(tag: str, attributes: dict[str, str | None], *, in_main: bool) -> bool:
    """Return whether an element is navigation and the like rather than content."""
    role = attributes.get("role") or ""
    if tag in {"nav", "footer"} or role in _BOILERPLATE_ROLES or attributes.get("aria-hidden") == "true":
        return True
    if not in_main and (tag == "aside" or role in _SITE_ROLES):
        return True
    classes = _classes(attributes)
    if not in_main and not classes.isdisjoint(_FOOTER_CLASSES):
        return True
    return not classes.isdisjoint(_READER_ONLY | _NAVIGATION_CLASSES | _LINE_NUMBERS)


def is_layout(table: LexborNode) -> bool:
    """Return whether a table is no data: it says so, or puts the picture of a note beside its text."""
    if table.attributes.get("role") in {"presentation", "none"}:
        return True
    around = table.parent.attributes if table.parent is not None and table.parent.is_element_node else {}
    if _CALLOUTS.isdisjoint(_classes(around)):
        return False
    own = [row for part in table.iter() for row in (part.iter() if part.tag == "tbody" else (part,))]
    return sum(row.tag == "tr" for row in own) <= _LAYOUT_ROWS


class Callouts:
    """Tells the titles of notes, tips and sidebars from headings. It remembers how many headings each has."""

    def __init__(self) -> None:
        self._headings: dict[int, int] = {}

    def titled_by(self, tag: str, node: LexborNode) -> LexborNode | None:
        """Return the callout that an element is the title of; None for any other.

        A heading that is one of several in there is a section's.
        """
        if tag not in HEADINGS and tag != "th" and _LABEL_CLASSES.isdisjoint(_classes(node.attributes)):
            return None
        above = node.parent
        for _ in range(_LABEL_DEPTH):
            if above is None or not above.is_element_node:
                return None
            if above.tag == "aside" or not _CALLOUTS.isdisjoint(_classes(above.attributes)):
                return above if tag not in HEADINGS or self._count(above) == 1 else None
            above = above.parent
        return None

    def _count(self, callout: LexborNode) -> int:
        if callout.mem_id not in self._headings:
            self._headings[callout.mem_id] = len(callout.css(_ANY_HEADING))
        return self._headings[callout.mem_id]


def _classes(attributes: dict[str, str | None]) -> set[str]:
    return set((attributes.get("class") or "").split())


def has_heading(root: LexborNode, *, in_main: bool) -> bool:
    """Return whether a reader sees a heading of the text below an element: none of navigation, none of a note."""
    callouts = Callouts()
    return any(
        node.text().strip() and callouts.titled_by(node.tag or "", node) is None and _is_shown(node, root, in_main)
        for node in root.css(_ANY_HEADING)
    )


def _is_shown(node: LexborNode, root: LexborNode, in_main: bool) -> bool:
    above: LexborNode | None = node
    while above is not None and above.mem_id != root.mem_id:
        attributes = above.attributes
        if is_hidden(attributes) or is_boilerplate(above.tag or "", attributes, in_main=in_main):
            return False
        above = above.parent
    return True


def is_permalink(tag: str, node: LexborNode, attributes: dict[str, str | None]) -> bool:
    """The pilcrow behind a heading that links to itself."""
    return tag == "a" and (attributes.get("href") or "").startswith("#") and node.text().strip() in _PERMALINKS


def _too_deep(max_depth: int) -> InvalidInput:
    return InvalidInput(Reason.NESTING_TOO_DEEP, f"the HTML is nested deeper than {max_depth} elements; simplify it")
