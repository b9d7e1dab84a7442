"""Fields of `rag_core.settings.Settings`, by topic. Use that class; nothing else reads the environment."""

from typing import Annotated

from pydantic import Field

Port = Annotated[int, Field(ge=1, le=65535)]
