"""The Action API of a wiki: what it says of itself, of its pages and of its files.

https://www.mediawiki.org/wiki/API:Main_page; its parameters are those of MediaWiki 1.39.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Final

import httpx

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.json_host import JsonHost, Login
from rag_assets.connectors.mediawiki.options import AccountLogin, MediaWikiOptions
from rag_assets.connectors.outside import well_formed
from rag_core.errors import ConfigError, InvalidInput, NotFound, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import principals
from rag_core.http_client import Again, Fetched, Fetcher, FetchPolicy, Pacing
from rag_core.ids import fingerprint

FILES: Final = 6
"""The namespace of uploaded files, in every wiki."""
_LAG: Final = "5"
"""Seconds that the copies of the wiki's database may be behind; a wiki under load refuses such requests first."""
_TRANSIENT: Final = ("maxlag", "ratelimited", "readonly", "internal_api_error", "timeout", "cirrussearch")
_REFUSED: Final = ("readapidenied", "permissiondenied", "mwoauth", "notloggedin", "blocked", "badaccess")
_ABSENT: Final = ("missingtitle", "nosuchpageid", "nosuchrevid", "nosuchrevision", "pagecannotexist")
_RESTRICTING: Final = frozenset({
    "Lockdown", "AccessControl", "PageOwnership", "SemanticACL", "Semantic ACL", "NSFileRepo",
    "BlueSpicePermissionManager",
})  # fmt: skip
"""Extensions by which some groups read some pages only; the API does not say which."""


@dataclass(frozen=True, slots=True)
class WikiState:
    """The wiki as a whole. `state` changes with every edit, deletion, move and upload, and with the readers.

    `readers` are the names of the groups that may read; `open`: anybody reads it. `restricted`: an extension takes
    pages from some of them.
    """

    namespaces: Mapping[int, Mapping[str, Any]]
    readers: tuple[str, ...]
    open: bool
    restricted: bool
    state: str


class SessionEnded(Unavailable):
    """The wiki does not know who asks: told with status 200, so that the host cannot see it."""


