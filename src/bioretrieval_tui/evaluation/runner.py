"""One evaluation, from a folder to a report: the index, the runs, the scores, and the records.

The `eval` verb and the app both call `evaluate_folder`. The index of a benchmark is an ordinary
index, named by a hash of its content, so that it is built once and found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.listing import load_listing
from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store import Documents, DocumentStore
from bioretrieval_tui.encoding import embedded, encoder_registry
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CatalogueError,
    CorpusError,
    IndexFault,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.evaluation import metrics, records
from bioretrieval_tui.evaluation.benchmark import (
    BenchmarkFolder,
    find_parts,
    read_benchmark,
)
from bioretrieval_tui.evaluation.metrics import DEPTH, MAIN, Comparison, Measured, Ranking
from bioretrieval_tui.evaluation.published import Match, Reference, match_benchmark, references
from bioretrieval_tui.evaluation.qrels import QueryView, judgements_of, query_view
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.evaluation.trec_runs import (
    as_given,
    in_order,
    read_run,
    run_paths,
    write_run,
)
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import using
from bioretrieval_tui.index.registry import keep_within_cache, manifest_of, open_index
from bioretrieval_tui.index.vector_cache import (
    Vectoriser,
    facts_of,
    facts_without_files,
    known_facts,
)
from bioretrieval_tui.paths import save_file
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.search.engine import SearchEngine, reranked
from bioretrieval_tui.search.types import MOST_HITS, Query

RERANK = "rerank"
MODES = ("dense", "lexical", "hybrid", RERANK)
DEFAULT_MODES = ("dense", "lexical", "hybrid")
MOST = MOST_HITS - 1
"""Deepest ranking, in documents per query; one more is ranked, in place of the query's own."""
_WARM = 3
"""Queries that are run before timing starts, since the first ones load mapped files."""
_OF_THE_REPORT = ("benchmark", "split", "sha256", "model", "revision", "recipe_hash", "index",
                  "queries", "documents", "depth", "instruction")  # fmt: skip
"""Fields of a record that are copied from the report."""

Remark = Callable[[str], None]
"""Receives a line for the user while an evaluation runs, such as a download."""


# Request and report ---------------------------------------------------------------------------


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to evaluate, and the files to write besides the records.

    folder: a benchmark in BEIR's layout; split: None for `test`, or for the only one; modes: of
    `MODES`, each once; model: hub id or folder, None for the index's own model or else the
    embedded one; recipe: how it encodes, None for the embedded model's; index: an existing index
    to use instead of one built from the corpus; depth: documents per query, at least 100; keep_own:
    rank the document with the query's own id; reranker, reranker_recipe: the cross-encoder,
    required for the mode `rerank`; download: fetch missing model files; score: TREC run files made
    elsewhere, measured as they stand; names: of these runs, else the files are their names;
    run_file: for the rankings of the modes, as TREC runs; per_query: for the scores of each query,
    as JSON lines; compare: two runs to test against each other, as `A,B`: modes or names of runs of
    this evaluation, or ids of records.
    """

    folder: str
    split: str | None = None
    modes: tuple[str, ...] = DEFAULT_MODES
    model: str | None = None
    recipe: Encoding | None = None
    index: str | None = None
    device: str = "auto"
    depth: int = DEPTH
    keep_own: bool = False
    reranker: str | None = None
    reranker_recipe: Encoding | None = None
    download: bool = False
    score: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    run_file: str | None = None
    per_query: str | None = None
    compare: str | None = None

    @property
    def encodes(self) -> bool:
        """Whether a mode needs the model; BM25 does not."""
        return any(mode != "lexical" for mode in self.modes)

    @property
    def given(self) -> dict[str, Path]:
        """The run files by the names of their runs."""
        files = [Path(one) for one in self.score]
        return dict(zip((*self.names, *(one.name for one in files[len(self.names) :])), files,
                        strict=False))  # fmt: skip

    def models(self) -> list[tuple[str, Encoding | None]]:
        """The models that must be on this machine, with their recipes, without the embedded one."""
        named = [(self.reranker, self.reranker_recipe)]
        if self.encodes:
            named.insert(0, (self.model, self.recipe))
        return [(one, recipe) for one, recipe in named if one and one != embedded.MODEL_ID]


class ModeReport(msgspec.Struct, frozen=True):
    """One mode, or the name of a run that was made elsewhere: means by metric, median and 95th
    percentile of the milliseconds per query (run one after the other, warm; none of a run that was
    made elsewhere), the published scores for comparison, and the id of its record."""

    mode: str
    metrics: dict[str, float]
    latency_ms: dict[str, float]
    published: tuple[Reference, ...] = ()
    record: str = ""


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished evaluation, as `eval -f json` prints it.

    model: hub id of the index's model, "" where only run files were measured; queries: number run;
    documents: ids of the corpus, each id
    of equal texts counted; sha256: of corpus, queries and judgements; instruction: put before every
    query, None for the recipe's own; notes: remarks on the scores, one line each.
    """

    benchmark: str
    split: str
    model: str
    queries: int
    documents: int
    runs: tuple[ModeReport, ...]
    revision: str
    recipe_hash: str
    index: str
    sha256: str
    depth: int
    instruction: str | None
    notes: tuple[str, ...]
    comparison: Comparison | None = None


