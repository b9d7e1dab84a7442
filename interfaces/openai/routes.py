"""The routes below `/v1`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from interfaces.errors import ApiError
from interfaces.openai import chat, shapes, stores
from interfaces.openai.chat import RETRIEVAL_ONLY
from interfaces.openai.uploads import Uploads
from interfaces.platform import Caller, Credentials, Platform

Endpoint = Callable[[Request, Caller], Awaitable[Response]]
FileEndpoint = Callable[[Request, Caller, Uploads], Awaitable[Response]]


def routes(platform: Platform) -> list[Route]:
    """Every route of OpenAI's API that the platform has."""
    settings = platform.settings
    uploads = Uploads(seconds=settings.file_seconds, most_bytes=settings.files_max_bytes, most_files=settings.files_max)

    def plain(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            return await endpoint(request, platform.of(Credentials.of_headers(request.headers)))

        return handle

    def with_files(endpoint: FileEndpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            caller = platform.of(Credentials.of_headers(request.headers))
            await caller.answerers()  # who may not ask may neither fill memory nor read what is in it
            return await endpoint(request, caller, uploads)

        return handle

    store = "/v1/vector_stores/{store}"
    return [
        Route("/v1/chat/completions", plain(chat.complete), methods=["POST"]),
        Route("/v1/models", plain(list_models), methods=["GET"]),
        Route("/v1/models/{model}", plain(get_model), methods=["GET"]),
        Route("/v1/vector_stores", plain(stores.list_stores), methods=["GET"]),
        Route(store, plain(stores.get_store), methods=["GET"]),
        Route(f"{store}/search", plain(stores.search), methods=["POST"]),
        Route(f"{store}/files", with_files(stores.attach), methods=["POST"]),
        Route(f"{store}/files/{{file}}", with_files(stores.get_store_file), methods=["GET"]),
        Route(f"{store}/files/{{file}}", with_files(stores.detach), methods=["DELETE"]),
        Route("/v1/files", with_files(stores.upload), methods=["POST"]),
        Route("/v1/files/{file}", with_files(stores.get_file), methods=["GET"]),
        Route("/v1/files/{file}", with_files(stores.delete_file), methods=["DELETE"]),
    ]


async def list_models(_: Request, caller: Caller) -> Response:
    """`GET /v1/models`: who can write answers, the default first, and passages without an answer."""
    found = [shapes.model(one.name, one.model) for one in await caller.answerers()]
    return JSONResponse(shapes.page([*found, shapes.model(RETRIEVAL_ONLY)]))


async def get_model(request: Request, caller: Caller) -> Response:
    """`GET /v1/models/{id}`."""
    name = request.path_params["model"]
    known = {one.name: one.model for one in await caller.answerers()} | {RETRIEVAL_ONLY: ""}
    if name not in known:
        raise ApiError(404, "ANSWERER_UNKNOWN", f"model: must be one of {', '.join(known)}", field="model")
    return JSONResponse(shapes.model(name, known[name]))
