"""The Confluence connector: a page or blog post is a document, and so is each of its attachments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rag_assets.connectors.atlassian import Acls, Readers, host_of
from rag_assets.connectors.confluence.options import ConfluenceOptions
from rag_assets.connectors.confluence.service import (
    CloudConfluence,
    Confluence,
    Content,
    DataCenterConfluence,
    PageAttachment,
    Space,
)
from rag_assets.connectors.fields import NOBODY
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
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason

_WHAT = "Confluence"
Acl = tuple[str, ...] | None


class ConfluenceConnector(PolledConnector):
    """Reads spaces of one site.

    A locator is `pages/ID`, `blogposts/ID`, or one of these with `/ID NAME` of an attachment: a page that is renamed or
    moved stays the same document.
    """

    def __init__(self, options: ConfluenceOptions, context: ConnectorContext) -> None:
        self._options, self._limit = options, context.max_file_bytes
        self._host = host_of(options, context, _WHAT)
        self._access = self._new_access()

    def list_items(self) -> EntryListing:
        return EntryListing(self._entries, _WHAT, self._options.max_documents)

    def fetch(self, item: SourceItem) -> FetchedItem:
        kind, content_id, *file = names.decode_key(item.locator).split("/", 2)
        with well_formed(_WHAT):
            if file:
                return self._fetch_attachment(item, kind, file[0].partition(" ")[0])
            return self._fetch_content(item, kind, content_id)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _new_access(self) -> ContentAccess:
        directory = self._options.directory
        if self._options.edition == "cloud":
            return ContentAccess(CloudConfluence(self._host, restrictions=directory is not None), directory)
        return ContentAccess(DataCenterConfluence(self._host), directory)

    def _entries(self) -> Iterator[SourceItem | Problem]:
        access = self._access = self._new_access()
        access.service.require_sign_in()
        owners: dict[str, tuple[str, Acl]] = {}
        for space in self._spaces(access.service):
            contents = list(access.service.contents(space))
            access.learn(space, contents)
            for content in contents:
                acl = access.acl(content)
                owners[content.id] = (content.kind, acl)
                yield SourceItem(f"{content.kind}/{content.id}", with_readers(content.version, acl))
                yield from self._attachments(content.attachments, owners)
        yield from self._attachments(access.service.other_attachments(), owners)
        access.service.require_sign_in()

    def _spaces(self, service: Confluence) -> Iterator[Space]:
        wanted, left_out = set(self._options.spaces), set(self._options.exclude_spaces)
        for space, personal in list(service.spaces()):
            named = space.key in wanted
            wanted.discard(space.key)
            if space.key not in left_out and (named or not (self._options.spaces or personal)):
                yield space
        if wanted:
            missing = ", ".join(sorted(wanted))
            raise NotFound(Reason.SOURCE_UNAVAILABLE, f"no current space that the account may view: {missing}")

    def _attachments(
        self, found: Iterator[PageAttachment] | tuple[PageAttachment, ...], owners: dict[str, tuple[str, Acl]]
    ) -> Iterator[SourceItem | Problem]:
        for one in found if self._options.attachments else ():
            if one.container not in owners:
                continue
            kind, acl = owners[one.container]
            path = f"{kind}/{one.container}/{one.id} {one.name.replace('/', '_')}"
            yield entry_of(path, with_readers(one.version, acl), one.size, self._limit, what="the attachment")

    def _fetch_content(self, item: SourceItem, kind: str, content_id: str) -> FetchedItem:
        found = self._access.service.body(kind, content_id)
        content = found.content
        acl = self._access.acl(content)
        html = found.html.encode("utf-8", "replace")
        about = found.metadata | {"space": self._access.space(content.space).key}
        metadata = {name: text for name, text in about.items() if text}
        read = replace(item, version_tag=with_readers(content.version, acl))
        return self._fetched(read, html, "text/html", found.title, acl, metadata)

    def _fetch_attachment(self, item: SourceItem, kind: str, attachment_id: str) -> FetchedItem:
        found = self._access.service.attachment(attachment_id)
        owner = self._access.content(kind, found.container)
        acl = self._access.acl(owner)
        content = self._access.service.download(found)
        read = replace(item, version_tag=with_readers(found.version, acl))
        metadata = {"space": self._access.space(owner.space).key}
        return self._fetched(read, content, found.media_type or None, found.name, acl, metadata)

    def _fetched(
        self, item: SourceItem, content: bytes, media_type: str | None, title: str, acl: Acl, metadata: dict[str, str]
    ) -> FetchedItem:
        read = read_item(item, content, self._limit, "the content")
        return FetchedItem(read, content, media_type, title, acl, metadata)


class ContentAccess:
    """The readers of content: those who may view its space, and whom no restriction of it or above it leaves out.

    What it learned or asked for counts until the next listing.
    """

    def __init__(self, service: Confluence, directory: str | None) -> None:
        self.service, self._acls = service, None if directory is None else Acls(service, directory)
        self._contents: dict[str, Content] = {}
        self._spaces: dict[str, Space] = {}
        self._space_readers: dict[str, Readers] = {}

    def learn(self, space: Space, contents: list[Content]) -> None:
        """Remember what a listing says of the contents of a space, without their attachments."""
        self._spaces[space.id] = space
        self._contents |= {one.id: replace(one, attachments=()) for one in contents}

    def acl(self, content: Content) -> Acl:
        """Return the ACL of content; `None` without a directory. What cannot be found out hides it."""
        if self._acls is None:
            return None
        try:
            levels = list(self._levels(content))
        except NotFound:
            return (NOBODY,)
        return self._acls.of(levels)

    def space(self, space_id: str) -> Space:
        """Return a space."""
        if space_id not in self._spaces:
            self._spaces[space_id] = self.service.space(space_id)
        return self._spaces[space_id]

    def content(self, kind: str, content_id: str) -> Content:
        """Return content. Raises `NotFound`."""
        if content_id not in self._contents:
            self._contents[content_id] = self.service.content(kind, content_id)
        return self._contents[content_id]

    def _levels(self, content: Content) -> Iterator[Readers]:
        """Those who may view the space, and the restriction of the content and of each above it."""
        if content.space not in self._space_readers:
            self._space_readers[content.space] = self.service.space_readers(self.space(content.space))
        yield self._space_readers[content.space]
        passed = set[str]()
        while True:
            if content.id in passed:
                raise NotFound(Reason.VANISHED, "pages lie below each other in a circle")
            passed.add(content.id)
            content = self._with_restriction(content)
            if content.restriction is not None:
                yield content.restriction
            if content.parent is None:
                return
            kind, above = content.parent
            if not kind:
                raise NotFound(Reason.VANISHED, "the page lies below content of a type that is not known")
            content = self.content(kind, above)

    def _with_restriction(self, content: Content) -> Content:
        known = self._contents.get(content.id, content)
        if not known.restriction_known:
            known = replace(known, restriction_known=True, restriction=self.service.restriction(content.id))
            self._contents[content.id] = known
        return replace(content, restriction_known=True, restriction=known.restriction)
