"""Recognise a passage that only points to another document, and name the document that its link means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from rag_core.answering.evidence import question_units
from rag_core.answering.extractive.highlights import Relevance, ranked
from rag_core.answering.extractive.question import Asked
from rag_core.answering.extractive.ranking import Candidate
from rag_core.answering.extractive.reading import read
from rag_core.content.parsing import Link

MAX_FOLLOWED: Final = 3
"""Links of one statement that are followed."""
SAYS_MORE: Final = 0.5
"""Share of a statement's words, neither of the question nor of a link, up to which it only points."""
_ENDINGS: Final = ("", ".md", ".rst", ".html", "/index.md", "/README.md", "/index.html")
"""Endings of the file that a link without one means, as servers and generators of sites resolve it."""
_SOURCES: Final = {".html": (".md", ".rst")}
"""Endings of the files that pages of a site are generated from."""


def pointed_to(asked: Asked, best: Candidate) -> list[str]:
    """Return locators of the documents that the best statement of a passage points to, if it does nothing else."""
    if not best.passage.links:
        return []
    reading = read([best.passage])
    relevance = Relevance(reading, asked, {0: best.matches} if best.matches is not None else {})
    found = ranked(reading, range(len(reading.positions)), asked, relevance)
    inside = [link for link in best.passage.links if found and link.start < found[0].end and found[0].start < link.end]
    if not inside or _more(asked, best, inside, found[0].start, found[0].end) > SAYS_MORE:
        return []
    targets = [name for link in inside[:MAX_FOLLOWED] for name in locators(link.target, best.passage.locator)]
    return list(dict.fromkeys(targets))


def _more(asked: Asked, best: Candidate, links: Sequence[Link], start: int, end: int) -> float:
    """Return the share of the words of a statement that neither the question nor a link has."""
    edges = [start, *(at for link in links for at in (link.start, link.end)), end]
    outside = " ".join(best.passage.slice(*edges[at : at + 2]) for at in range(0, len(edges), 2))
    terms = {stem for term in asked.terms for stem in term.stems}
    more = sum(terms.isdisjoint(unit.terms) for unit in question_units(outside))
    return more / max(len(question_units(best.passage.slice(start, end))), 1)


def locators(target: str, locator: str) -> Iterator[str]:
    """Resolve the target of a link against the locator of its document: the locators that it may mean."""
    if urlsplit(locator).scheme or urlsplit(target).scheme:
        yield urljoin(locator, target).partition("#")[0]
        return
    path = unquote(urlsplit(target).path)
    folder = "" if path.startswith("/") else posixpath.dirname(locator)
    resolved = posixpath.normpath(posixpath.join(folder, path.lstrip("/")))
    if not path or resolved.startswith(".."):
        return
    stem, ending = posixpath.splitext(resolved)
    yield from (f"{resolved}{name}" for name in (("",) if ending else _ENDINGS))
    yield from (f"{stem}{source}" for source in _SOURCES.get(ending, ()))
