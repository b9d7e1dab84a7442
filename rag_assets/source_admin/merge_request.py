"""A merge request in GitLab for a source file, where the folder of source files is read-only and comes from there."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from rag_assets.source_admin.files import SourceFile
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import endpoint_client
from rag_core.settings import Settings

_SECONDS = 20.0
_MAX_SAID_CHARS = 200


def propose(settings: Settings, file: SourceFile, *, new: bool, actor: str, why: str = "") -> SourceFile:
    """The file with the address of a merge request that adds or changes it; as it is when it was written, or without
    `RAG_SOURCES_GITLAB_URL`.

    The same text again gives the same merge request. Raises `Unavailable` (`MERGE_REQUEST_FAILED`).
    """
    if file.written or not settings.sources_gitlab_url:
        return file
    title = f"{'Add' if new else 'Change'} the source {file.file.rpartition('.')[0]}"
    said = "\n\n".join(part for part in (why, f"Asked for by {actor}.") if part)
    address = asyncio.run(_proposed(settings, file, title, said, action="create" if new else "update"))
    return dataclasses.replace(file, merge_request=address)


async def _proposed(settings: Settings, file: SourceFile, title: str, said: str, *, action: str) -> str:
    url = str(settings.sources_gitlab_url).rstrip("/")
    project = f"{url}/api/v4/projects/{quote(settings.sources_gitlab_project, safe='')}"
    token = settings.sources_gitlab_token
    headers = {"private-token": token.get_secret_value()} if token else {}
    source, target = f"{file.file.rpartition('.')[0]}-{file.digest[:12]}", settings.sources_gitlab_branch
    path = "/".join(part for part in (settings.sources_gitlab_folder.strip("/"), file.file) if part)
    async with endpoint_client(url, use=None, headers=headers, timeout=_SECONDS) as client:
        opened = await _ask(
            client, "GET", f"{project}/merge_requests", params={"source_branch": source, "state": "opened"}
        )
        if not isinstance(opened, list):
            raise _failed("it lists no merge requests")
        if opened:
            return _address(url, opened[0])
        commit = {"branch": source, "start_branch": target, "commit_message": f"{title}\n\n{said}",
                  "actions": [{"action": action, "file_path": path, "content": file.text}]}  # fmt: skip
        # The branch is there when the merge request was not opened after it: its name stands for its content.
        await _ask(client, "POST", f"{project}/repository/commits", json=commit, unless="A branch called")
        request = {"source_branch": source, "target_branch": target, "title": title, "description": said,
                   "remove_source_branch": True}  # fmt: skip
        return _address(url, await _ask(client, "POST", f"{project}/merge_requests", json=request))


async def _ask(client: httpx.AsyncClient, method: str, url: str, *, unless: str = "", **sent: Any) -> Any:
    try:
        response = await client.request(method, url, **sent)
        answer = response.json()
    except (httpx.HTTPError, ValueError):
        raise _failed("it does not answer") from None
    if response.is_success:
        return answer
    message = str(answer.get("message", "") if isinstance(answer, dict) else "")
    if unless and unless in message:
        return None
    raise _failed(f"status {response.status_code} {message[:_MAX_SAID_CHARS]}".strip())


def _address(url: str, request: Any) -> str:
    """Return the URL of the merge request. An address elsewhere is none of ours to show."""
    found = str(request.get("web_url", "")) if isinstance(request, dict) else ""
    if urlsplit(found)[:2] != urlsplit(url)[:2]:
        raise _failed("it names no merge request of its own")
    return found


def _failed(why: str) -> Unavailable:
    return Unavailable(
        Reason.MERGE_REQUEST_FAILED,
        f"GitLab opened no merge request: {why}; commit the file yourself, or check RAG_SOURCES_GITLAB_*",
    )