class NotKeptError(BioRetrievalError):
    """The evaluation is finished, but a record or a file of it could not be written."""

    def __init__(self, report: EvaluationReport, error: BioRetrievalError) -> None:
        super().__init__(error.message, remedy=error.remedy)
        self.report = report


# Evaluating -----------------------------------------------------------------------------------


def evaluate_folder(
    request: EvaluationRequest, reporter: Reporter = silent, remark: Remark = lambda _: None
) -> EvaluationReport:
    """Run and measure every mode, save a record of each, and write the requested files. Raises as
    `check`, `read_benchmark`, `ensure_index` and searching do, and what `reporter` raises;
    ModelError: a model is not here and `download` is False; NotKeptError, with the report:
    something could not be written."""
    values = check(request)
    with _ran(request, reporter, remark) as ready:
        benchmark, engine, runs, match = ready.benchmark, ready.engine, ready.runs, ready.match
        manifest = engine.index.manifest
        judged = benchmark.judged()
        absent = len(judged) - len(engine.index.documents.labels(judged))
        doubled = _doubled(engine.index.documents) if request.index is None else None
        device = engine.load().device if request.encodes else "cpu"
    done = {run.mode: metrics.measure(benchmark.judgements, run.rankings) for run in runs}
    for mode, found in done.items():
        values[mode] = {query: one[MAIN] for query, one in found.by_query.items()}
    comparison = None
    if request.compare is not None:
        first, second = sides(request.compare)
        both = (values[first], values[second])
        comparison = metrics.compare(first, second, both, texts=benchmark.queries)
    reports = []
    for run in runs:
        measured = done[run.mode].metrics
        by = (records.GIVEN, run.mode) if run.checksum else (run.mode, manifest.model)
        beside = references(ready.catalogue, match, *by, measured[MAIN])
        reports.append(ModeReport(run.mode, dict(measured), run.latency, tuple(beside)))
    report = EvaluationReport(
        benchmark=benchmark.parts.name,
        split=benchmark.parts.split,
        model=manifest.model if request.modes else "",
        queries=len(benchmark.queries),
        documents=manifest.documents + manifest.aliases,
        runs=tuple(reports),
        revision=manifest.revision if request.modes else "",
        recipe_hash=manifest.recipe_hash if request.modes else "",
        index=manifest.name,
        sha256=benchmark.sha256,
        depth=request.depth,
        instruction=ready.instruction,
        notes=tuple(_notes(benchmark, absent, doubled, runs, match)),
        comparison=comparison,
    )
    date = datetime.now(UTC).isoformat(timespec="microseconds")
    same = {name: getattr(report, name) for name in _OF_THE_REPORT}
    same |= {"hardware": records.hardware(device), "versions": records.versions(), "date": date}
    kept: list[ModeReport] = []
    speed = manifest.docs_per_second or None  # 0 where all vectors were known, or imported
    try:
        for one, run in zip(report.runs, runs, strict=True):
            unique = f"{date}\n{report.sha256}"
            record = EvaluationRecord(
                format=records.FORMAT,
                id=records.record_id(report.benchmark, report.model, one.mode, unique),
                mode=one.mode,
                metrics=one.metrics,
                latency_ms=one.latency_ms,
                per_query=dict(values[one.mode]),
                keep_own=request.keep_own,
                reranker=request.reranker if one.mode == RERANK else None,
                catalogue=match.entry.id if match is not None and match.fits else None,
                docs_per_second=speed if one.mode != "lexical" else None,
                encoded_on=manifest.device if speed and one.mode != "lexical" else None,
                folder=str(Path(request.folder).absolute()),
                **same,
            )
            if run.checksum:
                unique += f"\n{run.mode}"
                name = records.record_id(report.benchmark, run.mode, records.GIVEN, unique)
                record = msgspec.structs.replace(
                    record, id=name, mode=records.GIVEN, model=run.mode, revision=run.checksum,
                    recipe_hash="", instruction=None, hardware="", keep_own=True,
                    docs_per_second=None, encoded_on=None,
                    run=str(request.given[run.mode].absolute()),
                )  # fmt: skip
            records.save(record)
            kept.append(msgspec.structs.replace(one, record=record.id))
        if request.run_file is not None:
            paths = run_paths(Path(request.run_file), request.modes)
            for mode, path in paths.items():
                ranked = next(run for run in runs if run.mode == mode)
                write_run(path, ranked.rankings, f"bioretrieval-{mode}")
        if request.per_query is not None:
            _write_queries(Path(request.per_query), benchmark, done, comparison)
    except BioRetrievalError as error:  # a full disk must not cost the scores too
        raise NotKeptError(report, error) from error
    return msgspec.structs.replace(report, runs=tuple(kept))


