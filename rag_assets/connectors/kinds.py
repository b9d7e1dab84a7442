"""Find the kinds of source that installed packages register. A kind is imported when a source of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from operator import attrgetter
from typing import Annotated, Any, Final, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rag_assets.connectors.kind import FORMER_NAMES, ConnectorKind, SourceOptions
from rag_core.errors import InvalidInput, NotFound, RagError, Reason
from rag_core.logging import get_logger

log = get_logger(__name__)
GROUP: Final = "rag_platform.connectors"
OWN_PACKAGE: Final = "rag-platform"
MAX_PROBLEM_CHARS: Final = 300
BROWSING: Final = {"browsing": True}
"""Context of a validation whose options may be incomplete, see `Browse`."""


@dataclass(frozen=True, slots=True)
class InstalledKind:
    """A kind as a package registers it. `problem`: why it cannot be used. `missing`: the requirement to install."""

    name: str
    package: str
    version: str
    kind: ConnectorKind | None = None
    problem: str = ""
    missing: str = ""


def installed_kinds() -> list[InstalledKind]:
    """Return every registered kind by name, broken ones with what is wrong. Imports all of them, but no library of a
    connector."""
    return [_loaded(name, number) for name, found in sorted(_entry_points().items()) for number in range(len(found))]


def usable_kinds() -> dict[str, ConnectorKind]:
    """Return the kinds that are not broken, by name."""
    return {one.name: one.kind for one in installed_kinds() if one.kind is not None}


def log_broken_kinds() -> None:
    """Write a line for each kind that cannot be used."""
    for one in installed_kinds():
        if one.problem:
            log.error("connector_broken", kind=one.name, package=one.package, problem=one.problem)


def import_own_libraries() -> None:
    """Import what the platform's own connectors need, which starts no thread."""
    for one in installed_kinds():
        if one.package == OWN_PACKAGE and one.kind is not None and not one.missing:
            for library in one.kind.libraries:
                import_module(library)


def find_kind(name: str) -> ConnectorKind:
    """Return the kind of a name, also of one that it had in 0.2.

    Raises `NotFound` and `InvalidInput` (`SOURCE_KIND_UNKNOWN`).
    """
    name = FORMER_NAMES.get(name, name)
    entries = _entry_points().get(name)
    if not entries:
        known = ", ".join(sorted(_entry_points())) or "none: run `make setup`"
        raise NotFound(
            Reason.SOURCE_KIND_UNKNOWN, f"no installed package has the kind {name[:63]!r}; known are {known}"
        )
    found = _loaded(name, 0)
    if found.kind is None:
        said = f"the kind {name} of the package {found.package} cannot be used: {found.problem}"
        raise InvalidInput(Reason.SOURCE_KIND_UNKNOWN, said)
    return found.kind


def require_libraries(name: str, kind: ConnectorKind) -> None:
    """Raise `InvalidInput` (`SOURCE_KIND_UNKNOWN`) when what the connector needs is not installed."""
    if missing := _missing(kind):
        said = f"sources of kind {name} need further packages here: pip install '{missing}'"
        raise InvalidInput(Reason.SOURCE_KIND_UNKNOWN, said)


@cache
def _entry_points() -> Mapping[str, list[metadata.EntryPoint]]:
    """The entry points by name. The platform's own come first, so that no package takes the name of one."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=GROUP):
        if (entry.value, _package(entry)) not in [(one.value, _package(one)) for one in found.get(entry.name, [])]:
            found.setdefault(entry.name, []).append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: (_package(entry) != OWN_PACKAGE, _package(entry)))
    return found


@cache
def _loaded(name: str, number: int) -> InstalledKind:
    entries = _entry_points()[name]  # which are equal when two packages register the same object
    entry = entries[number]
    package, version = _package(entry), entry.dist.version if entry.dist else ""
    found = InstalledKind(entry.name, package, version)
    others = [_package(one) for place, one in enumerate(entries) if place != number]
    if others and package != OWN_PACKAGE:
        return _broken(found, f"the name is registered by {others[0]} too; uninstall one of the two")
    try:
        kind = attrgetter(entry.attr)(import_module(entry.module))
        _require_form(entry.name, kind)
    except (Exception, SystemExit) as error:  # whatever another package raises must not stop the others
        return _broken(found, f"{type(error).__name__}: {error}")
    return InstalledKind(entry.name, package, version, kind, missing=_missing(kind))


def _broken(found: InstalledKind, problem: str) -> InstalledKind:
    line = " ".join(problem.split())
    return InstalledKind(found.name, found.package, found.version, problem=line[:MAX_PROBLEM_CHARS])


def _require_form(name: str, kind: Any) -> None:
    if not isinstance(kind, ConnectorKind):
        raise TypeError(f"it registers {type(kind).__name__}, not a ConnectorKind")
    named = get_args(kind.options.model_fields["kind"].annotation)
    if named != (name,):
        raise ValueError(f"the `kind` of its options is {', '.join(map(repr, named)) or 'no Literal'}, not {name!r}")


def _missing(kind: ConnectorKind) -> str:
    return "" if all(find_spec(name) for name in kind.libraries) else kind.extra or ", ".join(kind.libraries)


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"


# --------------------------------------------------------------------------------------------------------------------
# The options of a source file: the model of the kind that the file names.


class _OfKind:
    """Chooses the model by `kind`, so that the options of other kinds are not even imported."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"oneOf": [handler(kind.options.__pydantic_core_schema__) for kind in usable_kinds().values()]}


def _validate(value: Any, info: ValidationInfo) -> SourceOptions:
    if isinstance(value, SourceOptions):
        return value
    name = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(name, str):
        raise PydanticCustomError("kind_missing", "name the `kind` of the source; `rag source kinds` lists them")
    try:
        kind = find_kind(name)
    except RagError as error:
        raise PydanticCustomError("kind_unknown", "{message}", {"message": error.message}) from None
    return (kind.browse.options if info.context == BROWSING and kind.browse else kind.options).model_validate(value)


Options = Annotated[SourceOptions, _OfKind()]
