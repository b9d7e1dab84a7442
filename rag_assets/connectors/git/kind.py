"""Registers the kind `git`: files of a repository."""

from __future__ import annotations

from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported

KIND = ConnectorKind(GitOptions, imported("rag_assets.connectors.git.connector:GitConnector"), (
    Card("git", "Git repository", "Files at a branch or tag, with links to the commit.", "commit", "repository", (
        FormField("repository", "Repository (https URL, or absolute path here)", required=True),
        FormField("ref", "Branch or tag (empty: the default branch)"),
        FormField("include", "Include patterns (**/*.md, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
        FormField("auth.token", "Bearer token", "secret"),
    )),
), libraries=("dulwich",))  # fmt: skip