def view_query(
    request: EvaluationRequest,
    query: str,
    reporter: Reporter = silent,
    remark: Remark = lambda _: None,
) -> QueryView:
    """Rank for `query` alone in the modes of `request`, and compare with its judgements. Raises: as
    `evaluate_folder` does; NotFoundError also where the split judges no such query."""
    check(request)
    with _ran(request, reporter, remark, query) as ready:
        rankings = {run.mode: run.rankings for run in ready.runs}
        return query_view(ready.benchmark, rankings, query, ready.engine.index.documents)


def check(request: EvaluationRequest) -> dict[str, Mapping[str, float]]:
    """Refuse an impossible request before any work; returns the scores by query of the records that
    `compare` names. Raises UsageError: an unknown or repeated mode or run, none, an impossible
    depth, no reranker for the mode `rerank`, a folder instead of a file, or a `compare` without two
    comparable runs; NotFoundError: no such index, folder or record; IndexFault: the index is of
    another model."""
    modes = f"modes: {', '.join(MODES)}"
    unknown = [mode for mode in request.modes if mode not in MODES]
    unranked = RERANK in request.modes and request.reranker is None
    given = request.given
    for wrong, message, remedy in (
        (not request.modes and not request.score, "no mode is given", modes),
        (unknown, f"there is no mode {''.join(unknown[:1])!r}", modes),
        (len(set(request.modes)) < len(request.modes), "a mode is given twice", "name each once"),
        (
            not DEPTH <= request.depth <= MOST,
            f"a depth of {request.depth:,} is not possible",
            f"use {DEPTH} to {MOST:,}: R@100 needs {DEPTH}",
        ),
        (unranked, "no cross-encoder is named for the mode rerank", "name one"),
        (len(request.names) > len(request.score), "--name names a run of --score", "add --score"),
        (
            len(given) < len(request.score) or any(name in MODES for name in given),
            "two runs have one name, or one has that of a mode",
            "give each run file a --name",
        ),
        (
            request.run_file is not None and not request.modes,
            "--run writes rankings of modes, and none is run",
            "add -m MODE, or omit --run",
        ),
    ):
        if wrong:
            raise UsageError(message, remedy=remedy)
    for named, what in ((request.run_file, "run"), (request.per_query, "scores by query")):
        folder = None if named is None else Path(named).absolute().parent
        if folder is not None and not folder.is_dir():
            raise NotFoundError(f"the folder for the {what}, {folder}, is not there")
        if named is not None and Path(named).is_dir():
            raise UsageError(f"{named} is a folder", remedy=f"name a file for the {what}")
    model = None if request.index is None else manifest_of(request.index).model
    if request.model not in (None, model or request.model):
        raise IndexFault(
            f"index {request.index} was built with {model}, not {request.model}",
            remedy="omit --model, or omit --index to build one with that model",
        )
    found: dict[str, Mapping[str, float]] = {}
    for side in () if request.compare is None else sides(request.compare):
        if side in request.modes or side in given:
            continue
        if side in MODES:
            raise UsageError(f"the mode {side} is not run", remedy=f"add: -m {side}")
        record = records.find(side)
        benchmark = read_benchmark(Path(request.folder), request.split)
        if (record.sha256, record.split) != (benchmark.sha256, benchmark.parts.split):
            raise UsageError(
                f"{record.id} is of another benchmark or split"
                f" ({record.benchmark}, {record.split}, or other bytes of it)",
                remedy="compare evaluations of the same files",
            )
        found[side] = record.per_query
    return found


