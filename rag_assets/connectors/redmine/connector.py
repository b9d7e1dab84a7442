"""The Redmine connector: wiki pages and issues are documents, and so are the files in projects, pages and issues."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.outside import (
    ConnectorContext,
    EntryListing,
    PolledConnector,
    entry_of,
    read_item,
    well_formed,
    with_readers,
)
from rag_assets.connectors.redmine.markup import markdown
from rag_assets.connectors.redmine.options import RedmineOptions
from rag_assets.connectors.redmine.service import Redmine, RedmineProject
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason
from rag_core.ids import fingerprint

_DAY: Final = 24 * 3600
"""Seconds after which the files of a wiki page are looked up again, although the page has no new version."""


class RedmineConnector(PolledConnector):
    """Reads the projects of one Redmine.

    A document is named `wiki/PROJECT/TITLE`, `issues/NUMBER` or `files/PROJECT`, with `/NUMBER NAME` for a file.
    """

    def __init__(self, options: RedmineOptions, context: ConnectorContext) -> None:
        self._options, self._memory = options, context.memory
        self._redmine = Redmine(options, context.fetch_policy)
        self._limit = context.limit(options.max_file_bytes)
        self._projects: dict[str, RedmineProject] = {}
        self._state = ""

    def list_items(self) -> EntryListing:
        return EntryListing(self._entries, "Redmine", self._options.max_documents, tag=lambda: self._state)

    def read_version_tag(self) -> str:
        with well_formed("Redmine"):
            return self._look()[1]

    def fetch(self, item: SourceItem) -> FetchedItem:
        if not self._projects:
            with well_formed("Redmine"):
                self._projects = self._redmine.projects()
        part, _, rest = names.decode_key(item.locator).partition("/")
        with well_formed("Redmine"):
            return self._issue(rest, item) if part == "issues" else self._of_project(part, rest, item)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._redmine.close()

    def _look(self) -> tuple[list[tuple[RedmineProject, list[dict[str, Any]], list[dict[str, Any]]]], str]:
        """The projects with their wiki pages and files, and a tag that changes with all that is read of them."""
        self._projects = self._redmine.projects()
        found, state = [], list[str]()
        for project in self._projects.values():
            pages = self._redmine.wiki_pages(project) if "wiki" in project.parts else []
            files = self._redmine.files(project) if "files" in project.parts else []
            issues = self._redmine.newest_issue(project) if "issues" in project.parts else None
            found.append((project, pages, files))
            acls = [self._redmine.readers(project, part) for part in project.parts]
            state += [project.identifier, repr(project.parts), repr(acls), repr(issues), repr(_roles(project))]
            state += [f"{page['title']}:{page['version']}:{page['updated_on']}" for page in pages]
            state += [str(file["id"]) for file in files]
        return found, fingerprint(*state)

    def _of(self, project: RedmineProject, pages: Any, files: Any) -> Iterator[SourceItem | Problem]:
        """List the pages, files and issues of a project."""
        name = project.identifier
        acl = self._redmine.readers(project, "wiki") if pages else None
        for page in pages:
            yield self._entry(f"wiki/{name}/{page['title']}", _tag(page["version"], page["updated_on"], acl), page)
            if self._options.attachments:
                yield from self._attached(f"wiki/{name}/{page['title']}", self._files_of(name, page), acl)
        yield from self._attached(f"files/{name}", files, self._redmine.readers(project, "files"))
        for issue in self._redmine.issues(project) if "issues" in project.parts else ():
            if not self._is_read(issue):
                continue
            acl = self._redmine.readers(project, "issues", issue)
            yield self._entry(f"issues/{issue['id']}", self._issue_tag(issue, acl), issue)
            if self._options.attachments:
                yield from self._attached(f"issues/{issue['id']}", issue["attachments"], acl)

    def _entries(self) -> Iterator[SourceItem | Problem]:
        found, self._state = self._look()
        for project, pages, files in found:
            yield from self._of(project, pages, files)

    def _attached(self, path: str, files: Any, acl: Any) -> Iterator[SourceItem | Problem]:
        for file in files:
            name, at = f"{path}/{file['id']} {file['filename']}", datetime.fromisoformat(file["created_on"])
            yield entry_of(name, _tag("", "", acl), file["filesize"], self._limit, at=at)

    def _entry(self, path: str, tag: str, row: Mapping[str, Any]) -> SourceItem | Problem:
        at = datetime.fromisoformat(row["updated_on"])
        return entry_of(path, tag, None, self._limit, at=at, what="the page")

    def _files_of(self, project: str, page: Mapping[str, Any]) -> Any:
        """The files of a wiki page, which the list of pages leaves out."""
        key, version = f"wiki/{project}/{page['title']}", [page["version"], page["updated_on"]]
        known = self._memory.get(key) or {}
        if known.get("version") == version and known["at"] > time.time() - _DAY:
            return known["files"]
        try:
            found = self._redmine.wiki_page(project, page["title"])["attachments"]
        except NotFound:  # it went a moment ago
            return []
        files = [{name: file[name] for name in ("id", "filename", "filesize", "created_on")} for file in found]
        self._memory.put({key: {"version": version, "at": time.time(), "files": files}})
        return files

    def _of_project(self, part: str, rest: str, item: SourceItem) -> FetchedItem:
        name, _, rest = rest.partition("/")
        project = self._projects.get(name)
        if project is None or part not in project.parts:
            raise NotFound(Reason.VANISHED, "Redmine does not show the project any more")
        acl, about = self._redmine.readers(project, part), {"project": name}
        title, _, file = rest.partition("/") if part == "wiki" else ("", "", rest)
        if file:
            return self._file(item, file, acl, about | ({"page": title} if title else {}))
        page = self._redmine.wiki_page(name, title)
        author = (page.get("author") or {}).get("name", "")
        about |= {"author": author, "url": f"{self._url}/projects/{name}/wiki/{title}"}
        tag = _tag(page["version"], page["updated_on"], acl)
        return self._text(replace(item, version_tag=tag), page["text"] or "", title.replace("_", " "), acl, about)

    def _issue(self, rest: str, item: SourceItem) -> FetchedItem:
        number, _, file = rest.partition("/")
        issue = self._redmine.issue(int(number))
        projects = [one for one in self._projects.values() if one.id == issue["project"]["id"]]
        if not projects or "issues" not in projects[0].parts or not self._is_read(issue):
            raise NotFound(Reason.VANISHED, "the issue is in no project that is read")
        acl = self._redmine.readers(projects[0], "issues", issue)
        title = f"{issue['tracker']['name']} #{number}: {issue['subject']}"
        about = {
            name: (issue.get(name) or {}).get("name", "") for name in ("author", "assigned_to", "status", "tracker")
        }
        about |= {"project": projects[0].identifier, "url": f"{self._url}/issues/{number}"}
        if file:
            if file.partition(" ")[0] not in {str(one["id"]) for one in issue["attachments"]}:
                raise NotFound(Reason.VANISHED, "the issue has no such file")
            return self._file(item, file, acl, about | {"issue": title})
        notes = [one for one in issue["journals"] if one.get("notes") and not one.get("private_notes")]
        parts = [issue.get("description") or "", *(_note(one) for one in notes)]
        tag = self._issue_tag(issue, acl)
        return self._text(replace(item, version_tag=tag), "\n\n".join(filter(None, parts)) or title, title, acl, about)

    def _is_read(self, issue: Mapping[str, Any]) -> bool:
        hidden = issue["tracker"]["name"] in self._options.hidden_trackers
        return not hidden and (self._options.directory is not None or not issue["is_private"])

    def _issue_tag(self, issue: Mapping[str, Any], acl: tuple[str, ...] | None) -> str:
        """The tag also changes every few days, on another day for each issue."""
        day = int(time.time()) // _DAY
        return _tag((day + int(issue["id"])) // self._options.reread_days, issue["updated_on"], acl)

    def _file(self, item: SourceItem, file: str, acl: Any, about: Mapping[str, str]) -> FetchedItem:
        number, _, name = file.partition(" ")
        answer = self._redmine.file(int(number), name)
        read = read_item(item, answer.content, self._limit, version_tag=_tag("", "", acl))
        about = {**about, "url": f"{self._url}/attachments/{number}"}
        return FetchedItem(read, answer.content, answer.media_type or None, name, acl, about)

    def _text(self, item: SourceItem, text: str, title: str, acl: Any, about: Mapping[str, str]) -> FetchedItem:
        content = markdown(text, self._options.markup).encode()
        known = {name: value for name, value in about.items() if value}
        read = read_item(item, content, self._limit)
        return FetchedItem(read, content, "text/markdown", title, acl, known)

    @property
    def _url(self) -> str:
        return self._options.url.rstrip("/")


def _tag(version: object, updated: str, acl: tuple[str, ...] | None) -> str:
    return with_readers(f"{version}:{updated}", acl)


def _roles(project: RedmineProject) -> list[str]:
    """Describe all that decides who sees an issue, for the tag of a poll."""
    return [f"{one.id}:{one.name}:{sorted((role.issues, *sorted(role.permissions)) for role in one.roles)}"
            for one in project.members or ()]  # fmt: skip


def _note(journal: Mapping[str, Any]) -> str:
    return f"{(journal.get('user') or {}).get('name', '')} ({journal['created_on'][:10]}):\n\n{journal['notes']}"
