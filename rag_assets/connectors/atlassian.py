"""The parts of Atlassian's services that its kinds share: sign-in, pages of results, and readers of several levels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from rag_assets.connectors.auth import BasicAuth, BearerAuth, OAuth2Auth
from rag_assets.connectors.fields import NOBODY, DirectoryName, Url
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.kind import FormField, Opened, SourceOptions, endpoint, token_hosts
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.paging import all_pages
from rag_core.governance.directories import principals
from rag_core.http_client import Pacing

EVERYONE: Final = "everyone"
ANY_ACCOUNT: Final = "application:any"
"""Everybody who signs in."""
_MOST_NAMED: Final = 2_000
"""Members that an ACL may name one by one; each chunk of the document carries them."""
Readers = frozenset[str]
"""Names of readers as the service has them: `user:ID`, `group:ID`, `application:KEY`, `ANY_ACCOUNT` or `EVERYONE`."""


class AtlassianOptions(SourceOptions):
    """Options of every source at Atlassian."""

    url: Url = Field(description="https://SITE.atlassian.net, or the base URL of a Data Center server.")
    edition: Literal["cloud", "data_center"] = Field("cloud", description="`cloud` or `data_center`.")
    auth: Annotated[BasicAuth | BearerAuth | OAuth2Auth, Field(discriminator="type")] = Field(
        description="Cloud: `basic` with the account's e-mail and an API token. Data Center: `bearer` with a personal "
        "access token."
    )
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the users (`email:…`, `account:…`, `login:…`) and groups (`group:…`); "
        "left out: who may read is what the file says."
    )  # fmt: skip
    attachments: bool = Field(True, description="Attachments become documents of their own.")
    max_documents: int = Field(1_000_000, ge=1, le=100_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(5, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")

    @property
    def site(self) -> str:
        """The URL that paths follow."""
        return self.url.rstrip("/").removesuffix("/wiki" if self.edition == "cloud" else "")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.site

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.url), *token_hosts(self.auth)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        cloud = (urlsplit(location).hostname or "").endswith((".atlassian.net", "api.atlassian.com"))
        return {"url": location} | ({} if cloud else {"edition": "data_center"})


_BASIC, _BEARER = (("auth.type", (name,)) for name in ("basic", "bearer"))
SIGN_IN: Final = (
    FormField("url", "URL of the site", required=True),
    FormField("edition", "Edition", "choice", default="cloud", choices=("cloud", "data_center")),
    FormField("auth.type", "How it signs in", "choice", default="basic", choices=("basic", "bearer")),
    FormField("auth.user", "E-mail of the account", required=True, only=_BASIC),
    FormField("auth.password", "API token", "secret", required=True, only=_BASIC),
    FormField("auth.token", "Personal access token", "secret", required=True, only=_BEARER),
)
"""The inputs with which the form of each of its kinds begins."""


def host_of(options: AtlassianOptions, context: ConnectorContext, what: str) -> JsonHost:
    """Return the service as requests meet it; `what` names it in errors."""
    pacing = Pacing(options.requests_per_second, options.attempts)
    return JsonHost(options.site, context.fetch_policy, options.auth, pacing, what=what)


def all_results(host: JsonHost, path: str, params: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
    """The rows of every page: the link to the next one says with which parameters the same path is asked again.

    Raises what `JsonHost.get` raises, and `Unavailable` (`PAGINATION_LOOP`).
    """

    def read(query: str | None) -> tuple[list[dict[str, Any]], str | None]:
        page = host.get(path, {**params, **dict(parse_qsl(query or ""))})
        following = page.get("_links", {}).get("next")
        return page["results"], urlsplit(following).query if following else None

    return all_pages(read, "the site")


def common_readers(levels: Iterable[Readers], members: Callable[[str], Readers]) -> Readers:
    """Return the readers whom every level admits.

    A group stays a group where one level alone decides, or all levels that decide name it; otherwise its members count,
    as they are now; more than `_MOST_NAMED` of them fit in no ACL. No level at all admits nobody.
    """
    given = set(levels)
    for wide in (ANY_ACCOUNT, EVERYONE):
        decisive = {level for level in given if not level & {EVERYONE, wide}}
        if decisive:
            break
    else:
        return frozenset({EVERYONE}) if given else frozenset()
    least = [level for level in decisive if not any(other < level for other in decisive)]
    if len(least) == 1:
        return least[0]

    def people(level: Readers) -> Readers:
        return frozenset().union(*(members(name) if name.startswith("group:") else {name} for name in level))

    groups = frozenset(name for name in frozenset.intersection(*least) if name.startswith("group:"))
    named = frozenset.intersection(*map(people, least)) - people(groups)
    return groups | (named if len(named) <= _MOST_NAMED else frozenset())


class ReaderNames(Protocol):
    """A service that knows who is in a group, and what directories call its readers."""

    def members(self, group: str) -> Readers: ...

    def names(self, readers: Readers) -> list[str]: ...


class Acls:
    """ACLs of documents by their levels of readers. What the service said of groups counts as long as this is used."""

    def __init__(self, service: ReaderNames, directory: str) -> None:
        self._service, self._directory = service, directory
        self._members: dict[str, Readers] = {}
        self._known: dict[frozenset[Readers], tuple[str, ...]] = {}

    def of(self, levels: Iterable[Readers]) -> tuple[str, ...]:
        """Return the ACL for those whom every level admits."""
        given = frozenset(levels)
        if given not in self._known:
            readers = self._service.names(common_readers(given, self._members_of))
            self._known[given] = principals(self._directory, readers) or (NOBODY,)
        return self._known[given]

    def _members_of(self, group: str) -> Readers:
        if group not in self._members:
            self._members[group] = self._service.members(group)
        return self._members[group]


def group_name(name: str) -> str:
    """Return the name of a group as directories have it: an ACL holds no spaces, which SCIM replaces as well."""
    return f"group:{'_'.join(name.split())}"
