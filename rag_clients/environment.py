"""The base of settings classes: fields that are read from the environment.

Pydantic's own package for this costs four times as much processor time to import as what it is used for here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict


class EnvironmentSettings(BaseModel):
    """Frozen settings. A field given by name comes before the environment, and that before the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)
    env_prefix: ClassVar[str]
    """The variable of a field is its name in upper case behind this prefix. Letter case does not matter."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**{**self.named(os.environ), **values})

    @classmethod
    def named(cls, variables: Mapping[str, str | None]) -> dict[str, str]:
        """The values of fields among variables. An empty variable is one that is not set."""
        prefix = cls.env_prefix.lower()
        given = {name.lower().removeprefix(prefix): value for name, value in variables.items() if _begins(name, prefix)}
        return {name: value for name, value in given.items() if value and name in cls.model_fields}

    @classmethod
    def of_file(cls, path: Path) -> dict[str, str]:
        """The values of fields in a file of `NAME=value` lines; none when it does not exist."""
        return cls.named(dotenv_values(path)) if path.is_file() else {}

    @classmethod
    def of_folder(cls, folder: Path) -> dict[str, str]:
        """The values of fields in files named like their variables. A link that leads out of the folder is not read."""
        files = (path for path in folder.iterdir() if _begins(path.name, cls.env_prefix.lower()) and path.is_file())
        own = (path for path in files if folder.resolve() in path.resolve().parents)
        return cls.named({path.name: path.read_text("utf-8").strip() for path in own})


def _begins(name: str, prefix: str) -> bool:
    return name.lower().startswith(prefix)
