"""Sources of a wiki against a fake that answers as MediaWiki 1.39 does; tests/real_servers/wikis has the real one."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked
from tests.support.wiki_suite import PASSWORD, WikiPlace, WikiSuite

PAGE = 3
NAMESPACES = {0: "", 1: "Talk", 6: "File", 10: "Template", 12: "Help", 14: "Category"}
SITE = {
    "action": "query", "meta": "siteinfo", "siprop": "namespaces|usergroups|statistics|extensions",
    "list": "recentchanges", "rcprop": "ids", "rctype": "edit|new|log", "rclimit": "1",
}  # fmt: skip
PARSE = {"action": "parse", "prop": "text", "disableeditsection": "1", "disablelimitreport": "1", "disabletoc": "1"}
QUERY = {"action": "query", "inprop": "url|readable"}
FILE = {"iiprop": "timestamp|url|size|mime|sha1"}
PAGES = {"generator": "allpages", "gapfilterredir": "nonredirects", "gaplimit": "max"}
ONE = {"rvprop": "ids|timestamp|user", "cllimit": "max", "clshow": "!hidden"}


class FakeWiki:
    """https://www.mediawiki.org/wiki/API:Query, API:Allpages, API:Parsing_wikitext, API:Login and API:Siteinfo."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.pages, self.revisions = server, dict[str, dict[str, Any]](), dict[int, str]()
        self.groups: tuple[str, ...] = ("*", "user")
        self.sessions, self.extensions = set[str](), list[str]()
        self.unreadable, self.hidden, self.page = set[str](), set[str](), PAGE
        self._ids, self._numbers, self._changes, self._jobs = itertools.count(1), itertools.count(1), 0, False
        server.reply("/w/api.php", self._answer)
        server.reply("/files/*", self._file)
        self.options: dict[str, Any] = {
            "kind": "mediawiki", "url": server.url("/w/api.php"), "attempts": 1, "requests_per_second": 1000,
            "login": {"type": "password", "user": "Reader@rag", "password": {"env": "RAG_SECRET_WIKI"}},
        }  # fmt: skip

    def put(self, name: str, text: str) -> None:
        page = self.pages.setdefault(name, {"pageid": next(self._ids)})
        page |= {"lastrevid": next(self._ids), "touched": self._now(), "text": text}
        self.revisions[page["lastrevid"]] = name
        self._changes, self._jobs = self._changes + 1, True

    def remove(self, name: str) -> None:
        del self.pages[name]
        self._changes += 1

    def move(self, name: str, new: str) -> None:
        text, self.pages[new] = self.pages[name]["text"], self.pages.pop(name)
        self.put(new, text)
        self.put(name, f"#REDIRECT [[{new}]]")

    def upload(self, name: str, content: bytes) -> None:
        self.put(f"File:{name}", "")
        self.pages[f"File:{name}"]["file"] = content

    def jobs(self) -> None:
        for page in self.pages.values():
            if "{{" in page["text"]:
                page["touched"] = self._now()
        self._jobs = False

    def open(self, *groups: str) -> None:
        self.groups = groups

    def end_sessions(self) -> None:
        self.sessions.clear()

    def lose(self) -> None:
        self.server.lose()

    def _now(self) -> str:
        number = next(self._numbers)
        return f"2026-12-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"

    def _file(self, asked: Asked) -> Answer:
        return Answer(self.pages[f"File:{asked.path.removeprefix('/files/')}"]["file"])

    def _answer(self, asked: Asked) -> Answer:
        params = dict(parse_qsl(asked.body.decode())) if asked.method == "POST" else dict(asked.query)
        if (params.pop("format", None), params.pop("formatversion", None)) != ("json", "2"):
            return Answer(b"<html>An API without a format</html>", headers={"content-type": "text/html"})
        if asked.method == "POST":
            return self._login(params, asked.headers.get("cookie", ""))
        session = dict(part.split("=") for part in asked.headers.get("cookie", "").split("; ") if part).get("session")
        if params.pop("maxlag") != "5" or (params.pop("assert", "anon") == "user" and session not in self.sessions):
            return _error("assertuserfailed")
        if "*" not in self.groups and session not in self.sessions:
            return _error("readapidenied")
        return self._asked(params, anybody=session is None)

    def _login(self, params: dict[str, str], cookie: str) -> Answer:
        if params == {"action": "query", "meta": "tokens", "type": "login"}:
            token = {"batchcomplete": True, "query": {"tokens": {"logintoken": "token+\\"}}}
            return Answer.json(token, set_cookie="before=1; path=/; HttpOnly")
        given = {"action": "login", "lgname": "Reader@rag", "lgpassword": PASSWORD, "lgtoken": "token+\\"}
        if params != given or cookie != "before=1":
            return Answer.json({"login": {"result": "Failed", "reason": "Incorrect username or password entered."}})
        self.sessions.add(f"s{len(self.server.requests)}")
        return Answer.json({"login": {"result": "Success"}}, set_cookie=f"session={max(self.sessions)}; path=/")

    def _asked(self, params: dict[str, str], *, anybody: bool) -> Answer:
        if params == SITE:
            return Answer.json(self._site())
        if params.items() >= PARSE.items() and params.keys() == {*PARSE, "oldid"}:
            name = self.revisions.get(int(params["oldid"]))
            if name not in self.pages:
                return _error("nosuchrevid")
            return Answer.json({"parse": {"title": name, "text": f"<p>{escape(self._text(name))}</p>"}})
        files = FILE if "imageinfo" in params.get("prop", "") else {}
        if params.items() >= (QUERY | PAGES | files).items():
            return self._list(params, anybody=anybody)
        if params.keys() == {*QUERY, *ONE, *files, "titles", "prop"}:
            row = self._row(params["titles"], anybody=anybody)
            return Answer.json({"batchcomplete": True, "query": {"pages": [row]}})
        return _error("badvalue")

    def _site(self) -> dict[str, Any]:
        numbers = {"pages": len(self.pages), "edits": self._changes, "images": 0, "jobs": int(self._jobs)}
        spaces = {str(one): {"id": one, "name": name, "content": not one} for one, name in NAMESPACES.items()}
        groups = [
            {"name": one, "rights": ["read"] if one in self.groups else []} for one in ("*", "user", "staff", "sysop")
        ]
        changes = [{"type": "edit", "rcid": self._changes}] if self._changes else []
        about = {"namespaces": spaces, "usergroups": groups, "statistics": numbers}
        extensions = [{"type": "other", "name": one} for one in self.extensions]
        return {"batchcomplete": True, "query": {**about, "extensions": extensions, "recentchanges": changes}}

    def _list(self, params: dict[str, str], *, anybody: bool) -> Answer:
        """Rows in pages; what is known of files comes in a second answer to the same page of the list."""
        space = NAMESPACES[int(params["gapnamespace"])]
        first = params.get("gapcontinue", "")
        pages = {name for name, page in self.pages.items() if not page["text"].startswith("#REDIRECT")}
        names = sorted(name for name in pages if _space(name) == space and name >= first)
        rows = [self._row(name, anybody=anybody) for name in names[: self.page]]
        more = {"gapcontinue": names[self.page], "continue": "gapcontinue||"} if len(names) > self.page else None
        if any("imageinfo" in row for row in rows) and "iistart" not in params:
            rows = [{key: value for key, value in row.items() if key != "imageinfo"} for row in rows]
            same = {name: text for name, text in params.items() if name == "gapcontinue"}
            return Answer.json({"continue": {**same, "iistart": "1", "continue": "||info"}, "query": {"pages": rows}})
        said: dict[str, Any] = {"batchcomplete": True, **({"query": {"pages": rows}} if rows else {})}
        return Answer.json(said | ({"continue": more} if more else {}))

    def _row(self, name: str, *, anybody: bool) -> dict[str, Any]:
        page, number = self.pages.get(name), next(one for one, space in NAMESPACES.items() if space == _space(name))
        if page is None:
            return {"ns": number, "title": name, "missing": True}
        row = {key: page[key] for key in ("pageid", "lastrevid", "touched")} | {"ns": number, "title": name}
        row |= {
            "canonicalurl": self.server.url(f"/wiki/{quote(name)}"),
            "readable": name not in (self.unreadable if anybody else self.hidden),
        }
        row |= {"redirect": True} if page["text"].startswith("#REDIRECT") else {}
        row["revisions"] = [{"revid": page["lastrevid"], "timestamp": "2026-12-01T00:00:00Z", "user": "Admin"}]
        row["categories"] = [
            {"ns": 14, "title": found} for found in re.findall(r"\[\[(Category:.*?)\]\]", page["text"])
        ]
        if "file" in page:
            url = self.server.url(f"/files/{quote(name.partition(':')[2])}")
            about = {"timestamp": "2026-12-01T00:00:00Z", "url": url, "size": len(page["file"]), "mime": "text/csv"}
            row["imageinfo"] = [about | {"sha1": hashlib.sha1(page["file"], usedforsecurity=False).hexdigest()}]
        return row

    def _text(self, name: str) -> str:
        text = re.sub(r"\[\[Category:.*?\]\]", "", self.pages[name]["text"])
        return re.sub(r"\{\{(.*?)\}\}", lambda found: self.pages[f"Template:{found[1]}"]["text"], text)


