"""One normal form per page, and whether it is in scope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from typing import Final

import httpx
from w3lib.url import canonicalize_url

from rag_assets.connectors.fields import MAX_LOCATOR_BYTES
from rag_assets.connectors.web.options import PageRule, WebOptions
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.http_client import FetchPolicy

_DROPPED: Final = (
    "utm_*",
    "gclid",
    "fbclid",
    "msclkid",
    "mc_eid",
    "phpsessid",
    "jsessionid",
    "sessionid",
    "sid",
    "aspsessionid*",
)
_SESSION_PATH: Final = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?]*", re.IGNORECASE)
_MAX_REPEATS: Final = 3
_NOT_PAGES: Final = re.compile(r"^\s*(?:mailto|javascript|tel|data|blob|about|sms|ftp|callto):", re.IGNORECASE)


class UrlScope:
    """Normal form and scope by the options of one source."""

    def __init__(self, options: WebOptions, policy: FetchPolicy) -> None:
        self._policy = policy
        self._include = _matcher(options.include)
        self._exclude = _matcher(options.exclude) if options.exclude else None
        self._dropped = _matcher([*_DROPPED, *options.drop_params])
        self._rules = [(_matcher([rule.path]), rule) for rule in options.rules]
        self._hosts = set(options.hosts) | set(self._seed_hosts(options.seeds))

    def refusal(self, seed: str) -> str | None:
        """Return why a seed cannot be crawled; `None` when it can."""
        try:
            url = self.normal(seed)
        except RagError as error:
            return problem_of(error)
        return self.problem(url) if url is not None else "not a page"

    def normal(self, link: str, base: str | None = None) -> str | None:
        """The normal form of a link; `None` for what is no page at all (`mailto:` and the like, a bare fragment).

        Raises `InvalidInput` (`URL_INVALID`, `URL_SCHEME`, `URL_PORT`).
        """
        if not link.strip() or link.lstrip().startswith("#") or _NOT_PAGES.match(link):
            return None
        try:
            joined = httpx.URL(base).join(link.strip()) if base else httpx.URL(link.strip())
        except (httpx.InvalidURL, ValueError):
            raise InvalidInput(Reason.URL_INVALID, "not a valid URL") from None
        checked = self._policy.check_url(joined)
        kept: list[tuple[str, str | int | float | bool | None]] = [
            (name, value) for name, value in checked.params.multi_items() if not self._dropped.match(name.lower())
        ]
        path = _SESSION_PATH.sub("", checked.path)
        bare = str(checked.copy_with(path=path, query=None))
        query = str(httpx.QueryParams(kept))
        normal = canonicalize_url(f"{bare}?{query}" if query else bare, keep_blank_values=True)
        if len(normal.encode()) > MAX_LOCATOR_BYTES:
            raise InvalidInput(Reason.URL_INVALID, f"the URL is longer than {MAX_LOCATOR_BYTES} bytes")
        return normal

    def problem(self, url: str) -> str | None:
        """Return why a URL in normal form is out of scope; `None` when it is in scope."""
        parsed = httpx.URL(url)
        if _host(parsed) not in self._hosts:
            return "another host"
        target = parsed.raw_path.decode("ascii")
        if self._exclude is not None and self._exclude.match(target):
            return "excluded by `exclude`"
        if not self._include.match(target):
            return "not in `include`"
        segments = [part for part in parsed.path.split("/") if part]
        if any(segments.count(part) > _MAX_REPEATS for part in set(segments)):
            return "a path that repeats itself"
        return None

    def rule(self, url: str) -> PageRule | None:
        """The first rule whose path matches."""
        target = httpx.URL(url).raw_path.decode("ascii")
        return next((rule for matcher, rule in self._rules if matcher.match(target)), None)

    def _seed_hosts(self, seeds: list[str]) -> Iterator[str]:
        for seed in seeds:
            try:
                yield _host(httpx.URL(self.normal(seed) or seed))
            except RagError:
                continue  # `refusal` says why


def problem_of(error: RagError) -> str:
    """An error as a line of the report."""
    return f"{error.reason}: {error.message}"


def _host(url: httpx.URL) -> str:
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    return host if url.port is None else f"{host}:{url.port}"


def _matcher(globs: list[str]) -> re.Pattern[str]:
    # fnmatch's brackets and question marks are ordinary characters of URLs.
    escaped = [re.sub(r"([\[?])", r"[\1]", glob) for glob in globs]
    return re.compile(rf"\A(?:{'|'.join(translate(glob) for glob in escaped)})")
