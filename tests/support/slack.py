"""Slack as its documentation describes it (1 December 2026), on this machine: https://docs.slack.dev/reference/methods.

It refuses what the service refuses: unknown methods and arguments, cursors of another call, channels that the app is
not in. Errors have status 200.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import Any

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked

TEAM = "https://acme.slack.com/"
_ARGUMENTS = {
    "auth.test": set(),
    "users.conversations": {"types", "exclude_archived", "limit", "cursor"},
    "conversations.members": {"channel", "limit", "cursor"},
    "conversations.history": {"channel", "oldest", "latest", "inclusive", "limit", "cursor"},
    "conversations.replies": {"channel", "ts", "limit", "cursor"},
    "users.list": {"limit", "cursor"},
    "files.list": {"channel", "count", "page", "ts_from"},
    "files.info": {"file"},
}
_LIMITS = {"conversations.replies": 1000}
Rows = list[dict[str, Any]]


def refusal(error: str) -> Answer:
    """An error as the service gives it."""
    return Answer.json({"ok": False, "error": error})


def channel_id(name: str) -> str:
    """The id of the channel of a place that has one document, which says its name to tests."""
    return f"C{name.encode().hex().upper()}"


class Slack:
    """A workspace; a place of the suites, where each document is a message in a channel of its own."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.page_size, self.token = server, 5, "xoxb-first"
        self.channels: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[str]] = {}
        self.messages: dict[str, Rows] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.shared: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, Answer] = {}
        self._last = time.time() - 3600
        server.reply("/api/*", self._answer)
        server.reply("/files-pri/*", self._content)
        self.options: dict[str, Any] = {
            "kind": "slack", "token": {"env": "RAG_SECRET_SLACK"}, "endpoint": server.url(), "private": True,
            "files_endpoint": server.url(), "attempts": 1, "requests_per_second": 1000,
        }  # fmt: skip
        self.user("U1", "Ann", "Ann@Acme.example")

    def put(self, name: str, text: str) -> None:
        channel = channel_id(name)
        if channel not in self.channels:
            self.channel(channel, name)
        if self.messages[channel]:
            self.edit(channel, self.messages[channel][0]["ts"], text)
        else:
            self.say(channel, text)

    def remove(self, name: str) -> None:
        self.messages[channel_id(name)].clear()

    def lose(self) -> None:
        self.server.lose()

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        for one in (*users, *groups):
            self.user(f"U{one}", one, one)
        self.channels[channel_id(name)]["is_private"] = True
        self.members[channel_id(name)] = [f"U{one}" for one in (*users, *groups)]

    def user(self, name: str, shown: str, email: str = "") -> None:
        """Add a user."""
        profile = {"display_name": shown, "real_name": f"{shown} Real"} | ({"email": email} if email else {})
        self.users[name] = {"id": name, "name": shown.lower(), "deleted": False, "profile": profile}

    def channel(self, name: str, shown: str, *members: str, private: bool = False, archived: bool = False) -> None:
        """Make a channel that the app is in."""
        self.channels[name] = {"id": name, "name": shown, "is_private": private, "is_archived": archived}
        self.members[name], self.messages[name] = list(members), []

    def say(self, channel: str, text: str, *, at: float | None = None, thread: str = "", **more: Any) -> str:
        """Post a message, in a thread perhaps; its `ts`."""
        self._last = self._last + 0.000_5 if at is None else at
        ts = f"{self._last:.6f}"
        message = {"type": "message", "user": "U1", "text": text, "ts": ts} | more
        if thread:
            message["thread_ts"] = thread
            parent = self.find(channel, thread)
            parent |= {"thread_ts": thread, "latest_reply": ts, "reply_count": parent.get("reply_count", 0) + 1}
        self.messages[channel].append(message)
        return ts

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Change the text of a message."""
        self._last += 0.000_5
        self.find(channel, ts).update(text=text, edited={"user": "U1", "ts": f"{self._last:.6f}"})

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message: of a thread's parent a tombstone stays."""
        message = self.find(channel, ts)
        if message.get("reply_count"):
            message.update(text="This message was deleted.", subtype="tombstone", user="USLACKBOT", hidden=True)
            return
        self.messages[channel].remove(message)
        if message.get("thread_ts"):
            parent = self.find(channel, message["thread_ts"])
            replies = [one["ts"] for one in self.messages[channel] if self._is_reply(one, parent["ts"])]
            for key in ("reply_count", "latest_reply", "thread_ts"):
                del parent[key]
            if replies:
                parent |= {"reply_count": len(replies), "latest_reply": replies[-1], "thread_ts": parent["ts"]}

    def find(self, channel: str, ts: str) -> dict[str, Any]:
        """A message."""
        return next(one for one in self.messages[channel] if one["ts"] == ts)

    def file(self, name: str, channel: str, title: str, media_type: str, content: bytes, **more: Any) -> None:
        """Share a file in a channel."""
        url = self.server.url(f"/files-pri/{name}/download")
        self.shared[name] = {
            "id": name, "name": title, "title": title, "mimetype": media_type, "size": len(content), "user": "U1",
            "mode": "hosted", "timestamp": int(self._last), "channels": [channel], "url_private_download": url,
            "url_private": url, "permalink": f"{TEAM}files/U1/{name}/{title}",
        } | more  # fmt: skip
        self.contents[name] = Answer(content, headers={"content-type": media_type})

    def _answer(self, asked: Asked) -> Answer:
        method, query = asked.path.removeprefix("/api/"), asked.query
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return refusal("invalid_auth" if asked.headers.get("authorization") else "not_authed")
        if method not in _ARGUMENTS:
            return refusal("unknown_method")
        if not query.keys() <= _ARGUMENTS[method]:
            return refusal("invalid_arguments")
        if int(query.get("limit", 1)) > _LIMITS.get(method, 999):
            return refusal("invalid_limit")
        if "channel" in _ARGUMENTS[method] and query.get("channel") not in self.channels:
            return refusal("channel_not_found")
        return self._methods[method](query)

    @property
    def _methods(self) -> dict[str, Callable[[dict[str, str]], Answer]]:
        return {
            "auth.test": lambda _: Answer.json({"ok": True, "url": TEAM, "team_id": "T1"}),
            "users.conversations": self._conversations,
            "conversations.members": lambda query: self._page("members", self.members[query["channel"]], query),
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "users.list": lambda query: self._page("members", list(self.users.values()), query),
            "files.list": self._list_files,
            "files.info": lambda query: Answer.json({"ok": True, "file": self.shared[query["file"]]})
            if query["file"] in self.shared else refusal("file_not_found"),
        }  # fmt: skip

    def _conversations(self, query: dict[str, str]) -> Answer:
        kinds = set(query.get("types", "public_channel").split(","))
        found = [
            one for one in self.channels.values()
            if ("private_channel" if one["is_private"] else "public_channel") in kinds
            and not (one["is_archived"] and query.get("exclude_archived") == "true")
        ]  # fmt: skip
        return self._page("channels", found, query)

    def _history(self, query: dict[str, str]) -> Answer:
        oldest, latest = float(query.get("oldest", 0)), float(query.get("latest", "inf"))
        inclusive = query.get("inclusive") == "true"
        found = [
            one for one in self.messages[query["channel"]]
            if one.get("thread_ts", one["ts"]) == one["ts"] or one.get("subtype") == "thread_broadcast"
            if oldest < float(one["ts"]) < latest or (inclusive and float(one["ts"]) in (oldest, latest))
        ]  # fmt: skip
        return self._page("messages", sorted(found, key=lambda one: -float(one["ts"])), query)

    def _replies(self, query: dict[str, str]) -> Answer:
        ts = query.get("ts")
        found = [one for one in self.messages[query["channel"]] if one["ts"] == ts or self._is_reply(one, ts)]
        if not any(one["ts"] == ts for one in found):
            return refusal("thread_not_found")
        return self._page("messages", found, query)

    @staticmethod
    def _is_reply(message: dict[str, Any], ts: str | None) -> bool:
        return message.get("thread_ts") == ts and message["ts"] != ts

    def _list_files(self, query: dict[str, str]) -> Answer:
        since, page, most = int(query.get("ts_from", 0)), int(query.get("page", 1)), self.page_size
        found = [
            one for one in self.shared.values()
            if query["channel"] in one["channels"] and one["timestamp"] >= since
        ]  # fmt: skip
        pages = -(-len(found) // most)
        paging = {"count": most, "total": len(found), "page": page, "pages": pages}
        return Answer.json({"ok": True, "files": found[(page - 1) * most : page * most], "paging": paging})

    def _content(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(b"<html>Sign in</html>", headers={"content-type": "text/html; charset=utf-8"})
        return self.contents.get(asked.path.split("/")[2], Answer(status=404))

    def _page(self, field: str, rows: Sequence[Any], query: dict[str, str]) -> Answer:
        mark = md5(repr(sorted((query | {"cursor": ""}).items())).encode(), usedforsecurity=False).hexdigest()
        start, _, of = (query.get("cursor") or f"0.{mark}").partition(".")
        if of != mark:
            return refusal("invalid_cursor")
        end = int(start) + self.page_size
        more = len(rows) > end
        page = {
            "ok": True,
            field: rows[int(start) : end],
            "response_metadata": {"next_cursor": f"{end}.{mark}" if more else ""},
        }
        return Answer.json(page | ({"has_more": more} if field == "messages" else {}))
