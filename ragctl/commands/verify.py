"""`rag verify`: proof that the index holds exactly what the database says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ragctl.output import Json, emit_json, progress_bar, say, table

if TYPE_CHECKING:
    from rag_core.index.base import VectorIndex
    from rag_core.store import Store
    from rag_core.verify import VerifyReport

_SHOWN = 20


def verify(
    *,
    generation: str | None = None,
    sample: int | None = None,
    self_test: Annotated[bool, Parameter(negative="")] = False,
    repair: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Compare every row with every point and search for each chunk by its own vector. Exits with 1 on any difference.

    Example: rag verify --sample 1000

    Parameters
    ----------
    generation
        The generation to check; without it the one that readers see.
    sample
        Search only for so many chunks, chosen at random, instead of all. Everything is compared all the same.
    self_test
        Damage a scratch copy in every known way and prove that each damage is found.
    repair
        Apply documents with a finding again, remove points that no row accounts for, then check once more.
    """
    from rag_core.index import open_index
    from rag_core.settings import Settings
    from rag_core.store import open_store

    settings = Settings.load()
    store = open_store(settings)
    try:
        index = open_index(settings)
        try:
            if self_test:
                return _self_test(store, index, json=json)
            report = _checked(store, index, generation, sample)
            if repair and not report.clean:
                from rag_core.verify import repair as mend

                mend(store, index, report)
                report = _checked(store, index, generation, sample)
        finally:
            index.close()
    finally:
        store.close()
    emit_json(report.to_json()) if json else _print(report)
    return int(not report.clean)


def _checked(store: Store, index: VectorIndex, generation: str | None, sample: int | None) -> VerifyReport:
    from rag_core.verify import verify as run

    with progress_bar("checking points") as progress:
        chosen: Literal["all"] | int = "all" if sample is None else sample
        return run(store, index, generation, self_retrieval=chosen, progress=progress)


def _self_test(store: Store, index: VectorIndex, *, json: bool) -> int:
    from rag_core.verify import self_test as run

    report = run(store, index)
    if json:
        emit_json(report.to_json())
    else:
        table(("damage", "found"), [(name, "yes" if found else "NO") for name, found in report.results.items()])
    return int(not report.passed)


def _print(report: VerifyReport) -> None:
    states = report.documents
    say(
        f"generation {report.generation}: {report.expected} chunks expected, {report.points} points, "
        f"{report.retrieved} found by their own vector, in {report.seconds:.1f} s"
    )
    say(
        f"documents: {states.total} = {states.indexed} indexed + {states.deleted} deleted + {states.withheld} without "
        f"ACL + {states.rejected} rejected + {states.pending} pending"
    )
    if report.clean:
        say("clean")
        return
    say()
    table(("difference", "count"), sorted((str(kind), count) for kind, count in report.totals.items()))
    say()
    shown = report.findings[:_SHOWN]
    table(("difference", "document", "chunk", "detail"), [(f.kind, f.doc_id, f.chunk_id, f.detail) for f in shown])