def compare_records(first: str, second: str) -> Comparison:
    """Compare two evaluations, by the ids of their records or the beginnings of these. The queries
    have texts where the benchmark is still there and unchanged. Raises NotFoundError: there is no
    such record; UsageError: they are not of the same files and split."""
    one, other = records.find(first), records.find(second)
    if (one.sha256, one.split) != (other.sha256, other.split):
        places = " and ".join(f"{each.benchmark} {each.split}" for each in (one, other))
        raise UsageError(
            f"{one.id} and {other.id} are not of the same files ({places})",
            remedy="compare evaluations of one benchmark and split",
        )
    texts: Mapping[str, str] = {}
    with contextlib.suppress(BioRetrievalError):
        benchmark = read_benchmark(records.folder_of(one), one.split)
        texts = benchmark.queries if benchmark.sha256 == one.sha256 else {}
    return metrics.compare(one.id, other.id, (one.per_query, other.per_query), texts=texts)


def sides(compare: str) -> tuple[str, str]:
    """The two runs that `A,B` names. Raises UsageError: it names others than two different ones."""
    parts = [part.strip() for part in compare.split(",")]
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise UsageError(
            f"--compare does not understand {compare!r}",
            remedy="name two different runs, as in --compare lexical,hybrid",
        )
    return parts[0], parts[1]


def _doubled(documents: Documents) -> str | None:
    """A remark on ids that stand in a corpus twice with other contents, or None."""
    dead = documents.marked_dead() if isinstance(documents, DocumentStore) else []
    if not dead:
        return None
    _, first = next(documents.records(dead[0]))
    name = first.document.id
    held = documents.lookup(name)
    last = "" if held is None else f" and {next(documents.records(held.label))[1].place}"
    count = "an id stands" if len(dead) == 1 else f"{len(dead):,} documents have an id that stands"
    said = f"{count} in the corpus again with other contents: {name!r} at {first.place}{last}"
    return f"{said}; the last one counts"


