"""What every source of a Redmine must do, whether it is a real one or a fake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from rag_assets.source_config import SourceConfig
from rag_assets.testing import ConnectorSuite, ReaderSuite
from rag_assets.testing.connector_suite import Place
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound

ROLES = {
    "Reader": ("default", ("view_wiki_pages", "view_issues", "view_files")),
    "Lead": ("all", ("view_wiki_pages", "view_issues", "view_files")),
    "Own": ("own", ("view_wiki_pages", "view_issues", "view_files")),
    "Blind": ("all", ("view_gantt",)),
}
"""Roles of the place: which issues they see, and their permissions."""


class RedminePlace(Protocol):
    """A Redmine that a test changes, as its administrator. Projects are private unless it says otherwise."""

    options: dict[str, Any]
    prefix: str
    """Begins the identifiers of a test's projects, which have a wiki, issues and files."""

    def put(self, name: str, text: str) -> None:
        """Write the page `Start` of a project of its own."""

    def remove(self, name: str) -> None: ...

    def lose(self) -> None: ...

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None: ...

    def project(self, name: str, *, public: bool = False, parent: str = "") -> str:
        """Make a project, which inherits the members of its parent; its identifier is returned."""

    def wiki(self, name: str, title: str, text: str, **files: bytes) -> None: ...

    def member(self, name: str, user: str, *roles: str) -> None: ...

    def issue(self, name: str, subject: str, text: str = "", **more: Any) -> int:
        """`private`, `assigned` (a login) and `files` (content by name)."""

    def note(self, issue: int, text: str, *, private: bool = False, status: int = 1) -> None: ...

    def upload(self, name: str, file: str, content: bytes) -> None: ...

    def set_state(self, name: str, state: str) -> None:
        """`close` or `archive` a project."""

    def require_login(self, required: bool) -> None: ...

    def key_of(self, user: str) -> str:
        """An API key of a user, who is no administrator."""


