"""The shares of an SMB source: a session for each server, and the links of DFS that lead from one share to another.

A path of the source is one of the share or namespace that its file names. Where a link leads is found again for each
connection, so that a document keeps its name when the link is changed.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from smbclient._pool import dfs_request  # without the pool that it has for the whole process
from smbprotocol.connection import Connection
from smbprotocol.dfs import ReferralEntry
from smbprotocol.exceptions import BadNetworkName, PathNotCovered, SMBResponseException
from smbprotocol.header import Commands
from smbprotocol.open import (
    CreateDisposition,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from spnego import KerberosCCache, KerberosKeytab

from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.servers import checked_addresses, first_answering
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import OwnParts
from rag_core.packages import package_missing

for _library in ("smbprotocol", "smbclient", "spnego"):  # which write names of files and people
    logging.getLogger(_library).setLevel(logging.WARNING)
DESCRIBES: Final = FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_ANYHOW: Final = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_HOPS: Final = 8
"""Links that one path passes over."""


class LinkError(Exception):
    """No server that a link of DFS leads to can be read; the cause says why the last one cannot."""


@dataclass(frozen=True, slots=True)
class ShareFolder:
    """The folder of a share that the paths of the source below `prefix` are in; `unc` is server, share, folders."""

    prefix: str
    tree: TreeConnect
    unc: tuple[str, ...]

    def has(self, path: str) -> bool:
        return path.rstrip("/") == self.prefix or path.startswith(f"{self.prefix}/")

    def unc_of(self, path: str) -> tuple[str, ...]:
        return (*self.unc, *filter(None, path[len(self.prefix) :].split("/")))


class Shares:
    """The share that a source names, and those that links of DFS lead to. Paths begin with `/`.

    Methods raise `LinkError`, `InvalidInput` (`SSRF_BLOCKED`), `Unavailable`, `ConfigError`, and what the library
    raises.
    """

    def __init__(self, options: SmbOptions, own: OwnParts) -> None:
        self._options, self._own = options, own
        self._credential, self._password = _credential(options)
        self._allowed = {name.lower() for name in (options.host, *options.dfs_servers)}
        self._sessions: dict[str, Session | Exception] = {}
        self._targets: dict[str, ShareFolder] = {}
        self._failed: dict[str, LinkError] = {}
        try:
            self._open_root((options.host, options.share))
        except BaseException:
            self.close()
            raise

    def target_of(self, path: str) -> ShareFolder:
        """Return the target of the innermost link that a path is known to be below."""
        return max((one for one in self._targets.values() if one.has(path)), key=lambda one: len(one.prefix))

    @contextmanager
    def opened(self, path: str, access: int, options: int = 0) -> Iterator[Open]:
        """Open a file or folder of the source."""
        opened = self._open_followed(path, access, options)
        try:
            yield opened
        finally:
            opened.close()

    def above(self, path: str, access: int) -> Iterator[Open]:
        """Open each folder that a link passes over in the share that it leads to; none where the path is no link."""
        target = self.target_of(path)
        for depth in range(2, len(target.unc) if path.rstrip("/") == target.prefix else 0):
            opened = _open(target.tree, target.unc[:depth], access)
            try:
                yield opened
            finally:
                opened.close()

    def close(self) -> None:
        """Close the connections. Idempotent."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            if isinstance(session, Session):
                with suppress(Exception):  # a connection that broke cannot be closed any better
                    session.connection.disconnect(timeout=self._options.timeout_seconds)

    def _open_root(self, unc: tuple[str, str]) -> None:
        try:
            self._targets[""] = ShareFolder("", self._tree(*unc), unc)
        except BadNetworkName:  # or it is a namespace that other servers have
            targets: list[str] = []
            with suppress(SMBResponseException):
                targets = [one.target_path for one in self._referral(unc)] if self._options.dfs_servers else []
            if not targets:
                raise
            self._add("", targets)

    def _open_followed(self, path: str, access: int, options: int) -> Open:
        for _ in range(_HOPS):
            target = self.target_of(path)
            try:
                return _open(target.tree, target.unc_of(path), access, options)
            except PathNotCovered:
                if not self._options.dfs_servers:
                    raise
                self._follow(target, path)
        raise LinkError(path) from Unavailable(Reason.LISTING_INCOMPLETE, f"it passes over more than {_HOPS} links")

    def _follow(self, target: ShareFolder, path: str) -> None:
        """Find where the next link of a path leads, once for each connection."""
        asked = target.unc_of(path)
        referral = self._referral(asked)
        parts, beyond = path.rstrip("/").split("/"), len(asked) - len(_parts(referral.dfs_path))
        prefix = "/".join(parts[: max(0, len(parts) - max(0, beyond))])
        if len(prefix) < len(target.prefix):
            raise LinkError(path) from Unavailable(Reason.RESPONSE_INVALID, "the server names no link of this path")
        if prefix in self._failed:
            raise self._failed[prefix]
        try:
            self._add(prefix, [one.target_path for one in referral])
        except LinkError as error:
            self._failed[prefix] = error
            raise

    def _add(self, prefix: str, targets: list[str]) -> None:
        """Take the first target that can be read."""
        failure: Exception = Unavailable(Reason.RESPONSE_INVALID, "the link leads nowhere")
        around = [_same(one.unc) for one in self._targets.values() if one.has(prefix)]
        for unc in map(_parts, targets):
            try:
                if _same(unc) in around:
                    raise Unavailable(Reason.LISTING_INCOMPLETE, "it leads back to a folder above it")
                found = ShareFolder(prefix, self._tree(*unc[:2]), unc)
                with suppress(PathNotCovered):  # a link of another namespace
                    _open(found.tree, unc, DESCRIBES).close()
            except Exception as error:
                failure = error
            else:
                self._targets[prefix] = found
                return
        raise LinkError(prefix or "/") from failure

    def _referral(self, unc: tuple[str, ...]) -> ReferralEntry:
        return ReferralEntry(dfs_request(self._tree(unc[0], "IPC$"), "\\" + "\\".join(unc)))

    def _tree(self, server: str, share: str) -> TreeConnect:
        if server.lower() not in self._allowed:
            said = f"it leads to the server {server[:255]}, which `dfs_servers` does not name"
            raise Unavailable(Reason.SOURCE_NOT_ALLOWED, said)
        session, name = self._session(server), rf"\\{server}\{share}"
        for tree in session.tree_connect_table.values():
            if tree.share_name.lower() == name.lower():
                return tree
        tree = TreeConnect(session, name)
        tree.connect()
        return tree

    def _session(self, server: str) -> Session:
        found = self._sessions.get(server.lower())
        if found is None:
            try:
                found = self._signed_in(server)
            except Exception as error:  # a server that is away is waited for once
                found = error
            self._sessions[server.lower()] = found
        if isinstance(found, Exception):
            raise found
        return found

    def _signed_in(self, server: str) -> Session:
        options = self._options
        addresses = checked_addresses(server, options.port, self._own, what="server")
        connection = first_answering(addresses, lambda address: _connect(options, address), ValueError)
        try:
            session = Session(
                connection,
                self._credential,
                self._password,
                require_encryption=options.encrypt,
                hostname_override=server,
                auth_protocol="kerberos" if options.kerberos else "ntlm",
            )
            session.connect()
        except BaseException:
            with suppress(Exception):
                connection.disconnect(close=False)
            raise
        return session


