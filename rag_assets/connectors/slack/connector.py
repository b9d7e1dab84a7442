"""The connector: a thread is a document, and so are the other messages of a day in a channel, and each file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Final

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.outside import ConnectorContext, EntryListing, PolledConnector, read_item
from rag_assets.connectors.slack import text
from rag_assets.connectors.slack.options import SlackOptions
from rag_assets.connectors.slack.service import SlackChannel, SlackService
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import principals
from rag_core.ids import fingerprint

_WRITTEN: Final = frozenset({"", "file_share", "me_message", "bot_message"})
"""Subtypes of messages that somebody wrote: others say who joined, or repeat a reply."""
_ANSWERED: Final = _WRITTEN | {"tombstone"}
_NO_CONTENT: Final = frozenset({"external", "tombstone", "hidden_by_limit"})
_DAY: Final = 86_400
_Entries = dict[str, str]
"""Version tags, without readers, by locator."""


class SlackConnector(PolledConnector):
    """Reads the channels of one app.

    Lines of a conversation say little alone, so that messages without a thread are read as the day they belong to.
    """

    def __init__(self, options: SlackOptions, context: ConnectorContext) -> None:
        self._options, self._memory = options, context.memory
        self._slack = SlackService(options, context.fetch_policy)
        self._limit = context.limit(options.max_file_bytes)
        self._channels: dict[str, SlackChannel] = {}
        self._spool: Spool | None = None

    def list_items(self) -> EntryListing:
        if self._spool is None:
            self._spool = Spool()
        return _Listing(partial(self._entries, self._spool), "Slack", self._options.max_documents)

    def polled(self) -> EntryListing:
        return _Listing(partial(self._entries, None), "Slack", self._options.max_documents)

    def fetch(self, item: SourceItem) -> FetchedItem:
        name, _, rest = item.locator.partition("/")
        channel = self._channel(name)
        # The tag stays the listed one: what changed since then has another in the next listing.
        if rest.startswith("files/"):
            return self._file(item, channel, rest.removeprefix("files/").partition(".")[0])
        messages = self._thread(name, rest[1:]) if rest.startswith("p") else self._day(item.locator, name, rest)
        shown = [one for one in messages if one.get("subtype") != "tombstone"]
        if not shown:
            raise NotFound(Reason.VANISHED, "the messages are deleted")
        users, channels = self._slack.users, {one.id: one.name for one in self._channels.values()}
        content = text.render(shown, users, channels).encode("utf-8", "replace")
        first = min(messages, key=lambda one: float(one["ts"]))
        title = text.title(shown[0], users, channels) if rest.startswith("p") else f"#{channel.name} {rest}"
        metadata = {"channel": channel.name, "url": f"{self._slack.url}archives/{name}/p{_digits(first)}"}
        if rest.startswith("p"):
            metadata["author"] = text.author(shown[0], users)
        read = read_item(item, content, self._limit)
        return FetchedItem(read, content, "text/html", title or None, self._readers(channel), metadata)

    def close(self) -> None:
        """Close the connections and remove the temporary file. Idempotent."""
        self._slack.close()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _entries(self, spool: Spool | None) -> Iterator[SourceItem | Problem]:
        now = time.time()
        missing = {one.lstrip("#") for one in self._options.channels}
        self._channels = {}
        for channel in self._slack.channels():
            self._channels[channel.id] = channel
            missing -= {channel.id, channel.name}
            members = ("everyone",) if channel.members is None else ("members", *channel.members)
            readers = fingerprint(*members) if self._options.directory else ""
            for locator, known in self._messages(channel.id, now, spool):
                tag, mark, edited = known.partition("+")
                at = datetime.fromtimestamp(float(tag.partition("-")[0]), UTC)
                yield SourceItem(locator, f"{tag}:{readers}{mark}{edited}", None, at)
            if self._options.files:
                yield from self._files(channel.id, now, readers)
        if missing:
            named = ", ".join(sorted(missing))
            raise InvalidInput(Reason.LISTING_INCOMPLETE, f"the app is not in these channels, or may not read: {named}")

    def _messages(self, channel: str, now: float, spool: Spool | None) -> Iterator[tuple[str, str]]:
        """Threads and days of a channel: of the window as Slack has them, older ones as they were read then."""
        window = self._options.window_days
        start = _day_of(now - window * _DAY) if window else ""
        floor = self._floor(now)
        read, months = self._remembered(channel, floor)
        settled = min(read, start)  # the window may be longer than it was
        fresh: dict[str, _Entries] = {}
        for day, found in groupby(self._slack.history(channel, max(floor, _begin(settled))), _day_of_message):
            entries = self._of_day(channel, day, list(found), now, spool)
            yield from entries.items()
            if day < start:
                fresh[day] = entries
        kept = {day: found for days in months.values() for day, found in days.items()
                if day < settled and _begin(day) >= floor}  # fmt: skip
        for entries in kept.values():
            yield from entries.items()
        if spool is not None and settled < start:  # a run, which has the content of what it lists for the first time
            self._memory.forget([f"{channel}/{month}" for month in months])
            self._remember(channel, {"since": floor, "until": start}, kept | fresh)

    def _remembered(self, channel: str, floor: float) -> tuple[str, dict[str, dict[str, _Entries]]]:
        """The day up to which a channel was read for good, and what was found, by month and day."""
        said = self._memory.get(channel)
        if said is None or said["bots"] != self._options.bots or said["since"] > floor:
            return "", {}
        months = {month: self._memory.get(f"{channel}/{month}") for month in said["months"]}
        known = {month: days for month, days in months.items() if days is not None}
        return (said["until"], known) if len(known) == len(months) else ("", {})

    def _remember(self, channel: str, about: dict[str, Any], days: dict[str, _Entries]) -> None:
        months = {
            month: {day: days[day] for day in found} for month, found in groupby(sorted(days), lambda day: day[:7])
        }
        about |= {"bots": self._options.bots, "months": sorted(months)}
        self._memory.put({**{f"{channel}/{month}": found for month, found in months.items()}, channel: about})

    def _of_day(
        self, channel: str, day: str, messages: list[dict[str, Any]], now: float, spool: Spool | None
    ) -> _Entries:
        entries: _Entries = {}
        plain = [one for one in messages if self._is_plain(one)]
        for one in messages:
            if one.get("reply_count") and (one.get("subtype") or "") in _ANSWERED:
                edited = self._edited(channel, one, now) if spool is not None else ""
                entries[f"{channel}/p{_digits(one)}"] = _tag([one]) + (f"+{edited}" if edited else "")
        if plain:
            locator = f"{channel}/{day}"
            entries[locator] = _tag(plain)
            if spool is not None:
                spool.replace(locator, json.dumps(plain).encode())
        return entries

    def _edited(self, channel: str, parent: dict[str, Any], now: float) -> str:
        """The time of the last edit of a reply in a thread that has a new one: its parent does not say it."""
        if float(parent.get("latest_reply") or 0) < now - self._options.replies_days * _DAY:
            return ""
        try:
            replies = self._slack.replies(channel, parent["ts"])[1:]
        except NotFound:
            return ""
        return max((str(one["edited"]["ts"]) for one in replies if one.get("edited")), default="")

    def _files(self, channel: str, now: float, readers: str) -> Iterator[SourceItem | Problem]:
        for one in self._slack.files(channel, self._floor(now)):
            if one.get("mode") in _NO_CONTENT:
                continue
            locator = f"{channel}/files/{one['id']}{names.suffix_of(str(one.get('name') or ''))}"
            size, at = int(one.get("size") or 0), float(one["timestamp"])
            if size > self._limit:
                yield Problem(locator, Reason.FILE_TOO_LARGE, f"the file has {size} > {self._limit} bytes")
                continue
            tag = f"{at:.6f}-{fingerprint(str(one.get('name')), str(size), str(one.get('title')))}:{readers}"
            yield SourceItem(locator, tag, size, datetime.fromtimestamp(at, UTC))

    def _file(self, item: SourceItem, channel: SlackChannel, name: str) -> FetchedItem:
        about = self._slack.file(name)
        if about.get("mode") in _NO_CONTENT:
            raise NotFound(Reason.VANISHED, "the file is deleted")
        content = self._slack.content(about)
        metadata = {"channel": channel.name, "author": text.author(about, self._slack.users)}
        metadata |= {"url": str(about["permalink"])} if about.get("permalink") else {}
        title = str(about.get("title") or about.get("name") or name)
        read = read_item(item, content, self._limit, "the file")
        return FetchedItem(read, content, about.get("mimetype") or None, title, self._readers(channel), metadata)

    def _thread(self, channel: str, digits: str) -> list[dict[str, Any]]:
        found = self._slack.replies(channel, f"{digits[:-6]}.{digits[-6:]}")
        if not found or not found[0].get("reply_count"):
            raise NotFound(Reason.VANISHED, "the message has no replies any more")
        replies = [one for one in found[1:] if self._is_written(one) or one.get("subtype") == "thread_broadcast"]
        return [found[0], *replies]

    def _day(self, locator: str, channel: str, day: str) -> list[dict[str, Any]]:
        """The messages of a day without those of threads: as they were listed, or as they are."""
        known = self._spool.get(locator) if self._spool is not None else None
        if known is not None:
            return list(json.loads(known[0]))
        begin = _begin(day)
        return [one for one in self._slack.history(channel, begin, begin + _DAY - 0.000001) if self._is_plain(one)]

    def _is_written(self, message: dict[str, Any]) -> bool:
        by_app = bool(message.get("bot_id")) or message.get("subtype") == "bot_message"
        return (message.get("subtype") or "") in _WRITTEN and (self._options.bots or not by_app)

    def _is_plain(self, message: dict[str, Any]) -> bool:
        return self._is_written(message) and not message.get("reply_count")

    def _floor(self, now: float) -> float:
        days = self._options.max_age_days
        return _begin(_day_of(now - days * _DAY)) if days else 0.0

    def _channel(self, name: str) -> SlackChannel:
        if name not in self._channels:
            self._channels = {one.id: one for one in self._slack.channels()}
        if name not in self._channels:
            raise NotFound(Reason.VANISHED, "the app is not in the channel any more")
        return self._channels[name]

    def _readers(self, channel: SlackChannel) -> tuple[str, ...] | None:
        directory = self._options.directory
        if directory is None:
            return None
        if channel.members is None:
            return (EVERYONE,)
        users = (self._slack.users.get(one) for one in channel.members)
        named = sorted(f"email:{one.email}" for one in users if one is not None and one.email)
        return principals(directory, named) or (NOBODY,)


class _Listing(EntryListing):
    """A listing whose version tag is that of a poll, which does not read the replies of threads."""

    def tag_of(self, entry: SourceItem | Problem) -> str:
        return super().tag_of(entry).partition("+")[0]


def _tag(messages: list[dict[str, Any]]) -> str:
    """The time of the last message, and what changes with any of them."""
    last = max(float(one.get("latest_reply") or one["ts"]) for one in messages)
    parts = [
        json.dumps([one["ts"], one.get("text"), (one.get("edited") or {}).get("ts"), one.get("reply_count"),
                    one.get("latest_reply")])
        for one in messages
    ]  # fmt: skip
    return f"{last:.6f}-{fingerprint(*parts)}"


def _digits(message: dict[str, Any]) -> str:
    return str(message["ts"]).replace(".", "")


def _day_of_message(message: dict[str, Any]) -> str:
    return _day_of(float(message["ts"]))


def _day_of(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _begin(day: str) -> float:
    """The time at which a day begins; of no day, the beginning of all."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() if day else 0.0
