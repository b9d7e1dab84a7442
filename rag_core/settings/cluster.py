"""Settings of Qdrant collections and of blue/green deployments."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

# --------------------------------------------------------------------------------------------------------------------
# The index on a Qdrant server. The defaults fit one node; `rag index plan` prints settings for a cluster.


class QdrantSettings(BaseModel):
    """The layout of new collections. Of existing ones only the search graph follows a change (`rag verify`)."""

    model_config = ConfigDict(defer_build=True)  # `Settings` alone is built

    qdrant_shards: int = Field(1, ge=1, le=10_000, description="Shards of a new generation on a Qdrant server.")
    qdrant_large_tenants: str = Field(
        "",
        pattern=r"^[^,\s]*(,[^,\s]+)*$",
        description="Tenants (with commas) that get shards of their own in new generations, RAG_QDRANT_SHARDS each; "
        "the others share as many. Needs a Qdrant cluster. Existing generations keep theirs: build a new one.",
    )
    qdrant_replicas: int = Field(1, ge=1, le=10, description="Copies of each shard, on different nodes.")
    qdrant_write_consistency: int = Field(
        1, ge=1, le=10, description="Copies that must have taken a write before it counts; at most RAG_QDRANT_REPLICAS."
    )
    qdrant_vectors_on_disk: bool = Field(
        False, description="Keep full vectors on disk; with RAG_QDRANT_QUANTIZE the small ones stay in memory."
    )
    qdrant_indexes_on_disk: bool = Field(
        False, description="Keep lexical and payload indexes on disk: less memory, slower filters."
    )
    qdrant_quantize: bool = Field(
        True, description="Search vectors of one byte a dimension, then score the best again by the full ones."
    )
    qdrant_oversampling: float = Field(
        2.0,
        ge=1,
        le=10,
        description="With RAG_QDRANT_QUANTIZE: candidates scored again, as a multiple of those asked for.",
    )
    qdrant_hnsw_m: int = Field(32, ge=4, le=128, description="Links of a point in the search graph.")
    qdrant_hnsw_ef_construct: int = Field(
        400, ge=4, le=2000, description="Candidates considered while a point is linked into the graph."
    )
    qdrant_hnsw_ef: int | None = Field(
        384, ge=4, le=10_000, description="Candidates considered by a dense search; unset: the server's choice."
    )
    qdrant_write_points: int = Field(
        256, ge=1, le=10_000, description="Points of one write operation on a Qdrant server at most."
    )
    qdrant_write_parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="Write operations sent to a Qdrant server at once. 1: each waits until it is applied. More: "
        "none waits; a final flush and a check of the stored points follow before documents are marked as indexed.",
    )
    qdrant_graph_from_kb: int = Field(
        4_000,
        ge=1,
        description="Kilobytes of vectors in a segment from which the server builds a search graph (4,000 KB are 2,600 "
        "vectors of 384 dimensions; a server keeps a few segments per shard).",
    )


# --------------------------------------------------------------------------------------------------------------------
# Replacing the query servers that serve by a new set.


class DeployingSettings(BaseModel):
    """Blue/green deployments (`rag deploy`)."""

    model_config = ConfigDict(defer_build=True)  # `Settings` alone is built

    green_ports: str | None = Field(
        None,
        description="gRPC/HTTP port pairs of the green servers of the local stack (`50151/9564,…`); unset: 100 above "
        "the blue ports.",
    )
    deploy_steps: str = Field(
        "10,50,100", description="Shares of the requests, in per cent, that a deployment gets one after the other."
    )
    deploy_watch_seconds: float = Field(
        30, ge=0.5, le=3600, description="How long errors and latency are watched after each of these steps."
    )
    deploy_ready_seconds: float = Field(
        180, ge=1, le=3600, description="Time that the servers of a new release have to become ready."
    )
    deploy_failing_seconds: float = Field(
        15,
        ge=0,
        le=3600,
        description="How long servers of a new release may end at every start, or be unhealthy when they get requests,"
        " before it is refused or rolled back.",
    )
    deploy_burst_requests: int = Field(
        200, ge=10, le=100_000, description="Searches sent to a new release, eight at a time, before it gets traffic."
    )
    deploy_success_percent: float = Field(
        95, gt=0, le=100, description="Calls of a new release that must succeed, in the burst and in each step."
    )
    deploy_latency_seconds: float = Field(
        1.0, gt=0, le=60, description="Latency objective: the 95th percentile of a new release must not be above it."
    )
    deploy_golden_questions: int = Field(
        40, ge=1, le=1000, description="Golden questions put to a new release and to the one that serves, at most."
    )
    deploy_smoke_valid_seconds: float = Field(
        900, ge=0, le=86_400, description="Age of a good smoke test above which a switch repeats it first."
    )
    deploy_grace_seconds: float = Field(
        3600, ge=0, le=604_800, description="How long the colour that lost its traffic is kept for a rollback."
    )
    deploy_credential: SecretStr | None = Field(
        None,
        description="Token or API key (`query.read`) the smoke suite calls with; unset: signed with the local key.",
    )

    deploy_namespace: str = Field("default", min_length=1, description="Kubernetes: namespace of the chart's objects.")
    deploy_objects: str = Field(
        "rag-rag-platform", min_length=1, description="Kubernetes: what the names of the chart's objects begin with."
    )

    @field_validator("deploy_steps")
    @classmethod
    def _rising(cls, value: str) -> str:
        weights = [int(part) if part.strip().isdecimal() else 0 for part in value.split(",")]
        if weights != sorted(set(weights)) or weights[0] < 1 or weights[-1] != 100:
            raise ValueError("rising numbers from 1 to 100, the last of them 100")
        return value

    @property
    def deploy_weights(self) -> list[int]:
        """The weights of the steps as numbers."""
        return [int(part) for part in self.deploy_steps.split(",")]
