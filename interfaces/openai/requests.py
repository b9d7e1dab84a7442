"""Requests in OpenAI's shapes. What the platform has no meaning for is ignored, what it cannot do is refused."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator
from starlette.requests import Request

from interfaces.errors import ApiError, invalid

SOURCE_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
Attribute = str | bool | int | FiniteFloat


class Body(BaseModel):
    """Base of all requests: further fields of OpenAI's are taken and have no effect."""

    model_config = ConfigDict(extra="ignore")


class TextPart(Body):
    """A piece of a message."""

    type: Literal["text", "input_text"]
    text: str


class ChatMessage(Body):
    """A message. Instructions (`system`, `developer`) are not sent on: answers keep to what the sources say."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The text of the message."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(Body):
    """Options of a stream."""

    include_usage: bool = False


class RagOptions(BaseModel):
    """Options that OpenAI's request has no field for, as `rag` of the body."""

    model_config = ConfigDict(extra="forbid")

    sources: list[str] = Field([], max_length=100)
    top_k: int | None = None
    filters: dict[str, Any] | None = None
    no_fallback: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options that are passed on as they were given."""
        return {} if self.top_k is None else {"top_k": self.top_k}


class ChatRequest(Body):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    rag: RagOptions = RagOptions()

    @field_validator("rag", mode="before")
    @classmethod
    def _rag(cls, value: Any) -> Any:
        return {} if value is None else value

    @property
    def question(self) -> str:
        """The last message, which must be the user's."""
        last = self.messages[-1]
        if last.role != "user":
            raise invalid("messages", "the last one must be the user's question")
        return last.text

    @property
    def earlier(self) -> list[tuple[str, str]]:
        """The conversation before it."""
        said = ((message.role, message.text) for message in self.messages[:-1])
        return [(role, text) for role, text in said if role in {"user", "assistant"} and text.strip()]

    def require_supported(self) -> None:
        """Raises `ApiError` for what would be answered otherwise than the caller expects."""
        if self.n not in (None, 1):
            raise invalid("n", "only one choice is made")
        if self.tools:
            raise invalid("tools", "no tools are called here; for tools use the MCP server at /mcp")
        if self.response_format and self.response_format.get("type") != "text":
            raise invalid("response_format", "answers are text")
        if self.rag.top_k is not None and not 0 <= self.rag.top_k < 2**31:  # beyond, no message can carry it
            raise ApiError(400, "TOP_K_RANGE", "rag.top_k: must be 1 to 100", field="rag.top_k")


class RankingOptions(Body):
    """Options for ranking the results."""

    ranker: str | None = None
    score_threshold: FiniteFloat | None = None


class ContextOptions(BaseModel):
    """The text around each result, as `context` of the platform's own search."""

    model_config = ConfigDict(extra="forbid")

    before: int = Field(0, ge=0, le=10)
    after: int = Field(0, ge=0, le=10)
    section: bool = False


class StoreSearch(Body):
    """`POST /v1/vector_stores/{id}/search`."""

    query: str | list[str]
    max_num_results: int = Field(10, ge=1, le=50)
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions | None = None
    page: str = ""
    context: ContextOptions | None = None

    @property
    def text(self) -> str:
        """The text to search for."""
        return self.query if isinstance(self.query, str) else "\n".join(self.query)


class Attach(Body):
    """`POST /v1/vector_stores/{id}/files`."""

    file_id: str
    attributes: dict[str, Attribute] | None = None


T = TypeVar("T", bound=BaseModel)


async def read(request: Request, model: type[T]) -> T:
    """The body as this model. Raises `ApiError`."""
    body = await request.body()
    try:
        content = json.loads(body)
        if rb"\ud" in body.lower():  # no message of gRPC can hold half a character
            json.dumps(content, ensure_ascii=False).encode()
        return model.model_validate(content)
    except UnicodeEncodeError:
        raise ApiError(400, "TEXT_INVALID", "a text is not valid Unicode: remove lone surrogates") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            raise _refused(error) from None
        raise ApiError(400, "MESSAGE_INVALID", "the body is not JSON") from None


def _refused(error: ValidationError) -> ApiError:
    first = error.errors(include_input=False, include_url=False)[0]
    # Alternatives of a union are named by their type, which says nothing to a caller.
    place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("list[", "str", "function-")))
    return invalid(place or "body", first["msg"].removeprefix("Value error, "))
