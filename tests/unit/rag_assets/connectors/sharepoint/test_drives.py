"""Drives of SharePoint: the delta and its token, moves, the recycle bin, downloads, throttling; pages of sites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets.testing import Answer, FakeServer
from tests.contract.connectors.test_files import ODD_NAMES
from tests.support.connector_runs import SourceRuns
from tests.support.graph_server import DRIVE, LIBRARY, PAGE, ROOT, GraphServer, error, person

Source = SourceRuns[GraphServer]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("RAG_SECRET_GRAPH", "secret")
    with FakeServer() as server, FakeServer() as downloads:
        yield SourceRuns(GraphServer(server, downloads), LIBRARY)


def test_a_poll_of_a_source_at_rest_is_one_request_a_site_and_one_a_drive(source: Source) -> None:
    for number in range(3 * PAGE):
        source.server.put(f"{number}.txt", "text")
    source.paths()
    before = source.poll()
    asked = len(source.server.server.requests)
    assert source.poll() == before
    paths = [one.path for one in source.server.server.requests[asked:]]
    assert [path.rpartition("/")[2] for path in paths] == ["token", "hr", "drives", "delta"]
    source.server.put("3.txt", "another text")
    assert source.poll() != before


def test_folders_are_moved_renamed_and_deleted_with_what_is_in_them(source: Source) -> None:
    server = source.server
    outer = server.folder("outer")
    inner = server.folder("inner", outer)
    server.put("a.txt", "text", inner)
    assert source.paths() == ["outer/inner/a.txt"]
    server.items[outer]["name"] = "renamed"
    server.touch(outer)  # and nothing in it, as Graph does it
    assert source.paths() == ["renamed/inner/a.txt"]
    server.move(inner, ROOT)
    server.remove("renamed")
    assert source.paths() == ["inner/a.txt"]
    server.remove("inner")
    assert source.paths() == []


def test_a_token_that_is_too_old_leads_to_a_reading_of_everything(source: Source) -> None:
    server = source.server
    for number in range(PAGE + 2):
        server.put(f"{number}.txt", "text")
    before, _ = source.listed()
    server.remove("1.txt")
    server.put("2.txt", "another text")
    server.expire_tokens()
    after, problem = source.listed()
    assert (problem, sorted(before.keys() - after.keys())) == (None, ["1.txt"])
    assert {path for path, tag in after.items() if before[path] != tag} == {"2.txt"}


def test_a_reading_that_breaks_off_is_incomplete_and_continues_where_it_stopped(source: Source) -> None:
    for number in range(4 * PAGE):
        source.server.put(f"{number}.txt", "text")
    path = f"/v1.0/drives/{DRIVE}/root/delta"
    original, seen = source.server.server.answer, list[str]()

    def answer(asked: Any) -> Answer:
        seen.append(asked.path)
        return error(503, "serviceNotAvailable") if asked.path == path and seen.count(path) == 2 else original(asked)

    source.server.server.answer = answer  # type: ignore[method-assign]
    found, problem = source.listed()
    assert (found, str(problem).partition(":")[0]) == ({}, "HTTP_STATUS")
    assert len(source.paths()) == 4 * PAGE
    assert seen.count(path) == 2 + 4  # 21 items in 5 pages: one was read, one broke off, four are left


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>Sign in</html>", headers={"content-type": "text/html"}), "RESPONSE_INVALID"),
        (Answer.json({"value": []}), "RESPONSE_INVALID"),
        (Answer.json({"error": {"code": "generalException"}}), "RESPONSE_INVALID"),
        (Answer.json({"value": None, "@odata.deltaLink": "x"}), "RESPONSE_INVALID"),
        (error(403, "accessDenied"), "ACCESS_REFUSED"),
        (error(429, "activityLimitReached", retry_after="600"), "RATE_LIMITED"),
        (Answer(status=302, headers={"location": "http://127.0.0.2:9/"}), "CROSS_ORIGIN"),
    ],
)
def test_an_answer_that_is_no_delta_deletes_nothing(source: Source, answer: Answer, reason: str) -> None:
    source.server.put("a.txt", "text")
    assert source.paths() == ["a.txt"]
    source.server.server.fail(f"/v1.0/drives/{DRIVE}/root/delta", answer, answer)
    found, problem = source.listed()
    assert (found, str(problem).partition(":")[0]) == ({}, reason)
    assert source.poll().startswith("unavailable:")
    assert source.paths() == ["a.txt"]


def test_a_page_that_repeats_is_found(source: Source) -> None:
    link = source.server.server.url(f"/v1.0/drives/{DRIVE}/root/delta?token=0&skip=1&until=9")
    page = Answer.json({"value": [], "@odata.nextLink": link})
    source.server.server.fail(f"/v1.0/drives/{DRIVE}/root/delta", page, page)
    assert str(source.listed()[1]).startswith("PAGINATION_LOOP")


def test_a_token_that_ends_in_the_middle_is_replaced(source: Source) -> None:
    source.server.put("a.txt", "text")
    source.server.server.fail(f"/v1.0/drives/{DRIVE}/root/delta", error(401, "InvalidAuthenticationToken"))
    assert source.paths() == ["a.txt"]
    assert source.server.calls("/token") == 2


def test_throttling_is_waited_for_also_inside_a_batch(source: Source) -> None:
    source.options = {"attempts": 3, "directory": "corp"}
    for number in range(20):
        source.server.put(f"{number}.txt", "text")
    source.server.throttled, source.server.throttled_inside = 2, [1, 0, 15]
    assert len(source.paths()) == 20
    assert source.server.calls("/$batch") == 2 + 2  # the library alone, again; 20 files, and the 15 that were left
    source.options |= {"attempts": 1}
    source.server.throttled_inside = [1]
    assert str(source.listed()[1]).startswith("RATE_LIMITED")


def test_files_come_from_another_host_without_the_token(source: Source) -> None:
    source.server.put("a.txt", "text")
    found = source.fetched()["a.txt"]
    assert (found.content, found.media_type, found.acl) == (b"text", None, None)
    assert found.metadata == {
        "url": "https://acme.sharepoint.com/sites/hr/Documents/a.txt", "author": "Ann", "library": "Documents",
        "modified": "2026-11-30T10:00:00Z", "site": "acme.sharepoint.com/sites/hr",
    }  # fmt: skip


def test_what_is_no_file_is_left_out_and_what_cannot_be_read_is_named(source: Source) -> None:
    source.options = {"include": ["Documents/in/**"], "exclude": ["**/*.tmp"], "max_file_bytes": 10}
    folder = source.server.folder("in")
    source.server.put("a.txt", "text", folder)
    source.server.put("b.tmp", "text", folder)
    source.server.put("c.txt", "text")
    source.server.put("big.txt", "x" * 11, folder)
    source.server.put("bad.txt", "text", folder, malware={"description": "x"})
    source.server.put("link.txt", "text", folder, remoteItem={"id": "x"})
    assert source.paths() == ["in/a.txt"]
    assert source.problems() == {"in/big.txt": "FILE_TOO_LARGE", "in/bad.txt": "UNREADABLE"}


def test_odd_names_are_listed_once_and_read_as_they_are(source: Source) -> None:
    for name in ODD_NAMES:
        source.server.put(name.replace("/", "_"), f"text of {name}")
    assert sorted(one.content.decode() for one in source.fetched().values()) == sorted(
        f"text of {n}" for n in ODD_NAMES
    )


def test_twelve_thousand_files_are_paged_and_a_limit_is_incomplete(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.graph_server.PAGE", 1000)
    for number in range(12_000):
        source.server.put(f"{number}.txt", "x")
    assert len(source.paths()) == 12_000
    assert source.server.calls("/delta") == 13
    source.options = {"max_documents": 11_000}
    assert "more than 11000" in str(source.listed()[1])


def test_a_onedrive_is_read_by_the_name_of_its_owner(source: Source) -> None:
    source.options = {"sites": [], "users": ["ann@acme.example"], "directory": "corp"}
    source.server.permit(ROOT, [person("ann", roles=["owner"])])
    source.server.put("a.txt", "text")
    found = source.fetched()
    assert {path: one.acl for path, one in found.items()} == {
        "ann@acme.example/OneDrive/a.txt": ("corp/email:ann@acme.example",)
    }


def test_national_clouds_have_other_hosts(source: Source) -> None:
    more = {"endpoint": "https://microsoftgraph.chinacloudapi.cn", "authority": "https://login.chinacloudapi.cn"}
    source.options = more
    opened = source.config().options.opened()
    assert opened is not None
    assert opened.endpoints == (
        ("microsoftgraph.chinacloudapi.cn", 443), ("login.chinacloudapi.cn", 443), ("acme.sharepoint.com", 443)
    )  # fmt: skip


def test_pages_are_read_as_html_and_one_that_is_being_edited_stays(source: Source) -> None:
    text = {"@odata.type": "#microsoft.graph.textWebPart", "innerHtml": "<h2>Oil</h2>"}
    plain = {"searchablePlainTexts": [{"key": "title", "value": "Pumps & more"}]}
    other = {"@odata.type": "#microsoft.graph.standardWebPart", "data": {"serverProcessedContent": plain}}
    layout = {"horizontalSections": [{"columns": [{"webparts": [text]}]}], "verticalSection": {"webparts": [other]}}
    pages = {"1": ("published", "1.0"), "2": ("checkout", "1.1"), "3": ("draft", "0.4")}
    for number, (level, version) in pages.items():
        source.server.pages[number] = {
            "id": number, "name": f"{number}.aspx", "title": f"Page {number}", "eTag": f'"{version}"',
            "lastModifiedDateTime": "2026-11-30T10:00:00Z", "canvasLayout": layout,
            "publishingState": {"level": level, "versionId": version}, "webUrl": "https://acme.sharepoint.com/x.aspx",
        }  # fmt: skip
    source.options = {"pages": True}
    ((path, found),) = source.fetched().items()
    assert (path, found.title, found.media_type) == (
        "acme.sharepoint.com/sites/hr/Site Pages/1.aspx",
        "Page 1",
        "text/html",
    )
    assert found.content.decode() == "<h2>Oil</h2>\n<p>Pumps &amp; more</p>"
    assert source.problems() == {"acme.sharepoint.com/sites/hr/Site Pages/2.aspx": "UNREADABLE"}
    before = source.poll()
    source.server.pages["1"]["eTag"] = '"2.0"'
    assert source.poll() != before


def test_pages_and_readers_are_not_read_together(source: Source) -> None:
    source.options = {"pages": True, "directory": "corp"}
    with pytest.raises(ValueError, match="who may read a page"):
        source.config()


def test_the_file_of_the_how_to_reads_a_library(source: Source) -> None:
    page = Path(__file__).resolve().parents[5] / "docs" / "how-to" / "add-a-sharepoint-source.md"
    (block,) = [
        text for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL) if "kind:" in text
    ]
    source.server.put("travel.docx", "text")
    here = {name: source.server.options[name] for name in ("endpoint", "authority", "tenant_id", "client_id")}
    source.options = yaml.safe_load(block)["attributes"]["options"] | here
    source.server.options = {}
    assert source.fetched()["travel.docx"].acl == ("corp/site-group:acme.sharepoint.com/sites/hr/5",)
