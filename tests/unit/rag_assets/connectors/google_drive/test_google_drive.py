"""What is special to Google Drive: types of its own, shortcuts, readers, the trash, and throttling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stamina

from rag_assets.connectors import open_connector
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, FakeServer
from rag_core.content.sources import Connector, FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, Unavailable
from tests.contract.connectors.test_files import ODD_NAMES
from tests.support.google_drive import FOLDER, OFFICE, SUBJECT, Drive, file_id, refusal

GOOGLE = "application/vnd.google-apps."
FILES = "/drive/v3/files"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    yield from made(monkeypatch, "")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    yield from made(monkeypatch, "0ATeam")


def made(monkeypatch: pytest.MonkeyPatch, drive: str) -> Iterator[Drive]:
    with FakeServer() as server:
        place = Drive(server, drive)
        monkeypatch.setenv("RAG_SECRET_DRIVE", place.key)
        yield place


@contextmanager
def connect(place: Drive, *, attempts: int = 1, **more: Any) -> Iterator[Connector]:
    options = {**place.options, "attempts": attempts, **more}
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})
    with (
        stamina.set_testing(True, attempts=attempts),
        open_connector(config, ConnectorContext(fetch_policy=LOOPBACK)) as connector,
    ):
        yield connector


def read(place: Drive, **more: Any) -> tuple[dict[str, FetchedItem], list[Problem], str | None]:
    """Documents by title, problems, and why the listing is not complete."""
    with connect(place, **more) as connector:
        listing = connector.list_items()
        entries = list(listing)
        found = [connector.fetch(one) for one in entries if isinstance(one, SourceItem)]
    assert listing.complete == (listing.error is None)
    return {str(one.title): one for one in found}, [one for one in entries if isinstance(one, Problem)], listing.error


def titles(place: Drive, **more: Any) -> list[str]:
    found, _, error = read(place, **more)
    assert error is None
    return sorted(found)


def asked(place: Drive) -> list[str]:
    """The paths of the requests, without those for tokens."""
    return [one.path for one in place.server.requests if one.path != "/token"]


# --------------------------------------------------------------------------------------------------------------------
# What is read.


def test_documents_of_googles_own_types_come_in_the_types_of_office_and_others_as_they_are(place: Drive) -> None:
    for kind, name in (("document", "Plan"), ("spreadsheet", "Sums"), ("presentation", "Talk"), ("drawing", "Map")):
        place.add(f"id{name}", name, f"{GOOGLE}{kind}", name.encode())
    place.add("idForm", "Form", f"{GOOGLE}form")
    place.add("idNotes", "Notes.RST", "text/plain", b"notes", description="What was said")
    place.add("idBlob", "blob", "application/octet-stream", b"x")
    found, problems, error = read(place)
    types = {name: (one.item.locator, one.media_type, one.content.decode()) for name, one in found.items()}
    assert types == {
        "Plan": ("idPlan.docx", f"{OFFICE}.wordprocessingml.document", "Plan"),
        "Sums": ("idSums.xlsx", f"{OFFICE}.spreadsheetml.sheet", "Sums"),
        "Talk": ("idTalk.pptx", f"{OFFICE}.presentationml.presentation", "Talk"),
        "Map": ("idMap.pdf", "application/pdf", "Map"),
        "Notes.RST": ("idNotes.rst", "text/plain", "notes"),
        "blob": ("idBlob", None, "x"),
    }
    assert ([(one.locator, one.reason, one.skipped) for one in problems], error) == (
        [("idForm", "TYPE_UNSUPPORTED", True)], None,
    )  # fmt: skip
    assert found["Notes.RST"].metadata == {
        "url": "https://drive.google.com/file/d/idNotes/view", "author": "Ann", "description": "What was said",
    }  # fmt: skip


def test_what_cannot_be_read_is_named_and_its_document_stays(place: Drive) -> None:
    place.add("idLocked", "locked.txt", "text/plain", b"x", capabilities={"canDownload": False, "canShare": True})
    place.add("idBig", "big.txt", "text/plain", b"x" * 2000)
    place.add("idLong", "Long", f"{GOOGLE}document", b"x" * 10_000_001)
    with connect(place, max_file_bytes=1000) as connector:
        listing = connector.list_items()
        entries = {one.locator: one for one in listing}
        assert listing.complete
        place.add("idLater", "later.txt", "text/plain", b"x", capabilities={"canDownload": False, "canShare": True})
        assert (entries["idLocked.txt"].reason, entries["idBig.txt"].reason) == ("UNREADABLE", "FILE_TOO_LARGE")  # type: ignore[union-attr]
        for name, said in (("idLong.docx", "FILE_TOO_LARGE.*10 MB"), ("idLater.txt", "UNREADABLE")):
            with pytest.raises(InvalidInput, match=said):
                connector.fetch(SourceItem(name, ""))
        place.server.fail(f"{FILES}/idLater", refusal(403, "domainPolicy"))
        with pytest.raises(Unavailable, match="domainPolicy"):
            connector.fetch(SourceItem("idLater.txt", ""))
        place.change("idLater", trashed=True)
        with pytest.raises(NotFound):
            connector.fetch(SourceItem("idLater.txt", ""))


def test_folders_are_read_with_all_below_them_and_paths_choose(place: Drive) -> None:
    place.add("deep", "Old/Archive", FOLDER)
    place.add("deeper", "2025", FOLDER, parent="deep")
    place.add("f1", "a.md", "text/markdown", b"a", parent="deeper")
    place.add("f2", "b.md", "text/markdown", b"b")
    place.add("f3", "c.txt", "text/plain", b"c", parent="deep")
    place.add("f4", "elsewhere.md", "text/markdown", b"d", parent="root")
    assert titles(place) == ["a.md", "b.md", "c.txt"]
    assert titles(place, include=["**/*.md"], exclude=["Old_Archive/2025"]) == ["b.md"]
    place.change("deep", trashed=True)
    assert titles(place) == ["b.md"]


def test_without_folders_and_drives_all_that_the_account_sees_is_read_once(shared: Drive) -> None:
    shared.add("drafts", "Drafts", FOLDER)
    shared.add("f1", "draft.md", "text/markdown", b"a", parent="drafts", viewedByMe=True)
    shared.add("f2", "b.md", "text/markdown", b"b")
    shared.drive = ""
    shared.add("f3", "own.md", "text/markdown", b"c", parent="root")
    everything: dict[str, Any] = {"drives": [], "folders": []}
    found, _, error = read(shared, **everything, exclude=["Drafts"])
    assert (sorted(found), error) == (["b.md", "own.md"], None)
    assert (found["b.md"].metadata["drive"], found["own.md"].metadata.get("drive")) == ("Handbook", None)


def test_a_shortcut_is_a_way_to_a_file_that_is_read_once(place: Drive) -> None:
    place.put("a.txt", "in the folder")
    place.add("outside", "outside.txt", "text/plain", b"outside", parent="root")
    place.add("other", "Other", FOLDER, parent="root")
    place.add("inner", "inner.txt", "text/plain", b"inner", parent="other")
    for number, target in enumerate([file_id("a.txt"), "outside", "outside", "other", "gone"]):
        details = {"targetId": target, "targetMimeType": "text/plain"}
        place.add(f"s{number}", f"Shortcut {number}", f"{GOOGLE}shortcut", shortcutDetails=details)
    assert titles(place) == ["a.txt", "outside.txt"]
    with connect(place) as connector:
        assert [one.locator for one in connector.list_items()] == [f"{file_id('a.txt')}.txt", "outside.txt"]
        assert asked(place).count(f"{FILES}/outside") == 4  # one for each listing, two for the document
        assert asked(place).count(f"{FILES}/{file_id('a.txt')}") == 2  # with its content, by `titles`
        before = connector.version_tag()
        place.add("outside", "outside.txt", "text/plain", b"changed", parent="root")
        assert connector.version_tag() != before
    place.change("outside", trashed=True)
    assert titles(place) == ["a.txt"]


def test_a_renamed_file_stays_one_document_and_is_read_again(place: Drive) -> None:
    place.put("a.txt", "text")
    with connect(place) as connector:
        (before,) = connector.list_items()
        place.change(file_id("a.txt"), name="b.txt", parents=["top"])
        (after,) = connector.list_items()
    assert after.locator == before.locator
    assert after.version_tag != before.version_tag  # type: ignore[union-attr]


@pytest.mark.parametrize("drive", ["", "0ATeam"])
def test_12000_odd_names_are_listed_once_in_a_few_requests(monkeypatch: pytest.MonkeyPatch, drive: str) -> None:
    for place in made(monkeypatch, drive):
        place.page_size = 1000
        for number in range(12_000):
            place.add(f"n{number}", f"{number} {ODD_NAMES[number % len(ODD_NAMES)]}", "text/plain", b"x")
        with connect(place, directory="corp", requests_per_second=200) as connector:
            listing = connector.list_items()
            assert (len({one.locator for one in listing}), listing.error) == (12_000, None)
        assert len(asked(place)) <= 14
        with connect(place, max_documents=11_999) as connector:
            listing = connector.list_items()
            assert (len(list(listing)), listing.complete) == (11_999, False)


# --------------------------------------------------------------------------------------------------------------------
# Who may read it.


READERS: list[tuple[list[dict[str, Any]], tuple[str, ...]]] = [
    ([{"type": "user", "emailAddress": "Ann@Acme.example"}], ("corp/email:ann@acme.example",)),
    ([{"type": "group", "emailAddress": "staff@acme.example"}], ("corp/email:staff@acme.example",)),
    ([{"type": "domain", "domain": "Acme.example", "allowFileDiscovery": True}], ("corp/domain:acme.example",)),
    ([{"type": "domain", "domain": "acme.example", "allowFileDiscovery": False}], ("corp/link:acme.example",)),
    ([{"type": "anyone", "allowFileDiscovery": True}], ("everyone",)),
    ([{"type": "anyone"}], ("corp/link:anyone",)),
    ([{"type": "user", "emailAddress": "bo@acme.example", "deleted": True}], (NOBODY,)),
    ([{"type": "user", "emailAddress": "bo@acme.example", "view": "metadata"}], (NOBODY,)),
    ([{"type": "anyone", "view": "published", "allowFileDiscovery": True}], (NOBODY,)),
    ([{"type": "something new"}], (NOBODY,)),
]


@pytest.mark.parametrize("drive", ["", "0ATeam"])
def test_a_permission_is_a_reader_and_what_is_none_admits_nobody(monkeypatch: pytest.MonkeyPatch, drive: str) -> None:
    for place in made(monkeypatch, drive):
        for number, (permissions, _) in enumerate(READERS):
            place.put(f"{number}", "text")
            place.grant(file_id(f"{number}"), *permissions)
        found, _, _ = read(place, directory="corp")
        assert {name: one.acl for name, one in found.items()} == {str(n): acl for n, (_, acl) in enumerate(READERS)}
        assert {one.acl for one in read(place)[0].values()} == {None}


@pytest.mark.parametrize("drive", ["", "0ATeam"])
def test_readers_that_the_account_may_not_know_are_nobody_until_it_may(
    monkeypatch: pytest.MonkeyPatch, drive: str
) -> None:
    for place in made(monkeypatch, drive):
        place.put("a.txt", "text")
        place.share("a.txt", ["ann@acme.example"], [])
        place.change(file_id("a.txt"), capabilities={"canDownload": True, "canShare": False})
        before = read(place, directory="corp")[0]["a.txt"]
        place.change(file_id("a.txt"), capabilities={"canDownload": True, "canShare": True})
        after = read(place, directory="corp")[0]["a.txt"]
        assert (before.acl, after.acl) == ((NOBODY,), ("corp/email:ann@acme.example",))
        assert before.item.version_tag != after.item.version_tag


def test_a_listing_of_a_shared_drive_asks_for_no_readers_and_a_document_for_its_own(shared: Drive) -> None:
    for number in range(12):
        shared.put(f"{number}.txt", "text")
        shared.share(f"{number}.txt", ["ann@acme.example"], [])
    with connect(shared, directory="corp") as connector:
        (first, *_) = [one for one in connector.list_items() if isinstance(one, SourceItem)]
        assert set(asked(shared)) == {FILES}
        assert len(asked(shared)) == 4  # one page of folders, three of files
        fetched = connector.fetch(first)
    assert fetched.item.version_tag == first.version_tag
    assert f"{FILES}/{file_id('0.txt')}/permissions" in asked(shared)


# --------------------------------------------------------------------------------------------------------------------
# Polls, tokens and faults.


def test_a_poll_without_readers_asks_for_the_end_of_each_log(shared: Drive) -> None:
    shared.put("a.txt", "text")
    with connect(shared) as connector:
        before = connector.version_tag()
        assert asked(shared) == ["/drive/v3/changes/startPageToken"] * 2
        shared.remove("a.txt")
        assert connector.version_tag() != before


def test_what_changes_while_it_is_listed_is_seen_by_the_next_poll(place: Drive) -> None:
    place.put("a.txt", "text")
    with connect(place) as connector:
        listing = connector.list_items()
        for _ in listing:
            place.put("late.txt", "text")
        assert connector.version_tag() != listing.version_tag


def test_a_service_account_acts_for_the_user_that_the_file_names(place: Drive) -> None:
    place.put("a.txt", "text")
    titles(place)
    before = place.subject
    titles(place, subject=SUBJECT)
    assert (before, place.subject) == (None, SUBJECT)


def test_a_bearer_token_is_sent_as_it_is(place: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("a.txt", "text")
    monkeypatch.setenv("RAG_SECRET_TOKEN", "first")
    login = {"type": "bearer", "token": {"env": "RAG_SECRET_TOKEN"}}
    assert titles(place, credentials=login) == ["a.txt"]
    monkeypatch.setenv("RAG_SECRET_TOKEN", "ended")
    assert str(read(place, credentials=login)[2]).startswith("ACCESS_REFUSED")


def test_a_token_that_ends_in_the_middle_is_replaced(place: Drive) -> None:
    for number in range(7):
        place.put(f"{number}.txt", "text")
    place.server.fail(FILES, refusal(401, "authError"))
    place.tokens = {"second"}
    assert len(titles(place)) == 7
    assert [one.path for one in place.server.requests].count("/token") == 2


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "rateLimitExceeded"), refusal(403, "userRateLimitExceeded"), refusal(503, "backendError"),
        Answer(status=429, headers={"retry-after": "0"}),
    ],
)  # fmt: skip
def test_throttling_is_waited_for(place: Drive, answer: Answer) -> None:
    place.put("a.txt", "text")
    place.server.fail(FILES, answer)
    place.server.fail(f"{FILES}/{file_id('a.txt')}", answer)
    assert titles(place, attempts=2) == ["a.txt"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(403, "insufficientFilePermissions"), "ACCESS_REFUSED"),
        (refusal(403, "accessNotConfigured"), "ACCESS_REFUSED"),
        (refusal(403, "rateLimitExceeded"), "RATE_LIMITED"),
        (Answer(b"<html>Forbidden</html>", 403), "ACCESS_REFUSED"),
        (refusal(404, "notFound"), "LISTING_INCOMPLETE"),
        (refusal(400, "invalid"), "HTTP_STATUS"),
        (Answer(b"<html>Sign in</html>"), "RESPONSE_INVALID"),
        (Answer.json({"files": []}), "RESPONSE_INVALID"),
        (Answer.json([]), "RESPONSE_INVALID"),
        (Answer.json({"kind": "drive#fileList", "files": [{"id": "x"}]}), "RESPONSE_INVALID"),
        (Answer.json({"kind": "drive#fileList", "files": [], "incompleteSearch": True}), "LISTING_INCOMPLETE"),
        (Answer(status=302, headers={"location": "http://127.0.0.2:9/"}), "CROSS_ORIGIN"),
    ],
)
def test_an_answer_that_is_no_listing_is_no_empty_drive(place: Drive, answer: Answer, reason: str) -> None:
    place.put("a.txt", "text")
    place.server.fail(FILES, answer)
    found, _, error = read(place, directory="corp")
    assert (found, str(error).partition(":")[0]) == ({}, reason)


def test_an_answer_of_another_form_is_no_document_and_no_poll(place: Drive) -> None:
    place.put("a.txt", "text")
    place.server.fail("/drive/v3/changes/startPageToken", Answer.json({}))
    place.server.fail(f"{FILES}/{file_id('a.txt')}", Answer.json({"id": "x"}))
    with connect(place) as connector:
        assert connector.version_tag().startswith("unavailable:RESPONSE_INVALID")
        with pytest.raises(Unavailable, match="RESPONSE_INVALID"):
            connector.fetch(SourceItem(f"{file_id('a.txt')}.txt", ""))


def test_pages_in_a_circle_end(place: Drive) -> None:
    page = {"kind": "drive#fileList", "files": [], "nextPageToken": "again"}
    place.server.fail(FILES, *[Answer.json(page)] * 3)
    assert str(read(place)[2]).startswith("PAGINATION_LOOP")


def test_a_folder_that_is_gone_deletes_nothing(place: Drive) -> None:
    place.put("a.txt", "text")
    assert str(read(place, folders=["top", "nowhere"])[2]).startswith("LISTING_INCOMPLETE")
