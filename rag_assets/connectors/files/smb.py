"""Files of a Windows share by SMB 2 and 3, as fsspec has file systems: list, describe, open. Signed or encrypted."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from smbprotocol import exceptions as of_smb
from smbprotocol.connection import Connection
from smbprotocol.exceptions import AccessDenied, EndOfFile, NoMoreFiles, NoSuchFile, ObjectNameNotFound
from smbprotocol.file_info import FileInformationClass, InfoType
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from rag_assets.connectors.files.descriptors import READ_DATA, TRAVERSE, principal, rights
from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.filesystem.permissions import Rights
from rag_assets.connectors.servers import checked_addresses, first_answering, refused
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.http_client import Again, FetchPolicy

for _library in ("smbprotocol", "spnego"):  # which write names of files and people
    logging.getLogger(_library).setLevel(logging.WARNING)
_HIDDEN, _FOLDER, _REPARSE = 0x2, 0x10, 0x400
_SURROGATE: Final = 0x2000_0000
_DFS: Final = {0x8000_000A, 0x8000_0012}
_CHUNK: Final = 65_536
_DESCRIPTOR: Final = 65_536
_DACL_AND_OWNER: Final = 0x5
_DESCRIBES: Final = FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_ANYHOW: Final = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE


class _Connection(Connection):  # type: ignore[misc]  # its types are not published
    """The library's connection, which waits for an answer as long as the source says, and follows no links."""

    seconds: float = 30

    def receive(
        self, request: Any, wait: bool = True, timeout: float | None = None, resolve_symlinks: bool = True
    ) -> Any:
        return super().receive(request, wait, timeout or self.seconds, resolve_symlinks=False)


class SmbFiles:
    """A share that is open. Paths begin with `/`."""

    def __init__(self, options: SmbOptions, tree: TreeConnect) -> None:
        self._options, self._tree = options, tree

    def ls(self, folder: str, detail: bool = True) -> list[dict[str, Any]]:
        """Describe what is in a folder; with `directory` who may read it, by a request each."""
        access = FilePipePrinterAccessMask.FILE_READ_DATA | _DESCRIBES
        kind = FileInformationClass.FILE_ID_BOTH_DIRECTORY_INFORMATION
        found: list[dict[str, Any]] = []
        with (
            self._opened(folder, access, CreateOptions.FILE_DIRECTORY_FILE) as opened,
            suppress(NoMoreFiles, NoSuchFile),
        ):
            while True:
                rows = opened.query_directory("*", kind)
                found += filter(None, (self._listed(folder, row) for row in rows))
        if self._options.directory:
            for entry in found:
                with suppress(ObjectNameNotFound):  # gone since: nobody's
                    entry["rights"] = self._rights(entry["name"], entry["type"])
        return found

    def info(self, path: str) -> dict[str, Any]:
        """Describe a file or folder; the source's own folder with who may use the share and the folders above it."""
        with self._opened(path, _DESCRIBES) as opened:
            entry = _entry(path, opened.file_attributes, opened.end_of_file, opened.last_write_time, opened.change_time)
        if self._options.directory:
            entry["rights"] = self._rights(path, entry["type"])
            if path == self._options.path:
                entry["rights"] &= self._above(path)
        return entry

    @contextmanager
    def open(self, path: str, mode: str = "rb") -> Iterator[_Reader]:
        """Open a file to read it."""
        access = FilePipePrinterAccessMask.FILE_READ_DATA | _DESCRIBES
        with self._opened(path, access, CreateOptions.FILE_NON_DIRECTORY_FILE) as opened:
            yield _Reader(opened)

    def close(self) -> None:
        self._tree.session.connection.disconnect(timeout=self._options.timeout_seconds)

    @contextmanager
    def _opened(self, path: str, access: int, options: int = 0) -> Iterator[Open]:
        opened = Open(self._tree, path.strip("/").replace("/", "\\"))
        opened.create(ImpersonationLevel.Impersonation, access, 0, _ANYHOW, CreateDisposition.FILE_OPEN, options)
        try:
            yield opened
        finally:
            opened.close()

    def _listed(self, folder: str, row: Any) -> dict[str, Any] | None:
        name = row["file_name"].get_value().decode("utf-16-le")
        attributes = row["file_attributes"].get_value()
        if name in (".", "..") or (attributes & _HIDDEN and not self._options.hidden):
            return None
        times = (row[one].get_value() for one in ("last_write_time", "change_time"))
        entry = _entry(f"{folder.rstrip('/')}/{name}", attributes, row["end_of_file"].get_value(), *times)
        if attributes & _REPARSE and _leads_elsewhere(row["ea_size"].get_value()):
            entry["type"] = "link"
        return entry

    def _above(self, path: str) -> Rights:
        """The accounts that may use the share, and pass through the folders above one."""
        found = Rights(frozenset(map(principal, self._options.share_readers)))
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            found &= self._rights(path, "directory")
        return found

    def _rights(self, path: str, kind: str) -> Rights:
        if kind == "directory" and self._options.bypass_traverse_checking:
            return Rights(frozenset({EVERYONE}))
        try:
            with self._opened(
                path, FilePipePrinterAccessMask.READ_CONTROL, CreateOptions.FILE_OPEN_REPARSE_POINT
            ) as opened:
                return rights(_descriptor(opened), TRAVERSE if kind == "directory" else READ_DATA)
        except AccessDenied:  # whose permissions are hidden from the account
            return Rights()


