"""Evaluations as the app and the command line show them.

A record of the local leaderboard has one list of fields (`RECORD_FIELDS`): the columns of
`eval --list` and the facts of the page in the app. Records of one kind are grouped once
(`own_runs`), for the results matrix and for `results --own`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.catalog.models import Result as Published
from bioretrieval_tui.evaluation.metrics import MAIN, MEASURES
from bioretrieval_tui.evaluation.published import Match, Reference, hub_names, references
from bioretrieval_tui.evaluation.records import GIVEN, EvaluationRecord, by_kind, slug
from bioretrieval_tui.render.page import Fact, Group, Inline, Page, facts, text
from bioretrieval_tui.render.rankings import MARK
from bioretrieval_tui.render.sheet import (
    Cell,
    Column,
    ColumnOf,
    Sheet,
    Shown,
    column,
    counted,
    face,
    sheet_of,
    shortened,
    unverified,
)
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.util.formatting import plural, rate

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.metrics import Bin, Comparison
    from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
    from bioretrieval_tui.evaluation.runner import EvaluationReport, ModeReport

_LATENCIES = ("p50", "p95")
EACH_WAY = 5
"""Queries that gained, and that lost, in the short table."""
_NAMED = 20
"""Characters of the name of a run over its scores."""
_BAR = 20
"""Cells of the longest bar of a histogram."""
_SPLIT = "test"
_ADDED = {"hybrid": " + BM25", "rerank": " + BM25, reranked"}


# Runs of the user -----------------------------------------------------------------------------


class OwnRun(msgspec.Struct, frozen=True):
    """Records of one kind: same files, split, model and settings.

    record: the newest; name: what ranked; axis: its column of the board, of a published benchmark
    or of one that only runs have (`is_own`); model: id of the catalogue's entry for its model, None
    where there is none or BM25 alone ranked; trained: that model has seen the benchmark's training
    data; published: published scores of the same benchmark; earlier: older records, newest first.
    """

    record: EvaluationRecord
    name: str
    axis: Axis
    is_own: bool
    model: str | None
    trained: bool
    published: tuple[Reference, ...]
    earlier: tuple[EvaluationRecord, ...] = ()

    @property
    def title(self) -> str:
        """Its name as headings show it."""
        return f"{MARK} {self.name}"

    @property
    def deviates(self) -> bool:
        """The score differs from a published one by more than the tolerance."""
        return any(one.marked for one in self.published)

    @property
    def zero_shot(self) -> bool | None:
        """BM25 is not trained; of a model only its training data are known."""
        if self.record.mode == "lexical":
            return True
        return False if self.trained else None

    def fits(self, models: Collection[str] | None, *words: str) -> bool:
        """Whether a filter keeps it: by its model, one of these entries (None: all), or else by all
        these words in what it is called, as BM25 and run files have no entry."""
        if models is None or self.model in models:
            return True
        record = self.record
        text = f"{self.name} {record.mode} {mode_name(record.mode)} {record.benchmark} own"
        return bool(words) and all(one.strip().casefold() in text.casefold() for one in words)

    @property
    def how(self) -> str:
        return f"{mode_name(self.record.mode)} {self.record.date[:10]}"

    @property
    def result(self) -> Published:
        """The run as a result like the published ones."""
        record = self.record
        model = "own-bm25" if record.mode == "lexical" else self.model or record.model
        if record.mode in ("hybrid", "rerank"):
            model += "+bm25"
        if record.mode == "rerank":
            model += f"+{record.reranker}"
        return Published(
            model=model,
            benchmark=self.axis.benchmark,
            value=round(record.metrics.get(MAIN, 0.0), 4),
            source="own",
            zero_shot=self.zero_shot,
            subset=self.axis.subset,
            note=f"{record.id}, {record.date[:10]}",
        )

    @property
    def figures(self) -> dict[Axis, Published]:
        """Its result by column; none if nDCG@10 was not measured."""
        return {self.axis: self.result} if MAIN in self.record.metrics else {}


def own_runs(records: Sequence[EvaluationRecord], catalogue: Catalogue) -> list[OwnRun]:
    """The records, newest first, grouped by kind."""
    taken: dict[tuple[str, str], list[str]] = {}
    entries = {hub: entry for entry in reversed(catalogue.models) for hub in hub_names(entry)}
    runs = []
    for newest, *earlier in by_kind(records):
        entry, name = None, "BM25 (bioretrieval-tui)"
        if newest.mode != "lexical":
            entry = entries.get(newest.model)
            name = entry.name if entry else newest.model.rstrip("/").rpartition("/")[2]
            name += _ADDED.get(newest.mode, "")
        trained = entry is not None and newest.catalogue in entry.trained_on
        published = tuple(published_scores(newest, catalogue))
        identifier = entry.id if entry else None
        axis = _axis(newest, catalogue, taken)
        is_own = axis.benchmark != newest.catalogue
        run = OwnRun(newest, name, axis, is_own, identifier, trained, published, tuple(earlier))
        runs.append(run)
    return runs


def _axis(
    record: EvaluationRecord, catalogue: Catalogue, taken: dict[tuple[str, str], list[str]]
) -> Axis:
    """The column of a record: of its benchmark in the catalogue, if it is that one, else of a
    benchmark of the user's, named after the folder. taken: checksums by folder and split so far:
    of several benchmarks in folders of one name the newest has the plain name."""
    entry = catalogue.by_id.get(record.catalogue or "")
    if record.split == _SPLIT and isinstance(entry, Benchmark):
        return Axis(entry.id, MAIN)
    name = slug(record.benchmark, 40) or "benchmark"
    if name in catalogue.by_id:
        name += "-own"
    known = taken.setdefault((name, record.split), [])
    known += [record.sha256] if record.sha256 not in known else []
    if known[0] != record.sha256:
        name += f"-{record.sha256[:8]}"
    return Axis(name, MAIN, None if record.split == _SPLIT else record.split)


def own_titles(runs: Iterable[OwnRun]) -> dict[Axis, str]:
    """The columns that only runs have, with their titles."""
    return {
        run.axis: f"{run.axis.benchmark}{f' {run.axis.subset}' if run.axis.subset else ''} (own)"
        for run in runs if run.is_own
    }  # fmt: skip


def published_scores(record: EvaluationRecord, catalogue: Catalogue) -> list[Reference]:
    """The published scores for a record; none where its benchmark is not the catalogue's."""
    entry = catalogue.by_id.get(record.catalogue or "")
    if not isinstance(entry, Benchmark) or MAIN not in record.metrics:
        return []
    match = Match(entry, record.split == _SPLIT)
    return references(catalogue, match, record.mode, record.model, record.metrics[MAIN])


