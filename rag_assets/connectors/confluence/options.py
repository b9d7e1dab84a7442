"""The options of a Confluence source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.atlassian import AtlassianOptions
from rag_assets.connectors.kind import Opened

_MEDIA: Final = ("api.media.atlassian.com", 443)
"""The host that Cloud sends the content of attachments from."""
SpaceKey = Annotated[str, StringConstraints(pattern=r"^~?[A-Za-z0-9._:-]{1,255}$")]


class ConfluenceOptions(AtlassianOptions):
    """Pages, blog posts and attachments of Confluence Cloud or Data Center."""

    kind: Literal["confluence"]
    spaces: list[SpaceKey] = Field(
        [], max_length=1000, description="Keys of spaces; left out: every current space that is not a personal one."
    )
    exclude_spaces: list[SpaceKey] = Field([], max_length=1000, description="Keys of spaces that are left out.")

    def opened(self) -> Opened:
        media = (_MEDIA,) if self.edition == "cloud" and self.attachments else ()
        return Opened(endpoints=(*super().opened().endpoints, *media))