def _space(name: str) -> str:
    return name.partition(":")[0] if ":" in name else ""


def _error(code: str) -> Answer:
    return Answer.json({"error": {"code": code, "info": "A text for people."}})


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWiki]:
    monkeypatch.setenv("RAG_SECRET_WIKI", PASSWORD)
    with FakeServer() as server:
        yield FakeWiki(server)


class TestMediaWiki(WikiSuite):
    """The suite of every source of a wiki, and what the fake alone can be made to do."""

    def test_several_pages_of_a_list_and_of_files_are_read_once_each(self, place: FakeWiki) -> None:
        for number in range(3 * PAGE + 1):
            place.put(f"{number}.txt", "text")
            place.upload(f"{number}.csv", b"a")
        assert len(self.read(place)) == 6 * PAGE + 2

    def test_twelve_thousand_titles_are_listed_with_few_requests(self, place: FakeWiki) -> None:
        place.page = 500
        for number in range(12_000):
            place.put(f"{number} Zoë/%25 +&=", "text")
        with self.connect(place) as connector:
            assert (len(self.listed(connector)), len(place.server.requests) <= 30) == (12_000, True)

    def test_a_poll_is_one_request_and_a_page_is_two(self, place: FakeWiki) -> None:
        self.fill(place)
        with self.connect(place) as connector:
            connector.version_tag()
            place.server.requests.clear()
            connector.version_tag()
            assert len(place.server.requests) == 1
            items = self.items(connector)
            place.server.requests.clear()
            connector.fetch(items[0])
            assert len(place.server.requests) == 2

    def test_pages_that_an_extension_hides_are_hidden(self, place: FakeWiki) -> None:
        self.fill(place)
        place.unreadable.add("a.txt")
        acls = {name: one.acl for name, one in self.read(place, directory="corp").items()}
        assert acls == {"a.txt": ("group:rag-nobody",), "b.txt": ("everyone",)}
        place.extensions.append("Lockdown")
        place.open("user")
        assert {one.acl for one in self.read(place, directory="corp").values()} == {("group:rag-nobody",)}
        found = self.read(place, directory="corp", readers={"Main": ["staff"]})
        assert {one.acl for one in found.values()} == {("corp/group:staff",)}
        place.hidden.add("b.txt")  # from the account itself, which may go on listing it
        assert self.read(place).keys() == {"a.txt"}

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer(b"<html>Sign in</html>"), "RESPONSE_INVALID"),
            (Answer.json({}), "RESPONSE_INVALID"),
            (Answer.json({"query": {"pages": []}}), "RESPONSE_INVALID"),
            (Answer.json({"batchcomplete": True, "query": {"pages": [{"pageid": 1}]}}), "RESPONSE_INVALID"),
            (Answer.json([]), "RESPONSE_INVALID"),
            (_error("maxlag"), "RATE_LIMITED"),
            (_error("internal_api_error_DBQueryError"), "SOURCE_UNAVAILABLE"),
            (_error("unknown_action"), "RESPONSE_INVALID"),
            (Answer(status=429, headers={"retry-after": "1"}), "RATE_LIMITED"),
            (Answer(status=302, headers={"location": "http://127.0.0.2:9/"}), "CROSS_ORIGIN"),
        ],
    )
    def test_an_answer_that_is_no_list_is_no_empty_wiki(self, place: FakeWiki, answer: Answer, reason: str) -> None:
        self.fill(place)
        place.options["login"] = None
        with self.connect(place) as connector:
            connector.version_tag()
            listing = connector.list_items()
            entries = iter(listing)
            place.server.reply(
                "/w/api.php", lambda asked: answer if "generator" in asked.query else place._answer(asked)
            )
            assert (list(entries), listing.complete, str(listing.error).partition(":")[0]) == ([], False, reason)

    def test_a_list_that_leads_in_a_circle_is_incomplete(self, place: FakeWiki) -> None:
        circle = {"batchcomplete": True, "continue": {"gapcontinue": "a", "continue": "gapcontinue||"}}
        place.server.reply(
            "/w/api.php", lambda asked: Answer.json(circle) if "generator" in asked.query else place._answer(asked)
        )
        with self.connect(place) as connector:
            listing = connector.list_items()
            assert (list(listing), str(listing.error).partition(":")[0]) == ([], "PAGINATION_LOOP")


def test_the_fake_is_a_place() -> None:
    """Type check only: what the suite asks of a wiki is what the fake has."""
    _: type[WikiPlace] = FakeWiki
