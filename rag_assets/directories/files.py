"""The file of a directory: its entries or the name of a CSV file with them, or the server that has them.

kind: file
tenant: acme
entries:
  - {entry: user:ann, names: [uid:1000, email:ann@acme.example]}
  - {entry: group:staff, names: [gid:100], members: [user:ann, group:engineers]}
  - {entry: group:board, names: [gid:7]}     # no members: those whose token names it
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from rag_assets.connectors.fields import Model, Plain
from rag_assets.directories.ldap import ldap_entries, ldap_tag
from rag_assets.directories.ldap_options import LdapDirectory, TenantName
from rag_assets.strict_yaml import load_yaml
from rag_core.errors import ConfigError, InvalidInput, RagError, Reason
from rag_core.governance.directories import DIRECTORY_NAME, DirectoryEntry
from rag_core.ids import fingerprint
from rag_core.settings import Settings

MAX_ENTRIES: Final = 200_000
MAX_BYTES: Final = 64 * 1024 * 1024


class _Entry(Model):
    entry: Plain
    names: list[Plain] = Field([], max_length=100)
    members: list[Plain] | None = Field(None, max_length=MAX_ENTRIES)
    active: bool = True


class _File(Model):
    kind: Literal["file"]
    tenant: TenantName
    entries: list[_Entry] = Field([], max_length=MAX_ENTRIES)
    csv: Plain | None = Field(None, description="A file beside it, with the columns entry, names, members, active.")


_Definition = TypeAdapter[_File | LdapDirectory](Annotated[_File | LdapDirectory, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """A directory as its file says."""

    tenant: str
    name: str
    kind: str
    entries: tuple[DirectoryEntry, ...]


def directory_files(folder: Path) -> list[Path]:
    """The files of directories, by name."""
    return sorted(folder.glob("*.yaml")) if folder.is_dir() else []


def any_directory(settings: Settings) -> bool:
    """Return whether this installation has a directory."""
    return bool(directory_files(settings.effective_directories_dir))


def version_tag(settings: Settings) -> str:
    """A value that changes with any file of a directory, and with what a server of one has."""
    folder = settings.effective_directories_dir
    tags = [files_tag(folder)]
    for path in directory_files(folder):
        try:
            definition = _definition(path)
            if isinstance(definition, LdapDirectory):
                tags.append(ldap_tag(definition, settings))
        except RagError as error:
            tags.append(str(error.reason))
    return fingerprint(*tags)


def files_tag(folder: Path) -> str:
    """A value that changes with any file of a directory."""
    seen = ((path.name, path.stat()) for path in sorted(folder.glob("*")) if path.is_file()) if folder.is_dir() else ()
    return fingerprint(*(f"{name}\x1f{stat.st_mtime_ns}\x1f{stat.st_size}\x1f{stat.st_ino}" for name, stat in seen))


def read_directory(path: Path, settings: Settings) -> DirectoryFile:
    """Read one. Raises `ConfigError` (`CONFIG_INVALID`), `InvalidInput` (`FIELD_INVALID`), and of a server
    `Unavailable` (`ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`)."""
    read = _definition(path)
    if isinstance(read, LdapDirectory):
        entries = tuple(ldap_entries(read, settings))
    else:
        entries = (*_given(read), *(_rows(path.parent / Path(read.csv).name) if read.csv else ()))
    return DirectoryFile(read.tenant, path.stem, read.kind, entries)


def _definition(path: Path) -> _File | LdapDirectory:
    found = load_yaml(path)
    if found.problems:
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name}: {found.problems[0]}")
    try:
        read = _Definition.validate_python(found.data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name}: {place}: {first['msg']}") from None
    if not DIRECTORY_NAME.fullmatch(path.stem):
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name}: the name must be lower-case letters, digits, - and _")
    return read


def _given(read: _File) -> Iterator[DirectoryEntry]:
    for one in read.entries:
        members = None if one.members is None else tuple(one.members)
        yield DirectoryEntry(one.entry, tuple(one.names), members, one.active)


def _rows(path: Path) -> Iterator[DirectoryEntry]:
    """Rows of a CSV file; several names or members are separated by semicolons, `-` stands for no member."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(Reason.FILE_TOO_LARGE, f"{path.name}: more than {MAX_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                members = row.get("members") or ""
                yield DirectoryEntry(
                    row.get("entry") or "",
                    _several(row.get("names")),
                    None if not members else _several(members.strip().removeprefix("-")),
                    _active(row.get("active"), path, number),
                )
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name}: cannot be read ({type(error).__name__})") from None


def _several(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())


def _active(text: str | None, path: Path, number: int) -> bool:
    known = {"": True, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if (text or "").strip().lower() not in known:
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name}: row {number}: active must be true or false")
    return known[(text or "").strip().lower()]
