"""fsspec's file system of SFTP, over a socket to a checked address and with a host key that the source names."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from rag_assets.connectors.files.options import KeyLogin, SftpOptions
from rag_assets.connectors.servers import open_socket, refused
from rag_core.errors import ConfigError, InvalidInput, Reason, Unavailable
from rag_core.http_client import Again, FetchPolicy

_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class HostKeyRefused(paramiko.SSHException):  # type: ignore[misc]  # paramiko's types are not published
    """Another server than the one that the source names answers."""


class _NamedKeys(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Accepts the host keys that the source names, and no other."""

    def __init__(self, fingerprints: list[str]) -> None:
        self._known = {one.rstrip("=") for one in fingerprints}

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        if f"SHA256:{digest}" not in self._known:
            raise HostKeyRefused(f"the server's host key SHA256:{digest} is not one of `host_keys`")


class _Files(SFTPFileSystem):  # type: ignore[misc]
    """The library's file system, which leaves out the mode of a file."""

    @staticmethod
    def _decode_stat(stat: paramiko.SFTPAttributes, parent_path: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = SFTPFileSystem._decode_stat(stat, parent_path)
        return found | {"mode": stat.st_mode}


def connect(options: SftpOptions, policy: FetchPolicy) -> SFTPFileSystem:
    """Connect. Raises `InvalidInput` (`SSRF_BLOCKED`), `Unavailable`, `ConfigError`, and what paramiko raises."""
    login = _login(options)
    connection = open_socket(options.host, options.port, policy.own, options.timeout_seconds)
    try:
        files = _Files(
            options.host,
            sock=connection,
            port=options.port,
            username=options.user,
            host_key_policy=_NamedKeys(options.host_keys),
            allow_agent=False,
            look_for_keys=False,
            timeout=options.timeout_seconds,
            banner_timeout=options.timeout_seconds,
            auth_timeout=options.timeout_seconds,
            skip_instance_cache=True,
            **login,
        )
    except BaseException:
        connection.close()
        raise
    files.ftp.get_channel().settimeout(options.timeout_seconds)
    return files


def _login(options: SftpOptions) -> dict[str, Any]:
    login = options.login
    if not isinstance(login, KeyLogin):
        return {"password": login.password.read().get_secret_value()}
    text = login.private_key.read().get_secret_value()
    phrase = login.passphrase.read().get_secret_value() if login.passphrase else None
    for kind in _KEYS:
        try:
            return {"pkey": kind.from_private_key(io.StringIO(text), phrase)}
        except paramiko.PasswordRequiredException:
            raise ConfigError(Reason.SECRET_MISSING, "login.passphrase: the private key is encrypted") from None
        except (paramiko.SSHException, ValueError, IndexError, UnicodeError):
            continue
    raise InvalidInput(Reason.CONFIG_INVALID, "login.private_key: no Ed25519, ECDSA or RSA key that can be read")


def close(files: SFTPFileSystem) -> None:
    """Close the connection."""
    files.client.close()


def explained(error: Exception) -> Exception:
    """Return the platform's error for one of the library, or `Again` with one."""
    if isinstance(error, HostKeyRefused):
        return refused(str(error))
    if isinstance(error, paramiko.AuthenticationException):
        return refused("the server does not let the user in; check user and login")
    if isinstance(error, paramiko.SSHException | OSError | EOFError):
        return Again(Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not answer; check that it runs"))
    return error