def own_results(runs: Iterable[OwnRun]) -> tuple[list[Published], dict[str, str]]:
    """Runs as results like the published ones, and names for their models and benchmarks."""
    rows, names = list[Published](), dict[str, str]()
    for run in runs:
        rows += run.figures.values()
        names[run.result.model] = run.name
        if run.is_own:
            names[run.axis.benchmark] = f"{run.axis.benchmark} (own)"
    return rows, names


# The fields of a record -----------------------------------------------------------------------


def _key(measure: str) -> str:
    return measure.casefold().replace("@", "_")


def _score(value: float | None, digits: int = 4) -> Cell:
    return None if value is None else Shown(value, f"{value:.{digits}f}")


def _of_model(name: str) -> Callable[[EvaluationRecord], Cell]:
    """A fact of the model, which a run of BM25 alone does not use."""

    def cell(one: EvaluationRecord) -> Cell:
        value = getattr(one, name)
        return Shown(value, "" if one.mode == "lexical" else value)

    return cell


def _own_documents(one: EvaluationRecord) -> Cell:
    """What became of documents with the id of the query."""
    if one.mode == GIVEN:
        return "as in the run file"
    return "ranked like the others" if one.keep_own else "left out"


def _measured(name: str) -> ColumnOf[EvaluationRecord]:
    return column(_key(name), name, lambda one: _score(one.metrics.get(name)), align="right")


def _latency(name: str) -> ColumnOf[EvaluationRecord]:
    return column(f"{name}_ms", make=lambda one: _score(one.latency_ms.get(name), 1), align="right")