def _notes(
    benchmark: BenchmarkFolder,
    absent: int,
    doubled: str | None,
    runs: Sequence[Run],
    match: Match | None,
) -> Iterator[str]:
    """Remarks on the scores. absent: judged documents that are not in the corpus; doubled: as
    `_doubled`."""
    yield from benchmark.notes
    for run in runs:
        yield from run.notes
    if doubled is not None:
        yield doubled
    if absent:
        documents = "1 judged document is" if absent == 1 else f"{absent:,} judged documents are"
        yield f"{documents} not in the corpus: counted as not found, as trec_eval does"
    own = max(run.own for run in runs)
    if own:
        queries = "1 query" if own == 1 else f"{own:,} queries"
        left_out = "a document with the query's own id was left out, as BEIR does"
        yield f"for {queries} {left_out}; --keep-own ranks it"
    if match is not None and match.note:
        yield match.note


def _write_queries(
    path: Path,
    benchmark: BenchmarkFolder,
    done: Mapping[str, Measured],
    comparison: Comparison | None,
) -> None:
    lines = {
        query: {
            "query": query,
            "text": text,
            "metrics": {mode: measured.by_query[query] for mode, measured in done.items()},
        }
        for query, text in benchmark.queries.items()
    }
    if comparison is not None:
        for delta in comparison.deltas:
            lines[delta.query]["comparison"] = {
                comparison.first: delta.first,
                comparison.second: delta.second,
                "difference": delta.difference,
            }
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines.values())
    save_file(path, data, "the scores by query")


# Runs -----------------------------------------------------------------------------------------

Rank = Callable[[str, int], Sequence[tuple[str, float]]]
"""For a query's text and k: (document id, score), best first, at most k."""


class Run(msgspec.Struct, frozen=True):
    """The result of one mode, or a run that was made elsewhere (`mode` is its name).

    rankings: by query id, every judged query; latency: from a query's text to its ranking; own:
    queries whose own document was left out; checksum: of the file of a run that was made elsewhere,
    "" for others; notes: remarks on it.
    """

    mode: str
    rankings: Mapping[str, Ranking]
    latency: dict[str, float]
    own: int = 0
    checksum: str = ""
    notes: tuple[str, ...] = ()


def run_mode(
    rank: Rank,
    benchmark: BenchmarkFolder,
    mode: str,
    *,
    depth: int = DEPTH,
    aliases: Mapping[str, Sequence[str]] | None = None,
    keep_own: bool = False,
    reporter: Reporter = silent,
) -> Run:
    """Run every query of `benchmark`, one after the other. Raises what `rank` or `reporter` does.
    depth: documents per query; aliases: see `aliases_of`; keep_own: rank the document with the
    query's own id."""
    total = len(benchmark.queries)
    for text in islice(benchmark.queries.values(), _WARM):
        rank(text, depth + 1)
    rankings: dict[str, Ranking] = {}
    seconds: list[float] = []
    own = 0
    for done, (query, text) in enumerate(benchmark.queries.items()):
        reporter(Progress("running", done, total, unit="queries", note=mode))
        started = time.perf_counter()
        # One more document, in place of the query's own.
        given = rank(text, depth + 1)
        seconds.append(time.perf_counter() - started)
        ranking = in_order(given, aliases or {})
        if not keep_own and query not in benchmark.judgements[query]:
            others = tuple(one for one in ranking if one[0] != query)
            own += len(others) < len(ranking)
            ranking = others
        rankings[query] = ranking[:depth]
    reporter(Progress("running", total, total, unit="queries", note=mode))
    p50, p95 = np.percentile(np.array(seconds) * 1000, (50, 95)).tolist()
    return Run(mode, rankings, {"p50": round(p50, 3), "p95": round(p95, 3)}, own)


