"""The stand-in of a Qdrant server behind a real gRPC socket, so that other processes can use it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from qdrant_client import grpc as api
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from tests.support.qdrant_shards import Cluster


class _Collections(api.CollectionsServicer):
    def __init__(self, server: Cluster) -> None:
        self._server = server

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = {name: GrpcToRest.convert_payload({"it": value})["it"] for name, value in request.metadata.items()}
        self._server.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
            metadata=metadata,
        )
        return api.CollectionOperationResponse(result=True)

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        info = self._server.get_collection(request.collection_name)
        return api.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        names = [one.name for one in self._server.get_collections().collections]
        return api.ListCollectionsResponse(collections=[api.CollectionDescription(name=name) for name in names])

    def CollectionExists(self, request: Any, context: grpc.ServicerContext) -> Any:
        exists = self._server.collection_exists(request.collection_name)
        return api.CollectionExistsResponse(result=api.CollectionExists(exists=exists))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        return api.CollectionOperationResponse(result=True)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        return api.CollectionOperationResponse(result=self._server.delete_collection(request.collection_name))

    def UpdateAliases(self, request: Any, context: grpc.ServicerContext) -> Any:
        steps = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        return api.CollectionOperationResponse(result=self._server.update_collection_aliases(steps))

    def ListAliases(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = self._server.get_aliases().aliases
        named = [api.AliasDescription(alias_name=one.alias_name, collection_name=one.collection_name) for one in found]
        return api.ListAliasesResponse(aliases=named)


class _Points(api.PointsServicer):
    def __init__(self, server: Cluster) -> None:
        self._server = server

    def CreateFieldIndex(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._server.create_payload_index(request.collection_name, request.field_name)
        return _done()

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._server.upsert(request.collection_name, points, wait=request.wait)
        return _done()

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._server.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
        return _done()

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        ids = [GrpcToRest.convert_point_id(one) for one in request.ids]
        found = self._server.retrieve(request.collection_name, ids, **_wanted(request))
        return api.GetResponse(result=[RestToGrpc.convert_record(record) for record in found])

    def Scroll(self, request: Any, context: grpc.ServicerContext) -> Any:
        offset = GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None
        found, after = self._server.scroll(
            request.collection_name,
            scroll_filter=_filter(request),
            limit=request.limit,
            offset=offset,
            **_wanted(request),
        )
        beyond = None if after is None else RestToGrpc.convert_extended_point_id(after)
        result = [RestToGrpc.convert_record(record) for record in found]
        return api.ScrollResponse(result=result, next_page_offset=beyond)

    def Count(self, request: Any, context: grpc.ServicerContext) -> Any:
        count = self._server.count(request.collection_name, count_filter=_filter(request)).count
        return api.CountResponse(result=api.CountResult(count=count))

    def QueryBatch(self, request: Any, context: grpc.ServicerContext) -> Any:
        asked = [GrpcToRest.convert_query_points(one) for one in request.query_points]
        answers = self._server.query_batch_points(request.collection_name, asked)
        return api.QueryBatchResponse(result=[api.BatchResult(result=_scored(answer)) for answer in answers])

    def Query(self, request: Any, context: grpc.ServicerContext) -> Any:
        asked = [GrpcToRest.convert_query_points(request)]
        (answer,) = self._server.query_batch_points(request.collection_name, asked)
        return api.QueryResponse(result=_scored(answer))


class _Version(api.QdrantServicer):
    def HealthCheck(self, request: Any, context: grpc.ServicerContext) -> Any:
        return api.HealthCheckReply(title="qdrant", version="1.19.0")


def _done() -> Any:
    return api.PointsOperationResponse(result=api.UpdateResult(status=api.UpdateStatus.Completed))


def _filter(request: Any) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _wanted(request: Any) -> dict[str, Any]:
    return {
        "with_payload": GrpcToRest.convert_with_payload_selector(request.with_payload),
        "with_vectors": GrpcToRest.convert_with_vectors_selector(request.with_vectors)
        if request.HasField("with_vectors")
        else False,
    }


def _scored(answer: models.QueryResponse) -> list[Any]:
    return [RestToGrpc.convert_scored_point(point) for point in answer.points]


@contextmanager
def served(server: Cluster) -> Iterator[str]:
    """Serve it on a free port of this host; yields its address."""
    # One thread: memory mode takes one call at a time.
    front = grpc.server(ThreadPoolExecutor(1))
    api.add_CollectionsServicer_to_server(_Collections(server), front)
    api.add_PointsServicer_to_server(_Points(server), front)
    api.add_QdrantServicer_to_server(_Version(), front)
    port = front.add_insecure_port("127.0.0.1:0")
    front.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        front.stop(None).wait()
