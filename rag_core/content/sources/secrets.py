"""Secret references of sources and alerts: configuration files name where a secret is, never its value."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, StringConstraints, model_validator

from rag_core.errors import ConfigError, InvalidInput, NotFound, Reason
from rag_core.files import Accept, open_resolved, replace_file
from rag_core.settings import Settings, environment_secret

MAX_SECRET_BYTES = 65_536
"""Largest secret."""
_PREFIX = "RAG_SECRET_"
_NAME = re.compile(r"RAG_SECRET_[A-Z0-9_]{1,100}")


class SecretRef(BaseModel):
    """A reference to a secret: an environment variable `RAG_SECRET_…`, or a file that contains only the secret."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    env: Annotated[str, StringConstraints(pattern=r"^RAG_SECRET_[A-Z0-9_]{1,100}$")] | None = Field(
        None, description="Environment variable, or a secret of `rag secret set`; its name starts with RAG_SECRET_."
    )
    file: Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,4095}$")] | None = Field(
        None, description="Absolute path of a file; a line end at its end is left out."
    )

    _accept: Accept | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _no_inline_secret(cls, value: object) -> object:
        if isinstance(value, str | int | bytes):
            raise ValueError("SECRET_INLINE_FORBIDDEN: name a variable (`env: RAG_SECRET_…`) or a file (`file: /path`)")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("needs either `env` or `file`")
        return self

    def limit(self, accept: Accept) -> None:
        """Let `accept` see where the file of the secret is, each time that it is read."""
        self._accept = accept

    def read(self) -> SecretStr:
        """Read the secret now, so that the next run uses a rotated one.

        Raises `ConfigError` (`SECRET_MISSING`), which names the variable or file, never the value, and what the limit
        of its file raises.
        """
        file, accept = Path(self.file or ""), self._accept or _anywhere
        value = _named(self.env) if self.env is not None else _from_file(file, accept)
        if not value:
            place = self.env or f"the file of the secret ({Path(self.file or '').name})"
            raise ConfigError(Reason.SECRET_MISSING, f"{place} is not set, cannot be read or is empty")
        return SecretStr(value)


def _anywhere(_: Path) -> None:
    return


def _from_file(path: Path, accept: Accept) -> str | None:
    try:
        with os.fdopen(open_resolved(path, os.O_RDONLY, accept), "rb") as stream:
            content = stream.read(MAX_SECRET_BYTES + 1)
        return None if len(content) > MAX_SECRET_BYTES else content.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return None


# --------------------------------------------------------------------------------------------------------------------
# Secrets that `rag secret set` and the console keep: a file each beside the stack's own keys, which its user alone may
# read, and never in the database. Encrypted, so that neither a listing of such files nor a copy of one shows a
# password; who may read all of RAG_HOME has the key too. In a cluster, whose processes share no RAG_HOME, they are
# variables and files of the Secret.

_SEALED = b"rag-sealed-1\n"


def full_name(name: str) -> str:
    """The name that a source file has for a secret: `shop-password` is `RAG_SECRET_SHOP_PASSWORD`.

    Raises `InvalidInput` (`USAGE`).
    """
    word = name.upper().replace("-", "_")
    found = word if word.startswith(_PREFIX) else f"{_PREFIX}{word}"
    if _NAME.fullmatch(found) is None:
        raise InvalidInput(Reason.USAGE, f"{name[:64]!r} is no name of a secret: use letters, digits, dashes")
    return found


def _named(name: str) -> str | None:
    """The variable, or the stored secret of the name. Read each time, so that a new one is used at once."""
    if value := environment_secret(name):
        return value
    try:
        return _opened(name, (_folder() / name).read_bytes()).decode("utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def store_secret(name: str, value: str) -> None:
    """Keep a secret, in place of one of the same name. Raises `InvalidInput` (`USAGE`) for what is none."""
    from rag_core.sealing import SealingKey

    if not value or len(value.encode()) > MAX_SECRET_BYTES or "\0" in value:
        raise InvalidInput(Reason.USAGE, f"a secret has 1 to {MAX_SECRET_BYTES:,} bytes and no NUL")
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sealed = SealingKey.made(sealing_key_path()).seal(value.encode(), name)
    replace_file(folder / name, _SEALED + sealed, mode=0o600)


def stored_names() -> list[str]:
    """Return the names of the stored secrets."""
    folder = _folder()
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []


def remove_secret(name: str) -> None:
    """Remove a stored secret. Raises `NotFound` (`SECRET_MISSING`)."""
    try:
        (_folder() / name).unlink()
    except FileNotFoundError:
        raise NotFound(Reason.SECRET_MISSING, f"{name} is not stored; `rag secret list` names those that are") from None


def reseal_secrets() -> list[str]:
    """Seal every stored secret by the newest key; returns the names of those that no key opens.

    Raises `OSError` or `ValueError` without a key.
    """
    from rag_core.sealing import SealingKey

    key, folder, unreadable = SealingKey(sealing_key_path()), _folder(), []
    for name in stored_names():
        if (content := (folder / name).read_bytes()).startswith(_SEALED):
            resealed = key.reseal(content[len(_SEALED) :], name)
            if resealed is None:
                unreadable.append(name)
            else:
                replace_file(folder / name, _SEALED + resealed, mode=0o600)
    return unreadable


def _folder() -> Path:
    return Settings.load().home / "secrets" / "sources"


def _opened(name: str, content: bytes) -> bytes:
    """The secret in a file, which is sealed unless an older program wrote it. Raises as `SealingKey`."""
    from rag_core.sealing import SealingKey

    if not content.startswith(_SEALED):
        return content
    return SealingKey(sealing_key_path()).open(content[len(_SEALED) :], name)


def sealing_key_path() -> Path:
    """The key of the stored secrets."""
    return _folder().with_name("sources.key")
