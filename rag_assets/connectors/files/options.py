"""The options of SFTP, WebDAV and SMB sources, as they stand in their YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_assets.connectors.auth import Auth
from rag_assets.connectors.fields import AbsolutePath, DirectoryName, Host, Model, Plain, Url, absolute_path
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, host_and_port, token_hosts
from rag_core.content.sources import SecretRef

Share = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\\/:*?\"<>|]{1,80}$")]
Reader = Annotated[str, StringConstraints(pattern=r"^everyone$|^S-1-[0-9]{1,15}(-[0-9]{1,10}){1,15}$")]
HostKey = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$")]


Folder = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(absolute_path)]


class FilesOptions(SourceOptions):
    """Options of every source of files on a server."""

    path: Folder = Field("/", description="Folder on the server; only what is below it is read.")
    include: list[Glob] = Field(["**/*"], min_length=1, max_length=256, description="Globs relative to the folder.")
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    hidden: bool = Field(False, description="Whether wildcards match names that start with a dot.")
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_files: int = Field(1_000_000, ge=1, le=100_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(50, gt=0, le=10_000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request, each with a connection that works.")
    timeout_seconds: float = Field(30, gt=0, le=3600, description="Silence of the server that is waited for.")

    @property
    def principals(self) -> str | None:
        """The directory that knows owners and groups; `None`: nothing is asked about readers."""
        return getattr(self, "directory", None)


class PasswordLogin(Model):
    """A password, by reference."""

    type: Literal["password"]
    password: SecretRef = Field(description="Password, by reference.")


class KeyLogin(Model):
    """A private key (OpenSSH or PEM), by reference."""

    type: Literal["key"]
    private_key: SecretRef = Field(description="The private key: a file, or a variable with its text.")
    passphrase: SecretRef | None = Field(None, description="Passphrase of the key, by reference.")


class SftpOptions(FilesOptions):
    """Files of an SFTP server. Its host key is named, so that no other server is believed."""

    kind: Literal["sftp"]
    host: Host = Field(description="Name or address of the server.")
    port: int = Field(22, ge=1, le=65_535, description="Its port.")
    user: Plain = Field(description="A user that may only read.")
    login: Annotated[PasswordLogin | KeyLogin, Field(discriminator="type")] = Field(
        description="How the user signs in: `password` or `key`."
    )
    host_keys: list[HostKey] = Field(
        min_length=1, max_length=16, description="Fingerprints (SHA256:…) of its host keys: `ssh-keyscan HOST | "
        "ssh-keygen -lf -`."
    )  # fmt: skip
    directory: DirectoryName | None = Field(
        None, description="Directory that knows owners (`uid:1000`) and groups (`gid:100`) of the server: owner, group "
        "and mode say who may read a file. Not where files have POSIX ACLs, which SFTP does not tell."
    )  # fmt: skip

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"sftp://{self.host}:{self.port}{self.path}"

    def opened(self) -> Opened:
        return Opened(endpoints=((self.host.lower(), self.port),))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        named, _, path = location.removeprefix("sftp://").partition("/")
        host, port = host_and_port(named)
        return {"host": host, "path": f"/{path}"} | ({"port": port} if port else {})


class WebdavOptions(FilesOptions):
    """Files of a WebDAV server, such as Nextcloud or Apache."""

    kind: Literal["webdav"]
    url: Url = Field(description="Where its files begin, such as https://cloud.example.org/remote.php/dav/files/USER.")
    auth: Auth | None = Field(None, description="As for an HTTP API: basic, bearer, header or oauth2.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.url.rstrip("/") + self.path

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.url), *token_hosts(self.auth)))


class KerberosLogin(Model):
    """A ticket of Kerberos: from a keytab, from a cache of tickets, or without either by the password."""

    keytab: AbsolutePath | None = Field(None, description="File with the account's key.")
    ccache: AbsolutePath | None = Field(None, description="File with its tickets, which something else renews.")


class SmbOptions(FilesOptions):
    """Files of a Windows share (SMB 2 and 3), of Windows or Samba."""

    kind: Literal["smb"]
    host: Host = Field(description="Name or address of the server, or of a namespace of DFS.")
    port: int = Field(445, ge=1, le=65_535, description="Its port.")
    share: Share = Field(description="Name of the share.")
    user: Plain = Field(
        description="An account that may only read: `DOMAIN\\user`, `user@domain`, or one of the server."
    )
    password: SecretRef | None = Field(
        None, description="Its password, by reference; left out with a keytab or cache of Kerberos."
    )
    kerberos: KerberosLogin | None = Field(
        None, description="Sign in by a ticket for `cifs/HOST`; absent: by NTLM. The realm is `user@REALM`, or the "
        "machine's; its `krb5.conf` names the servers that give tickets."
    )  # fmt: skip
    dfs_servers: list[Host] = Field(
        [], max_length=100, description="Servers that links of DFS may lead to, with the names that the namespace has "
        "for them; empty: links are left out."
    )  # fmt: skip
    encrypt: bool = Field(True, description="Whether SMB 3 with encryption is required; else messages are signed.")
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the SIDs of people and groups (`sid:S-1-5-21-…`): the permissions of "
        "files say who may read them."
    )  # fmt: skip
    share_readers: list[Reader] = Field(
        [], max_length=100, description="With `directory`: who may use the share itself, as SIDs or `everyone`; "
        "accounts that only read are not shown it."
    )  # fmt: skip
    bypass_traverse_checking: bool = Field(
        False, description="With `directory`: whether people read a file whatever they may do in the folders above it, "
        "as Windows lets everyone unless a policy changes that. Samba does not."
    )  # fmt: skip

    @model_validator(mode="after")
    def _share(self) -> Self:
        if self.directory and not self.share_readers:
            raise ValueError("share_readers: with `directory` name who may use the share, such as [everyone]")
        ways = [self.password, *self.key_files]
        if len(ways) - ways.count(None) != 1:
            raise ValueError("password: name it, or with `kerberos` a `keytab` or a `ccache`, and one of them alone")
        return self

    @property
    def key_files(self) -> tuple[str, ...]:
        """The files that it signs in with."""
        return tuple(filter(None, (self.kerberos.keytab, self.kerberos.ccache))) if self.kerberos else ()

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"smb://{self.host}:{self.port}/{self.share}{self.path}"

    def opened(self) -> Opened:
        return Opened(self.key_files, tuple((name.lower(), self.port) for name in (self.host, *self.dfs_servers)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        named, _, rest = location.replace("\\", "/").removeprefix("smb:").lstrip("/").partition("/")
        host, port = host_and_port(named)
        share, _, path = rest.partition("/")
        return (
            {"host": host, "path": f"/{path}"} | ({"share": share} if share else {}) | ({"port": port} if port else {})
        )