class Wiki:
    """Reads one wiki. Methods raise what `JsonHost` raises."""

    def __init__(self, options: MediaWikiOptions, policy: FetchPolicy) -> None:
        self._options, self._url = options, options.url.partition("?")[0]
        pacing = Pacing(options.requests_per_second, options.attempts)
        self._login: Login | None = None

        def sign_in(fetcher: Fetcher) -> Login:
            login = options.login
            made = _Session(self._url, login, fetcher) if isinstance(login, AccountLogin) else None
            self._login = made or ServiceCredentials(login, fetcher)  # type: ignore[arg-type]
            return self._login

        self._host = JsonHost(self._url, policy, sign_in, pacing, what="the wiki", check=_check)
        self._anybody = JsonHost(self._url, policy, None, pacing, what="the wiki", check=_check)
        self._files = JsonHost(options.files_url, policy, None, pacing, what="the host of the files") if (
            options.files_url) else self._host  # fmt: skip

    def site(self) -> WikiState:
        """One request, which polls ask."""
        with well_formed("the wiki"):
            said = self._ask({
                "action": "query", "meta": "siteinfo", "siprop": "namespaces|usergroups|statistics|extensions",
                "list": "recentchanges", "rcprop": "ids", "rctype": "edit|new|log", "rclimit": "1",
            })["query"]  # fmt: skip
            groups = tuple(sorted(one["name"] for one in said["usergroups"] if "read" in one["rights"]))
            restricted = any(one.get("name") in _RESTRICTING for one in said["extensions"])
            numbers = said["statistics"]
            # Jobs bring pages up to date whose templates changed: what was listed before them is listed again.
            counted = [*(numbers[name] for name in ("pages", "edits", "images")), numbers["jobs"] == 0]
            newest = [one["rcid"] for one in said["recentchanges"]]
            state = fingerprint(*map(str, [*newest, "", *counted, restricted, *groups]))
            namespaces = {one["id"]: one for one in said["namespaces"].values()}
        return WikiState(namespaces, tuple(one for one in groups if one != "*"), "*" in groups, restricted, state)

    def namespaces(self, site: WikiState) -> list[int]:
        """Return the namespaces that the source reads. Raises `ConfigError` for one that the wiki does not have."""
        chosen = [_number(site, name) for name in self._options.namespaces] or [
            number for number, one in site.namespaces.items() if one.get("content")
        ]
        files = [FILES] if self._options.attachments else []
        return [*(number for number in dict.fromkeys(chosen) if number != FILES), *files]

    def pages(self, site: WikiState, namespace: int) -> Iterator[dict[str, Any]]:
        """The pages of a namespace that are no redirects; those of files with what the wiki says of the file."""
        return self._pages(site, {
            "generator": "allpages", "gapnamespace": str(namespace), "gapfilterredir": "nonredirects",
            "gaplimit": "max",
        }, files=namespace == FILES)  # fmt: skip

    def shows(self, site: WikiState, page: Mapping[str, Any]) -> bool:
        """False for a page that is listed although the account may not read it."""
        return bool(page["readable"]) or self._as_anybody(site)

    def page(self, site: WikiState, title: str) -> dict[str, Any]:
        """One page as `pages` has it, with its last revision and its categories. Raises `NotFound` (`VANISHED`)."""
        with well_formed("the wiki"):
            about = {"titles": title, "rvprop": "ids|timestamp|user", "cllimit": "max", "clshow": "!hidden"}
            props = "|revisions|categories"
            (found,) = self._pages(site, about, props, files=is_file(site, title))
            if found.get("redirect"):
                raise NotFound(Reason.VANISHED, "the page leads to another one")
        return found

    def html(self, revision: int) -> str:
        """A revision as the wiki shows it."""
        with well_formed("the wiki"):
            return str(self._ask({
                "action": "parse", "oldid": str(revision), "prop": "text", "disableeditsection": "1",
                "disablelimitreport": "1", "disabletoc": "1",
            })["parse"]["text"])  # fmt: skip

    def file(self, url: str) -> Fetched:
        """The bytes of an uploaded file."""
        return self._files.read(url)

    def readers(self, site: WikiState, page: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return who may read a page; `None` without a directory."""
        directory = self._options.directory
        if directory is None:
            return None
        named = {_number(site, name): groups for name, groups in self._options.readers.items()}.get(page["ns"])
        if named is None and site.open:
            return (EVERYONE,) if page["readable"] else (NOBODY,)
        if named is None:
            named = [] if site.restricted else list(site.readers)
        return principals(directory, [f"group:{group}" for group in named]) or (NOBODY,)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        for host in (self._host, self._anybody, self._files):
            host.close()

    def _as_anybody(self, site: WikiState) -> bool:
        """True when pages are asked for without the login: the answer says which of them everyone may read."""
        return self._options.directory is not None and site.open

    def _pages(
        self, site: WikiState, about: Mapping[str, str], props: str = "", *, files: bool
    ) -> Iterator[dict[str, Any]]:
        more = "|imageinfo" if files else ""
        params = {
            "action": "query", "prop": f"info{props}{more}", "inprop": "url|readable", **about,
            **({"iiprop": "timestamp|url|size|mime|sha1"} if files else {}),
        }  # fmt: skip
        rows, seen, cursor = dict[int, dict[str, Any]](), set[str](), dict[str, str]()
        while True:
            said = self._ask(params | cursor, anybody=self._as_anybody(site))
            for row in said.get("query", {}).get("pages", ()):
                if row.get("missing") or row.get("invalid"):
                    raise NotFound(Reason.VANISHED, "the wiki does not have the page any more")
                known = rows.setdefault(row["pageid"], {})
                known |= row | {"categories": [*known.get("categories", ()), *row.get("categories", ())]}
            if said.get("batchcomplete"):
                yield from rows.values()
                rows = {}
            cursor = {name: str(value) for name, value in said.get("continue", {}).items()}
            if not cursor and said["batchcomplete"]:
                return
            if not cursor or (key := json.dumps(cursor, sort_keys=True)) in seen:
                raise InvalidInput(Reason.PAGINATION_LOOP, "the wiki's list of pages leads in a circle")
            seen.add(key)

    def _ask(self, params: Mapping[str, str], *, anybody: bool = False) -> Any:
        params = {"format": "json", "formatversion": "2", "maxlag": _LAG, **params}
        if anybody or self._options.login is None:
            return self._anybody.get(self._url, params)
        params |= {"assert": "user"}
        try:
            return self._host.get(self._url, params)
        except SessionEnded:
            if self._login is None or not self._login.renew():
                raise
            return self._host.get(self._url, params)


class _Session:
    """Signs in by https://www.mediawiki.org/wiki/API:Login, whose session is in cookies."""

    def __init__(self, url: str, login: AccountLogin, fetcher: Fetcher) -> None:
        self._url, self._account, self._fetcher = url, login, fetcher
        self._cookies: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        if not self._cookies:
            self._cookies = self._sign_in()
        return {"cookie": _header(self._cookies)}

    def renew(self) -> bool:
        had, self._cookies = bool(self._cookies), {}
        return had

    def _sign_in(self) -> dict[str, str]:
        login, cookies = self._account, dict[str, str]()
        asked = {"action": "query", "meta": "tokens", "type": "login"}
        token = self._post(asked, cookies)["query"]["tokens"]["logintoken"]
        password = login.password.read().get_secret_value()
        said = self._post({"action": "login", "lgname": login.user, "lgpassword": password, "lgtoken": token}, cookies)
        result = said["login"]["result"]
        if result == "Throttled":
            raise Unavailable(Reason.RATE_LIMITED, "the wiki lets nobody sign in for a while")
        if result != "Success":
            raise Unavailable(Reason.ACCESS_REFUSED, f"the wiki does not let the account in ({result}); check `login`")
        return cookies

    def _post(self, form: Mapping[str, str], cookies: dict[str, str]) -> Any:
        credentials = {"cookie": _header(cookies)} if cookies else None
        answer = self._fetcher.post_form(
            self._url, {"format": "json", "formatversion": "2", **form}, credentials=credentials
        )
        if answer.status != 200:
            raise Unavailable(Reason.ACCESS_REFUSED, f"the wiki answers to a sign-in with status {answer.status}")
        for line in httpx.Headers(answer.headers).get_list("set-cookie"):
            cookies |= {name: one.coded_value for name, one in SimpleCookie(line).items() if one.value != "deleted"}
        with well_formed("the wiki"):
            said = json.loads(answer.content)
            _check(said)
            return said


def _header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _check(said: Any) -> None:
    """Raise the error of an answer, which has status 200."""
    error = said.get("error") if isinstance(said, dict) else None
    if error is None:
        return
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if code.startswith(_TRANSIENT):
        reason = Reason.RATE_LIMITED if code in ("maxlag", "ratelimited") else Reason.SOURCE_UNAVAILABLE
        raise Again(Unavailable(reason, f"the wiki answers {code}"))
    if code.startswith("assert"):
        raise SessionEnded(Reason.ACCESS_REFUSED, "the wiki does not know the account; check `login`")
    if code.startswith(_REFUSED):
        raise Unavailable(
            Reason.ACCESS_REFUSED, f"the wiki answers {code}; check `login` and the rights of its account"
        )
    if code in _ABSENT:
        raise NotFound(Reason.VANISHED, "the wiki does not have the page any more")
    raise Unavailable(Reason.RESPONSE_INVALID, f"the wiki answers {code[:64]}")


def _number(site: WikiState, name: str) -> int:
    """Return the number of a namespace. The main one, which has no name, is `Main`."""
    for number, one in site.namespaces.items():
        names = {str(number), str(one["name"]), str(one.get("canonical", "")), *(["Main"] if number == 0 else [])}
        if name.replace("_", " ").casefold() in {text.casefold() for text in names if text}:
            return number
    raise ConfigError(Reason.CONFIG_INVALID, f"the wiki has no namespace {name!r}; check `namespaces` and `readers`")


def is_file(site: WikiState, title: str) -> bool:
    """Return whether a title is that of an uploaded file."""
    return title.startswith(f"{site.namespaces[FILES]['name']}:")
