"""The IMAP server of a source: a connection to a checked address, and what it says of mailboxes and messages."""

from __future__ import annotations

import imaplib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError, ProtocolError

from rag_assets.connectors.auth import OAuth2Auth, ServiceCredentials
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.permissions import Rights
from rag_assets.connectors.imap.options import ImapOptions
from rag_assets.connectors.servers import Reconnecting, open_socket
from rag_core.errors import ConfigError, NotFound, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.http_client import Again, Fetcher, FetchPolicy, Pacing
from rag_core.ids import fingerprint

_SPECIAL: Final = {b"\\all", b"\\drafts", b"\\flagged", b"\\important", b"\\junk", b"\\trash"}
_CLOSED: Final = {b"\\noselect", b"\\nonexistent"}
_STATUS: Final = ("UIDVALIDITY", "UIDNEXT", "MESSAGES")
_FIELDS: Final = ("RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODYSTRUCTURE")
_WATCHED: Final = 4
"""Mailboxes that are watched: each needs a connection, and servers allow an account ten or so."""
_WATCH_SECONDS: Final = 25 * 60.0
"""Servers end an IDLE of 30 minutes (RFC 2177)."""
_STEP_SECONDS: Final = 1.0
_EVERYBODY: Final = frozenset({"anyone", "anonymous", "authenticated"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as the server describes it. `path` has `/` between its levels; `acl` is `None` without a directory."""

    name: str
    path: str
    validity: int
    state: str
    acl: tuple[str, ...] | None = None


class ImapServer:
    """Used from one thread; reads only. Methods raise `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`,
    `SOURCE_UNAVAILABLE`, `RESPONSE_INVALID`, …), `DeadlineExceeded`, `InvalidInput` (`SSRF_BLOCKED`), `ConfigError`."""

    def __init__(self, options: ImapOptions, policy: FetchPolicy) -> None:
        self._options, self._policy = options, policy
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)
        pacing = Pacing(options.requests_per_second, options.attempts)
        self._connection = Reconnecting[IMAPClient](self._open, lambda client: client.shutdown(), _explained, pacing)
        login = options.login
        self._fetcher = Fetcher(policy, connections=1) if isinstance(login, OAuth2Auth) else None
        self._tokens = ServiceCredentials(login, self._fetcher) if self._fetcher else None  # type: ignore[arg-type]

    def mailboxes(self) -> list[Mailbox]:
        """The mailboxes that the source reads, by path."""
        found = [self._mailbox(name, path) for name, path in self._names()]
        return sorted(found, key=lambda one: one.path)

    def name_of(self, path: str) -> str:
        """Return the name of the mailbox with a path. Raises `NotFound` (`VANISHED`) as well."""
        for name, found in self._names():
            if found == path:
                return name
        raise NotFound(Reason.VANISHED, "the server does not have the mailbox any more")

    def messages(self, mailbox: Mailbox) -> list[int]:
        """The UIDs of a mailbox in their order, without messages that are marked as deleted."""

        def search(client: IMAPClient) -> list[int]:
            _select(client, mailbox.name, mailbox.validity)
            return sorted(client.search(["UNDELETED"]))

        return self._connection.run(search)

    def describe(self, mailbox: Mailbox, uids: Sequence[int]) -> dict[int, dict[bytes, Any]]:
        """Size, time, envelope and structure of messages."""

        def fetch(client: IMAPClient) -> dict[int, dict[bytes, Any]]:
            _select(client, mailbox.name, mailbox.validity)
            return dict(client.fetch(uids, _FIELDS))

        return self._connection.run(fetch)

    def read(self, name: str, validity: int, uid: int, most: int) -> bytes:
        """A message, and no more than a byte above `most`."""

        def fetch(client: IMAPClient) -> bytes:
            _select(client, name, validity)
            found = client.fetch([uid], [f"BODY.PEEK[]<0.{most + 1}>"]).get(uid, {})
            content = found.get(b"BODY[]<0>")
            if content is None:
                raise NotFound(Reason.VANISHED, "the mailbox does not have the message any more")
            return bytes(content)

        return self._connection.run(fetch)

    def readers(self, name: str) -> tuple[str, ...] | None:
        """Return who may read the messages of a mailbox, by its access control list; `None` without a directory."""
        directory = self._options.directory
        if directory is None:
            return None
        return _rights(self._connection.run(lambda client: client.getacl(name))).acl(directory)

    def watch(self, on_change: Callable[[], object], stopping: threading.Event) -> None:
        """Watch the first mailboxes by IDLE, INBOX before all others; see `rag_assets.connectors.kind.Watch`."""
        try:
            self._idle(on_change, stopping)
        except Exception as error:
            explained = _explained(error)
            raise (explained.error if isinstance(explained, Again) else explained) from error

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._connection.close()
        if self._fetcher is not None:
            self._fetcher.close()

    def _idle(self, on_change: Callable[[], object], stopping: threading.Event) -> None:
        watched = sorted((name for name, _ in self._names()), key=lambda name: name.upper() != "INBOX")
        until = time.monotonic() + _WATCH_SECONDS
        with ExitStack() as opened, selectors.DefaultSelector() as reports:
            for name in watched[:_WATCHED]:
                client = self._open()
                opened.callback(client.shutdown)
                if not client.has_capability("IDLE"):
                    stopping.wait(_WATCH_SECONDS)
                    return
                client.select_folder(name, readonly=True)
                client.idle()
                reports.register(client.socket(), selectors.EVENT_READ, client)
            on_change()
            while not stopping.is_set() and time.monotonic() < until:
                changed = [_reports_change(key.data) for key, _ in reports.select(_STEP_SECONDS)]
                if any(changed):
                    on_change()

    def _names(self) -> Iterator[tuple[str, str]]:
        for flags, separator, name in self._connection.run(lambda client: client.list_folders()):
            marks = {flag.lower() for flag in flags}
            text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
            path = text.replace(separator.decode(), "/") if separator else text
            wanted = self._options.special or not marks & _SPECIAL
            if wanted and not marks & _CLOSED and self._chosen(path):
                yield name, path

    def _mailbox(self, name: str, path: str) -> Mailbox:
        def status(client: IMAPClient) -> dict[bytes, Any]:
            more = ("HIGHESTMODSEQ",) if client.has_capability("CONDSTORE") else ()
            return dict(client.folder_status(name, (*_STATUS, *more)))

        said, acl = self._connection.run(status), self.readers(name)
        state = fingerprint(path, *(f"{key!r}{said[key]}" for key in sorted(said)), *(acl or ()))
        return Mailbox(name, path, int(said[b"UIDVALIDITY"]), state, acl)

    def _open(self) -> IMAPClient:
        options = self._options
        host, port = options.endpoint
        opened = open_socket(host, port, self._policy.own, options.timeout_seconds)
        try:
            if options.security == "none" and not ip_address(opened.getpeername()[0]).is_loopback:
                message = "security: `none` is allowed on loopback only; use `tls` or `starttls`"
                raise ConfigError(Reason.CONFIG_INVALID, message)
            context = ssl.create_default_context(cafile=options.ca_file)
            if options.security == "tls":
                opened = context.wrap_socket(opened, server_hostname=host)
            client = _Client(opened, host, options.timeout_seconds)
        except BaseException:
            opened.close()
            raise
        try:
            if options.security == "starttls":
                client.starttls(context)
            self._sign_in(client)
        except BaseException:
            client.shutdown()
            raise
        return client

    def _sign_in(self, client: IMAPClient) -> None:
        login = self._options.login
        if isinstance(login, OAuth2Auth):
            assert self._tokens is not None  # noqa: S101
            token = self._tokens.headers()["authorization"].removeprefix("Bearer ")
            client.oauth2_login(self._options.user, token)
        else:
            client.login(self._options.user, login.password.read().get_secret_value())


class _Client(IMAPClient):  # type: ignore[misc]  # its types are not published
    """The library's client over a connection to a checked address."""

    def __init__(self, opened: socket.socket, host: str, seconds: float) -> None:
        self._opened = opened
        super().__init__(host, ssl=False, timeout=seconds)

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - the library's name
        return _Opened(self._opened, self.host)


class _Opened(imaplib.IMAP4):
    def __init__(self, opened: socket.socket, host: str) -> None:
        self._opened = opened
        super().__init__(host)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return self._opened


def _reports_change(client: IMAPClient) -> bool:
    """Return whether the server reports messages that came, went or changed, rather than that it is there."""
    return any(isinstance(said[0], int) for said in client.idle_check(timeout=0))


def _select(client: IMAPClient, name: str, validity: int) -> None:
    said = client.select_folder(name, readonly=True)
    if int(said[b"UIDVALIDITY"]) != validity:
        raise NotFound(Reason.VANISHED, "the mailbox was made again; the next listing has its messages")


def _rights(entries: Sequence[tuple[Any, Any]]) -> Rights:
    """The readers of an access control list: identifiers with the right `r`, and those that it takes from (`-name`)."""
    allowed, refused = set[str](), set[str]()
    for identifier, rights in entries:
        text = identifier.decode() if isinstance(identifier, bytes) else str(identifier)
        negative, text = text.startswith("-"), text.removeprefix("-")
        if "r" in (rights.decode() if isinstance(rights, bytes) else str(rights)):
            (refused if negative else allowed).add(_principal(text))
    return Rights(frozenset(allowed - {"owner"}), frozenset(refused))


def _principal(identifier: str) -> str:
    if identifier in _EVERYBODY:
        return EVERYONE
    for mark in ("$", "group:"):  # Dovecot's and Cyrus' mark of a group
        if identifier.startswith(mark):
            return f"group:{identifier.removeprefix(mark)}"
    if identifier == "owner":  # whose name the list does not say
        return identifier
    return f"email:{identifier}" if "@" in identifier else f"login:{identifier}"


def _explained(error: Exception) -> Exception:
    if isinstance(error, LoginError):
        return Unavailable(Reason.ACCESS_REFUSED, "the server does not let the account in; check user and login")
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"the server's certificate is not accepted ({error.verify_message}); check `host` and `ca_file`"
        return Unavailable(Reason.ACCESS_REFUSED, problem)
    if isinstance(error, IMAPClientAbortError | OSError | EOFError):
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
    if isinstance(error, ProtocolError | LookupError | ValueError | RecursionError):
        return Again(Unavailable(Reason.RESPONSE_INVALID, "the server answers with something that is no IMAP"))
    if isinstance(error, IMAPClientError):
        said = str(error).upper()
        if "NONEXISTENT" in said or "DOESN'T EXIST" in said:
            return NotFound(Reason.VANISHED, "the server does not have the mailbox any more")
        if "NOPERM" in said or "PERMISSION" in said or "ACL" in said:
            return Unavailable(Reason.ACCESS_REFUSED, "the account may not read a mailbox, or its list of readers")
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server refuses the request for now"))
    return error
