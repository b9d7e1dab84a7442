"""The sources that an administrator of one tenant may connect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Root = Annotated[str, StringConstraints(pattern=r"^/[^\x00]+$", max_length=4096)]
HostPattern = Annotated[
    str, StringConstraints(pattern=r"^((\*\.)?[a-z0-9]([a-z0-9.:-]{0,252})|\[[0-9a-f:.]{2,45}\](:[0-9]{1,5})?)$")
]
SecretPattern = Annotated[
    str, StringConstraints(pattern=r"^(env:RAG_SECRET_[A-Z0-9_]+\*?|file:/[^\x00*]+\*?|instance:aws)$", max_length=4096)
]


class SourceAllowance(BaseModel):
    """The allow-lists of one tenant. What no list names is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roots: tuple[Root, ...] = Field((), description="Folders; a source may read these and what is below them.")
    hosts: tuple[HostPattern, ...] = Field(
        (), description="Host names, or `*.example.org` for those below it; `db.example.org:5432`: this port alone."
    )
    secrets: tuple[SecretPattern, ...] = Field(
        (),
        description="`env:RAG_SECRET_NAME` or `file:/path`; a `*` at the end stands for any end. "
        "`instance:aws`: the cloud role that the platform itself runs as.",
    )

    def names_path(self, resolved: Path) -> bool:
        """Return whether a resolved path is one of the folders or below one. Links of a folder are followed as well."""
        return any(resolved.is_relative_to(Path(root).resolve()) for root in self.roots)

    def names_host(self, host: str, port: int | None) -> bool:
        """Return whether a port of a host may be reached; `None`: a port that is not known, of which any must do."""
        return any(_host_fits(host, port, pattern) for pattern in self.hosts)

    def names_secret(self, secret: str) -> bool:
        """Return whether a secret is named, by its name alone."""
        return any(_matches(secret, pattern) for pattern in self.secrets)

    def names_secret_file(self, resolved: Path) -> bool:
        """Return whether the resolved path of a secret's file is named. Links of the patterns' folders are followed."""
        return any(_matches(f"file:{resolved}", _resolved(pattern)) for pattern in self.secrets)


def _host_fits(host: str, port: int | None, pattern: str) -> bool:
    name, _, digits = pattern.rpartition(":")
    if name and digits.isdigit() and (":" not in name or name.endswith("]")):
        if port != int(digits):
            return False
        pattern = name
    pattern = pattern.strip("[]")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def _matches(secret: str, pattern: str) -> bool:
    return secret.startswith(pattern[:-1]) if pattern.endswith("*") else secret == pattern


def _resolved(pattern: str) -> str:
    """The pattern with the links of its folder followed, so that it can be compared with a real path."""
    if not pattern.startswith("file:"):
        return pattern
    folder, slash, name = pattern.removeprefix("file:").rpartition("/")
    return f"file:{Path(folder or '/').resolve()}{slash}{name}".replace("//", "/")
