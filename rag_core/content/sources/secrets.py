"""Secret references of sources and alerts: configuration files name where a secret is, never its value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, StringConstraints, model_validator

from rag_core.errors import ConfigError, Reason
from rag_core.files import Accept, open_resolved
from rag_core.settings import environment_secret

_MAX_BYTES = 65_536


class SecretRef(BaseModel):
    """A reference to a secret: an environment variable `RAG_SECRET_…`, or a file that contains only the secret."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    env: Annotated[str, StringConstraints(pattern=r"^RAG_SECRET_[A-Z0-9_]{1,100}$")] | None = Field(
        None, description="Environment variable; its name starts with RAG_SECRET_."
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
        value = environment_secret(self.env) if self.env is not None else _from_file(file, accept)
        if not value:
            place = self.env or f"the file of the secret ({Path(self.file or '').name})"
            raise ConfigError(Reason.SECRET_MISSING, f"{place} is not set, cannot be read or is empty")
        return SecretStr(value)


def _anywhere(_: Path) -> None:
    return


def _from_file(path: Path, accept: Accept) -> str | None:
    try:
        with os.fdopen(open_resolved(path, os.O_RDONLY, accept), "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        return None if len(content) > _MAX_BYTES else content.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return None