class _Reader:
    """The content of a file that is open."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def read(self, most: int) -> bytes:
        """Return the content, and no more bytes than this."""
        content = bytearray()
        with suppress(EndOfFile):
            while len(content) < most:
                content += self._opened.read(len(content), min(_CHUNK, most - len(content)))
        return bytes(content)


def connect(options: SmbOptions, policy: FetchPolicy) -> SmbFiles:
    """Connect and sign in. Raises `InvalidInput` (`SSRF_BLOCKED`), `Unavailable`, `ConfigError`, and what the library
    raises."""
    password = options.password.read().get_secret_value()
    addresses = checked_addresses(options.host, options.port, policy.own, what="server")
    connection = first_answering(addresses, lambda address: _connect(options, address), ValueError)
    try:
        session = Session(
            connection,
            options.user,
            password,
            require_encryption=options.encrypt,
            hostname_override=options.host,
            auth_protocol="ntlm",
        )
        session.connect()
        tree = TreeConnect(session, rf"\\{options.host}\{options.share}")
        tree.connect()
    except BaseException:
        with suppress(Exception):
            connection.disconnect(close=False)
        raise
    return SmbFiles(options, tree)


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


def _entry(path: str, attributes: int, size: int, modified: Any, changed: Any) -> dict[str, Any]:
    kind = "directory" if attributes & _FOLDER else "file"
    return {"name": path, "type": kind, "size": size, "mtime": modified, "etag": changed.isoformat()}


def _leads_elsewhere(tag: int) -> bool:
    """Return whether a reparse point is a link, a mount point or a link of DFS, not the file as it is stored."""
    return bool(tag & _SURROGATE) or tag in _DFS


def _descriptor(opened: Open) -> bytes:
    asked = SMB2QueryInfoRequest()
    asked["info_type"] = InfoType.SMB2_0_INFO_SECURITY
    asked["additional_information"] = _DACL_AND_OWNER
    asked["output_buffer_length"] = _DESCRIPTOR
    asked["file_id"] = opened.file_id
    tree = opened.tree_connect
    request = opened.connection.send(asked, tree.session.session_id, tree.tree_connect_id)
    answer = SMB2QueryInfoResponse()
    answer.unpack(opened.connection.receive(request)["data"].get_value())
    return bytes(answer["buffer"].get_value())


def close(files: SmbFiles) -> None:
    """Close the connection."""
    files.close()


def explained(error: Exception) -> Exception:
    """Return the platform's error for one of the library, or `Again` with one."""
    gone = of_smb.ObjectNameNotFound | of_smb.ObjectPathNotFound | of_smb.NoSuchFile | of_smb.DeletePending
    if isinstance(error, gone):
        return NotFound(Reason.VANISHED, "the server does not have it any more")
    if isinstance(error, of_smb.SharingViolation):
        return Unavailable(Reason.CHANGED_WHILE_READING, "somebody has the file open alone; the next run reads it")
    if isinstance(error, of_smb.BadNetworkName):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, "the server has no such share; check `share`")
    if isinstance(error, of_smb.PathNotCovered):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, "the path is a link of DFS; name the server that has the files")
    if isinstance(error, of_smb.AccessDenied | of_smb.PrivilegeNotHeld):
        return refused("the server refuses to let the account read it, or its permissions; check its rights")
    if isinstance(error, of_smb.LogonFailure | of_smb.WrongPassword | of_smb.PasswordExpired):
        return refused("the server does not let the account in; check user and password")
    if isinstance(error, of_smb.SMBAuthenticationError):
        return refused("the server does not take the sign-in; it must accept NTLM for this account")
    if isinstance(error, of_smb.SMBException) and ("encryption" in str(error) or "guest" in str(error)):
        return refused("the server offers no encryption, or takes the account for a guest; check user and `encrypt`")
    if isinstance(error, of_smb.SMBException | ValueError | LookupError | OSError | EOFError):
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
    return error
