"""Registers the kinds `sftp`, `webdav` and `smb`: files of a server, by one connector."""

from __future__ import annotations

from rag_assets.connectors.files.options import SftpOptions, SmbOptions, WebdavOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported, watched_by

_CONNECTOR = imported("rag_assets.connectors.files.connector:FilesConnector")
_EXTRA = "rag-platform[files]"
_PASSWORD = ("login.type", ("password",))
_KEY = ("login.type", ("key",))
_BASIC = ("auth.type", ("basic",))
_PATTERNS = (
    FormField("include", "Include patterns (**/*.md, …)", "list"),
    FormField("exclude", "Exclude patterns", "list"),
)


SFTP = ConnectorKind(SftpOptions, _CONNECTOR, (
    Card("sftp", "SFTP server", "Files of a server by SSH.", "dns", "host", (
        FormField("host", "Host", required=True),
        FormField("port", "Port (empty: 22)", "port"),
        FormField("path", "Folder (absolute path)", default="/"),
        FormField("user", "User that may only read", required=True),
        FormField("login.type", "How the user signs in", "choice", default="password", choices=("password", "key")),
        FormField("login.password", "Password", "secret", required=True, only=_PASSWORD),
        FormField("login.private_key", "Private key", "secret", required=True, only=_KEY),
        FormField("host_keys", "Fingerprints of the host keys (SHA256:…)", "list", required=True),
        FormField("directory", "Directory that knows its users and groups"),
        *_PATTERNS,
    )),
), readers="file or source", libraries=("fsspec", "paramiko"), extra=_EXTRA)  # fmt: skip

WEBDAV = ConnectorKind(WebdavOptions, _CONNECTOR, (
    Card("webdav", "WebDAV server", "Files of Nextcloud, Apache or another server that speaks WebDAV.", "cloud_sync",
         "url", (
        FormField("url", "URL where the files begin", required=True),
        FormField("path", "Folder (absolute path)", default="/"),
        FormField("auth.type", "How the user signs in", "choice", default="basic", choices=("basic", "bearer")),
        FormField("auth.user", "User that may only read", required=True, only=_BASIC),
        FormField("auth.password", "Password", "secret", required=True, only=_BASIC),
        FormField("auth.token", "Bearer token", "secret", required=True, only=("auth.type", ("bearer",))),
        *_PATTERNS,
    )),
), libraries=("fsspec", "webdav4"), extra=_EXTRA)  # fmt: skip

SMB = ConnectorKind(SmbOptions, _CONNECTOR, (
    Card("smb", "Windows share (SMB)", "Files of a share, of Windows or Samba, with its permissions.", "lan", "host", (
        FormField("host", "Server", required=True),
        FormField("share", "Shared folder", required=True),
        FormField("path", "Folder (absolute path)", default="/"),
        FormField("user", r"User that may only read (DOMAIN\user)", required=True),
        FormField("password", "Password", "secret", required=True),
        FormField("directory", "Directory that knows its users and groups"),
        FormField("share_readers", "Who may use the share (SIDs, or everyone)", "list"),
        FormField("dfs_servers", "Servers that links of DFS may lead to", "list"),
        FormField("bypass_traverse_checking", "Only a file's own permissions count, as in Windows"),
        *_PATTERNS,
    )),
), readers="file or source", libraries=("smbprotocol",), extra="rag-platform[smb]",
    watch=watched_by("rag_assets.connectors.files.server:FileServer"))  # fmt: skip
