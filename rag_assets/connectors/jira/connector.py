"""The Jira connector: an issue with its comments is a document, and so is each of its attachments."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from rag_assets.connectors.atlassian import Acls, Readers, host_of
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.jira.options import JiraOptions
from rag_assets.connectors.jira.service import ASSIGNEE, REPORTER, Issue, Jira, JiraProject
from rag_assets.connectors.outside import (
    ConnectorContext,
    EntryListing,
    PolledConnector,
    entry_of,
    read_item,
    well_formed,
    with_readers,
)
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason

_WHAT = "Jira"
_READ = "summary,description,status,issuetype,labels,comment"
Acl = tuple[str, ...] | None


class JiraConnector(PolledConnector):
    """Reads projects of one site.

    A locator is `issues/ID`, or one with `/ID NAME` of an attachment: an issue that moves to another project and gets
    another key stays the same document.
    """

    def __init__(self, options: JiraOptions, context: ConnectorContext) -> None:
        self._options, self._limit = options, context.max_file_bytes
        self._host = host_of(options, context, _WHAT)
        self._access = self._new_access()

    def list_items(self) -> EntryListing:
        return EntryListing(self._entries, _WHAT, self._options.max_documents)

    def fetch(self, item: SourceItem) -> FetchedItem:
        _, issue_id, *file = names.decode_key(item.locator).split("/", 2)
        with well_formed(_WHAT):
            if file:
                return self._fetch_attachment(item, issue_id, file[0].partition(" ")[0])
            return self._fetch_issue(item, issue_id)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _new_access(self) -> JiraAccess:
        return JiraAccess(Jira(self._host, cloud=self._options.edition == "cloud"), self._options.directory)

    def _entries(self) -> Iterator[SourceItem | Problem]:
        access = self._access = self._new_access()
        access.service.require_sign_in()
        for project in self._projects(access):
            for issue in access.service.issues(project, self._options.jql):
                yield from self._entry(issue, access.acl(issue))
        access.service.require_sign_in()

    def _projects(self, access: JiraAccess) -> Iterator[str]:
        found, wanted = access.projects, set(self._options.projects)
        if missing := wanted - found.keys():
            what = f"no project that the account may browse: {', '.join(sorted(missing))}"
            raise NotFound(Reason.SOURCE_UNAVAILABLE, what)
        chosen = wanted or found.keys()
        yield from sorted(chosen - set(self._options.exclude_projects))

    def _entry(self, issue: Issue, acl: Acl) -> Iterator[SourceItem | Problem]:
        yield SourceItem(f"issues/{issue.id}", with_readers(issue.updated, acl))
        for file in issue.attachments if self._options.attachments else ():
            path = f"issues/{issue.id}/{file.id} {file.name.replace('/', '_')}"
            yield entry_of(path, with_readers(file.id, acl), file.size, self._limit, what="the attachment")

    def _fetch_issue(self, item: SourceItem, issue_id: str) -> FetchedItem:
        issue, said = self._access.service.issue(issue_id, _READ)
        fields, rendered = said["fields"], said["renderedFields"]
        title = f"{said['key']}: {fields['summary']}"
        head = f"{fields['issuetype']['name']}, {fields['status']['name']}"
        parts = [f"<p>{escape(head)}</p>", str(rendered.get("description") or "")]
        if int((fields.get("comment") or {}).get("total", 0)):
            parts += map(_comment, self._access.service.comments(issue_id))
        metadata = self._metadata(issue, said["key"]) | {
            "author": str((fields.get("reporter") or {}).get("displayName") or ""),
            "labels": ", ".join(fields.get("labels") or ()),
        }
        html = "".join(parts).encode("utf-8", "replace")
        return self._fetched(item, issue, "", html, "text/html", title, metadata)

    def _fetch_attachment(self, item: SourceItem, issue_id: str, file_id: str) -> FetchedItem:
        issue, said = self._access.service.issue(issue_id)
        file = next((one for one in issue.attachments if one.id == file_id), None)
        if file is None:
            raise NotFound(Reason.VANISHED, "the issue has no such attachment")
        content, metadata = self._access.service.download(file), self._metadata(issue, said["key"])
        return self._fetched(item, issue, file_id, content, file.media_type or None, file.name, metadata)

    def _metadata(self, issue: Issue, key: str) -> dict[str, str]:
        return {"project": issue.project, "issue": key, "url": f"{self._options.site}/browse/{key}"}

    def _fetched(
        self, item: SourceItem, issue: Issue, file_id: str, content: bytes, media_type: str | None, title: str,
        metadata: dict[str, str],
    ) -> FetchedItem:  # fmt: skip
        acl = self._access.acl(issue)
        tag = with_readers(file_id or issue.updated, acl)
        read = read_item(item, content, self._limit, "the content", version_tag=tag)
        return FetchedItem(read, content, media_type, title, acl, {name: one for name, one in metadata.items() if one})


class JiraAccess:
    """The readers of an issue: those who may browse its project and are in its security level.

    What was asked for counts until the next listing.
    """

    def __init__(self, service: Jira, directory: str | None) -> None:
        self.service, self._acls = service, None if directory is None else Acls(service, directory)
        self._found: dict[str, JiraProject] = {}
        self._readers: dict[tuple[str, str], Readers] = {}

    @property
    def projects(self) -> dict[str, JiraProject]:
        """The projects by key."""
        if not self._found:
            self._found = {one.key: one for one in self.service.projects()}
        return self._found

    def acl(self, issue: Issue) -> Acl:
        """Return the ACL of an issue; `None` without a directory."""
        if self._acls is None:
            return None
        project = self.projects.get(issue.project)
        if project is None:
            return (NOBODY,)
        return self._acls.of(self._named(issue, project, level) for level in {"", issue.level})

    def _named(self, issue: Issue, project: JiraProject, level: str) -> Readers:
        """The members of a security level, or the readers of the project (no level), for this issue."""
        if (project.key, level) not in self._readers:
            found = self.service.level_readers(level, project) if level else self.service.project_readers(project)
            self._readers[project.key, level] = found
        readers = self._readers[project.key, level]
        own = {issue.people[name] for name in (REPORTER, ASSIGNEE) if name in readers}
        return (readers - {REPORTER, ASSIGNEE}) | (own - {""})


def _comment(said: dict[str, Any]) -> str:
    author = str((said.get("author") or {}).get("displayName") or "")
    head = ", ".join(part for part in (author, str(said["created"])[:10]) if part)
    return f"<h2>{escape(head)}</h2>{said['renderedBody']}"
