"""One evaluation from a folder to figures: the index, the runs, the measures, the records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.catalog.view import Catalogue
from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.cross_encoder import CrossEncoder, load_cross_encoder
from bioretrieval_tui.errors import IndexFault, UsageError
from bioretrieval_tui.evaluation.benchmark import Benchmark, read_benchmark
from bioretrieval_tui.evaluation.explore import judgements_of
from bioretrieval_tui.evaluation.indexing import ensure_index
from bioretrieval_tui.evaluation.measures import DEPTH, MAIN, Measured, measure
from bioretrieval_tui.evaluation.published import Match, Reference, match_benchmark, references
from bioretrieval_tui.evaluation.reranking import RERANK, Reranking
from bioretrieval_tui.evaluation.running import Ranker, Run, aliases_of, run_mode
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.hits import MOST_HITS

MODES = ("dense", "lexical", "hybrid", RERANK)
DEFAULT_MODES = ("dense", "lexical", "hybrid")
MOST = MOST_HITS - 1
"""Documents a query; one more is asked for, in place of the query's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to evaluate.

    split: None means `test`, or the only one; modes: of `MODES`, each once; model: hub id or
    folder, None for the index's own model or else the embedded one; recipe: how it encodes, None
    for the embedded model's; index: an index that is there, instead of one that is made of the
    corpus; depth: documents a query, from 100; keep_own: rank the document that has the query's
    own id; reranker: hub id or folder, and its recipe, needed for the mode `rerank`.
    """

    folder: Path
    split: str | None = None
    modes: Sequence[str] = DEFAULT_MODES
    model: str | None = None
    recipe: Encoding | None = None
    index: str | None = None
    device: str = "auto"
    depth: int = DEPTH
    keep_own: bool = False
    reranker: str | None = None
    reranker_recipe: Encoding | None = None

    @property
    def encodes(self) -> bool:
        """Whether a mode needs the model; BM25 does not."""
        return any(mode != "lexical" for mode in self.modes)


@dataclass(frozen=True, slots=True)
class Result:
    """One mode: what it answered, how good that is, and the published figures beside it."""

    run: Run
    measured: Measured
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation.

    documents: ids of the corpus, those of equal texts counted each; absent: judged documents that
    are not in it; match: the catalogue's benchmark that this is, or None; instruction: put before
    every query for this benchmark, None for the recipe's own; device: where queries were encoded.
    """

    benchmark: Benchmark
    manifest: Manifest
    documents: int
    absent: int
    match: Match | None
    instruction: str | None
    device: str
    asked: Asked
    results: tuple[Result, ...]

    @property
    def queries(self) -> int:
        """Queries that were run: those with judgements."""
        return len(self.benchmark.queries)

    def remarks(self) -> list[str]:
        """What should be said beside the figures, a line each."""
        said = self.benchmark.remarks()
        if self.absent:
            documents = "document is" if self.absent == 1 else "documents are"
            said.append(
                f"{self.absent:,} judged {documents} not in the corpus: counted as not found,"
                " as trec_eval does"
            )
        own = max((result.run.own for result in self.results), default=0)
        if own:
            said.append(
                f"for {own:,} {'query' if own == 1 else 'queries'} a document with the query's own"
                " id was left out, as BEIR does; --keep-own ranks it"
            )
        if self.match is not None and self.match.note:
            said.append(self.match.note)
        return said


@dataclass(frozen=True, slots=True)
class Opened:
    """A benchmark with the index to run it on, open, and the cross-encoder where one is asked."""

    benchmark: Benchmark
    engine: SearchEngine
    aliases: Mapping[str, Sequence[str]]
    judge: CrossEncoder | None = None

    def ranker(self, mode: str) -> Ranker:
        """What ranks in that mode: the search itself, or the cross-encoder behind it."""
        if mode == RERANK and self.judge is not None:
            return Reranking(self.engine, self.judge)
        return self.engine

    @property
    def manifest(self) -> Manifest:
        """Of the index."""
        return self.engine.index.manifest

    @property
    def store(self) -> DocumentStore:
        """The documents of the index."""
        return self.engine.index.documents

    @property
    def documents(self) -> int:
        """Ids of the corpus, those of equal texts counted each."""
        return self.manifest.documents + self.manifest.aliases

    def match(self, catalogue: Catalogue | None) -> Match | None:
        """The catalogue's benchmark that this is, or None."""
        if catalogue is None:
            return None
        found = self.benchmark
        return match_benchmark(
            catalogue, found.name, found.split, len(found.queries), self.documents
        )


