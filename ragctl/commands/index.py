"""`rag index`: the generations of the vector index."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from rag_core.errors import NotFound, Reason
from ragctl.output import Json, emit, emit_json, progress_bar, say, table

if TYPE_CHECKING:
    from types import ModuleType

    from rag_core.database import Store
    from rag_core.retrieval.index import CapacityPlan, VectorIndex
    from rag_core.settings import Settings

app = App(name="index", help="Index generations: build, evaluate, promote, roll back, retire.", help_format="plaintext")


@app.command
def rebuild(generation: str | None = None, /, *, json: Json = False) -> None:
    """Empty a generation, damaged or not, and fill it again from PostgreSQL. Nothing is parsed or embedded again.

    With the embedded index, stop the stack first (`rag down`): the service `index` owns the folder while it runs.

    Example: rag index rebuild

    Parameters
    ----------
    generation
        Name of the generation. Default: the active one.
    """
    from rag_core.database import open_store
    from rag_core.database.embedded.server import running_database
    from rag_core.ingestion.generations import store as rows_of
    from rag_core.ingestion.verify import rebuild as run
    from rag_core.settings import Settings
    from ragctl.commands._shared import actor

    settings = Settings.load()
    with running_database(settings):
        store = open_store(settings)
        index = _open_for_repair(settings)
        try:
            name = generation or _active(rows_of, store)
            with progress_bar(f"rebuilding {name}") as progress:
                applied = run(store, index, name, actor=actor(), progress=progress)
        finally:
            index.close()
            store.close()
    emit({"generation": name, "documents": applied}, f"{name}: {applied} documents applied again", json=json)


@app.command
def plan(
    *,
    chunks: Annotated[int, Parameter(validator=Number(gte=1))],
    tenants: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    dimensions: Annotated[int, Parameter(validator=Number(gte=1, lte=65_536))] = 384,
    replicas: Annotated[int, Parameter(validator=Number(gte=1, lte=10))] = 2,
    node_memory: Annotated[float, Parameter(validator=Number(gte=1))] = 64,
    node_disk: Annotated[float, Parameter(validator=Number(gte=1))] = 1_000,
    cores: Annotated[int, Parameter(validator=Number(gte=1))] = 32,
    json: Json = False,
) -> None:
    """Estimate the memory, disk, nodes, hours and settings that an index of a given size needs on a Qdrant cluster.

    Computed from measured bytes per chunk, without contacting a server. Test with a tenth of the size first.

    Example: rag index plan --chunks 100000000 --tenants 500

    Parameters
    ----------
    chunks
        Chunks in the index; a page of text has about three.
    tenants
        Tenants that share the index.
    dimensions
        Dimensions of an embedding; 384 with the bundled model.
    replicas
        Copies of each shard, on different nodes.
    node_memory
        Memory of one node in GiB.
    node_disk
        Disk of one node in GiB.
    cores
        Cores that embed and write, over all machines.
    """
    from rag_core.retrieval.index import plan_capacity

    needed = plan_capacity(
        chunks,
        dimensions=dimensions,
        replicas=replicas,
        node_memory_gib=node_memory,
        node_disk_gib=node_disk,
        cores=cores,
    )
    if json:
        emit_json({**asdict(needed), "chunks_per_tenant": chunks // tenants})
        return
    nodes = f"{needed.nodes} with {node_memory:g} GiB of memory and {node_disk:g} GiB of disk"
    _print_plan(needed, nodes, replicas, cores, chunks // tenants)


def _print_plan(needed: CapacityPlan, nodes: str, replicas: int, cores: int, per_tenant: int) -> None:
    rows = [
        ("memory", f"{needed.memory_gib:,.1f} GiB, all {replicas} copies"),
        ("disk", f"{needed.disk_gib:,.1f} GiB, all {replicas} copies"),
        ("nodes", nodes),
        ("PostgreSQL", f"{needed.database_gib:,.1f} GiB"),
        ("embedding", f"{needed.embedding_hours:,.1f} hours on {cores} cores"),
        ("writing", f"{needed.writing_hours:,.1f} hours on {cores} cores"),
        ("chunks per tenant", f"{per_tenant:,} on average"),
    ]
    table(("what", "how much"), rows)
    say()
    for name, value in needed.settings.items():
        say(f"{name}={value}")


def _open_for_repair(settings: Settings) -> VectorIndex:
    """Open the index, damaged or not: the folder itself, because its server may refuse to start on a damaged one."""
    from rag_core.retrieval.engines import open_index
    from rag_core.retrieval.engines.edge import EdgeIndex

    return open_index(settings) if settings.qdrant_url else EdgeIndex(settings.index_dir, repair=True)


def _active(rows_of: ModuleType, store: Store) -> str:
    with store.engine.connect() as connection:
        row = rows_of.active(connection)
    if row is None:
        raise NotFound(Reason.GENERATION_NOT_FOUND, "no generation is active; ingest a source first")
    return str(row.name)
