"""Calls of Slack's Web API and what they answer: https://docs.slack.dev/reference/methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rag_assets.connectors.auth import BearerAuth
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.paging import all_pages
from rag_assets.connectors.slack.options import SlackOptions
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.http_client import Again, FetchPolicy, Pacing

_AT_ONCE: Final = 999
_FILES_AT_ONCE: Final = 200
_PASSING: Final = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_GONE: Final = frozenset(
    {"channel_not_found", "thread_not_found", "message_not_found", "file_not_found", "file_deleted"}
)


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """A channel that the app is in. `members` are ids of users; `None`: everyone of the workspace."""

    id: str
    name: str
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SlackUser:
    """A user as messages name them; `email` is empty where the app may not know it."""

    name: str
    email: str


class SlackService:
    """One workspace. Used from one thread. Raises what `JsonHost` raises."""

    def __init__(self, options: SlackOptions, policy: FetchPolicy) -> None:
        login = BearerAuth(type="bearer", token=options.token)
        pacing = Pacing(options.requests_per_second, options.attempts)
        self._options = options
        self._api = JsonHost(f"{options.endpoint.rstrip('/')}/api", policy, login, pacing, what="Slack", check=_check)
        self._files = JsonHost(options.files_endpoint, policy, login, pacing, what="Slack's file server")
        self._users: dict[str, SlackUser] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The URL of the workspace, which ends in a slash."""
        if not self._url:
            self._url = str(self._get("auth.test", {}, "url")["url"])
        return self._url

    @property
    def users(self) -> dict[str, SlackUser]:
        """The users by id, as they were when they were first asked for."""
        if self._users is None:
            self._users = {str(one["id"]): _user(one) for one in self._pages("users.list", "members")}
        return self._users

    def channels(self) -> Iterator[SlackChannel]:
        """The channels that the options name, with the members of private ones where a directory knows them."""
        options = self._options
        chosen, left_out = ({one.lstrip("#") for one in names} for names in (options.channels, options.exclude))
        types = "public_channel" + (",private_channel" if options.private else "")
        archived = "false" if options.archived else "true"
        for one in self._pages("users.conversations", "channels", types=types, exclude_archived=archived):
            names = {str(one["id"]), str(one["name"])}
            if (not chosen or names & chosen) and not names & left_out:
                hidden = bool(one["is_private"]) and options.directory is not None
                members = self._pages("conversations.members", "members", channel=one["id"]) if hidden else None
                sorted_members = None if members is None else tuple(sorted(map(str, members)))
                yield SlackChannel(str(one["id"]), str(one["name"]), sorted_members)

    def history(self, channel: str, oldest: float, latest: float | None = None) -> Iterator[dict[str, Any]]:
        """The messages of a channel, the newest first, without replies."""
        params = {"channel": channel, "oldest": f"{oldest:.6f}", "inclusive": "true"}
        return self._pages(
            "conversations.history", "messages", **params, **({} if latest is None else {"latest": f"{latest:.6f}"})
        )

    def replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """A message and the replies to it."""
        return list(self._pages("conversations.replies", "messages", channel=channel, ts=ts))

    def files(self, channel: str, since: float) -> Iterator[dict[str, Any]]:
        """The files of a channel, those of threads among them."""
        number, pages, seen = 1, 1, set[str]()
        while number <= pages:
            params: dict[str, str | int] = {
                "channel": channel,
                "count": _FILES_AT_ONCE,
                "page": number,
                "ts_from": int(since),
            }
            page = self._get("files.list", params, "files", "paging")
            found, pages = page["files"], int(page["paging"]["pages"])
            if found and found[0]["id"] in seen:
                raise InvalidInput(Reason.PAGINATION_LOOP, "Slack's list of files leads in a circle")
            seen |= {found[0]["id"]} if found else set()
            yield from found
            number += 1

    def file(self, name: str) -> dict[str, Any]:
        """A file as it is described now. Raises `NotFound` (`VANISHED`)."""
        return dict(self._get("files.info", {"file": name}, "file")["file"])

    def content(self, file: dict[str, Any]) -> bytes:
        """The content of a file."""
        answer = self._files.read(str(file.get("url_private_download") or file["url_private"]))
        if answer.redirects or (answer.media_type == "text/html" and file.get("mimetype") != "text/html"):
            # What Slack answers, with status 200, to a token without `files:read`.
            raise Unavailable(Reason.ACCESS_REFUSED, "Slack asks to sign in for a file; the app needs `files:read`")
        return answer.content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._api.close()
        self._files.close()

    def _get(self, method: str, params: Mapping[str, str | int], *needed: str) -> dict[str, Any]:
        said: dict[str, Any] = self._api.get(f"/{method}", params)
        if not said.keys() >= set(needed):
            raise Unavailable(Reason.RESPONSE_INVALID, "Slack answers in another form")
        return said

    def _pages(self, method: str, field: str, **params: str) -> Iterator[Any]:
        def read(cursor: str | None) -> tuple[list[Any], str | None]:
            more = {"cursor": cursor} if cursor else {}
            page = self._get(method, {**params, "limit": _AT_ONCE, **more}, field)
            following = (page.get("response_metadata") or {}).get("next_cursor") or None
            if following is None and page.get("has_more"):
                raise Unavailable(Reason.LISTING_INCOMPLETE, "Slack says that there is more, and not where")
            return page[field], following

        return all_pages(read, "Slack")


def _check(said: Any) -> None:
    """Raise the error that an answer with status 200 is."""
    if not isinstance(said, dict) or "ok" not in said:
        raise Unavailable(Reason.RESPONSE_INVALID, "Slack answers in another form")
    if said["ok"] is True:
        return
    error = str(said.get("error"))
    text = f"Slack answers {error if error.replace('_', '').isalnum() and len(error) < 64 else 'an error'}"
    if error in _PASSING:
        reason = Reason.RATE_LIMITED if error == "ratelimited" else Reason.SOURCE_UNAVAILABLE
        raise Again(Unavailable(reason, text))
    if error in _GONE:
        raise NotFound(Reason.VANISHED, text)
    raise Unavailable(Reason.ACCESS_REFUSED, f"{text}; check the token and its scopes")


def _user(said: dict[str, Any]) -> SlackUser:
    profile = said.get("profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or said.get("name") or said["id"]
    return SlackUser(str(name), str(profile.get("email") or ""))