def check(asked: Asked) -> None:
    """Refuse what cannot be asked, before anything is read.

    Raises:
        UsageError: a mode that there is not, none, one twice, an impossible depth, or no reranker
            for the mode `rerank`. NotFoundError: no such index. IndexFault: it is of another model.
    """
    if not asked.modes:
        raise UsageError("no mode is asked for", remedy=f"modes: {', '.join(MODES)}")
    for mode in asked.modes:
        if mode not in MODES:
            raise UsageError(f"there is no mode {mode!r}", remedy=f"modes: {', '.join(MODES)}")
    if len(set(asked.modes)) != len(asked.modes):
        raise UsageError("a mode is asked for twice", remedy="name every mode once")
    if not DEPTH <= asked.depth <= MOST:
        raise UsageError(
            f"a depth of {asked.depth:,} is not possible",
            remedy=f"use {DEPTH} to {MOST:,}: R@100 needs {DEPTH}",
        )
    if RERANK in asked.modes and asked.reranker is None:
        raise UsageError("no cross-encoder is named for the mode rerank", remedy="name one")
    if asked.index is not None:
        manifest = manifest_of(asked.index)
        if asked.model is not None and manifest.model != asked.model:
            raise IndexFault(
                f"index {asked.index} was built with {manifest.model}, not {asked.model}",
                remedy="leave --model out, or leave --index out to build one with that model",
            )


@contextlib.contextmanager
def opened(
    asked: Asked, reporter: Reporter = silent, *, query: str | None = None
) -> Iterator[Opened]:
    """The benchmark, and its index built where it has to be and open.

    query: one that must be judged; an index is costly, and a slip of the pen is quick.

    Raises: as `check`, `read_benchmark`, `load_cross_encoder`, `ensure_index` and
        `SearchEngine.open` do; IndexFault
        also where the index holds none of the judged documents; NotFoundError where there is no
        such query.
    """
    check(asked)
    benchmark = read_benchmark(asked.folder, asked.split)
    if query is not None:
        judgements_of(benchmark, query)
    # Before the index, which may take hours: what is not here is said at once.
    judge = None
    if RERANK in asked.modes and asked.reranker is not None:
        judge = load_cross_encoder(
            asked.reranker, asked.reranker_recipe, device=asked.device, reporter=reporter
        )
    name = asked.index
    if name is None:
        model = asked.model or embedded.MODEL_ID
        name = ensure_index(
            benchmark,
            model,
            asked.recipe,
            vectors=asked.encodes,
            device=asked.device,
            reporter=reporter,
        ).name
    engine = SearchEngine.open(name, device=asked.device, reporter=reporter, ready=asked.encodes)
    try:
        if not any(engine.index.documents.lookup(one) for one in benchmark.judged()):
            raise IndexFault(
                f"none of the judged documents of {benchmark.name} is in the index {name}",
                remedy="is it an index of this corpus? leave --index out to build one",
            )
        yield Opened(benchmark, engine, aliases_of(engine.index.documents), judge)
    finally:
        engine.close()


def evaluate(
    asked: Asked, catalogue: Catalogue | None = None, reporter: Reporter = silent
) -> Evaluation:
    """Run and measure every mode; nothing is written but an index where there was none.

    catalogue: for published figures, and for the instruction that a model has for the benchmark.

    Raises: as `opened` and `SearchEngine.rank` do, and whatever `reporter` raises.
    """
    with opened(asked, reporter) as ready:
        benchmark, manifest = ready.benchmark, ready.manifest
        known = ready.store.labels(benchmark.judged())
        match = ready.match(catalogue)
        instruction = instruction_of(asked, manifest, match)
        results = []
        for mode in asked.modes:
            run = run_mode(
                ready.ranker(mode),
                benchmark,
                mode,
                depth=asked.depth,
                aliases=ready.aliases,
                keep_own=asked.keep_own,
                instruction=instruction,
                reporter=reporter,
            )
            measured = measure(benchmark.judgements, run.rankings)
            beside: list[Reference] = []
            if catalogue is not None:
                beside = references(catalogue, match, mode, manifest.model, measured.metrics[MAIN])
            results.append(Result(run, measured, tuple(beside)))
        return Evaluation(
            benchmark=benchmark,
            manifest=manifest,
            documents=ready.documents,
            absent=len(benchmark.judged()) - len(known),
            match=match,
            instruction=instruction,
            device=ready.engine.load().device if asked.encodes else "cpu",
            asked=asked,
            results=tuple(results),
        )


def instruction_of(asked: Asked, manifest: Manifest, match: Match | None) -> str | None:
    """What the model's recipe says for just this benchmark; None for its default."""
    # Instructions are no part of a recipe's hash, so those of the catalogue may be newer.
    recipe = asked.recipe or manifest.recipe
    return None if match is None else recipe.instructions.get(match.entry.id)
