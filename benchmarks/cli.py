"""`rag bench`: the commands. Each prints tables, the machine and the targets it checks, or the same as JSON."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from benchmarks.report import show
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import Settings
from ragctl.output import Json, note, progress_bar

app = App(name="bench", help="Measure this installation (needs a source checkout).", help_format="plaintext")


@app.command
def embed(*, texts: int = 32, tokens: int = 200, rounds: int = 5, as_json: Json = False) -> None:
    """Time passages and single queries of the embedding model.

    Example: rag bench embed --texts 16 --rounds 4

    Parameters
    ----------
    texts
        Passages per language.
    tokens
        Length of a passage in model tokens.
    rounds
        Times all passages are embedded.
    """
    from benchmarks import embed as bench

    show(bench.run(Settings.load(), texts=texts, tokens=tokens, rounds=rounds), as_json=as_json)


@app.command
def retrieval(
    *,
    data: Path,
    whole_documents: bool = False,
    queries: int | None = None,
    sweep: list[str] | None = None,
    as_json: Json = False,
) -> None:
    """Score dense, BM25 and hybrid retrieval on labelled sets: nDCG@10, Recall@10, MRR@10.

    Parameters
    ----------
    data
        A folder with corpus.jsonl, queries.jsonl and qrels.tsv, or a folder of such folders.
    whole_documents
        Index each document as one point instead of chunking it.
    queries
        Use only the first so many queries of each set.
    sweep
        A chunker to compare, TOKENS or TOKENS:OVERLAP, with :bare behind it for chunks without their headings; may be
        repeated.
    """
    from benchmarks import retrieval as bench

    with progress_bar("retrieval") as progress:
        report = bench.run(
            Settings.load(),
            data,
            whole_documents=whole_documents,
            max_queries=queries,
            progress=progress,
            sweep=[_chunker(text) for text in sweep or []],
        )
    show(report, as_json=as_json)


def _chunker(text: str) -> tuple[int, int, bool]:
    """Tokens, overlap, and whether headings are embedded with each chunk."""
    sizes, bare = text.removesuffix(":bare"), text.endswith(":bare")
    tokens, _, overlap = sizes.partition(":")
    if not (tokens.isdecimal() and (overlap or "0").isdecimal()):
        raise InvalidInput(
            Reason.FIELD_INVALID, f"--sweep {text}: expected TOKENS or TOKENS:OVERLAP, then :bare or not"
        )
    return int(tokens), int(overlap or 0), not bare


@app.command
def generations(
    *,
    chunks: int = 20_000,
    rate: float = 50,
    edits: float = 2,
    rounds: int = 5,
    idle_seconds: float = 30,
    qdrant_url: str | None = None,
    as_json: Json = False,
) -> None:
    """Change the model under queries and edits: build, evaluate, promote, roll back; count failures and losses.

    Parameters
    ----------
    chunks
        Size of the corpus.
    rate
        Queries per second.
    edits
        Edits, deletions and new documents per second.
    rounds
        Model changes, one after the other.
    idle_seconds
        Idle time before each change, as the baseline of latencies.
    qdrant_url
        `http(s)://host:6334` of a Qdrant server to measure instead of the embedded engine, with the key, certificates
        and layout of the `RAG_QDRANT_…` settings. Everything made there is removed at the end.
    """
    from benchmarks import generations as bench

    sizes = bench.Sizes(
        chunks=chunks, rate=rate, edits=edits, rounds=rounds, idle_seconds=idle_seconds, qdrant_url=qdrant_url
    )
    with progress_bar("generations") as progress:
        report = bench.run(Settings.load(), sizes, progress=progress)
    show(report, as_json=as_json)


@app.command
def ingest(
    *,
    rows: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("overhead", "unchanged", "edited", "memory"),
    documents: int = 1000,
    unchanged: tuple[int, int] = (1000, 10_000),
    memory: tuple[int, int] = (10_000, 50_000),
    rounds: int = 2,
    peer: bool = True,
    as_json: Json = False,
) -> None:
    """Measure the pipeline: overhead over embedding, the unchanged run, an edited paragraph, memory.

    Example: rag bench ingest --rows unchanged edited

    Parameters
    ----------
    rows
        Rows to measure: overhead, unchanged, edited, memory.
    documents
        Files of the run that is compared with embedding alone (real model).
    unchanged
        Two corpus sizes for the run in which nothing changed (fake embedder).
    memory
        Two corpus sizes for peak memory (fake embedder).
    rounds
        Times the overhead is measured.
    peer
        Do the same work with CocoIndex, installed under RAG_HOME/bench.
    """
    from benchmarks import ingest as bench

    sizes = bench.Sizes(rows=rows, documents=documents, unchanged=unchanged, memory=memory, rounds=rounds)
    with progress_bar("ingest") as progress:
        report = bench.run(Settings.load(), sizes, peer=peer, progress=progress)
    show(report, as_json=as_json)


@app.command
def scale(*, sizes: tuple[int, ...] = (10_000, 100_000), as_json: Json = False) -> None:
    """Measure what grows with the documents: ingest, changes, verify, lists, database and index at several sizes.

    Example: rag bench scale --sizes 1000 --sizes 10000

    Parameters
    ----------
    sizes
        Corpus sizes in documents (fake embedder); 100,000 take some twenty minutes, a million two hours and 16 GB.
    """
    from benchmarks import scale as bench

    with progress_bar("scale") as progress:
        report = bench.run(Settings.load(), sizes, progress)
    show(report, as_json=as_json)


@app.command
def rows(*, sizes: tuple[int, ...] = (1_000_000, 10_000_000), as_json: Json = False) -> None:
    """Measure what the rows of very many documents cost PostgreSQL alone: space, lists, the status of sources, VACUUM.

    Example: rag bench rows --sizes 100000 --sizes 1000000

    Parameters
    ----------
    sizes
        Numbers of documents; a million take some 1.5 GB while they are measured.
    """
    from benchmarks import rows as bench

    with progress_bar("rows") as progress:
        report = bench.run(Settings.load(), sizes, progress)
    show(report, as_json=as_json)


@app.command
def query(
    *,
    chunks: int = 100_000,
    in_flight: tuple[int, ...] = (1, 8, 32),
    seconds: float = 5,
    rounds: int = 3,
    rate: float = 50,
    open_seconds: float | None = None,
    engine_inside: bool = False,
    overload: bool = False,
    peer: bool = True,
    qdrant_url: str | None = None,
    as_json: Json = False,
) -> None:
    """Measure queries: model only, engine only, server, gateway (hybrid and dense only), and peers.

    Peers: FastAPI + Chroma without and with a tenant and ACL filter, FastAPI + LanceDB hybrid with that filter.

    Parameters
    ----------
    chunks
        Size of the index.
    in_flight
        Numbers of concurrent calls.
    seconds
        Length of one measurement.
    rounds
        Times each measurement is made, in turn with the others.
    rate
        Calls per second of the open loop.
    open_seconds
        Length of the open loop (600 for the figure of the design); unset: seconds times rounds.
    engine_inside
        Also measure a server that runs the embedded engine in its own process.
    overload
        Send three times the best rate in five waves, from clients that have a core of their own, and count what is
        refused, how fast, and what still succeeds.
    peer
        Ask the peers as well, installed under RAG_HOME/bench.
    qdrant_url
        `http(s)://host:6334` of a Qdrant server to measure instead of the embedded engine, with the key, certificates
        and layout of the `RAG_QDRANT_…` settings. Everything made there is removed at the end.
    """
    from benchmarks import query as bench

    sizes = bench.Sizes(
        chunks=chunks,
        in_flight=in_flight,
        seconds=seconds,
        rounds=rounds,
        rate=rate,
        open_seconds=open_seconds,
        engine_inside=engine_inside,
        overload=overload,
        qdrant_url=qdrant_url,
    )
    with progress_bar("query") as progress:
        report = bench.run(Settings.load(), sizes, peer=peer, progress=progress)
    show(report, as_json=as_json)


@app.command
def abuse(
    *,
    attacks: tuple[str, ...] = (),
    seconds: float = 10,
    rounds: int = 3,
    share: float = 0.25,
    chunks: int = 5000,
    pushes: float = 60,
    as_json: Json = False,
) -> None:
    """Attack the gateway and time an honest client meanwhile; compare with a benign load of the same cost.

    Then push as an honest tenant while another tenant pushes the slowest documents.

    Parameters
    ----------
    attacks
        Names of attacks, as the table prints them. Default: all.
    seconds
        Length of one measurement; each attack takes two a round.
    rounds
        Times each attack is made, in turn with the others.
    share
        Limit of the attacker's process, as a share of one core.
    chunks
        Size of the index.
    pushes
        Seconds of each measurement of pushes; 0 skips them.
    """
    from benchmarks import abuse_pushes
    from benchmarks.abuse import run as bench
    from benchmarks.abuse.attacks import ATTACKS
    from benchmarks.report import joined, show

    if unknown := [name for name in attacks if name not in ATTACKS]:
        near = get_close_matches(unknown[0], ATTACKS, cutoff=0) or list(ATTACKS)[:3]
        raise InvalidInput(
            Reason.FIELD_INVALID,
            f"attacks: there is no {unknown[0]!r}, but {len(ATTACKS)} like these: {'; '.join(near)}",
        )
    with progress_bar("abuse") as progress:
        sizes = bench.Sizes(chunks=chunks, seconds=seconds, rounds=rounds, share=share, attacks=attacks)
        report = bench.run(Settings.load(), sizes, progress=progress)
    if pushes:
        with progress_bar("pushes") as progress:
            report = joined(report, abuse_pushes.run(Settings.load(), seconds=pushes, progress=progress))
    show(report, as_json=as_json)


@app.command
def stream(
    *, documents: int = 200, burst: int = 500, peer: bool = True, brokers: str | None = None, as_json: Json = False
) -> None:
    """Measure the latency from change to searchable and from deletion to gone, and the burst rate, beside Pathway.

    Example: rag bench stream --brokers 127.0.0.1:9092

    Parameters
    ----------
    documents
        Documents measured one after the other.
    burst
        Documents pushed at once.
    peer
        Run the peer as well, installed under RAG_HOME/bench.
    brokers
        Address (host:port) of a running Kafka, to send the same changes through a topic as well.
    """
    from benchmarks import stream as bench

    with progress_bar("stream") as progress:
        sizes = bench.Sizes(documents=documents, burst=burst)
        report = bench.run(Settings.load(), sizes, peer=peer, progress=progress, brokers=brokers)
    show(report, as_json=as_json)


@app.command
def answers(
    *,
    data: Path | None = None,
    questions: Path | None = None,
    tenant: list[str] | None = None,
    queries: int | None = None,
    fit: bool = False,
    write: bool = False,
    as_json: Json = False,
) -> None:
    """Measure the extractive answerer, or fit its constants: right answers, citations, abstention, time.

    With RAG_ANSWERER=openai the model is asked as well: 50 questions of each set.

    Of the model: time to its first token and first sentence, tokens, cost.

    Example: rag bench answers --data data/retrieval --questions benchmarks/answers/questions.yaml --fit

    Parameters
    ----------
    data
        A folder with corpus.jsonl, queries.jsonl (with answers) and qrels.tsv, or a folder of such folders.
    questions
        A file of questions, asked of the documents of the running stack.
    tenant
        Whose documents; may be repeated. The questions that have the tenant's name as a tag are those it answers.
    queries
        Use only the first so many questions of each labelled set.
    fit
        Fit the constants on these questions, by cross-validation, and print them with the figures of questions unseen.
    write
        Write the fitted constants into the source checkout.
    """
    from benchmarks import answers as bench

    if data is None and questions is None:
        raise InvalidInput(Reason.FIELD_INVALID, "name --data, --questions or both")
    asked = bench.Questions(data, questions, tuple(tenant or ["default"]), queries)
    with progress_bar("answers") as progress:
        report = bench.run(Settings.load(), asked, fit=fit, write=write, progress=progress)
    show(report, as_json=as_json)


@app.command
def console(
    *,
    sources: int = 200,
    runs: int = 10_000,
    sessions: int = 20,
    rounds: int = 5,
    refreshes: int = 1,
    as_json: Json = False,
) -> None:
    """Paint every page of the console over a seeded platform, then open them in many sessions at once.

    Example: rag bench console --sources 50 --runs 1000 --sessions 5

    Parameters
    ----------
    sources
        Sources of the platform.
    runs
        Runs that it remembers.
    sessions
        Sessions at once.
    rounds
        Times each page is painted in Chromium.
    refreshes
        Times the fragments of each page refresh in each session.
    """
    from benchmarks import console as bench

    with progress_bar("console") as progress:
        sizes = bench.Sizes(sources=sources, runs=runs, sessions=sessions, rounds=rounds, refreshes=refreshes)
        report = bench.run(Settings.load(), sizes, progress=progress)
    show(report, as_json=as_json)


@app.command
def idle(*, seconds: Annotated[int, Parameter(validator=Number(gte=1))] = 60, as_json: Json = False) -> None:
    """Count what each part of the running local stack takes while nothing is asked and nothing changes.

    Example: rag bench idle --seconds 120

    Parameters
    ----------
    seconds
        Time over which it counts.
    """
    from benchmarks import idle as bench

    with progress_bar("idle") as progress:
        report = bench.run(Settings.load(), seconds=seconds, progress=progress)
    show(report, as_json=as_json)


@app.command
def sources(
    *,
    folders: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    rounds: Annotated[int, Parameter(validator=Number(gte=1))] = 10,
    beside: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    as_json: Json = False,
) -> None:
    """Add folders of two files to the running local stack, and time first loads, changes, deletions and permissions.

    Example: rag bench sources --folders 100

    Parameters
    ----------
    folders
        Folders that are added, and removed at the end.
    rounds
        Changes of each kind, before and after they are added.
    beside
        Documents of a folder that is added last; further changes are made during its first load.
    """
    from benchmarks import sources as bench

    with progress_bar("sources") as progress:
        report = bench.run(Settings.load(), bench.Sizes(folders, rounds, beside), progress=progress)
    show(report, as_json=as_json)


@app.command(name="all")
def everything(
    *,
    data: Path | None = None,
    compare: Path | None = None,
    worst_ratio: Annotated[float, Parameter(validator=Number(gte=1))] = 1.5,
    as_json: Json = False,
) -> int:
    """Run every benchmark with its default sizes; takes about an hour on two cores.

    Parameters
    ----------
    data
        Labelled sets for the retrieval and answers benchmarks, which are left out without them.
    compare
        A file with the figures of the last run. The targets are compared with it, then it has the new figures. Exits
        with 1 when one is worse by more than `--worst-ratio`. The first run makes the file.
    worst_ratio
        How many times worse than in the last run a target may be.
    """
    from benchmarks.history import compare as compare_with
    from benchmarks.report import collecting

    with collecting() as reports:
        embed(as_json=as_json)
        if data is not None:
            retrieval(data=data, as_json=as_json)
            answers(data=data, as_json=as_json)
        ingest(as_json=as_json)
        query(as_json=as_json)
        abuse(as_json=as_json)
        stream(as_json=as_json)
        console(as_json=as_json)
    worse = compare_with(compare, reports, worst_ratio) if compare else []
    for sentence in worse:
        note(f"worse: {sentence}")
    return int(bool(worse))
