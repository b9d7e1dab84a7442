"""What an answer means for a page: a document, a document that stays as it is, or one that is gone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from rag_assets.connectors.web.options import Rule
from rag_assets.connectors.web.pages import READ_TYPES, PageContent
from rag_assets.connectors.web.state import Outcome, PageState
from rag_assets.connectors.web.urls import problem_of
from rag_assets.connectors.web.visits import Visit
from rag_core.errors import Reason
from rag_core.http_client import Fetched
from rag_core.sources import Problem

CONFIRMED: Final = 2
"""Crawls in a row that must not find a page before it counts as gone: sites have bad moments."""
_PERMANENT: Final = frozenset({301, 308})
_REFUSED: Final = frozenset({401, 403, 407, 451})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's new state, and what the listing says of it: an item when `listed`, else `problem`, else nothing."""

    state: PageState
    listed: bool = False
    problem: Problem | None = None
    reached: bool = False
    """Whether the site answered with the page, which is what a seed must do."""


def without_content(visit: Visit, old: PageState, *, target: str | None = None, outside: str | None = None) -> Verdict:
    """Everything but a page with status 200. `target` is where a redirect leads within the scope, `outside` why that
    is no place to go."""
    if visit.excluded:
        return _out(old, Outcome.EXCLUDED, f"{Reason.ROBOTS_EXCLUDED}: robots.txt does not allow it")
    if visit.error is not None:
        return _keep(visit.url, old, visit.error.reason, problem_of(visit.error))
    assert visit.answer is not None  # noqa: S101
    status = visit.answer.status
    old = replace(old, status=status)
    if status == 304 and old.held:
        return Verdict(replace(old, outcome=Outcome.UNCHANGED, why="", misses=0), listed=True, reached=True)
    if 300 <= status < 400:
        return _redirected(visit.url, old, status, target, outside)
    if status == 410:
        return _out(old, Outcome.GONE, "status 410")
    if status == 404:
        return missed(visit.url, old, "status 404")
    reason = Reason.ACCESS_REFUSED if status in _REFUSED else Reason.HTTP_STATUS
    return _keep(visit.url, old, reason, f"{reason}: status {status}")


def missed(url: str, old: PageState, why: str) -> Verdict:
    """Not found: kept the first time, gone the second."""
    if not old.held:
        return _out(old, Outcome.FAILED, why)
    counted = replace(old, misses=old.misses + 1)
    if counted.misses >= CONFIRMED:
        return _out(counted, Outcome.GONE, f"{why}, in {counted.misses} crawls in a row")
    return _keep(url, counted, Reason.HTTP_STATUS, f"{why}; deleted when the next crawl finds the same")


def with_content(answer: Fetched, page: PageContent, old: PageState, rule: Rule | None) -> Verdict:
    """A page with status 200 that is a document of its own."""
    if answer.media_type not in READ_TYPES:
        what = f"{Reason.CONTENT_TYPE}: {answer.media_type or 'no type'} is not read"
        return (
            _keep(answer.url, old, Reason.CONTENT_TYPE, what) if old.held else _out(old, Outcome.NOT_A_DOCUMENT, what)
        )
    if not page.index:
        return _out(old, Outcome.EXCLUDED, f"{Reason.ROBOTS_EXCLUDED}: the page asks not to be indexed")
    token = token_of(page, rule)
    same = old.held and old.token == token
    state = replace(
        old,
        outcome=Outcome.UNCHANGED if same else Outcome.INDEXED,
        why="",
        held=True,
        status=200,
        token=token,
        etag=answer.headers.get("etag"),
        modified=answer.headers.get("last-modified"),
        misses=0,
    )
    return Verdict(state, listed=True, reached=True)


def duplicate(old: PageState, canonical: str) -> Verdict:
    """A page that names another as the one to index."""
    return replace_reached(_out(old, Outcome.DUPLICATE, f"the page names {canonical} as canonical"))


def replace_reached(verdict: Verdict) -> Verdict:
    """The same verdict of a page that was there."""
    return replace(verdict, reached=True)


def token_of(page: PageContent, rule: Rule | None) -> str:
    """Differs when the main text does, or what the options add to it."""
    added = rule.model_dump_json() if rule is not None else ""
    return hashlib.sha256(f"{page.digest}\0{added}".encode()).hexdigest()


def _redirected(url: str, old: PageState, status: int, target: str | None, outside: str | None) -> Verdict:
    if target is None:
        where = outside or "nowhere"
        return _keep(url, old, Reason.CROSS_ORIGIN, f"{Reason.CROSS_ORIGIN}: redirects out of scope ({where})")
    if not old.held:
        return replace_reached(_out(old, Outcome.MOVED, f"redirects to {target}"))
    if status in _PERMANENT:
        verdict = missed(url, old, f"moved to {target}")
        gone = verdict.state.outcome == Outcome.GONE
        return replace_reached(
            replace(verdict, state=replace(verdict.state, outcome=Outcome.MOVED)) if gone else verdict
        )
    return replace_reached(_keep(url, old, Reason.HTTP_STATUS, f"redirects to {target} for now"))


def _keep(url: str, old: PageState, reason: Reason, why: str) -> Verdict:
    message = why.removeprefix(f"{reason}: ")
    outcome = Outcome.KEPT if old.held else Outcome.FAILED
    return Verdict(replace(old, outcome=outcome, why=why), problem=Problem(url, reason, message))


def _out(old: PageState, outcome: Outcome, why: str) -> Verdict:
    return Verdict(replace(old, outcome=outcome, why=why, held=False, token="", etag=None, modified=None))