class _Connection(Connection):  # type: ignore[misc]  # its types are not published
    """The library's connection, which waits for an answer as long as the source says, and for reports of changes until
    it breaks. It follows no symbolic links."""

    seconds: float = 30

    def receive(
        self, request: Any, wait: bool = True, timeout: float | None = None, resolve_symlinks: bool = True
    ) -> Any:
        reports = request.message["command"].get_value() == Commands.SMB2_CHANGE_NOTIFY
        seconds = None if reports else timeout or self.seconds
        return super().receive(request, wait, seconds, resolve_symlinks=False)


def _credential(options: SmbOptions) -> tuple[Any, str | None]:
    """User and password, or what a ticket is had with. Raises `ConfigError` (`PACKAGE_MISSING`, `SECRET_MISSING`)."""
    if options.kerberos:
        for name in ("gssapi", "krb5"):
            if find_spec(name) is None:
                raise package_missing(name)
        if options.kerberos.keytab:
            return KerberosKeytab(f"FILE:{options.kerberos.keytab}", options.user), None
        if options.kerberos.ccache:
            return KerberosCCache(f"FILE:{options.kerberos.ccache}", options.user), None
    return options.user, options.password.read().get_secret_value() if options.password else None


def _connect(options: SmbOptions, address: str) -> _Connection:
    connection = _Connection(uuid.uuid4(), address, options.port, require_signing=True)
    connection.seconds = options.timeout_seconds
    try:
        connection.connect(timeout=options.timeout_seconds)
    except BaseException:
        with suppress(Exception):
            connection.disconnect(close=False)
        raise
    return connection


def _open(tree: TreeConnect, unc: tuple[str, ...], access: int, options: int = 0) -> Open:
    # Shares of DFS take the names of server and share too.
    opened = Open(tree, "\\".join(unc if tree.is_dfs_share else unc[2:]))
    opened.create(ImpersonationLevel.Impersonation, access, 0, _ANYHOW, CreateDisposition.FILE_OPEN, options)
    return opened


def _parts(unc: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (unc or "").split("\\")))


def _same(unc: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in unc)
