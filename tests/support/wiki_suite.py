"""What every source of a wiki by MediaWiki must do, whether the wiki is a real one or a fake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any, Protocol

from rag_assets.connectors.fields import NOBODY
from rag_assets.testing import ConnectorSuite
from rag_core.content.parsing import Kind
from rag_core.content.parsing.detect import detect
from rag_core.content.sources import FetchedItem, Problem, SourceItem

PASSWORD = "0123456789abcdef0123456789abcdef"


class WikiPlace(Protocol):
    """A wiki that a test changes. Its account `Reader` has a bot password."""

    options: dict[str, Any]

    def put(self, name: str, text: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def lose(self) -> None: ...

    def move(self, name: str, new: str) -> None:
        """Move a page, whose old name leads to the new one."""

    def upload(self, name: str, content: bytes) -> None: ...

    def jobs(self) -> None:
        """Do what the wiki does some time after an edit."""

    def open(self, *groups: str) -> None:
        """Let only these groups read; `*` is anybody."""

    def end_sessions(self) -> None:
        """Sign everybody out."""


class WikiSuite(ConnectorSuite):
    """The suite of every connector, and what wikis are."""

    def name_of(self, locator: str) -> str:
        return locator if locator.startswith("File:") else locator.removesuffix(".html")

    def text_of(self, content: bytes) -> str:
        return unescape(re.sub(r"<[^>]*>", "", content.decode())).strip()

    def read(self, place: WikiPlace, **more: object) -> dict[str, FetchedItem]:
        """Every document of a complete listing."""
        options, place.options = place.options, {**place.options, **more}
        with self.connect(place) as connector:
            listing = connector.list_items()
            entries = list(listing)
            found = {one.locator: connector.fetch(one) for one in entries if isinstance(one, SourceItem)}
        place.options = options
        assert (listing.complete, listing.error) == (True, None)
        assert not [one for one in entries if isinstance(one, Problem)]
        assert all(found[one.locator].item.version_tag == one.version_tag for one in entries)  # type: ignore[union-attr]
        assert all(detect(one.content, name=name, media_type=one.media_type) for name, one in found.items())
        return {self.name_of(name): one for name, one in found.items()}

    def test_a_moved_page_is_at_its_new_name_and_the_old_one_is_no_document(self, place: WikiPlace) -> None:
        self.fill(place)
        _, tag = self.state(place)
        place.move("b.txt", "new/b.txt")
        assert self.read(place).keys() == {"a.txt", "new/b.txt"}
        assert self.state(place)[1] != tag

    def test_pages_change_with_the_templates_in_them(self, place: WikiPlace) -> None:
        place.put("Template:Hours", "nine to five")
        place.put("a.txt", "Open {{Hours}}.")
        place.put("b.txt", "The second text.")
        place.jobs()
        before, tag = self.state(place)
        place.put("Template:Hours", "ten to six")
        waiting = self.state(place)[1]
        place.jobs()
        after, new_tag = self.state(place)
        assert waiting != new_tag  # what was listed before the jobs is listed again
        assert (before["a.txt"] != after["a.txt"], before["b.txt"] == after["b.txt"], tag != new_tag) == (True,) * 3
        assert self.text_of(self.read(place)["a.txt"].content) == "Open ten to six."

    def test_namespaces_globs_titles_and_what_is_known_of_a_page(self, place: WikiPlace) -> None:
        names = [
            "Zoë & Ann/100%?",
            "Manual/Pumps",
            "Manual/Drafts/x",
            "日本語",
            "a+b=c;d",
            "'quoted' \"twice\"",
            "Why plan.pdf?",
            "README.md",
        ]
        for name in (*names, "Help:Seals", "Talk:Seals"):
            place.put(name, f"Text of {len(name)}. [[Category:Pumps]]")
        found = self.read(place)
        assert {one.title for one in found.values()} == set(names)
        assert {detect(one.content, name=one.item.locator) for one in found.values()} == {Kind.HTML}
        assert all(self.text_of(one.content) == f"Text of {len(one.title or '')}." for one in found.values())
        one = found["Manual/Pumps"]
        assert (one.media_type, one.metadata["categories"], one.metadata["author"]) == ("text/html", "Pumps", "Admin")
        assert one.metadata["url"].endswith("/Manual/Pumps")
        assert self.read(place, namespaces=["help", "1"]).keys() == {"Help:Seals", "Talk:Seals"}
        assert self.read(place, include=["Manual/**"], exclude=["Manual/Drafts"]).keys() == {"Manual/Pumps"}

    def test_uploaded_files_are_documents_with_their_own_type(self, place: WikiPlace) -> None:
        place.open("*")
        place.put("a.txt", "The first text.")
        place.upload("Größe 1.csv", b"a;b\n1;2\n")
        found = self.read(place)
        assert found.keys() == {"a.txt", "File:Größe 1.csv"}
        file = found["File:Größe 1.csv"]
        assert (file.content, file.title) == (b"a;b\n1;2\n", "Größe 1.csv")
        assert file.media_type in ("text/csv", "text/plain")
        before, tag = self.state(place)
        place.upload("Größe 1.csv", b"a;b\n1;3\n")
        after, new_tag = self.state(place)
        assert (before["File:Größe 1.csv"] != after["File:Größe 1.csv"], tag != new_tag) == (True, True)
        assert self.read(place, attachments=False).keys() == {"a.txt"}

    def test_readers_are_the_groups_that_may_read(self, place: WikiPlace) -> None:
        place.put("a.txt", "The first text.")
        place.put("Help:Seals", "Text.")

        def acls(*groups: str, **more: object) -> tuple[list[tuple[str, ...] | None], str]:
            place.open(*groups)
            found = self.read(place, directory="corp", namespaces=["Main", "Help"], **more)
            return [found[name].acl for name in ("a.txt", "Help:Seals")], self.state(place)[1]

        private, tag = acls("user")
        assert private == [("corp/group:user",)] * 2
        staff, new_tag = acls("staff", "sysop")
        assert (staff, tag != new_tag) == ([("corp/group:staff", "corp/group:sysop")] * 2, True)
        assert acls("*", "user")[0] == [("everyone",)] * 2
        assert acls("user", readers={"Help": ["hr"]})[0] == [("corp/group:user",), ("corp/group:hr",)]
        assert acls("user", readers={"Help": []})[0][1] == (NOBODY,)
        assert self.read(place)["a.txt"].acl is None

    def test_a_session_that_ends_in_the_middle_is_begun_again(self, place: WikiPlace) -> None:
        place.open("user")
        self.fill(place)
        with self.connect(place) as connector:
            items = self.items(connector)
            place.end_sessions()
            assert [self.text_of(connector.fetch(one).content) for one in items] == [
                "The first text.", "The second text."
            ]  # fmt: skip

    def test_a_wrong_password_or_namespace_is_named_and_nothing_is_deleted(self, place: WikiPlace) -> None:
        self.fill(place)
        for more, reason in (
            ({"login": {"type": "password", "user": "Nobody@rag", "password": {"env": "RAG_SECRET_WIKI"}}},
             "ACCESS_REFUSED"),
            ({"namespaces": ["Nonsense"]}, "CONFIG_INVALID"),
            ({"url": place.options["url"].replace("api.php", "none.php")}, ""),
        ):  # fmt: skip
            options, place.options = place.options, {**place.options, **more}
            with self.connect(place) as connector:
                listing = connector.list_items()
                assert (list(listing), listing.complete) == ([], False)
            place.options = options
            assert str(listing.error).startswith(reason)

    def items(self, connector: Any) -> Sequence[SourceItem]:
        return [one for one in connector.list_items() if isinstance(one, SourceItem)]
