"""People and groups as SCIM has them, and as the query server has them. Only what decides about access is kept.

The protocol's rules (schemas, paths, filters, patches) are those of scim2-models, which is imported with this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    Email,
    ETag,
    Filter,
    InvalidFilterException,
    ListResponse,
    Meta,
    Mutability,
    Name,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models import Group as FullGroup
from scim2_models import GroupMember as FullMember
from scim2_models import User as FullUser
from scim2_models.path import Comparison

from ragproto.directories.v1 import directories_pb2 as pb

Json = dict[str, Any]
MAX_PAGE: Final = 200
_DEFAULT_PAGE: Final = 100
_MAX_FILTER: Final = 1024
_MAX_INDEX: Final = 2**31 - 1
TOLERANT: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""Identity providers push more than is kept here, and some write patches in forms of their own."""


class PushedPerson(Resource[Any]):
    """Core attributes of a user."""

    __schema__ = FullUser.__schema__
    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    display_name: str | None = None
    name: Name | None = None
    emails: list[Email] | None = None
    active: bool | None = None


class GroupMember(FullMember):
    """A member; its name is the platform's to say."""

    display: Annotated[str | None, Mutability.read_only] = None


class Group(Resource[Any]):
    """A group, with people and groups as members."""

    __schema__ = FullGroup.__schema__
    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[GroupMember] | None = None


