"""What is special to Slack: threads and days, names, the window that is read again, readers, files and refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stamina

from rag_assets.connectors import open_connector
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.slack.service import SlackUser
from rag_assets.connectors.slack.text import render
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, FakeServer
from rag_core.content.sources import Connector, FetchedItem, Problem, SourceItem, SourceMemory, TransientMemory
from rag_core.errors import NotFound, Unavailable
from tests.support.slack import TEAM, Slack, refusal

DAY = 86_400
NOON = (time.time() - DAY) // DAY * DAY + DAY / 2
"""Noon of yesterday, so that what is said around it is of one day."""


def day(at: float) -> str:
    return f"C1/{time.strftime('%Y-%m-%d', time.gmtime(at))}"


def thread(ts: str) -> str:
    return f"C1/p{ts.replace('.', '')}"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    with FakeServer() as server:
        made = Slack(server)
        made.channel("C1", "pumps", "U1")
        monkeypatch.setenv("RAG_SECRET_SLACK", made.token)
        yield made


@contextmanager
def connect(place: Slack, memory: SourceMemory | None = None, *, attempts: int = 1, **more: Any) -> Iterator[Connector]:
    options = {**place.options, "attempts": attempts, **more}
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})
    context = ConnectorContext(fetch_policy=LOOPBACK, memory=memory or TransientMemory())
    with stamina.set_testing(True, attempts=attempts), open_connector(config, context) as connector:
        yield connector


def read(place: Slack, memory: SourceMemory | None = None, **more: Any) -> dict[str, FetchedItem]:
    """The documents of a complete listing, by locator."""
    with connect(place, memory, **more) as connector:
        listing = connector.list_items()
        items = [one for one in listing if isinstance(one, SourceItem)]
        assert (listing.complete, listing.error) == (True, None)
        return {one.locator: connector.fetch(one) for one in items}


def tags(place: Slack, memory: SourceMemory | None = None, **more: Any) -> dict[str, str]:
    """The version tags of a complete listing, by locator."""
    with connect(place, memory, **more) as connector:
        listing = connector.list_items()
        found = {one.locator: one.version_tag for one in listing if isinstance(one, SourceItem)}
        assert (listing.complete, listing.error) == (True, None)
        return found


def poll(place: Slack, **more: Any) -> str:
    with connect(place, **more) as connector:
        return connector.version_tag()


def error_of(place: Slack, **more: Any) -> str:
    with connect(place, **more) as connector:
        listing = connector.list_items()
        for _ in listing:
            pass
        assert not listing.complete
        return str(listing.error)


def text_of(found: FetchedItem) -> str:
    return re.sub(r"<[^>]*>", "", found.content.decode())


def calls(place: Slack) -> list[str]:
    return [one.path.removeprefix("/api/") for one in place.server.requests]


# What is a document, and its text.


def test_a_thread_is_one_document_and_other_messages_are_that_of_their_day(place: Slack) -> None:
    place.user("U2", "Bo")
    asked = place.say("C1", "Which oil does pump 7 need?", at=NOON)
    place.say("C1", "Lunch?", at=NOON + 60, user="U2")
    place.say("C1", "SAE 30.", at=NOON + DAY / 4, thread=asked, user="U2")
    place.say("C1", "Yes", at=NOON + 120)
    place.say("C1", "Earlier", at=NOON - DAY)
    found = read(place)
    assert found.keys() == {thread(asked), day(NOON), day(NOON - DAY)}
    said, together = found[thread(asked)], found[day(NOON)]
    assert [text_of(said).count(one) for one in ("Ann (", "Which oil", "Bo (", "SAE 30.", "Lunch")] == [1, 1, 1, 1, 0]
    assert re.sub(r" \([^)]*\)", "", text_of(together)) == "Bo: Lunch?\nAnn: Yes"
    assert (said.title, said.media_type, said.acl) == ("Which oil does pump 7 need?", "text/html", None)
    assert together.title == f"#pumps {day(NOON)[3:]}"
    link = f"{TEAM}archives/C1/p{asked.replace('.', '')}"
    assert said.metadata == {"channel": "pumps", "author": "Ann", "url": link}


def test_a_first_reply_takes_a_message_from_its_day_and_the_last_one_gives_it_back(place: Slack) -> None:
    first, _ = place.say("C1", "one", at=NOON), place.say("C1", "two", at=NOON + 1)
    before = tags(place)
    reply = place.say("C1", "answer", thread=first)
    after = tags(place)
    assert before.keys() == {day(NOON)}
    assert after.keys() == {day(NOON), thread(first)}
    assert before[day(NOON)] != after[day(NOON)]
    with connect(place) as connector:
        place.delete("C1", reply)
        with pytest.raises(NotFound):
            connector.fetch(SourceItem(thread(first), ""))
    assert tags(place) == before


def test_what_nobody_wrote_is_left_out_and_apps_speak_where_they_may(place: Slack) -> None:
    for subtype in ("channel_join", "channel_topic", "pinned_item", "something_new"):
        place.say("C1", "joined", at=NOON, subtype=subtype)
    place.say("C1", "build failed", at=NOON, subtype="bot_message", bot_id="B1", user="", username="CI")
    assert read(place) == {}
    assert "CI (" in text_of(read(place, bots=True)[day(NOON)])
    parent = place.say("C1", "question", at=NOON + 60)
    place.say("C1", "also to the channel", thread=parent, subtype="thread_broadcast")
    place.delete("C1", parent)
    found = read(place)
    assert found.keys() == {thread(parent)}
    assert text_of(found[thread(parent)]).endswith("also to the channel")
    alert = place.say("C1", "pump 7 is hot", at=NOON + 120, bot_id="B1")
    place.say("C1", "I look at it", thread=alert)
    assert text_of(read(place)[thread(alert)]).count("pump 7 is hot") == 1


USERS, CHANNELS = {"U1": SlackUser("Ann <3", "")}, {"C1": "pumps"}
RENDERED = [
    ("*bold* _it_ ~no~ 2*3*4 snake_case_name", "bold it no 2*3*4 snake_case_name"),
    ("<@U1> <@U9|bo> <@U8> <#C1> <#C7|far> <!here> <!subteam^S1|@staff>",
     "@Ann &lt;3 @bo @U8 #pumps #far @here @staff"),
    ("<!date^1392734382^{date}|Feb 18, 2014>", "Feb 18, 2014"),
    ("<https://x.example/?a=1&amp;b=2|the page> <mailto:a@x.example|a@x.example>",
     '<a href="https://x.example/?a=1&amp;b=2">the page</a> <a href="mailto:a@x.example">a@x.example</a>'),
    ("a &lt;b&gt; &amp;amp; `x &lt; y`\nnext", "a &lt;b&gt; &amp;amp; <code>x &lt; y</code><br>next"),
    ('<script>alert("1")</script> < open', 'scriptalert("1")/script &lt; open'),
]  # fmt: skip


@pytest.mark.parametrize(("said", "html"), RENDERED)
def test_marks_and_references_become_text(said: str, html: str) -> None:
    shown = render([{"ts": "1.0", "user": "U1", "text": said}], USERS, CHANNELS)
    assert shown == f"<p><strong>Ann &lt;3</strong> (1970-01-01 00:00): {html}</p>"


def test_code_is_code_and_hostile_text_takes_no_time() -> None:
    said = [{"ts": "1.0", "user": "U1", "text": "run\n```make *all* &amp;&amp; <x>\nls```\nthen"}]
    assert "<pre>make *all* &amp;&amp; &lt;x&gt;\nls</pre><p>then</p>" in render(said, USERS, CHANNELS)
    started = time.monotonic()
    for part in ("*", "_ ", "`", "<", "<a|", "~a ", "*_~`<"):
        render([{"ts": "1.0", "text": part * (40_000 // len(part))}], USERS, CHANNELS)
    assert time.monotonic() - started < 5


# The window, replies and polls.


def test_what_is_older_than_the_window_is_read_once_and_remembered(place: Slack) -> None:
    memory, old = TransientMemory(), NOON - 40 * DAY
    place.say("C1", "old", at=old)
    asked = place.say("C1", "old question", at=old - 40 * DAY)
    place.say("C1", "old answer", at=old - 39 * DAY, thread=asked)
    place.say("C1", "new", at=NOON)
    before = tags(place, memory)
    assert before.keys() == {day(NOON), day(old), thread(asked)}
    place.find("C1", f"{old:.6f}")["text"] = "nobody sees this"
    place.edit("C1", f"{NOON:.6f}", "edited")
    after = tags(place, memory)
    assert [name for name in before if before[name] != after[name]] == [day(NOON)]
    oldest = [float(one.query["oldest"]) for one in place.server.requests if "oldest" in one.query]
    assert oldest[0] == 0
    assert NOON - 31 * DAY < oldest[-1] < NOON
    for longer in (0, 90):
        assert tags(place, memory, window_days=longer)[day(old)] != before[day(old)]
    place.delete("C1", f"{NOON:.6f}")
    assert tags(place, memory).keys() == {day(old), thread(asked)}
    assert tags(place, memory, max_age_days=60).keys() == {day(old)}
    assert tags(place, max_age_days=35) == {}


def test_memory_that_is_lost_in_part_or_of_other_options_deletes_nothing(place: Slack) -> None:
    memory = TransientMemory()
    place.say("C1", "old", at=NOON - 40 * DAY)
    place.say("C1", "by an app", at=NOON - 100 * DAY, bot_id="B1")
    place.say("C1", "older", at=NOON - 100 * DAY - 1)
    before = tags(place, memory)
    assert len(before) == 2
    memory.forget([name for name, _ in memory.all() if "/" in name][:1])
    assert tags(place, memory) == before
    assert tags(place, memory, bots=True) != before
    assert tags(place, memory) == before
    assert tags(place, memory, max_age_days=20) == {}
    assert tags(place, memory) == before
    place.say("C1", "new", at=NOON)
    assert len(tags(place, younger := TransientMemory(), max_age_days=50)) == 2
    assert len(tags(place, younger)) == 3


def test_an_edited_reply_is_seen_by_a_run_and_costs_a_poll_nothing(place: Slack) -> None:
    asked = place.say("C1", "question")
    reply = place.say("C1", "answer", thread=asked)
    before, polled = tags(place), poll(place)
    place.edit("C1", reply, "better answer")
    del place.server.requests[:]
    assert (poll(place), "conversations.replies" in calls(place)) == (polled, False)
    after = tags(place)
    assert after[thread(asked)] != before[thread(asked)]
    with connect(place) as connector:
        listing = connector.list_items()
        assert len(list(listing)) == 1
        assert listing.version_tag == connector.version_tag() == polled
    del place.server.requests[:]
    assert tags(place, replies_days=0) == before
    assert "conversations.replies" not in calls(place)
    place.say("C1", "one more", thread=asked)
    assert poll(place) != polled


def test_what_a_poll_costs(place: Slack) -> None:
    place.page_size = 999
    place.channel("C2", "secret", "U1", private=True)
    for number in range(50):
        place.say("C2", "text", at=NOON - number * DAY)
    memory = TransientMemory()
    poll(place, memory=memory, directory="corp")
    assert sorted(calls(place)) == [
        "conversations.history", "conversations.history", "conversations.members", "files.list", "files.list",
        "users.conversations",
    ]  # fmt: skip
    del place.server.requests[:]
    read(place, memory)
    assert calls(place).count("conversations.history") == 2  # what came with the listing is not asked for again


def test_12000_messages_are_listed_once(place: Slack) -> None:
    place.page_size = 999
    for number in range(12_000):
        place.say("C1", f"{number}", at=NOON - number * 3600)
    for one in place.messages["C1"][::2]:
        one.update(reply_count=1, latest_reply=one["ts"], thread_ts=one["ts"])
    with connect(place, replies_days=0) as connector:
        listing = connector.list_items()
        assert (len({one.locator for one in listing}), listing.error) == (6_501, None)
    assert calls(place).count("conversations.history") == 13
    assert error_of(place, max_documents=6_500, replies_days=0).startswith("LISTING_INCOMPLETE")


# Channels and readers.


def test_private_and_archived_channels_are_read_where_the_file_says_so(place: Slack) -> None:
    place.channel("C2", "secret", "U1", private=True)
    place.channel("C3", "past", archived=True)
    for channel in place.channels:
        place.say(channel, "text", at=NOON)

    def read_channels(**more: Any) -> set[str]:
        return {locator[:2] for locator in tags(place, **more)}

    assert read_channels(private=False) == {"C1"}
    assert read_channels(archived=True) == {"C1", "C2", "C3"}
    assert read_channels(channels=["#secret"]) == read_channels(exclude=["C1"]) == {"C2"}
    assert "not in these channels, or may not read: secret" in error_of(place, channels=["secret"], private=False)


def test_members_of_a_private_channel_are_readers_and_of_a_public_one_is_everyone(place: Slack) -> None:
    place.user("U2", "Bo")  # whose address the app may not know
    place.channel("C2", "secret", "U1", "U2", "UGONE", private=True)
    place.channel("C3", "alone", "U2", private=True)
    for channel in place.channels:
        place.say(channel, "text", at=NOON)
        place.file(f"F{channel}", channel, "a.txt", "text/plain", b"file")
    found = read(place, directory="corp")
    acls = {locator[:2]: {one.acl for name, one in found.items() if name[:2] == locator[:2]} for locator in found}
    assert acls == {"C1": {("everyone",)}, "C2": {("corp/email:ann@acme.example",)}, "C3": {(NOBODY,)}}
    before = tags(place, directory="corp")
    place.members["C2"].remove("U2")
    place.channels["C1"]["is_private"] = True
    after = tags(place, directory="corp")
    assert {name[:2] for name in before if before[name] != after[name]} == {"C1", "C2"}


# Files, and refusals.


def test_files_are_documents_of_their_own(place: Slack) -> None:
    for number in range(7):
        place.file(f"F{number}", "C1", f"{number}.md", "text/markdown", b"# text")
    place.file("F8", "C1", "noname", "application/pdf", b"%PDF")
    place.file("F9", "C1", "doc", "text/html", b"", mode="external")
    found = read(place)
    assert found.keys() == {*(f"C1/files/F{number}.md" for number in range(7)), "C1/files/F8"}
    one = found["C1/files/F3.md"]
    assert (one.content, one.media_type, one.title) == (b"# text", "text/markdown", "3.md")
    assert one.metadata == {"channel": "pumps", "author": "Ann", "url": f"{TEAM}files/U1/F3/3.md"}
    assert read(place, files=False) == {}
    place.shared = {"F1": place.shared["F1"] | {"size": 2000}}
    with connect(place, max_file_bytes=1000) as connector:
        (problem,) = connector.list_items()
    assert isinstance(problem, Problem)
    assert problem.reason == "FILE_TOO_LARGE"


def test_a_file_that_is_gone_or_asks_to_sign_in_is_no_content(place: Slack) -> None:
    item = SourceItem("C1/files/F1.txt", "")
    with connect(place) as connector:
        with pytest.raises(NotFound):
            connector.fetch(item)
        place.file("F1", "C1", "a.txt", "text/plain", b"text")
        place.contents["F1"] = Answer(b"<html>Sign in</html>", headers={"content-type": "text/html"})
        with pytest.raises(Unavailable, match="files:read"):
            connector.fetch(item)
        place.shared["F1"]["url_private_download"] = "https://elsewhere.example/a.txt"
        with pytest.raises(Exception, match="CROSS_ORIGIN"):
            connector.fetch(item)
        place.server.fail("/api/files.info", Answer.json({"ok": True}))
        with pytest.raises(Unavailable, match="RESPONSE_INVALID"):
            connector.fetch(item)
        place.shared["F1"]["mode"] = "tombstone"
        with pytest.raises(NotFound):
            connector.fetch(item)


@pytest.mark.parametrize("answer", [refusal("ratelimited"), refusal("internal_error"), Answer(status=503),
                                    Answer(status=429, headers={"retry-after": "0"})])  # fmt: skip
def test_throttling_is_waited_for(place: Slack, answer: Answer) -> None:
    place.say("C1", "text", at=NOON)
    place.server.fail("/api/conversations.history", answer)
    assert tags(place, attempts=2).keys() == {day(NOON)}


@pytest.mark.parametrize("method", ["users.conversations", "conversations.history", "files.list"])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal("missing_scope"), "ACCESS_REFUSED"), (refusal("token_expired"), "ACCESS_REFUSED"),
        (refusal("ratelimited"), "RATE_LIMITED"), (Answer(status=429), "RATE_LIMITED"),
        (refusal("channel_not_found"), "LISTING_INCOMPLETE"), (Answer(b"<html>"), "RESPONSE_INVALID"),
        (Answer.json([]), "RESPONSE_INVALID"), (Answer.json({"ok": True}), "RESPONSE_INVALID"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_listing_is_no_empty_workspace(
    place: Slack, method: str, answer: Answer, reason: str
) -> None:
    memory = TransientMemory()
    place.say("C1", "old", at=NOON - 40 * DAY)
    place.server.fail(f"/api/{method}", answer)
    with connect(place, memory) as connector:
        listing = connector.list_items()
        for _ in listing:
            pass
        assert (listing.complete, str(listing.error).partition(":")[0]) == (False, reason)
    assert len(tags(place, memory)) == 1


def test_pages_in_a_circle_and_without_a_way_on_are_no_end(place: Slack) -> None:
    again = {"ok": True, "messages": [], "response_metadata": {"next_cursor": "again"}}
    place.server.fail("/api/conversations.history", *[Answer.json(again)] * 3)
    assert error_of(place).startswith("PAGINATION_LOOP")
    more = {"ok": True, "messages": [], "has_more": True}
    place.server.fail("/api/conversations.history", Answer.json(more))
    assert error_of(place).startswith("LISTING_INCOMPLETE")
    page = {"ok": True, "files": [{"id": "F1", "timestamp": 1}], "paging": {"pages": 9}}
    place.server.fail("/api/files.list", *[Answer.json(page)] * 3)
    assert error_of(place).startswith("PAGINATION_LOOP")
