"""The forms of a kind: the fields that its card names, completed from its options, or all that a form can ask for."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_core.content.sources import SecretRef
from rag_core.errors import InvalidInput, Reason


def form_fields(kind: ConnectorKind, card: Card) -> list[FormField]:
    """Return the inputs of a card. Numbers with a default are left to the file, where every option may be used."""
    made = {one.path: one for one in _of_model(kind.options)}
    if not card.fields:
        return list(made.values())
    return [_completed(one, made.get(one.path)) for one in card.fields]


def location_options(kind: ConnectorKind, card: Card, location: str) -> dict[str, Any]:
    """Return the options of `rag source add CARD LOCATION`: the location, and the defaults of what is required."""
    options: dict[str, Any] = {"kind": get_args(kind.options.model_fields["kind"].annotation)[0]}
    fields = {one.path: one for one in form_fields(kind, card)}
    for one in fields.values():
        if one.required and one.default and one.only is None:
            put_option(options, one.path, one.default)
    named = kind.options.from_location(location)
    if named is None:
        many = card.location in fields and fields[card.location].type == "list"
        put_option(options, card.location, [location] if many else location)
    return options | (named or {}) | dict(card.fixed)


def put_option(options: dict[str, Any], path: str, value: Any) -> None:
    """Set the option at a path such as `database.host`. Raises `TypeError` when a part of it is no mapping."""
    *outer, last = path.split(".")
    for part in outer:
        options = options.setdefault(part, {})
        if not isinstance(options, dict):
            raise TypeError(part)
    options[last] = value


def require_options(kind: ConnectorKind, card: Card, options: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` (`USAGE`) that names all that a source of `rag source add` needs beside these options."""
    fields = form_fields(kind, card)
    defaults = {one.path: one.default or one.choices[0] for one in fields if one.choices}

    def applies(field: FormField) -> bool:
        path, values = field.only or ("", ("",))
        return str(_option(options, path) or defaults.get(path, "")) in values if path else True

    needed = [one for one in fields if one.required and applies(one) and _option(options, one.path) in (None, "", [])]
    if needed:
        named = ", ".join(f"{one.path} ({one.label})" if one.label else one.path for one in needed)
        example = {"secret": "'{}={{env: RAG_SECRET_NAME}}'", "list": "'{}=[a, b]'"}.get(needed[0].type, "{}=VALUE")
        message = f"{card.name} also needs {named}: give each with -o, as -o {example.format(needed[0].path)}"
        raise InvalidInput(Reason.USAGE, f"{message}; the form in the console asks for them (Add a source)")


def _option(options: Mapping[str, Any], path: str) -> Any:
    found: Any = options
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _completed(field: FormField, made: FormField | None) -> FormField:
    if made is None:
        return field if field.type else replace(field, type="text")
    type_ = field.type or made.type
    return replace(field, label=field.label or made.label, type=type_, help=field.help or made.help,
                   choices=field.choices or made.choices)  # fmt: skip


def _of_model(model: type[BaseModel], path: str = "", only: Any = None, *, needed: bool = True) -> Iterator[FormField]:
    for name, info in model.model_fields.items():
        if name != "kind":
            yield from _of_option(f"{path}{name}", info, only, needed and info.is_required())


def _of_option(path: str, info: FieldInfo, only: Any, required: bool) -> Iterator[FormField]:
    models = [one for one in _alternatives(info.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    if SecretRef not in models and models:
        yield from _of_models(path, models, only, required)
        return
    type_, choices = _input_of(info.annotation)
    if not type_ or (type_ == "number" and not required):
        return
    choices = choices if required or not choices or info.default is not None else ("", *choices)
    default = "" if info.default in (PydanticUndefined, None) or type_ == "list" else info.default
    label = info.title or path.rpartition(".")[2].replace("_", " ").capitalize()
    yield FormField(path, label, type_, required, info.description or "", default, choices, only)


def _of_models(path: str, models: list[type[BaseModel]], only: Any, required: bool) -> Iterator[FormField]:
    """The fields of a nested model; of several a choice by the tag, which decides what else is asked."""
    if len(models) == 1:
        yield from _of_model(models[0], f"{path}.", only, needed=required)
        return
    tag = f"{path}.type"
    tagged = [one for one in models if "type" in one.model_fields]
    by_tag = {str(get_args(one.model_fields["type"].annotation)[0]): one for one in tagged}
    if by_tag and only is None:
        names = tuple(by_tag) if required else ("", *by_tag)
        yield FormField(tag, path.replace("_", " ").capitalize(), "choice", False, "", names[0], names)
        for name, model in by_tag.items():
            yield from (one for one in _of_model(model, f"{path}.", (tag, (name,))) if one.path != tag)


def _input_of(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    for one in _alternatives(annotation):
        if get_origin(one) is Literal:
            return "choice", tuple(map(str, get_args(one)))
        if get_origin(one) is list:
            return ("list", ()) if str in _alternatives(get_args(one)[0]) else ("", ())
        for python, name in ((SecretRef, "secret"), (bool, "flag"), (int, "number"), (str, "text")):
            if one is python:
                return name, ()
    return "", ()


def _alternatives(annotation: Any) -> list[Any]:
    """The types that an annotation allows, without `Annotated` and `None`."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in _alternatives(part) if one is not type(None)]
    return [annotation]
