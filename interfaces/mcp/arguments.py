"""Arguments of the tools; their JSON schemas are what clients see."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interfaces.errors import ApiError, invalid

_Sources = Annotated[
    list[str], Field(max_length=100, description="Only these sources (see list_sources); empty: every source.")
]


class Arguments(BaseModel):
    """Base of all arguments: unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class Search(Arguments):
    """Arguments of `search`."""

    query: str = Field(description="What to look for, in any language.")
    sources: _Sources = []
    top_k: int = Field(10, ge=1, le=50, description="How many passages.")


class Answer(Arguments):
    """Arguments of `answer`."""

    question: str = Field(description="The question, in any language; it must stand alone.")
    sources: _Sources = []


class GetDocument(Arguments):
    """Arguments of `get_document`."""

    doc_id: str = Field(description="Id of the document (UUID), as search and answer give it.")
    offset: int = Field(0, ge=0, description="First character to return.")
    max_chars: int = Field(20_000, ge=1, le=200_000, description="How many characters at most.")


class ListSources(Arguments):
    """Arguments of `list_sources`: none."""


T = TypeVar("T", bound=Arguments)


def parse(model: type[T], given: dict[str, Any] | None) -> T:
    """The arguments of a call. Raises `ApiError` (`FIELD_INVALID`, `TEXT_INVALID`)."""
    try:
        found = model.model_validate(given or {})
        found.model_dump_json()  # no message of gRPC can hold half a character
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise invalid(".".join(map(str, first["loc"])) or "arguments", first["msg"]) from None
    except ValueError:
        raise ApiError(400, "TEXT_INVALID", "a text is not valid Unicode: remove lone surrogates") from None
    return found


def schema(model: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of the arguments."""
    return {"type": "object", **model.model_json_schema()}