_MEASURED = (*map(_measured, MEASURES), *map(_latency, _LATENCIES))
RECORD_FIELDS: tuple[ColumnOf[EvaluationRecord], ...] = (
    column("id", weight=3, min_width=44),
    column("benchmark", min_width=9),
    column("split", min_width=5),
    column("mode", make=lambda one: Shown(one.mode, mode_name(one.mode)), min_width=7),
    *_MEASURED,
    column("model", make=_of_model("model"), weight=2, min_width=12),
    column("date", "date (UTC)", lambda one: Shown(one.date, one.date[:16].replace("T", " ")),
           min_width=10),
    column("queries", make=lambda one: counted(one.queries), align="right"),
    column("documents", make=lambda one: counted(one.documents), align="right"),
    column("hardware", weight=2, min_width=10),
    column("docs_per_second", "documents encoded a second",
           lambda one: Shown(one.docs_per_second, rate(one.docs_per_second))
           if one.docs_per_second else None, data_only=True),
    column("encoded_on", "encoded on", data_only=True),
    column("revision", make=_of_model("revision"), data_only=True),
    column("recipe_hash", "recipe", _of_model("recipe_hash"), data_only=True),
    column("sha256", data_only=True),
    column("index", data_only=True),
    column("depth", make=lambda one: counted(one.depth), data_only=True),
    column("catalogue", data_only=True),
    column("reranker", data_only=True),
    column("run", "run file", data_only=True),
    column("folder", data_only=True),
    column("instruction", data_only=True),
    column("keep_own", "own documents", _own_documents, data_only=True),
    column("versions", make=lambda one: ", ".join(map(" ".join, one.versions.items())),
           data_only=True),
)  # fmt: skip
"""Every fact of a record: its column in a list, whose title is its label on a page, and its cell;
in the order of the columns of csv."""


def record_sheet(found: Sequence[EvaluationRecord]) -> Sheet:
    """The local leaderboard, a row a record; whole records for json and jsonl."""
    return sheet_of("Your runs", RECORD_FIELDS, found, msgspec.to_builtins)


def run_page(run: OwnRun) -> Page:
    """The page of a run: its results, published results, its facts, earlier runs of its kind."""

    def told(fields: Sequence[ColumnOf[EvaluationRecord]]) -> tuple[Fact, ...]:
        return facts((one.title, face(cell(run.record)).text) for one, cell in fields)

    others = [one for one in RECORD_FIELDS if one not in _MEASURED]
    earlier = (
        (one.date[:10], f"{one.metrics.get(MAIN, 0.0):.4f}  {one.id}") for one in run.earlier
    )
    return Page(
        run.title,
        kind="own",
        byline=(text("your run"),),
        sections=(
            Group("Results", told(_MEASURED)),
            Group("Published", tuple(map(reference_fact, run.published))),
            Group("Run", told(others)),
            Group("Earlier runs", facts(earlier)),
        ),
    )


def with_runs(page: Page, entry: str, runs: Sequence[OwnRun]) -> Page:
    """The page of a benchmark or a model with the runs on it, before its published results."""
    found = tuple(
        _run_fact(run, entry) for run in runs if entry in (run.model, run.record.catalogue)
    )
    titles = [section.title for section in page.sections]
    at = next((n for n, one in enumerate(titles) if one.startswith("Published results")), 1)
    if not found:
        return page
    sections = (*page.sections[:at], Group("Your runs", found), *page.sections[at:])
    return msgspec.structs.replace(page, sections=sections)


def _run_fact(run: OwnRun, entry: str) -> Fact:
    """A run on the page of its benchmark, or of its model."""
    record = run.record
    split = "" if record.split == _SPLIT else f", split {record.split}"
    label = run.title if record.catalogue == entry else f"{MARK} {record.benchmark}{split}"
    value = [Inline(f"{record.metrics.get(MAIN, 0.0):.4f}", "own.strong"),
             Inline(f"  {MAIN}, {run.how}", "own")]  # fmt: skip
    for one in run.published[:1]:
        if one.deviation is not None:
            role = "warn" if one.marked else "faint"
            value.append(Inline(f"  {one.deviation + 0:+.4f} against {one.name}", role))
    return Fact(label, (text(*value),))


