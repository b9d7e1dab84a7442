"""Field types that several groups of settings use."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

# --------------------------------------------------------------------------------------------------------------------
# Fields of `rag_core.settings.Settings`, by topic. Use that class; nothing else reads the environment.


DAGSTER_LOCATION = "rag"
"""The name of the code location in Dagster."""

Port = Annotated[int, Field(ge=1, le=65535)]


# --------------------------------------------------------------------------------------------------------------------
# The typed filter tree that clients send, independent of any engine.


class FieldType(StrEnum):
    """The type of a metadata field, which decides its conditions: values, a time range or a number range."""

    KEYWORD = "keyword"
    NUMBER = "number"
    TIME = "time"