Model = TypeVar("Model", PushedPerson, Group)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two endpoints: its model, and its number in calls of the query server."""

    path: str
    label: str
    model: type[PushedPerson] | type[Group]
    number: pb.EntryKind


USERS: Final = Kind("Users", "User", PushedPerson, pb.ENTRY_KIND_PERSON)
GROUPS: Final = Kind("Groups", "Group", Group, pb.ENTRY_KIND_GROUP)
_OF_NUMBER: Final = {kind.number: kind for kind in (USERS, GROUPS)}
_FIELDS: Final = {
    "username": pb.ENTRY_FIELD_NAME,
    "displayname": pb.ENTRY_FIELD_NAME,
    "externalid": pb.ENTRY_FIELD_EXTERNAL_ID,
    "emails": pb.ENTRY_FIELD_EMAIL,
    "emails.value": pb.ENTRY_FIELD_EMAIL,
    "id": pb.ENTRY_FIELD_ID,
}


def read_resource(kind: Kind, body: Json, *, create: bool) -> Any:
    """A resource that was sent. Raises `ValidationError`."""
    context = Context.RESOURCE_CREATION_REQUEST if create else Context.RESOURCE_REPLACEMENT_REQUEST
    return kind.model.model_validate(body, scim_ctx=context, scim_policy=TOLERANT)


def from_entry(kind: Kind, entry: pb.Entry, base: str, *, members: bool = True) -> Any:
    """The resource of an entry."""
    found: Any = kind.model.model_validate(json.loads(entry.attributes), scim_policy=TOLERANT)
    found.id = entry.id
    if members and entry.members:
        found.members = [GroupMember.model_validate(one) for one in _members(entry, base)]
    found.meta = Meta(
        resource_type=kind.label,
        created=entry.created_at.ToDatetime(),
        last_modified=entry.changed_at.ToDatetime(),
        location=f"{base}/{kind.path}/{entry.id}",
        version=f'W/"{entry.version}"',
    )
    return found


def _members(entry: pb.Entry, base: str) -> list[Json]:
    return [
        {"value": one.id, "$ref": f"{base}/{other.path}/{one.id}", "display": one.name, "type": other.label}
        for one in entry.members
        for other in (_OF_NUMBER[one.kind],)
    ]


def show(kind: Kind, entry: pb.Entry, base: str, query: Any = None) -> Json:
    """An entry as it is sent, with the attributes that a request asks for. Members by the ten thousand are written
    without their models."""
    found = dump(from_entry(kind, entry, base, members=False), query)
    if entry.members and not (query and hides_members(query)):
        found["members"] = _members(entry, base)
    return found


def to_entry(kind: Kind, resource: Any, entry_id: str = "") -> pb.Entry:
    """The entry of a resource, without members."""
    kept = resource.model_dump(exclude_none=True)
    for name in ("id", "meta", "members", "schemas"):
        kept.pop(name, None)
    entry = pb.Entry(
        id=entry_id, kind=kind.number, external_id=resource.external_id or "", attributes=json.dumps(kept), active=True
    )
    if kind is GROUPS:
        entry.name = resource.display_name or ""
    else:
        entry.name, entry.active = resource.user_name or "", resource.active is not False
        first = sorted(resource.emails or [], key=lambda email: not email.primary)
        entry.emails.extend(email.value for email in first if email.value)
    return entry


def members_of(resource: Any) -> list[str]:
    """The ids of the members that a group names."""
    return [one.value for one in getattr(resource, "members", None) or [] if one.value]


def dump(resource: Any, query: Any = None) -> Json:
    """A resource as it is sent, with the attributes that a request asks for."""
    found: Json = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=query)
    return found


def read_query(kind: Kind, given: Json) -> Any:
    """The parameters of a GET. Raises `ValidationError`."""
    if len(str(given.get("filter", ""))) > _MAX_FILTER:
        raise InvalidFilterException(detail=f"the filter has more than {_MAX_FILTER} characters")
    return SearchRequest[kind.model].model_validate(given, scim_policy=TOLERANT)  # type: ignore[name-defined]


def hides_members(query: Any) -> bool:
    """Return whether a request does not want members."""
    shown, hidden = (
        [str(one).lower() for one in names or ()] for names in (query.attributes, query.excluded_attributes)
    )
    return "members" in hidden or bool(shown and not any(one.startswith("members") for one in shown))


def list_request(kind: Kind, query: Any) -> pb.GetEntriesRequest:
    """The entries that a list asks for. Raises `InvalidFilterException` for a filter that is no equality."""
    count = _DEFAULT_PAGE if query.count is None else max(0, min(query.count, MAX_PAGE))
    request = pb.GetEntriesRequest(
        kind=kind.number,
        offset=min(max(1, query.start_index or 1), _MAX_INDEX) - 1,
        limit=count,
        without_members=hides_members(query),
    )
    if query.filter is not None:
        request.field, request.value = _condition(kind, query.filter.ast)
    return request


def _condition(kind: Kind, node: Any) -> tuple[pb.EntryField, str]:
    name = str(node.attr_path).rpartition(":")[2].lower() if isinstance(node, Comparison) else ""
    other = "displayname" if kind is USERS else "username"
    if name not in _FIELDS or name == other or node.op.value.lower() != "eq" or not isinstance(node.value, str):
        names = "userName, externalId, emails.value, id" if kind is USERS else "displayName, externalId, id"
        raise InvalidFilterException(detail=f"a filter is one comparison by eq with a text, of {names}")
    return _FIELDS[name], node.value


def list_response(kind: Kind, query: Any, found: pb.GetEntriesResponse, base: str) -> Json:
    """A page of a list."""
    resources = [show(kind, entry, base, query) for entry in found.entries]
    return _listed(resources, found.total, max(1, query.start_index or 1))


def _listed(resources: list[Json], total: int, start: int = 1) -> Json:
    head = {"schemas": [str(ListResponse.__schema__)], "totalResults": total, "startIndex": start}
    return {**head, "itemsPerPage": len(resources), "Resources": resources}


# --------------------------------------------------------------------------------------------------------------------
# What the service says of itself.


def discovery(name: str, base: str) -> dict[str, Json]:
    """The descriptions at `/Schemas` or `/ResourceTypes`, by id."""
    models = [kind.model for kind in (USERS, GROUPS)]
    made: Any = ResourceType.from_resource if name == "ResourceTypes" else lambda model: model.to_schema()
    found = [made(model) for model in models]
    for one in found:
        one.meta = Meta(resource_type=name[:-1], location=f"{base}/{name}/{one.id}")
    return {str(one.id): dump(one) for one in found}


def listed(found: dict[str, Json]) -> Json:
    """A list of all of them."""
    return _listed(list(found.values()), len(found))


def provider_config(base: str) -> Json:
    """The supported features: patches, equality filters, ETags."""
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_PAGE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The token that `rag access scim` prints.",
                primary=True,
            )
        ],
        meta=Meta(resource_type="ServiceProviderConfig", location=f"{base}/ServiceProviderConfig"),
    )
    return dump(config)
