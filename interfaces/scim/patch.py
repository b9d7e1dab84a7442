"""Patches: members of groups as what is added and removed, so that a large group is not read for one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from scim2_models import Context, InvalidValueException, PatchOp, TooManyException
from scim2_models.path import Comparison, LogicalExpr, ValuePath

from interfaces.scim.resources import GROUPS, TOLERANT, Json, Kind

MAX_OPERATIONS: Final = 1000
_MAX_PATH: Final = 1024
_MAX_SEARCHED: Final = 2000
"""Members that are looked through for a filter of other attributes than their id."""
_SCHEMA: Final = str(PatchOp.__schema__)


@dataclass
class Members:
    """Members of a group that are added and removed."""

    replace: bool = False
    add: dict[str, None] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)

    def apply(self, verb: str, ids: list[str]) -> None:
        """Do one operation after those before it."""
        if verb == "replace":
            self.replace, self.add, self.remove = True, {}, {}
        for one in ids:
            (self.add if verb == "remove" else self.remove).pop(one, None)
            (self.remove if verb == "remove" else self.add)[one] = None


@dataclass(frozen=True, slots=True)
class PatchPlan:
    """A patch: `members` by themselves, and the other operations. `whole`: these need the members read."""

    members: Members
    others: list[Json]
    whole: bool


def plan(kind: Kind, body: Json, entry_id: str) -> PatchPlan:
    """Read a patch. Raises `ValidationError` and `SCIMException`."""
    body = {str(name).lower(): value for name, value in body.items()}
    sent = body.get("operations")
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_OPERATIONS:
        raise InvalidValueException(detail=f"Operations: must be a list of 1 to {MAX_OPERATIONS}")
    operations = [_plain(one, entry_id) for one in sent]
    checked = _read(kind, operations).operations or []
    if kind is not GROUPS:
        return PatchPlan(Members(), operations, whole=False)
    members, others, whole = Members(), [], False
    for raw, one in zip(operations, checked, strict=True):
        found = _member_ids(one)
        if found is not None:
            members.apply(*found)
        else:
            whole = whole or _names_members(one)
            others.append(raw)
    return PatchPlan(Members(), operations, whole=True) if whole else PatchPlan(members, others, whole=False)


def apply(kind: Kind, resource: Any, operations: list[Json]) -> Any:
    """Change a resource by operations, and return it. Raises `SCIMException` and `ValidationError`."""
    if kind is GROUPS and len(resource.members or ()) > _MAX_SEARCHED:
        raise TooManyException(detail=f"more than {_MAX_SEARCHED} members: name them by value alone")
    with TOLERANT:
        _read(kind, operations).patch(resource)
    return resource


def _read(kind: Kind, operations: list[Json]) -> Any:
    return PatchOp[kind.model].model_validate(  # type: ignore[name-defined]
        {"schemas": [_SCHEMA], "Operations": operations},
        scim_ctx=Context.RESOURCE_PATCH_REQUEST,
        scim_policy=TOLERANT,
    )


def _plain(operation: Any, entry_id: str) -> Json:
    """An operation without what says nothing: Okta sends the id of the resource along with what it replaces."""
    if not isinstance(operation, dict):
        raise InvalidValueException(detail="Operations: each must be an object")
    if len(str(operation.get("path") or "")) > _MAX_PATH:
        raise InvalidValueException(detail=f"path: more than {_MAX_PATH} characters")
    value = operation.get("value")
    if operation.get("path") is None and isinstance(value, dict) and value.get("id") == entry_id:
        return {**operation, "value": {name: one for name, one in value.items() if name != "id"}}
    return operation


def _names_members(operation: Any) -> bool:
    if operation.path:
        return bool(str(operation.path).lower().rpartition(":")[2].startswith("members"))
    return isinstance(operation.value, dict) and any(str(name).lower() == "members" for name in operation.value)


def _member_ids(operation: Any) -> tuple[str, list[str]] | None:
    """The verb and the ids of an operation that is about members alone; `None` for any other."""
    verb = operation.op.value
    if operation.path is None:
        value = operation.value
        if not (isinstance(value, dict) and [str(name).lower() for name in value] == ["members"]):
            return None
        ids = _values(next(iter(value.values())))
        return None if ids is None else (verb, ids)
    if str(operation.path).lower() == "members":
        if verb == "remove" and operation.value is None:
            return "replace", []
        ids = _values(operation.value)
        return None if ids is None else (verb, ids)
    ids = _selected(operation.path.ast) if verb == "remove" and operation.value is None else None
    return None if ids is None else (verb, ids)


def _values(sent: Any) -> list[str] | None:
    rows = sent if isinstance(sent, list) else [sent]
    ids = [row.get("value") if isinstance(row, dict) else getattr(row, "value", None) for row in rows]
    return [str(one) for one in ids] if all(isinstance(one, str) for one in ids) else None


def _selected(node: Any) -> list[str] | None:
    """The ids in `members[value eq "…" or …]`."""
    if not isinstance(node, ValuePath) or str(node.attr_path).lower() != "members" or node.sub_attr:
        return None
    terms = node.val_filter.terms if isinstance(node.val_filter, LogicalExpr) else (node.val_filter,)
    if isinstance(node.val_filter, LogicalExpr) and node.val_filter.op.value.lower() != "or":
        return None
    named = [
        one.value
        for one in terms
        if isinstance(one, Comparison) and str(one.attr_path).lower() == "value" and one.op.value.lower() == "eq"
    ]
    return named if len(named) == len(terms) and all(isinstance(one, str) for one in named) else None
