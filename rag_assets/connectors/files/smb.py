"""Files of a Windows share by SMB 2 and 3, as fsspec has file systems: list, describe, open. Signed or encrypted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any, Final

from smbprotocol import exceptions as of_smb
from smbprotocol.change_notify import ChangeNotifyFlags, CompletionFilter, FileSystemWatcher
from smbprotocol.exceptions import AccessDenied, EndOfFile, NoMoreFiles, NoSuchFile, ObjectNameNotFound
from smbprotocol.file_info import FileInformationClass, InfoType
from smbprotocol.open import (
    CreateOptions,
    FilePipePrinterAccessMask,
    Open,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
)
from smbprotocol.tree import TreeConnect
from spnego import exceptions as of_spnego

from rag_assets.connectors.files.descriptors import READ_DATA, TRAVERSE, principal, rights
from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.files.server import LinkAway
from rag_assets.connectors.files.shares import DESCRIBES, LinkError, Shares
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.permissions import Rights
from rag_assets.connectors.servers import refused
from rag_core.errors import NotFound, RagError, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.http_client import Again, FetchPolicy

_HIDDEN, _FOLDER, _REPARSE = 0x2, 0x10, 0x400
_SURROGATE: Final = 0x2000_0000
_DFS: Final = {0x8000_000A, 0x8000_0012}
_CHUNK: Final = 65_536
_DESCRIPTOR: Final = 65_536
_DACL_AND_OWNER: Final = 0x5
_CHANGES: Final = (
    CompletionFilter.FILE_NOTIFY_CHANGE_FILE_NAME
    | CompletionFilter.FILE_NOTIFY_CHANGE_DIR_NAME
    | CompletionFilter.FILE_NOTIFY_CHANGE_ATTRIBUTES
    | CompletionFilter.FILE_NOTIFY_CHANGE_SIZE
    | CompletionFilter.FILE_NOTIFY_CHANGE_LAST_WRITE
    | CompletionFilter.FILE_NOTIFY_CHANGE_SECURITY
)
_MAX_WATCHES: Final = 100
_MAX_FOLDERS: Final = 1000
"""Folders of a namespace in which links are looked for, to watch what they lead to."""
_STEP_SECONDS: Final = 1.0
_NO_KDC = {-1765328228, -1765328230}
"""Codes of `krb5.h`: no server of the realm can be reached, or none is known."""
_EXPIRED = {-1765328383, -1765328361, -1765328352}
"""Codes of `krb5.h`: the account is expired, its key or password, or the ticket."""
_LISTS: Final = FilePipePrinterAccessMask.FILE_READ_DATA | DESCRIBES


class SmbFiles:
    """A share that is open, with what its links of DFS lead to. Paths begin with `/`."""

    def __init__(self, options: SmbOptions, shares: Shares) -> None:
        self._options, self._shares = options, shares

    def ls(self, folder: str, detail: bool = True) -> list[dict[str, Any]]:
        """Describe what is in a folder; with `directory` who may read it, by a request each."""
        found = list(self._entries(folder))
        if self._options.directory:
            for entry in found:
                with suppress(ObjectNameNotFound, LinkError):  # gone since, or away: nobody's
                    entry["rights"] = self._rights(entry["name"], entry["type"])
        return found

    def info(self, path: str) -> dict[str, Any]:
        """Describe a file or folder; the source's own folder with who may use the share and the folders above it."""
        with self._shares.opened(path, DESCRIBES) as opened:
            entry = _entry(path, opened.file_attributes, opened.end_of_file, opened.last_write_time, opened.change_time)
        if self._options.directory:
            entry["rights"] = self._rights(path, entry["type"])
            if path == self._options.path:
                entry["rights"] &= self._above(path)
        return entry

    @contextmanager
    def open(self, path: str, mode: str = "rb") -> Iterator[_Reader]:
        """Open a file to read it."""
        with self._shares.opened(path, _LISTS, CreateOptions.FILE_NON_DIRECTORY_FILE) as opened:
            yield _Reader(opened)

    def watch(self, on_change: Callable[[], object], stopping: threading.Event) -> None:
        """Call back once the folder is watched, with what links of DFS lead to, and for each report of a change, until
        `stopping`; or until a folder of a namespace reports one, whose links may be others now."""
        reported = threading.Event()
        with ExitStack() as stack:
            watches: list[_FolderWatch] = []
            for folder in islice(self._watchable(), _MAX_WATCHES):
                with suppress(LinkError):  # which is away; a listing says so
                    opened = stack.enter_context(self._shares.opened(folder, _LISTS, CreateOptions.FILE_DIRECTORY_FILE))
                    watches.append(_FolderWatch(opened, reported))
            on_change()
            while not stopping.is_set():
                if not reported.wait(_STEP_SECONDS):
                    continue
                reported.clear()
                changed = [one for one in watches if one.restart()]
                on_change()
                if any(self._has_links(one.opened.tree_connect) for one in changed):
                    return

    def close(self) -> None:
        self._shares.close()

    def _watchable(self) -> Iterator[str]:
        """The source's folder, and each that a link of DFS leads to."""
        folders = [self._options.path]
        yield self._options.path
        for folder in folders:  # which grows
            if len(folders) > _MAX_FOLDERS or not self._has_links(self._shares.target_of(folder).tree):
                continue
            with suppress(LinkError):
                for entry in self._entries(folder):
                    if entry["type"] == "directory":
                        folders.append(entry["name"])
                        if entry["tag"] in _DFS:
                            yield entry["name"]

    def _has_links(self, tree: TreeConnect) -> bool:
        return bool(tree.is_dfs_share and self._options.dfs_servers)

    def _entries(self, folder: str) -> Iterator[dict[str, Any]]:
        kind = FileInformationClass.FILE_ID_BOTH_DIRECTORY_INFORMATION
        with (
            self._shares.opened(folder, _LISTS, CreateOptions.FILE_DIRECTORY_FILE) as opened,
            suppress(NoMoreFiles, NoSuchFile),
        ):
            while True:
                yield from filter(None, (self._listed(folder, row) for row in opened.query_directory("*", kind)))

    def _listed(self, folder: str, row: Any) -> dict[str, Any] | None:
        name = row["file_name"].get_value().decode("utf-16-le")
        attributes = row["file_attributes"].get_value()
        if name in (".", "..") or (attributes & _HIDDEN and not self._options.hidden):
            return None
        times = (row[one].get_value() for one in ("last_write_time", "change_time"))
        entry = _entry(f"{folder.rstrip('/')}/{name}", attributes, row["end_of_file"].get_value(), *times)
        tag = entry["tag"] = row["ea_size"].get_value() if attributes & _REPARSE else 0
        if tag in _DFS and self._options.dfs_servers:
            entry["type"] = "directory"
        elif tag in _DFS or tag & _SURROGATE:  # not the file as it is stored
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
            access = FilePipePrinterAccessMask.READ_CONTROL
            with self._shares.opened(path, access, CreateOptions.FILE_OPEN_REPARSE_POINT) as opened:
                found = rights(_descriptor(opened), TRAVERSE if kind == "directory" else READ_DATA)
            for opened in self._shares.above(path, access):
                found &= rights(_descriptor(opened), TRAVERSE)
            return found
        except AccessDenied:  # whose permissions are hidden from the account
            return Rights()


