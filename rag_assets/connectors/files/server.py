"""The server of a source of files: a connection that is made again, and the backends' errors as the platform's."""

from __future__ import annotations

from typing import Any

from rag_assets.connectors.files.options import FilesOptions, SftpOptions, SmbOptions, WebdavOptions
from rag_assets.connectors.servers import Reconnecting
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.http_client import Again, FetchPolicy, Pacing, check_state

Entry = dict[str, Any]


class FileServer:
    """fsspec's file system of a source. A call that fails for a moment is tried again, by a new connection; so a
    listing continues at the folder where it was interrupted. Used from one thread."""

    def __init__(self, options: FilesOptions, policy: FetchPolicy, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        backend: Any = _BACKENDS[options.kind]
        pacing = Pacing(options.requests_per_second, options.attempts)
        self._files = Reconnecting[Any](
            lambda: backend.open(options, policy), backend.close, lambda error: _explained(error, backend), pacing
        )

    def entries(self, folder: str) -> list[Entry]:
        """Return what is in a folder. Raises as `info`."""
        return self._files.run(lambda files: list(files.ls(folder, detail=True)))

    def info(self, path: str) -> Entry:
        """Return size, times and tags of a file.

        Raises `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`, `RESPONSE_INVALID`, …),
        `DeadlineExceeded`, `InvalidInput` (`SSRF_BLOCKED`, …) and `ConfigError` (`SECRET_MISSING`).
        """
        return self._files.run(lambda files: dict(files.info(path)))

    def read(self, path: str) -> bytes:
        """Return the content of a file, and no more than a byte above the limit. Raises as `info`."""

        def read(files: Any) -> bytes:
            with files.open(path, "rb") as stream:
                return bytes(stream.read(self._max_bytes + 1))

        return self._files.run(read)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._files.close()


def _explained(error: Exception, backend: Any) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NotFound(Reason.VANISHED, "the server does not have it any more")
    if isinstance(error, PermissionError):
        return _refused("the server refuses to let the user read it; check its rights")
    if isinstance(error, UnicodeDecodeError):
        return Unavailable(Reason.ID_CHARS, "a name on the server is no UTF-8; rename it, or exclude it")
    explained: Exception = backend.explained(error)
    return explained


class _Sftp:
    @staticmethod
    def open(options: SftpOptions, policy: FetchPolicy) -> Any:
        from rag_assets.connectors.files.sftp import open_sftp

        return open_sftp(options, policy.own)

    @staticmethod
    def close(files: Any) -> None:
        files.client.close()

    @staticmethod
    def explained(error: Exception) -> Exception:
        import paramiko

        from rag_assets.connectors.files.sftp import HostKeyRefused

        if isinstance(error, HostKeyRefused):
            return _refused(str(error))
        if isinstance(error, paramiko.AuthenticationException):
            return _refused("the server does not let the user in; check user and login")
        if isinstance(error, paramiko.SSHException | OSError | EOFError):
            return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
        return error


class _Webdav:
    @staticmethod
    def open(options: WebdavOptions, policy: FetchPolicy) -> Any:
        from rag_assets.connectors.files.webdav import open_webdav

        return open_webdav(options, policy)

    @staticmethod
    def close(files: Any) -> None:
        files.client.http.close()

    @staticmethod
    def explained(error: Exception) -> Exception:
        from webdav4.client import ClientError, HTTPError

        status = error.status_code if isinstance(error, HTTPError) else 0
        if status in (401, 403):
            return _refused(f"the server answers with status {status}; check user and secret")
        if isinstance(error, HTTPError):
            try:
                check_state(status, error.response.headers, "the server")
            except Again as again:
                return again
            return Unavailable(Reason.HTTP_STATUS, f"the server answers with status {status}")
        # An answer that is no WebDAV, such as a sign-in page, is none about an empty folder.
        if isinstance(error, ClientError | ValueError | LookupError | SyntaxError | AttributeError | OSError):
            return Again(Unavailable(Reason.RESPONSE_INVALID, "the server answers with something that is no WebDAV"))
        return error


class _Smb:
    @staticmethod
    def open(options: SmbOptions, policy: FetchPolicy) -> Any:
        from rag_assets.connectors.files.smb import open_smb

        return open_smb(options, policy.own)

    @staticmethod
    def close(files: Any) -> None:
        files.close()

    @staticmethod
    def explained(error: Exception) -> Exception:
        from smbprotocol import exceptions as of_smb

        gone = of_smb.ObjectNameNotFound | of_smb.ObjectPathNotFound | of_smb.NoSuchFile | of_smb.DeletePending
        if isinstance(error, gone):
            return NotFound(Reason.VANISHED, "the server does not have it any more")
        if isinstance(error, of_smb.SharingViolation):
            return Unavailable(Reason.CHANGED_WHILE_READING, "somebody has the file open alone; the next run reads it")
        if isinstance(error, of_smb.BadNetworkName):
            return Unavailable(Reason.SOURCE_UNAVAILABLE, "the server has no such share; check `share`")
        if isinstance(error, of_smb.PathNotCovered):
            return Unavailable(
                Reason.SOURCE_UNAVAILABLE, "the path is a link of DFS; name the server that has the files"
            )
        if isinstance(error, of_smb.AccessDenied | of_smb.PrivilegeNotHeld):
            return _refused("the server refuses to let the account read it, or its permissions; check its rights")
        if isinstance(error, of_smb.LogonFailure | of_smb.WrongPassword | of_smb.PasswordExpired):
            return _refused("the server does not let the account in; check user and password")
        if isinstance(error, of_smb.SMBAuthenticationError):
            return _refused("the server does not take the sign-in; it must accept NTLM for this account")
        if isinstance(error, of_smb.SMBException) and ("encryption" in str(error) or "guest" in str(error)):
            return _refused(
                "the server offers no encryption, or takes the account for a guest; check user and `encrypt`"
            )
        if isinstance(error, of_smb.SMBException | ValueError | LookupError | OSError | EOFError):
            return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
        return error


_BACKENDS: dict[str, Any] = {"sftp": _Sftp, "webdav": _Webdav, "smb": _Smb}


def _refused(message: str) -> Unavailable:
    return Unavailable(Reason.ACCESS_REFUSED, message)
