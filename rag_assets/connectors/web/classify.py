"""Classify the response of a page: a document, an unchanged document, or a deleted one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from rag_assets.connectors.web.options import PageRule
from rag_assets.connectors.web.pages import READ_TYPES, PageContent
from rag_assets.connectors.web.state import PageState, UrlOutcome
from rag_assets.connectors.web.urls import problem_of
from rag_assets.connectors.web.visits import Visit
from rag_core.content.sources import Problem
from rag_core.errors import Reason
from rag_core.http_client import Fetched

CONFIRMED: Final = 2
"""Crawls in a row that must not find a page before it counts as gone: sites have bad moments."""
_PERMANENT: Final = frozenset({301, 308})
_REFUSED: Final = frozenset({401, 403, 407, 451})


@dataclass(frozen=True, slots=True)
class Classification:
    """The page's new state, and what the listing says of it: an item when `listed`, else `problem`, else nothing."""

    state: PageState
    listed: bool = False
    problem: Problem | None = None
    reached: bool = False
    """True when the site answered with the page, which is what a seed must do."""


def classify_response(
    visit: Visit, old: PageState, *, target: str | None = None, outside: str | None = None
) -> Classification:
    """Everything but a page with status 200. `target` is where a redirect leads within the scope, `outside` why that
    is no place to go."""
    if visit.excluded:
        return _out(old, UrlOutcome.EXCLUDED, f"{Reason.ROBOTS_EXCLUDED}: robots.txt does not allow it")
    if visit.error is not None:
        return _keep(visit.url, old, visit.error.reason, problem_of(visit.error))
    assert visit.answer is not None  # noqa: S101
    status = visit.answer.status
    old = replace(old, status=status)
    if status == 304 and old.held:
        return Classification(replace(old, outcome=UrlOutcome.UNCHANGED, why="", misses=0), listed=True, reached=True)
    if 300 <= status < 400:
        return _redirected(visit.url, old, status, target, outside)
    if status == 410:
        return _out(old, UrlOutcome.GONE, "status 410")
    if status == 404:
        return not_found(visit.url, old, "status 404")
    reason = Reason.ACCESS_REFUSED if status in _REFUSED else Reason.HTTP_STATUS
    return _keep(visit.url, old, reason, f"{reason}: status {status}")


def not_found(url: str, old: PageState, why: str) -> Classification:
    """Not found: kept the first time, gone the second."""
    if not old.held:
        return _out(old, UrlOutcome.FAILED, why)
    counted = replace(old, misses=old.misses + 1)
    if counted.misses >= CONFIRMED:
        return _out(counted, UrlOutcome.GONE, f"{why}, in {counted.misses} crawls in a row")
    return _keep(url, counted, Reason.HTTP_STATUS, f"{why}; deleted when the next crawl finds the same")


def classify_content(answer: Fetched, page: PageContent, old: PageState, rule: PageRule | None) -> Classification:
    """A page with status 200 that is a document of its own."""
    if answer.media_type not in READ_TYPES:
        what = f"{Reason.CONTENT_TYPE}: {answer.media_type or 'no type'} is not read"
        return (
            _keep(answer.url, old, Reason.CONTENT_TYPE, what)
            if old.held
            else _out(old, UrlOutcome.NOT_A_DOCUMENT, what)
        )
    if not page.index:
        return _out(old, UrlOutcome.EXCLUDED, f"{Reason.ROBOTS_EXCLUDED}: the page asks not to be indexed")
    token = version_tag_of(page, rule)
    same = old.held and old.token == token
    state = replace(
        old,
        outcome=UrlOutcome.UNCHANGED if same else UrlOutcome.INDEXED,
        why="",
        held=True,
        status=200,
        token=token,
        etag=answer.headers.get("etag"),
        modified=answer.headers.get("last-modified"),
        misses=0,
    )
    return Classification(state, listed=True, reached=True)


def duplicate(old: PageState, canonical: str) -> Classification:
    """A page that names another as the one to index."""
    return classify_redirect_target(_out(old, UrlOutcome.DUPLICATE, f"the page names {canonical} as canonical"))


def classify_redirect_target(classification: Classification) -> Classification:
    """The same result for a page that exists."""
    return replace(classification, reached=True)


def version_tag_of(page: PageContent, rule: PageRule | None) -> str:
    """Differs when the main text does, or what the options add to it."""
    added = rule.model_dump_json() if rule is not None else ""
    return hashlib.sha256(f"{page.digest}\0{added}".encode()).hexdigest()


def _redirected(url: str, old: PageState, status: int, target: str | None, outside: str | None) -> Classification:
    if target is None:
        where = outside or "nowhere"
        return _keep(url, old, Reason.CROSS_ORIGIN, f"{Reason.CROSS_ORIGIN}: redirects out of scope ({where})")
    if not old.held:
        return classify_redirect_target(_out(old, UrlOutcome.MOVED, f"redirects to {target}"))
    if status in _PERMANENT:
        classification = not_found(url, old, f"moved to {target}")
        gone = classification.state.outcome == UrlOutcome.GONE
        return classify_redirect_target(
            replace(classification, state=replace(classification.state, outcome=UrlOutcome.MOVED))
            if gone
            else classification
        )
    return classify_redirect_target(_keep(url, old, Reason.HTTP_STATUS, f"redirects to {target} for now"))


def _keep(url: str, old: PageState, reason: Reason, why: str) -> Classification:
    message = why.removeprefix(f"{reason}: ")
    outcome = UrlOutcome.KEPT if old.held else UrlOutcome.FAILED
    return Classification(replace(old, outcome=outcome, why=why), problem=Problem(url, reason, message))


def _out(old: PageState, outcome: UrlOutcome, why: str) -> Classification:
    return Classification(replace(old, outcome=outcome, why=why, held=False, token="", etag=None, modified=None))