class _FolderWatch:
    """A folder that is open, with a request for the next change below it; the server keeps those between requests."""

    def __init__(self, opened: Open, reported: threading.Event) -> None:
        self.opened, self._reported = opened, reported
        self._start()

    def restart(self) -> bool:
        """Ask for the next change if one was reported, and return that. Raises what broke the request."""
        changed: bool = self._watcher.response_event.is_set()
        if changed:
            _ = self._watcher.result
            self._start()
        return changed

    def _start(self) -> None:
        self._watcher = FileSystemWatcher(self.opened)
        self._watcher.response_event = _Relay(self._reported)
        self._watcher.start(_CHANGES, ChangeNotifyFlags.SMB2_WATCH_TREE, output_buffer_length=0)


class _Relay(threading.Event):
    """An event that sets another one too."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def set(self) -> None:
        super().set()
        self._other.set()


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
    """Connect and sign in. Raises as `Shares`."""
    return SmbFiles(options, Shares(options, policy.own))


def close(files: SmbFiles) -> None:
    """Close the connection."""
    files.close()


def explained(error: Exception) -> Exception:
    """Return the platform's error for one of the library, or `Again` with one."""
    if isinstance(error, LinkError) and isinstance(error.__cause__, Exception):
        return _link_away(str(error), error.__cause__)
    if (refusal := _sign_in_refused(error)) is not None:
        return refusal
    gone = of_smb.ObjectNameNotFound | of_smb.ObjectPathNotFound | of_smb.NoSuchFile | of_smb.DeletePending
    if isinstance(error, gone):
        return NotFound(Reason.VANISHED, "the server does not have it any more")
    if isinstance(error, of_smb.SharingViolation):
        return Unavailable(Reason.CHANGED_WHILE_READING, "somebody has the file open alone; the next run reads it")
    if isinstance(error, of_smb.BadNetworkName):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, "the server has no such share; check `share`")
    if isinstance(error, of_smb.PathNotCovered):
        said = "the path is a link of DFS; name the servers that it may lead to in `dfs_servers`"
        return Unavailable(Reason.SOURCE_UNAVAILABLE, said)
    if isinstance(error, of_smb.AccessDenied | of_smb.PrivilegeNotHeld):
        return refused("the server refuses to let the account read it, or its permissions; check its rights")
    if isinstance(error, of_smb.SMBException) and ("encryption" in str(error) or "guest" in str(error)):
        return refused("the server offers no encryption, or takes the account for a guest; check user and `encrypt`")
    if isinstance(error, of_smb.SMBException | ValueError | LookupError | OSError | EOFError):
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
    return error


