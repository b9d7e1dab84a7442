"""The routes below `/scim/v2`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from interfaces.errors import ApiError
from interfaces.platform import Caller, Credentials, Platform
from interfaces.public_url import public_url
from interfaces.refusals import SCIM_ERROR
from ragproto.directories.v1 import directories_pb2 as pb

if TYPE_CHECKING:
    from interfaces.scim.resources import Json, Kind

PATH: Final = "/scim/v2"
_TYPE: Final = "application/scim+json"
_TRIES: Final = 5
_CHANGED: Final = "DIRECTORY_ENTRY_CHANGED"
_STATUS: Final = {"DIRECTORY_NAME_TAKEN": 409, _CHANGED: 409, "DIRECTORY_FULL": 403}
_TYPES: Final = {"DIRECTORY_NAME_TAKEN": "uniqueness", "FIELD_INVALID": "invalidValue", "TEXT_INVALID": "invalidValue"}
_VERSION: Final = re.compile(r'(?:W/)?"(\d{1,18})"')
Endpoint = Callable[["Exchange"], Awaitable[Response]]


class ScimResponse(JSONResponse):
    """A response with SCIM's media type."""

    media_type = _TYPE


class Exchange:
    """A request with the caller's platform."""

    def __init__(self, request: Request, platform: Platform, kind: Kind | None) -> None:
        self.request, self._kind = request, kind
        self.caller: Caller = platform.of(Credentials.of_headers(request.headers))
        self.base = public_url(request, platform.settings) + PATH

    @property
    def kind(self) -> Kind:
        assert self._kind is not None  # noqa: S101
        return self._kind

    @property
    def id(self) -> str:
        """The id in the path."""
        return str(self.request.path_params["id"])

    @property
    def expected(self) -> int:
        """The version that `If-Match` names; 0: any."""
        sent = self.request.headers.get("if-match", "*").strip()
        found = _VERSION.fullmatch(sent)
        if found is None and sent != "*":
            raise ApiError(412, _CHANGED, "If-Match: no version of this service")
        return int(found.group(1)) if found else 0

    async def body(self) -> Json:
        """The JSON object of the request, all of whose texts are Unicode."""
        from scim2_models import InvalidSyntaxException, InvalidValueException

        try:
            read = json.loads(await self.request.body())
            json.dumps(read, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidValueException(detail="a text has half of a character (a lone surrogate)") from None
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise InvalidSyntaxException(detail="the body must be a JSON object")
        return read


def routes(platform: Platform) -> list[Route]:
    """Every route of SCIM that the platform has."""

    def route(path: str, methods: dict[str, Endpoint], kind: str = "") -> Route:
        async def handle(request: Request) -> Response:
            await asyncio.to_thread(_load)
            method = "GET" if request.method == "HEAD" else request.method
            return await _answered(request, platform, methods[method], kind)

        return Route(PATH + path, handle, methods=list(methods))

    found = [
        route("/ServiceProviderConfig", {"GET": _config}),
        *(route(f"/{name}{one}", {"GET": _describe}) for name in ("Schemas", "ResourceTypes") for one in ("", "/{id}")),
    ]
    for kind in ("Users", "Groups"):
        found.append(route(f"/{kind}", {"GET": _list, "POST": _write}, kind))
        one: dict[str, Endpoint] = {"GET": _get, "PUT": _write, "PATCH": _patch, "DELETE": _delete}
        found.append(route(f"/{kind}/{{id}}", one, kind))
    return found


def refusal(error: ApiError) -> Response:
    """An error in SCIM's own words."""
    status = _STATUS.get(error.reason, 400) if error.status == 400 else error.status
    body = {"schemas": [SCIM_ERROR], "status": str(status), "detail": f"{error.reason}: {error.message}"}
    if error.reason in _TYPES and status in {400, 409}:
        body["scimType"] = _TYPES[error.reason]
    return ScimResponse(body, status_code=status, headers=error.headers)


def _load() -> None:
    """The protocol's models take half a second to load, and few installations use them."""
    import interfaces.scim.patch  # noqa: F401


async def _answered(request: Request, platform: Platform, endpoint: Endpoint, kind: str) -> Response:
    from pydantic import ValidationError
    from scim2_models import Error, SCIMException

    from interfaces.scim.resources import GROUPS, USERS

    try:
        return await endpoint(Exchange(request, platform, {"Users": USERS, "Groups": GROUPS}.get(kind)))
    except ValidationError as error:
        said = Error.from_validation_errors(error)[0]
    except SCIMException as error:
        said = error.to_error()
    return ScimResponse(said.model_dump(), status_code=said.status or 400)


async def _config(at: Exchange) -> Response:
    from interfaces.scim.resources import provider_config

    await _admitted(at)
    return ScimResponse(provider_config(at.base))


async def _describe(at: Exchange) -> Response:
    from interfaces.scim.resources import discovery, listed

    await _admitted(at)
    found = discovery(at.request.url.path.removeprefix(PATH).split("/")[1], at.base)
    if "id" not in at.request.path_params:
        return ScimResponse(listed(found))
    if at.id not in found:
        raise ApiError(404, "METHOD_UNKNOWN", "no such schema or resource type")
    return ScimResponse(found[at.id])


async def _admitted(at: Exchange) -> None:
    """Raise for a caller without a directory."""
    await at.caller.directory("GetEntries", pb.GetEntriesRequest(kind=pb.ENTRY_KIND_PERSON, limit=0))


async def _list(at: Exchange) -> Response:
    from interfaces.scim.resources import list_request, list_response

    query = _query(at)
    found = await at.caller.directory("GetEntries", list_request(at.kind, query))
    return ScimResponse(await asyncio.to_thread(list_response, at.kind, query, found, at.base))


def _query(at: Exchange) -> Any:
    from interfaces.scim.resources import read_query

    return read_query(at.kind, dict(at.request.query_params))


async def _get(at: Exchange) -> Response:
    from interfaces.scim.resources import hides_members

    query = _query(at)
    return await _shown(at, await _read(at, at.id, without_members=hides_members(query)), query)


async def _read(at: Exchange, entry_id: str, *, without_members: bool = False) -> pb.Entry:
    request = pb.GetEntryRequest(kind=at.kind.number, id=entry_id, without_members=without_members)
    found: pb.GetEntryResponse = await at.caller.directory("GetEntry", request)
    return found.entry


async def _shown(at: Exchange, entry: pb.Entry, query: Any, status: int = 200) -> Response:
    from interfaces.scim.resources import show

    body = await asyncio.to_thread(show, at.kind, entry, at.base, query)
    headers = {"location": f"{at.base}/{at.kind.path}/{entry.id}", "etag": f'W/"{entry.version}"'}
    return ScimResponse(body, status_code=status, headers=headers)


async def _write(at: Exchange) -> Response:
    """Create a resource, or replace the one whose id is in the path."""
    from interfaces.scim.resources import GROUPS, members_of, read_resource, to_entry

    entry_id = str(at.request.path_params.get("id", ""))
    sent = await asyncio.to_thread(read_resource, at.kind, await at.body(), create=not entry_id)
    request = pb.SaveEntryRequest(
        entry=to_entry(at.kind, sent, entry_id),
        expected_version=at.expected if entry_id else 0,
        replace_members=at.kind is GROUPS and bool(entry_id),
        add_members=members_of(sent),
    )
    entry = await _save(at, request)
    if at.kind is GROUPS:
        entry = await _read(at, entry.id)
    return await _shown(at, entry, None, 200 if entry_id else 201)


async def _save(at: Exchange, request: pb.SaveEntryRequest) -> pb.Entry:
    try:
        saved: pb.SaveEntryResponse = await at.caller.directory("SaveEntry", request)
    except ApiError as error:
        if error.reason == _CHANGED and at.expected:
            raise ApiError(412, error.reason, error.message) from None
        raise
    return saved.entry


async def _patch(at: Exchange) -> Response:
    """Apply a patch, and again when somebody else changed the resource meanwhile."""
    from interfaces.scim.patch import plan
    from interfaces.scim.resources import USERS

    planned = await asyncio.to_thread(plan, at.kind, await at.body(), at.id)
    for tries in range(1, _TRIES + 1):
        try:
            entry = await _patched(at, planned)
            break
        except ApiError as error:
            if error.reason != _CHANGED or error.status == 412 or tries == _TRIES:
                raise
    return await _shown(at, entry, None) if at.kind is USERS else Response(status_code=204)


async def _patched(at: Exchange, planned: Any) -> pb.Entry:
    from interfaces.scim.patch import apply
    from interfaces.scim.resources import from_entry, members_of, to_entry

    members = planned.members
    request = pb.SaveEntryRequest(
        entry=pb.Entry(id=at.id, kind=at.kind.number),
        expected_version=at.expected,
        replace_members=members.replace,
        add_members=members.add,
        remove_members=members.remove,
    )
    if planned.others:
        entry = await _read(at, at.id, without_members=not planned.whole)
        resource = await asyncio.to_thread(lambda: apply(at.kind, from_entry(at.kind, entry, at.base), planned.others))
        request.entry.CopyFrom(to_entry(at.kind, resource, at.id))
        request.expected_version = at.expected or entry.version
        if planned.whole:
            request.replace_members = True
            request.add_members.extend(members_of(resource))
    return await _save(at, request)


async def _delete(at: Exchange) -> Response:
    await at.caller.directory("DeleteEntry", pb.DeleteEntryRequest(kind=at.kind.number, id=at.id))
    return Response(status_code=204)
