"""Client of GitLab: the newest pipelines and the environments of the project that deploys the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from console.clients.errors import ServiceError
from console.clients.http import http_client
from console.settings import ConsoleSettings

NAME = "GitLab"


@dataclass(frozen=True, slots=True)
class CiPipeline:
    """A pipeline; `at` is ISO 8601 in UTC."""

    number: int
    status: str
    ref: str
    commit: str
    at: str
    url: str


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment of GitLab; `deployed` is its last deployment, empty before the first."""

    name: str
    state: str
    deployed: str
    at: str
    url: str


class GitLabClient:
    """One per process; thread-safe. Every method raises `ServiceError` (`GITLAB_UNAVAILABLE`, `GITLAB_REFUSED`)."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._http = http_client(settings.call_seconds)

    @property
    def configured(self) -> bool:
        """True when a project is configured."""
        return bool(self._settings.gitlab_url and self._settings.gitlab_project)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def pipelines(self, limit: int = 10) -> list[CiPipeline]:
        """Pipelines, newest first."""
        return [
            CiPipeline(item["id"], item["status"], item["ref"], item["sha"][:8], item["updated_at"], item["web_url"])
            for item in self._get("pipelines", per_page=limit)
        ]

    def environments(self, limit: int = 20) -> list[Environment]:
        """Environments that are not stopped."""
        return [_environment(item) for item in self._get("environments", states="available", per_page=limit)]

    def _get(self, what: str, **params: Any) -> list[dict[str, Any]]:
        base = str(self._settings.gitlab_url).rstrip("/")
        url = f"{base}/api/v4/projects/{quote(self._settings.gitlab_project, safe='')}/{what}"
        try:
            response = self._http.get(url, params=params, headers=self._token())
            found = response.json()
        except (httpx.HTTPError, ValueError):
            raise ServiceError(NAME, "GITLAB_UNAVAILABLE") from None
        if not response.is_success or not isinstance(found, list):
            raise ServiceError(NAME, "GITLAB_REFUSED", f"status {response.status_code}")
        return found

    def _token(self) -> dict[str, str]:
        path = self._settings.gitlab_token_file
        try:
            return {"private-token": path.read_text("ascii").strip()} if path else {}
        except (OSError, UnicodeDecodeError):
            raise ServiceError(NAME, "GITLAB_REFUSED", "the token file cannot be read") from None


def _environment(item: dict[str, Any]) -> Environment:
    last = item.get("last_deployment") or {}
    deployed = f"{last['ref']} {last['sha'][:8]}" if last else ""
    return Environment(
        item["name"], item["state"], deployed, last.get("created_at") or "", item.get("external_url") or ""
    )