def _link_away(link: str, cause: Exception) -> Exception:
    found = cause if isinstance(cause, RagError) else explained(cause)
    found = found.error if isinstance(found, Again) else found
    if not isinstance(found, RagError):
        return found
    reason = Reason.SOURCE_UNAVAILABLE if isinstance(found, NotFound) else found.reason
    return LinkAway(reason, f"the link of DFS at {names.encode(link)}: {found.message}")


def _sign_in_refused(error: Exception) -> Exception | None:
    code = _kerberos_code(error)
    if code in _NO_KDC:
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "no server of the realm gives tickets; check krb5.conf"))
    expired = of_spnego.CredentialsExpiredError | of_spnego.ContextExpiredError
    if code in _EXPIRED or isinstance(error.__cause__, expired):
        return refused("the account's ticket, key or password of Kerberos is expired; renew it")
    if code:
        return refused("Kerberos gives no ticket for cifs/HOST; check `host`, `user`, and its key, tickets or password")
    if isinstance(error, of_smb.LogonFailure | of_smb.WrongPassword | of_smb.PasswordExpired):
        return refused("the server does not let the account in; check user and password, or the ticket it was given")
    if isinstance(error, of_smb.SMBAuthenticationError):
        return refused("the server does not take the sign-in; it must accept NTLM for this account")
    return None


def _kerberos_code(error: BaseException | None) -> int:
    """The code of `krb5.h` in an error of signing in; 0 where Kerberos has no part in it."""
    while error is not None:
        code = int(getattr(error, "err_code", 0) or getattr(getattr(error, "base_error", None), "min_code", 0))
        if code:
            return code - 2**32 if code >= 2**31 else code
        error = error.__cause__
    return 0


def _entry(path: str, attributes: int, size: int, modified: Any, changed: Any) -> dict[str, Any]:
    kind = "directory" if attributes & _FOLDER else "file"
    return {"name": path, "type": kind, "size": size, "mtime": modified, "etag": changed.isoformat()}


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