def reference_fact(one: Reference) -> Fact:
    """One published score: name, value, the deviation of the run from it, source."""
    said, role = "for orientation", "faint"
    if one.deviation is not None:
        # Adding 0 takes the sign from a -0.0.
        said = f"{one.deviation + 0:+.4f} against published"
        said += " (differs by more than 0.01)" if one.marked else ""
        role = "warn" if one.marked else "ok"
    score = Inline(f"{one.value:.4f}", "strong")
    source = Inline(f"  from {one.source}", "faint")
    return Fact(one.name, (text(score, Inline(f"  {said}", role), source),), one.status)


# What `eval` prints ---------------------------------------------------------------------------


def evaluation_record(report: EvaluationReport) -> dict[str, Any]:
    """The whole evaluation as one object, of a comparison with the queries that changed most."""
    whole: dict[str, Any] = msgspec.to_builtins(report)
    whole["model"] = _ranked_by(report, *report.runs)
    del whole["comparison"]
    compared = report.comparison
    return whole | ({} if compared is None else {"comparison": comparison_record(compared)})


_EVALUATION_COLUMNS = (
    Column("run", "run", weight=3, min_width=24),
    Column(_key(MAIN), MAIN, "right"),
    Column("deviation", "deviation", "right"),
    *(one for one, _ in _MEASURED[1:]),
    Column("model", "model", weight=2, min_width=12),
    Column("source", "source", min_width=8),
    Column("kind", "kind", data_only=True),
    Column("beside", "beside", data_only=True),
)


def evaluation_sheet(report: EvaluationReport) -> Sheet:
    """A row a mode, each with the published scores below it."""
    rows: list[dict[str, Cell]] = []
    for run in report.runs:
        rows.append(
            {"run": Shown(run.mode, mode_name(run.mode))}
            | {_key(name): _score(value) for name, value in run.metrics.items()}
            | {f"{name}_ms": _score(run.latency_ms.get(name), 1) for name in _LATENCIES}
            | {"model": _ranked_by(report, run), "source": "own", "kind": "run"}
        )
        for one in run.published:
            value = _score(one.value)
            deviation: Cell = None
            if one.deviation is not None:
                # Adding 0 takes the sign from a -0.0.
                said = f"{round(one.deviation, 4) + 0:+.4f}" + (" !" if one.marked else "")
                deviation = Shown(one.deviation, said)
            rows.append(
                {
                    "run": Shown(one.name, f"{one.name}, published"),
                    _key(MAIN): unverified(value) if one.status == "unverified" else value,
                    "deviation": deviation,
                    "model": one.model,
                    "source": one.source,
                    "kind": "published",
                    "beside": run.mode,
                }
            )
    about = {"benchmark": report.benchmark, "split": report.split}
    return Sheet(
        title=f"{report.benchmark} ({report.split}): {plural(report.queries, 'query')},"
        f" {plural(report.documents, 'document')}",
        columns=_EVALUATION_COLUMNS,
        rows=[tuple(row.get(one.key) for one in _EVALUATION_COLUMNS) for row in rows],
        records=[
            {"mode": run.mode, **about, "model": _ranked_by(report, run)} | msgspec.to_builtins(run)
            for run in report.runs
        ],
    )


def _ranked_by(report: EvaluationReport, *runs: ModeReport) -> str | None:
    """The model, or None where BM25 alone ranked or, without a latency, something elsewhere."""
    return report.model if any(run.latency_ms and run.mode != "lexical" for run in runs) else None


def comparison_record(found: Comparison) -> dict[str, Any]:
    """A comparison with its histogram and, of the single queries, those that changed most."""
    whole: dict[str, Any] = msgspec.to_builtins(found)
    del whole["deltas"]
    gained, lost = map(msgspec.to_builtins, found.most_changed(EACH_WAY))
    return whole | {"gained": gained, "lost": lost}


