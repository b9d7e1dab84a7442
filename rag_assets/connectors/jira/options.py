"""The options of a Jira source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.atlassian import AtlassianOptions
from rag_assets.connectors.fields import Plain

ProjectKey = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,254}$")]


class JiraOptions(AtlassianOptions):
    """Issues with their comments, and attachments, of Jira Cloud or Data Center."""

    kind: Literal["jira"]
    projects: list[ProjectKey] = Field(
        [], max_length=1000, description="Keys of projects; left out: every project that is not archived."
    )
    exclude_projects: list[ProjectKey] = Field([], max_length=1000, description="Keys of projects that are left out.")
    jql: Plain | None = Field(None, description="A further condition in JQL, such as `statusCategory = Done`.")
