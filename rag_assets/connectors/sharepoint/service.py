"""The calls of Microsoft Graph v1.0 that a source makes, and what they answer.

https://learn.microsoft.com/graph/api/driveitem-delta, .../driveitem-list-permissions, .../driveitem-get-content,
.../site-getbypath, .../sitepage-list and https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.paging import all_pages
from rag_assets.connectors.sharepoint.options import SharePointOptions
from rag_assets.connectors.sharepoint.permissions import Grant, grants
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import RETRIED_STATES, Fetched, FetchPolicy, Pacing, check_state

_TOGETHER: Final = 20
"""Requests in one batch, as Graph limits it."""
_SHARING: Final = "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges"
_PAGE_FIELDS: Final = "id,name,title,webUrl,eTag,lastModifiedDateTime,lastModifiedBy,publishingState"


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive that the source reads. `prefix` stands before its paths, `site` names the site in names of groups."""

    id: str
    name: str
    prefix: str
    site: str


@dataclass(frozen=True, slots=True)
class SharePointSite:
    """A site; `path` is its address without https://."""

    id: str
    path: str


class Graph:
    """Used from one thread; reads only. Methods raise what `JsonHost` raises."""

    def __init__(self, options: SharePointOptions, policy: FetchPolicy) -> None:
        self._options = options
        prefer = "hierarchicalsharing" + (f", {_SHARING}" if options.sharing_changes else "")
        pacing = Pacing(options.requests_per_second, options.attempts)
        url = options.endpoint.rstrip("/") + "/v1.0"
        self._host = JsonHost(
            url, policy, options.login, pacing, what="Microsoft Graph", headers={"prefer": prefer}, check=_check_batch
        )

    def sites(self) -> list[SharePointSite]:
        """The sites of the source."""
        return [self._site(url) for url in self._options.sites]

    def drives(self, sites: Sequence[SharePointSite]) -> list[Drive]:
        """The document libraries of sites, and the OneDrives of the source's users."""
        found = []
        for site in sites:
            rows = self.rows(f"/sites/{site.id}/drives", {"$select": "id,name,webUrl"})
            found += [Drive(row["id"], row["name"], site.path, site.path) for row in rows]
        for user in self._options.users:
            row = self._host.get(f"/users/{quote(user)}/drive", {"$select": "id,name,webUrl"})
            parts = urlsplit(row["webUrl"])
            personal = f"{parts.netloc}{parts.path.rpartition('/')[0]}"
            found.append(Drive(row["id"], row["name"], user, personal))
        return found

    def rows(self, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of every page of a collection. Raises `Unavailable` (`PAGINATION_LOOP`) as well."""

        def read(link: str | None) -> tuple[list[dict[str, Any]], str | None]:
            page = self._host.get(path, params) if link is None else self._host.get(link)
            return page["value"], page.get("@odata.nextLink") or None

        return all_pages(read, "Microsoft Graph")

    def root(self, drive: str) -> str:
        """The id of the folder in which a drive begins."""
        return str(self._host.get(f"/drives/{drive}/root", {"$select": "id"})["id"])

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON document at a path or link."""
        return self._host.get(path, params)

    def content(self, drive: str, item: str) -> Fetched:
        """The content of a file, from the host that Graph names for it."""
        return self._host.read(f"/drives/{drive}/items/{item}/content")

    def pages(self, site: SharePointSite) -> Iterator[dict[str, Any]]:
        """The pages of a site."""
        return self.rows(f"/sites/{site.id}/pages/microsoft.graph.sitePage", {"$select": _PAGE_FIELDS})

    def page(self, site: str, page: str) -> dict[str, Any]:
        """A page and what is on it."""
        path = f"/sites/{site}/pages/{page}/microsoft.graph.sitePage"
        found: dict[str, Any] = self._host.get(path, {"$expand": "canvasLayout"})
        return found

    def grants(self, drive: Drive, items: Sequence[str]) -> dict[str, list[Grant]]:
        """Return who may read items of a drive. One that is gone is for nobody."""
        found = dict[str, list[Grant]]()
        left = list(items)
        while left:
            answers = self._batch([f"/drives/{drive.id}/items/{item}/permissions" for item in left[:_TOGETHER]])
            found |= {left[number]: self._granted(drive, answer) for number, answer in answers.items()}
            left = [item for item in left if item not in found]
        return found

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _site(self, url: str) -> SharePointSite:
        parts = urlsplit(url)
        path = parts.path.strip("/")
        found = self._host.get(f"/sites/{parts.hostname}" + (f":/{path}" if path else ""), {"$select": "id,webUrl"})
        return SharePointSite(found["id"], f"{parts.hostname}/{path}".rstrip("/"))

    def _batch(self, urls: Sequence[str]) -> dict[int, dict[str, Any]]:
        """The answers to some of the requests, at least one, by their place; the others were throttled."""
        requests = [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]
        responses = self._host.post("/$batch", {"requests": requests})["responses"]
        answers = {int(one["id"]): one for one in responses if one["status"] not in RETRIED_STATES}
        if not answers or not answers.keys() <= set(range(len(urls))):
            raise Unavailable(Reason.RESPONSE_INVALID, "Microsoft Graph answers a batch in another form")
        return answers

    def _granted(self, drive: Drive, answer: Mapping[str, Any]) -> list[Grant]:
        if answer["status"] in (404, 410):
            return []
        if answer["status"] != 200:
            message = (
                f"Microsoft Graph answers with status {answer['status']} to who may read a file; check the application"
            )
            raise Unavailable(Reason.ACCESS_REFUSED, message)
        said = answer["body"]
        link = said.get("@odata.nextLink")
        return grants([*said["value"], *(self.rows(link) if link else ())], drive.site)


def _check_batch(said: Any) -> None:
    """Raise `Again` for a batch of which every request was throttled, as the status of the whole is 200."""
    responses = said.get("responses", ()) if isinstance(said, dict) else ()
    if all(one["status"] in RETRIED_STATES for one in responses):
        for one in responses:
            headers = {name.lower(): value for name, value in (one.get("headers") or {}).items()}
            check_state(one["status"], headers, "Microsoft Graph")