def comparison_line(found: Comparison) -> str:
    """A comparison in one line."""
    flips = f"{found.permutations:,} random" if not found.exact else f"all {found.permutations:,}"
    test = f" (paired randomisation, {flips} sign flips)"
    first, second = mode_name(found.first), mode_name(found.second)
    won = f"{second} is better on {plural(found.wins, 'query')}, {first} on {found.losses:,}"
    counts = f"{won}, equal on {found.ties:,}"
    return f"{second} against {first}: {found.measure} {chance_words(found)}{test}; {counts}"


def chance_words(found: Comparison) -> str:
    chance = f"p = {found.p:.4f}" if found.p >= 0.0001 else "p < 0.0001"
    return f"{found.difference:+.4f}, {chance}"


def comparison_sheet(found: Comparison, *, whole: bool = False) -> Sheet:
    """The queries that gained and lost most; all if `whole`."""
    gained, lost = found.most_changed(EACH_WAY)
    shown = found.deltas if whole else (*gained, *lost)
    # Names of records begin with that of the benchmark.
    names = found.first.split("-"), found.second.split("-")
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*names, strict=False)))
    first, second = (shortened(mode_name("-".join(name[same:])), _NAMED) for name in names)
    columns = (
        column("query", min_width=6),
        column("difference", make=lambda one: Shown(one.difference, f"{one.difference:+.4f}"),
               align="right"),
        column("first", first, lambda one: _score(one.first), align="right"),
        column("second", second, lambda one: _score(one.second), align="right"),
        column("text", make=lambda one: shortened(one.text), weight=5, min_width=20),
    )  # fmt: skip
    return sheet_of(comparison_line(found), columns, shown, msgspec.to_builtins)


def histogram_sheet(found: Comparison) -> Sheet:
    """The number of queries by their difference."""
    columns = (
        column("difference", make=bin_name, align="right"),
        column("queries", make=partial(bin_bar, found), min_width=_BAR),
    )
    title = f"Queries by difference in {found.measure}"
    return sheet_of(title, columns, found.histogram, msgspec.to_builtins)


def bin_name(one: Bin) -> str:
    low, high = (f"{bound:+.1f}" if bound else "0" for bound in (one.low, one.high))
    return f"{low} to {high}" if low != high else "equal"


def bin_bar(found: Comparison, one: Bin) -> Shown:
    most = max(each.queries for each in found.histogram)
    bar = "\N{FULL BLOCK}" * -(-one.queries * _BAR // most) if most else ""
    return Shown(one.queries, f"{one.queries:>{len(str(most))},} {bar}".rstrip())


# Queries -----------------------------------------------------------------------------------


def pair_title(pair: tuple[str, str]) -> str:
    """The difference of two modes, BM25 from dense for (lexical, dense), with a minus sign."""
    return f"Δ {mode_name(pair[1])} \N{MINUS SIGN} {mode_name(pair[0])}"


def query_list_sheet(rows: Sequence[QueryRow], modes: Sequence[str]) -> Sheet:
    """The queries of a benchmark with nDCG@10 of each mode."""
    columns = [column(key) for key in ("id", "text", "judged", "relevant")]
    columns += [_of_mode(mode, mode, "scores") for mode in modes]
    return sheet_of("Queries", columns, rows, msgspec.to_builtins)


def _of_mode(key: str, mode: str, held: str, **look: Any) -> ColumnOf[Any]:
    return column(key, mode_name(mode), lambda row: getattr(row, held)[mode], **look)


def query_sheet(found: QueryView) -> Sheet:
    """The judged documents of a query, then the top unjudged ones, with their ranks."""
    scores = ", ".join(
        f"{mode_name(mode)} {values['nDCG@10']:.4f}" for mode, values in found.scores.items()
    )
    columns = (
        column("grade", align="right"),
        column("document", make=lambda row: row.id, min_width=8),
        column(
            "title",
            make=lambda row: "(not in the corpus)" if row.title is None else shortened(row.title),
            weight=5,
            min_width=20,
        ),
        *(_of_mode(f"rank_{mode}", mode, "ranks", align="right") for mode in found.scores),
    )
    return sheet_of(
        f"Query {found.id}: {shortened(found.text, 200)} (nDCG@10: {scores})",
        columns,
        (*found.judged, *found.unjudged),
        lambda row: {"judged": row.grade is not None, **msgspec.to_builtins(row)},
    )