class RedmineSuite(ReaderSuite):
    """The suite of every connector with readers, and what projects are."""

    def config(self, place: Place, **more: object) -> SourceConfig:
        return ConnectorSuite.config(self, place, **more)  # the options of the place name the directory

    def name_of(self, locator: str) -> str:
        return re.sub(r"^wiki/t\d+-(.*)/Start$", lambda found: found[1].replace("-", "."), locator)

    def read(self, place: RedminePlace, **more: object) -> dict[str, FetchedItem]:
        """Every document of a complete listing, by the end of its locator after the test's prefix."""
        options, place.options = place.options, {**place.options, **more}
        with self.connect(place) as connector:
            listing = connector.list_items()
            entries = list(listing)
            assert (listing.complete, listing.error) == (True, None)
            found = {one.locator: connector.fetch(one) for one in entries if isinstance(one, SourceItem)}
        place.options = options
        assert not [one for one in entries if isinstance(one, Problem)]
        assert all(found[one.locator].item.version_tag == one.version_tag for one in entries)  # type: ignore[union-attr]
        return {re.sub(r"(/|^)\d+(?= )", r"\1N", name.replace(place.prefix, "")): one for name, one in found.items()}

    def readers(self, place: RedminePlace, name: str) -> list[str]:
        """The readers of a document, without the name of the directory."""
        return [entry.replace("corp/", "") for entry in self.read(place)[name].acl or ()]

    def test_an_issue_has_its_notes_and_never_those_that_are_private(self, place: RedminePlace) -> None:
        place.project("pumps")
        number = place.issue("pumps", "Leak", "h2. Where\n\n# seal\n# valve")
        place.note(number, "Tighten it.")
        place.note(number, "The customer is difficult.", private=True)
        before, tag = self.state(place)
        place.note(number, "Done.", status=5)
        after, new_tag = self.state(place)
        found = self.read(place)[f"issues/{number}"]
        text = found.content.decode()
        assert ("## Where" in text, "1. valve" in text, "difficult" in text) == (True, True, False)
        assert (text.index("Tighten it.") < text.index("Done."), found.title) == (True, f"Bug #{number}: Leak")
        assert (found.metadata["status"], found.metadata["url"].endswith(f"/issues/{number}")) == ("Closed", True)
        assert (found.metadata["project"], before != after, tag != new_tag) == (f"{place.prefix}pumps", True, True)

    def test_private_issues_are_for_those_whose_role_or_name_says_so(self, place: RedminePlace) -> None:
        place.project("pumps")
        for user, role in (("ann", "Lead"), ("bo", "Reader"), ("cy", "Reader"), ("di", "Own"), ("eve", "Blind")):
            place.member("pumps", user, role)
        open_, private = place.issue("pumps", "Open"), place.issue("pumps", "Private", private=True, assigned="cy")
        assert self.readers(place, f"issues/{open_}") == ["login:ann", "login:bo", "login:cy"]
        assert self.readers(place, f"issues/{private}") == ["login:ann", "login:cy"]
        assert self.readers(place, f"issues/{place.issue('pumps', 'Own', assigned='di')}") == [
            "login:ann", "login:bo", "login:cy", "login:di"
        ]  # fmt: skip
        assert not self.read(place, hidden_trackers=["Bug"])

    def test_private_issues_are_not_read_without_their_readers(self, place: RedminePlace) -> None:
        place.project("pumps")
        number, private = place.issue("pumps", "Open"), place.issue("pumps", "Private", private=True)
        with self.connect(place) as connector:
            items = {one.locator: one for one in connector.list_items() if isinstance(one, SourceItem)}
        assert items.keys() == {f"issues/{number}", f"issues/{private}"}
        assert self.read(place, directory=None).keys() == {f"issues/{number}"}
        place.options["directory"] = None
        with self.connect(place) as connector, pytest.raises(NotFound):
            connector.fetch(items[f"issues/{private}"])

    def test_public_projects_are_for_all_accounts_or_for_anybody(self, place: RedminePlace) -> None:
        place.project("open", public=True)
        place.wiki("open", "Start", "Text.")
        place.member("open", "ann", "Reader")
        place.member("open", "eve", "Blind")
        place.require_login(False)
        assert self.readers(place, "wiki/open/Start") == ["login:ann", "builtin:non_member", "everyone"]
        _, tag = self.state(place)
        place.require_login(True)
        assert self.readers(place, "wiki/open/Start") == ["deny:login:eve", "login:ann", "builtin:non_member"]
        assert self.state(place)[1] != tag

    def test_members_of_a_parent_project_read_what_inherits_them(self, place: RedminePlace) -> None:
        place.project("parent")
        place.member("parent", "ann", "Reader")
        place.project("child", parent="parent")
        place.wiki("child", "Start", "Text.")
        assert self.readers(place, "wiki/child/Start") == ["login:ann"]

    def test_files_are_documents_of_their_own(self, place: RedminePlace) -> None:
        place.project("pumps")
        place.wiki("pumps", "Größe_&_mehr", "See the file.", **{"Plan 1 é&+.csv": b"a;b\n"})
        number = place.issue("pumps", "Leak", files={"photo.txt": b"a leak"})
        place.upload("pumps", "manual.txt", b"how to pump")
        found = self.read(place)
        names = [
            "wiki/pumps/Größe_&_mehr/N Plan 1 é&+.csv",
            f"issues/{number}/N photo.txt",
            "files/pumps/N manual.txt",
        ]
        assert [found[name].content for name in names] == [b"a;b\n", b"a leak", b"how to pump"]
        assert (found[names[0]].title, found[names[1]].metadata["issue"]) == ("Plan 1 é&+.csv", f"Bug #{number}: Leak")
        assert found[names[2]].metadata["url"].partition("/attachments/")[2].isdigit()
        assert self.read(place, attachments=False).keys() == found.keys() - {*names[:2]}
        assert self.read(place, parts=["files"]).keys() == {names[2]}

    def test_archived_projects_are_gone_and_closed_ones_if_it_is_said(self, place: RedminePlace) -> None:
        for name in ("one", "two", "three"):
            place.project(name)
            place.wiki(name, "Start", "Text.")
        _, tag = self.state(place)
        place.set_state("one", "archive")
        place.set_state("two", "close")
        assert self.read(place).keys() == {"wiki/two/Start", "wiki/three/Start"}
        assert self.read(place, closed_projects=False).keys() == {"wiki/three/Start"}
        assert self.read(place, projects=[f"{place.prefix}two"]).keys() == {"wiki/two/Start"}
        assert self.read(place, exclude=[f"{place.prefix}two"]).keys() == {"wiki/three/Start"}
        assert self.state(place)[1] != tag

    def test_a_page_with_another_title_is_not_read_for_the_one_that_was_listed(self, place: RedminePlace) -> None:
        place.put("a.txt", "The first text.")
        with self.connect(place) as connector:
            (item,) = (one for one in connector.list_items() if isinstance(one, SourceItem))
            with pytest.raises(NotFound):
                connector.fetch(SourceItem(item.locator.replace("Start", "start"), item.version_tag))

    def test_a_wrong_key_or_project_is_named_and_nothing_is_deleted(
        self, place: RedminePlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.fill(place)
        place.member("a-txt", "ann", "Reader")
        monkeypatch.setenv("RAG_SECRET_WRONG", "wrong")
        monkeypatch.setenv("RAG_SECRET_ANN", place.key_of("ann"))
        place.require_login(True)
        for more, reason in (
            ({"key": {"env": "RAG_SECRET_WRONG"}}, "ACCESS_REFUSED"),
            ({"key": {"env": "RAG_SECRET_ANN"}}, "ACCESS_REFUSED"),  # who may not list the accounts
            ({"projects": ["none"]}, "CONFIG_INVALID"),
        ):
            options, place.options = place.options, {**place.options, **more}
            with self.connect(place) as connector:
                listing = connector.list_items()
                assert (list(listing), listing.complete) == ([], False)
            place.options = options
            assert str(listing.error).startswith(reason)
        assert self.read(place, key={"env": "RAG_SECRET_ANN"}, directory=None).keys() == {"wiki/a-txt/Start"}
