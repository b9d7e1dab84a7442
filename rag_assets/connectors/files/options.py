"""The options of SFTP and WebDAV sources, as they stand in their YAML."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from rag_assets.connectors.auth import Auth
from rag_assets.connectors.fields import DirectoryName, Host, Model, Plain, Url
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, host_and_port, token_hosts
from rag_core.content.sources import SecretRef

HostKey = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?$")]


def _folder(value: str) -> str:
    path = PurePosixPath(value)
    if "\x00" in value or not path.is_absolute() or ".." in path.parts:
        raise ValueError("PATH_OUTSIDE_ROOT: must be an absolute path without `..`")
    return "/" + "/".join(path.parts[1:])


Folder = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_folder)]


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
        """The directory that knows owners and groups; `None`: the server says nothing about readers."""
        return None


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
    def principals(self) -> str | None:
        """The directory that knows owners and groups."""
        return self.directory

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