def aliases_of(store: Documents) -> dict[str, tuple[str, ...]]:
    """For each document that has them, the other ids of its text. Raises IndexFault: the store is
    damaged."""
    by_label: dict[int, list[str]] = {}
    for name, label in store.all_aliases():
        by_label.setdefault(label, []).append(name)
    labels = list(by_label)
    return {
        name: tuple(by_label[label]) for label, name in zip(labels, store.ids(labels), strict=True)
    }


class _Ready(msgspec.Struct, frozen=True):
    """The runs over a benchmark, and the open engine that ranked. match: the catalogue's benchmark
    that this is, or None; instruction: of the model's recipe for this benchmark, None for its
    default."""

    benchmark: BenchmarkFolder
    engine: SearchEngine
    runs: list[Run]
    catalogue: Catalogue
    match: Match | None
    instruction: str | None


@contextlib.contextmanager
def _ran(
    request: EvaluationRequest, reporter: Reporter, remark: Remark, query: str | None = None
) -> Iterator[_Ready]:
    """Run the modes of `request` over its benchmark, whose index is built if need be. query: run
    this one alone; that it is judged is checked before an index is built. Raises as
    `read_benchmark`, `load_cross_encoder`, `ensure_index` and `SearchEngine.open` do; IndexFault
    also where the index holds none of the judged documents; NotFoundError where there is no such
    query."""
    find_parts(Path(request.folder), request.split)  # before a download
    if request.download:
        from bioretrieval_tui.encoding.model_files import fetch_needed

        for model, recipe in request.models():
            fetch_needed(model, recipe, reporter, remark)
    loaded = load()
    for problem in loaded.problems:
        remark(problem)
    catalogue = loaded.catalogue
    try:
        catalogue = load_listing(catalogue, main_only=True)
    except CatalogueError as error:
        remark(error.line())
    benchmark = read_benchmark(Path(request.folder), request.split)
    chosen = benchmark
    if query is not None:
        judgements = {query: judgements_of(benchmark, query)}
        chosen = msgspec.structs.replace(
            benchmark, queries={query: benchmark.queries[query]}, judgements=judgements
        )
    # Before the index, which may take hours to build.
    given = [(name, path, read_run(path)) for name, path in request.given.items()]
    reranker = None
    if RERANK in request.modes and request.reranker is not None:
        reranker = load_cross_encoder(
            request.reranker, request.reranker_recipe, device=request.device, reporter=reporter
        )
    with contextlib.ExitStack() as held:
        name = request.index or ensure_index(
            benchmark, request.model or embedded.MODEL_ID, request.recipe, vectors=request.encodes,
            device=request.device, reporter=reporter, held=held,
        )  # fmt: skip
        if request.index:
            held.enter_context(using(name))
        engine = SearchEngine.open(
            name, device=request.device, reporter=reporter, ready=request.encodes
        )
        held.enter_context(contextlib.closing(engine))
        documents, manifest = engine.index.documents, engine.index.manifest
        if not any(documents.lookup(one) for one in benchmark.judged()):
            raise IndexFault(
                f"none of the judged documents of {benchmark.parts.name} is in the index {name}",
                remedy="is it an index of this corpus? omit --index to build one",
            )
        size = len(benchmark.queries), manifest.documents + manifest.aliases
        match = match_benchmark(catalogue, benchmark.parts.name, benchmark.parts.split, *size)
        # Instructions are not part of a recipe's hash, so the catalogue's may be newer.
        recipe = request.recipe or manifest.recipe
        instruction = None if match is None else recipe.instructions.get(match.entry.id)

        def rank(mode: str, text: str, k: int) -> list[tuple[str, float]]:
            asked = Query(text=text, k=k, instruction=instruction)
            if mode != RERANK or reranker is None:
                return engine.rank(msgspec.structs.replace(asked, mode=mode))
            found: list[tuple[str, float]] = []
            score = 0.0
            for hit in reranked(text, engine.search(asked).hits, reranker):
                # Hits that the cross-encoder did not read follow its last score, 1 less each.
                score = score - 1.0 if hit.scores.rerank is None else hit.scores.rerank
                found.append((hit.id, score))
            return found

        aliases = aliases_of(documents)
        runs = [
            run_mode(
                partial(rank, mode), chosen, mode, depth=request.depth, aliases=aliases,
                keep_own=request.keep_own, reporter=reporter,
            )
            for mode in request.modes
        ]  # fmt: skip
        for name, path, rankings in given:
            kept, notes = as_given(name, path, rankings, benchmark, documents)
            runs.append(Run(name, kept, {}, checksum=remembered_sha256(path), notes=notes))
        yield _Ready(chosen, engine, runs, catalogue, match, instruction)


