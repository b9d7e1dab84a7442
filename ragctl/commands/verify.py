"""`rag verify`: compare the index with the database and, on request, the database with the sources."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ragctl.commands._shared import actor, quiet
from ragctl.output import Json, emit_json, progress_bar, say, table

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig
    from rag_core.database import Store
    from rag_core.governance.audit import ChainReport
    from rag_core.ingestion.source_status import SourceReport as SourceState
    from rag_core.ingestion.verify import Finding, SourceComparison, VerifyReport
    from rag_core.retrieval.index import VectorIndex
    from rag_core.settings import Settings

_SHOWN = 20


def verify(
    *,
    generation: str | None = None,
    sample: int | None = None,
    sources: Annotated[bool, Parameter(negative="")] = False,
    source: list[str] | None = None,
    self_test: Annotated[bool, Parameter(negative="")] = False,
    repair: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Compare the database with the index and search for each chunk by its vector. Exits with 1 on any difference.

    Also measures the recall of the search graph against exact search: below 0.97 is a difference.

    A chunk that only exact search finds is a miss of the graph, a difference only beyond one in a thousand.

    Also recomputes the hash chains of the audit log.

    Names the sources that have documents although no source file configures them any more.

    Documents that are still pending, as during an ingest, are no difference.

    With `--sources`, also reads and parses every source again and compares the result with the database.

    Example: rag verify --sources --sample 1000

    Parameters
    ----------
    generation
        Generation to check. Default: the active one.
    sample
        Random sample: search for this many chunks, and read this many unchanged items of a source again.
    sources
        Compare the database with every enabled source. A change that no run has read yet is a difference.
    source
        Compare the database with this source; may be repeated.
    self_test
        Damage a scratch copy in every known way and check that each damage is found.
    repair
        Index documents with differences again, remove points without a row, then check once more.
    """
    from rag_core.database import open_store
    from rag_core.governance.audit import verify_chains
    from rag_core.ingestion.source_status import orphaned
    from rag_core.retrieval.engines import open_index
    from rag_core.settings import Settings

    settings = Settings.load()
    chosen = _chosen(settings, source, every=sources)
    with closing(open_store(settings)) as store:
        with closing(open_index(settings)) as index:
            if self_test:
                return _self_test(store, index, json=json)
            report = _checked(store, index, generation, sample, repair=repair)
        compared = _compared(store, settings, chosen, sample)
        chains = verify_chains(store)
        with store.engine.connect() as connection:
            orphans = orphaned(connection)
    if json:
        found = {"sources": [one.to_json() for one in compared]} if chosen else {}
        left = [
            {"source": one.counts.name, "tenant": tenant, "documents": one.counts.documents} for tenant, one in orphans
        ]
        emit_json(report.to_json() | {"audit": chains.to_json(), "orphaned_sources": left} | found)
    else:
        _print(report)
        _print_sources(compared)
        _print_orphans(orphans)
        _print_chains(chains)
    return int(not (report.sound and not chains.broken and all(one.clean for one in compared)))


def _chosen(settings: Settings, names: list[str] | None, *, every: bool) -> list[SourceConfig]:
    if not (names or every):
        return []
    from rag_assets.config import find_sources

    found = find_sources(settings.effective_sources_dir, None if every else names)
    return [config for config in found if config.enabled or not every]


def _compared(
    store: Store, settings: Settings, configs: list[SourceConfig], sample: int | None
) -> list[SourceComparison]:
    if not configs:
        return []
    from rag_assets.connectors import connector_context, open_connector
    from rag_core.content.parsing import open_parser
    from rag_core.ingestion.verify import verify_source

    reports = []
    with quiet(), closing(open_parser(settings)) as parser:
        for config in configs:
            context = connector_context(config, settings, store, remember=False)
            with open_connector(config, context) as connector, progress_bar(f"reading {config.name}") as progress:
                reports.append(
                    verify_source(store, connector, parser, config.source, settings, sample=sample, progress=progress)
                )
    return reports


def _checked(
    store: Store, index: VectorIndex, generation: str | None, sample: int | None, *, repair: bool = False
) -> VerifyReport:
    from rag_core.ingestion.verify import repair as mend
    from rag_core.ingestion.verify import verify as run

    with progress_bar("checking points") as progress:
        chosen: Literal["all"] | int = "all" if sample is None else sample
        report = run(store, index, generation, self_retrieval=chosen, progress=progress)
    if not repair or (report.clean and not report.missed):
        return report
    mend(store, index, report, actor=actor())
    return _checked(store, index, generation, sample)


def _self_test(store: Store, index: VectorIndex, *, json: bool) -> int:
    from rag_core.ingestion.verify import self_test as run

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
        f"{report.found} of {report.retrieved} found by their own vector, in {report.seconds:.1f} s"
    )
    if report.missed:
        share = report.missed / report.retrieved
        say(f"the search graph misses {report.missed} points ({share:.3%}); `rag verify --repair` keeps them out of it")
    if report.recall is not None:
        say(f"searches find {report.recall.share:.3f} of the exact ten nearest ({report.recall.searches} compared)")
    say(
        f"documents: {states.total} = {states.indexed} indexed + {states.deleted} deleted + {states.withheld} without "
        f"ACL + {states.rejected} rejected + {states.pending} pending"
    )
    if report.sound:
        say(f"nothing is wrong, {report.pending} pending" if report.pending else "clean")
        return
    say()
    table(("difference", "count"), sorted((str(kind), count) for kind, count in report.totals.items()))
    say()
    _print_findings(report.findings)


def _print_sources(reports: list[SourceComparison]) -> None:
    for report in reports:
        say()
        say(
            f"source {report.source}: {report.listed} listed, {report.read} read, {report.stored} stored, "
            f"{report.quarantined} in quarantine, {report.skipped} left out, in {report.seconds:.1f} s"
        )
        if report.clean:
            say("clean")
        else:
            _print_findings(report.findings)


def _print_orphans(orphans: list[tuple[str, SourceState]]) -> None:
    for tenant, one in orphans:
        say(
            f"\nsource {one.counts.name} of tenant {tenant}: no source file configures it any more, and its"
            f" {one.counts.documents} documents stay searchable. Restore its file, or delete it with its documents:"
            f" `rag source delete {one.counts.name} --tenant {tenant}`"
        )


def _print_chains(chains: ChainReport) -> None:
    say()
    say(f"audit: {chains.rows} entries in {chains.tenants} chains, {'BROKEN' if chains.broken else 'unbroken'}")
    if chains.broken:
        table(("chain",), [(problem,) for problem in chains.broken])
    if not chains.protected:
        say("the role of the services may change the log; set RAG_DATABASE_OWNER_URL and migrate (how-to/harden)")


def _print_findings(findings: Sequence[Finding]) -> None:
    shown = findings[:_SHOWN]
    table(("difference", "document", "chunk", "detail"), [(f.kind, f.doc_id, f.chunk_id, f.detail) for f in shown])
    if len(findings) > len(shown):
        say(f"… and {len(findings) - len(shown)} more; `--output json` lists them")
