"""Pages and rows of Notion: search and its gaps, queries and their limit, long pages, files, times of a minute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets.connectors.notion.markdown import plain_markdown
from rag_assets.testing import Answer, FakeServer
from tests.support.connector_runs import SourceRuns
from tests.support.notion_server import PAGE, SOURCE, NotionServer, error

Source = SourceRuns[NotionServer]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("RAG_SECRET_NOTION", "secret")
    with FakeServer() as server, FakeServer() as files:
        yield SourceRuns(NotionServer(server, files))


def asked(source: Source) -> list[str]:
    """The paths that were asked for since the last call."""
    found = [one.path for one in source.server.server.requests]
    source.server.server.requests.clear()
    return found


def test_a_poll_of_a_source_at_rest_is_one_request(source: Source) -> None:
    for number in range(3 * PAGE):
        source.server.put(f"page {number}", "text")
    source.paths()
    before = source.poll()
    asked(source)
    assert (source.poll(), asked(source)) == (before, ["/v1/search"])
    source.server.put("page 3", "another text")
    assert source.poll() != before


def test_what_was_deleted_is_seen_by_a_poll_when_the_listing_is_old(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2 * PAGE):
        source.server.put(f"page {number}", "text")
    source.paths()
    before = source.poll()
    source.server.remove("page 1")  # not one of the newest
    assert source.poll() == before
    later = source.server.clock.timestamp() + 400 * 24 * 3600 + 16 * 60
    monkeypatch.setattr("time.time", lambda: later)
    assert source.poll() != before
    assert len(source.paths()) == 2 * PAGE - 1


def test_a_page_that_the_search_leaves_out_is_deleted_only_when_it_is_gone(source: Source) -> None:
    kept, trashed, unshared = (source.server.write(name, "text") for name in ("a", "bb", "ccc"))
    assert len(source.paths()) == 3
    source.server.unfound = {kept, trashed, unshared}
    assert len(source.paths()) == 3
    source.server.remove("bb")
    source.server.unshared.add(unshared)
    assert source.paths() == [kept]


def test_a_search_that_ends_before_its_end_is_incomplete(source: Source) -> None:
    source.server.cap = 3
    for number in range(4):
        source.server.put(f"page {number}", "text")
    assert "data_sources" in str(source.listed()[1])


def test_a_data_source_with_more_rows_than_a_query_gives_is_read_in_windows(source: Source) -> None:
    source.server.cap, source.options = 7, {"data_sources": [SOURCE.replace("-", "")]}
    rows = {source.server.write(f"row {number}", "text", row=True) for number in range(20)}
    source.server.put("page", "not a row")
    assert set(source.paths()) == rows
    assert len(asked(source)) > 6
    for row in rows:
        source.server.pages[row]["created_time"] = "2026-01-01T00:00:00.000Z"
    assert "at one time" in str(source.listed()[1])


def test_a_row_has_its_properties_and_its_text(source: Source) -> None:
    person = {"object": "user", "id": "x", "type": "person", "name": "Ann", "person": {"email": "ann@acme.example"}}
    values: dict[str, Any] = {
        "Status": {"type": "status", "status": {"id": "1", "name": "Done"}},
        "Tags": {"type": "multi_select", "multi_select": [{"name": "oil"}, {"name": "pumps"}]},
        "Due": {"type": "date", "date": {"start": "2026-12-01", "end": "2026-12-03"}},
        "Owner": {"type": "people", "people": [person]},
        "Cost": {"type": "formula", "formula": {"type": "number", "number": 12.5}},
        "Sum": {"type": "rollup", "rollup": {"type": "array", "array": [{"type": "number", "number": 3}]}},
        "No": {"type": "unique_id", "unique_id": {"prefix": "OPS", "number": 7}},
        "Note": {"type": "rich_text", "rich_text": [{"plain_text": "two "}, {"plain_text": "parts"}]},
        "Ready": {"type": "checkbox", "checkbox": True},
        "Empty": {"type": "select", "select": None},
        "Others": {"type": "relation", "relation": [{"id": SOURCE}]},
    }
    source.server.write("Pump 7", "Needs oil.", row=True, **values)
    (found,) = source.fetched().values()
    assert (found.title, found.media_type, found.acl) == ("Pump 7", "text/markdown", None)
    assert found.content.decode() == (
        "# Pump 7\n- Status: Done\n- Tags: oil, pumps\n- Due: 2026-12-01 to 2026-12-03\n- Owner: Ann\n- Cost: 12.5\n"
        "- Sum: 3\n- No: OPS-7\n- Note: two parts\n- Ready: yes\n\nNeeds oil."
    )
    assert found.metadata["url"].startswith("https://www.notion.so/")


def test_parts_of_a_long_page_are_read_one_by_one_and_links_lose_their_signature(source: Source) -> None:
    ident = source.server.write("Long", "")
    picture = "![plan](https://files.example.org/a.png?X-Amz-Signature=abc&X-Amz-Expires=3600)"
    source.server.parts = {
        ident: (f'One.\n<unknown url="x" alt="toggle"/>\n{picture}', ["b1", "b2", "secret"]),
        "b1": ("Two.", ["b3"]), "b2": ("Three.", []), "b3": ("Four.", []),
    }  # fmt: skip
    source.server.unshared.add("secret")
    (found,) = source.fetched().values()
    assert (
        found.content.decode()
        == "# Long\n\nOne.\n\n![plan](https://files.example.org/a.png)\n\nTwo.\n\nThree.\n\nFour."
    )
    source.server.parts = {ident: ("One.", [ident])}
    with pytest.raises(Exception, match="FILE_TOO_LARGE"):
        source.fetched()


def test_blocks_of_notions_markdown_are_blocks_of_markdown() -> None:
    text = (
        '# Oil {color="blue"}\nOne. {color="gray_bg" underline="true"}\n\tChild.\n- item\n\t- nested\n'
        '<callout icon="x">\n\tRemember.\n</callout>\n<details>\n<summary>More</summary>\n'
        "\t```python\n\tx = {\n\t\t'<callout>': 1}\n\t```\n</details>\n"
        "<table>\n\t<tr>\n\t\t<td>A</td>\n\t</tr>\n</table>\nEnd"
    )
    assert plain_markdown(text) == (
        "# Oil\n\nOne.\n\nChild.\n\n- item\n\t- nested\n\nRemember.\n\nMore\n\n"
        "```python\nx = {\n\t'<callout>': 1}\n```\n\n<table>\n<tr>\n<td>A</td>\n</tr>\n</table>\n\nEnd"
    )


def test_files_of_properties_are_documents_from_another_host_without_the_token(source: Source) -> None:
    other = {"name": "x.pdf", "type": "external", "external": {"url": "http://127.0.0.1:9/x.pdf"}}
    files = [source.server.file("a.txt"), source.server.file("a.txt"), source.server.file("b c.txt"), other]
    ident = source.server.write("Pump", "text", Manuals={"type": "files", "files": files})
    found = {path.removeprefix(ident): one for path, one in source.fetched().items()}
    assert list(found) == ["", "/a.txt", "/2/a.txt", "/b c.txt"]
    assert (found["/b c.txt"].content, found["/b c.txt"].title) == (b"content of b c.txt", "b c.txt (Pump)")
    assert "- Manuals: a.txt, a.txt, b c.txt, x.pdf" in found[""].content.decode()
    source.options = {"attachments": False}
    assert source.paths() == [ident]


def test_a_page_is_read_once_more_when_its_minute_has_passed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.server.put("a", "text")
    edited = source.server.clock
    monkeypatch.setattr("time.time", lambda: (edited + timedelta(seconds=30)).timestamp())
    (young,) = source.listed()[0].values()
    tag = source.poll()
    monkeypatch.setattr("time.time", lambda: (edited + timedelta(minutes=5)).timestamp())
    assert source.poll() != tag
    (old,) = source.listed()[0].values()
    assert young != old


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>Sign in</html>", headers={"content-type": "text/html"}), "RESPONSE_INVALID"),
        (Answer.json({"object": "list", "results": None, "has_more": False}), "RESPONSE_INVALID"),
        (Answer.json({"object": "list", "results": [{}], "has_more": False}), "RESPONSE_INVALID"),
        (Answer.json({"object": "list", "results": [], "has_more": True, "next_cursor": None}), "PAGINATION_LOOP"),
        (error(403, "restricted_resource"), "ACCESS_REFUSED"),
        (error(429, "rate_limited", retry_after="600"), "RATE_LIMITED"),
        (error(529, "service_overload"), "HTTP_STATUS"),
    ],
)
def test_an_answer_that_is_no_listing_deletes_nothing(
    source: Source, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str
) -> None:
    source.server.put("a", "text")
    (ident,) = source.paths()
    right = source.server.server.answer
    with monkeypatch.context() as patched:
        patched.setattr(
            source.server.server, "answer", lambda one: answer if b'"ascending"' in one.body else right(one)
        )
        found, problem = source.listed()
    assert (found, str(problem).partition(":")[0]) == ({}, reason)
    assert source.paths() == [ident]


def test_throttling_is_waited_for(source: Source) -> None:
    source.options = {"attempts": 3}
    source.server.put("a", "text")
    source.server.server.fail("/v1/search", error(429, "rate_limited", retry_after="0"), error(502, "bad_gateway"))
    assert len(source.paths()) == 1


def test_twelve_thousand_rows_are_paged_and_a_limit_is_incomplete(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.notion_server.PAGE", 1000)
    row = source.server.pages[source.server.write("row", "text", row=True)]
    for number in range(12_000):
        created = {"created_time": source.server.now()}
        source.server.pages[f"{number:032x}"] = {**row, **created, "id": f"{number:032x}"}
    source.options = {"data_sources": [SOURCE]}
    assert len(source.paths()) == 12_001
    source.options |= {"max_documents": 11_000}
    assert "more than 11000" in str(source.listed()[1])


def test_ids_are_those_of_notion_and_readers_are_not_asked_for(source: Source) -> None:
    source.options = {"data_sources": ["not an id"]}
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        source.config()
    source.options = {"directory": "corp"}
    with pytest.raises(ValueError, match="directory"):
        source.config()


def test_the_file_of_the_how_to_reads_a_workspace(source: Source) -> None:
    page = Path(__file__).resolve().parents[5] / "docs" / "how-to" / "add-a-notion-source.md"
    (block,) = [
        text for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL) if "kind:" in text
    ]
    source.server.put("a", "text")
    source.options = yaml.safe_load(block)["attributes"]["options"] | {"endpoint": source.server.options["endpoint"]}
    source.server.options = {}
    assert len(source.fetched()) == 1
