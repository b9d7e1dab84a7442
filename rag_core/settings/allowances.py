"""What an administrator of one tenant may connect sources to."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Root = Annotated[str, StringConstraints(pattern=r"^/[^\x00]+$", max_length=4096)]
HostPattern = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.:-]{0,252})$")]
SecretPattern = Annotated[
    str, StringConstraints(pattern=r"^(env:RAG_SECRET_[A-Z0-9_]+\*?|file:/[^\x00*]+\*?|instance:aws)$", max_length=4096)
]


class SourceAllowance(BaseModel):
    """The allow-lists of one tenant. What no list names is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roots: tuple[Root, ...] = Field((), description="Folders; a source may read these and what is below them.")
    hosts: tuple[HostPattern, ...] = Field((), description="Host names, or `*.example.org` for those below it.")
    secrets: tuple[SecretPattern, ...] = Field(
        (),
        description="`env:RAG_SECRET_NAME` or `file:/path`; a `*` at the end stands for any end. "
        "`instance:aws`: the cloud role that the platform itself runs as.",
    )