# The index of a benchmark ---------------------------------------------------------------------


def ensure_index(
    benchmark: BenchmarkFolder,
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    vectors: bool = True,
    device: str = "auto",
    reporter: Reporter = silent,
    held: contextlib.ExitStack | None = None,
) -> str:
    """The name of the index over the corpus of `benchmark` by `model`, built if there is none.

    vectors: False where only BM25 runs: nothing is encoded and no model is loaded; held: keeps the
    index from being removed until it is closed.

    An index built from the same bytes by the same model, revision and recipe is reused; a damaged
    or changed one is built again. An interrupted build resumes where its vectors end. Raises
    CorpusError: a line of the corpus is malformed; it is named; ModelError: the model or its recipe
    is missing; IndexFault: the index cannot be written. Also what `reporter` raises. In every case
    no index has changed.
    """
    load = partial(encoder_registry.load_encoder, model, recipe, device=device, reporter=reporter)
    facts = known_facts(model, recipe)
    if facts is None:
        # Only the model's files tell its revision, and a run needs this encoder anyway; for BM25
        # the name will do.
        facts = facts_of(load(side="query")) if vectors else facts_without_files(model, recipe)
    # Everything that a vector of the corpus depends on.
    sums = benchmark.corpus_sums
    parts = "\n".join((*sums, facts.model, facts.revision, facts.recipe_hash))
    identity = hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()
    name = f"eval-{records.slug(benchmark.parts.name, 40) or 'benchmark'}-{identity[:8]}"
    if held is not None:
        held.enter_context(using(name))
    if _is_current(name, identity, sums, vectors=vectors):
        keep_within_cache(name)
        return name
    try:
        outcome = build_index(
            name,
            benchmark.parts.corpus,
            load if vectors else Vectoriser(facts),
            settings=ReadSettings(_beir(benchmark.parts.corpus), strict=True, dedupe="off"),
            reporter=reporter,
            fingerprint=identity,
            facts=facts if vectors else None,
        )
    except CorpusError as error:
        # An ordinary index may skip a malformed record; an evaluation may not.
        if "--strict" not in (error.remedy or ""):
            raise
        raise CorpusError(error.message, remedy="correct the corpus") from error
    if tuple(file.sha256 for file in outcome.manifest.inputs) != sums:
        raise CorpusError(
            f"{benchmark.parts.corpus[0]} changed while it was read",
            remedy="try again when no program writes to it",
        )
    keep_within_cache(name)
    if vectors:
        encoder_registry.prepare_query_encoder(model, recipe, reporter=reporter)
    return name


def _beir(corpus: Sequence[Path]) -> str | None:
    """The format of a corpus: BEIR's by its name, None for what its content shows."""
    return "beir" if corpus[0].name in ("corpus.jsonl", "corpus.jsonl.gz") else None


def _is_current(name: str, identity: str, sums: tuple[str, ...], *, vectors: bool) -> bool:
    try:
        manifest = manifest_of(name)
        if manifest.fingerprint != identity or tuple(f.sha256 for f in manifest.inputs) != sums:
            return False
        open_index(name, vectors=vectors).close()
    except (NotFoundError, IndexFault):
        return False
    return True
