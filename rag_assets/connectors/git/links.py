"""Permanent links to a file at a commit, in the shape of the host."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from rag_assets.connectors.git.options import GitOptions

_SHAPES: Final = {
    "github": "{web}/blob/{commit}/{path}",
    "gitlab": "{web}/-/blob/{commit}/{path}",
    "gitea": "{web}/src/commit/{commit}/{path}",
    "bitbucket": "{web}/src/{commit}/{path}",
}
_NAMES: Final = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "codeberg": "gitea", "forgejo": "gitea",
                 "bitbucket": "bitbucket"}  # fmt: skip
"""Words in the names of hosts, and whose shape their links have."""


def permalink(options: GitOptions, commit: str, path: bytes) -> str | None:
    """Link to a file; `None` where the host's shape is not known."""
    web = options.web_url or (options.repository if options.is_remote else None)
    if web is None:
        return None
    shape = options.host if options.host != "auto" else _host_of(web)
    if shape not in _SHAPES:
        return None
    return _SHAPES[shape].format(web=web.rstrip("/").removesuffix(".git"), commit=commit, path=quote(path, safe="/"))


def _host_of(web: str) -> str:
    host = (urlsplit(web).hostname or "").lower()
    return next((shape for word, shape in _NAMES.items() if word in host), "none")
