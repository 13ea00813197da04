"""The Python interface: what `import bioretrieval_tui as br` offers.

    br.catalogue(), br.entries("models"), br.results("nfcorpus")   what is known, with its sources
    br.frame(...)                                                 any of these as a DataFrame
    br.encoder("medcpt")                                          a model, encoded as its authors do
    br.Index("mine"), br.build("mine", files)                     search over one's own texts
    br.evaluate(folder), br.compare(a, b)                         scores, and their differences

Everything raises `BioRetrievalError` or one of its subclasses, whose message is one line with the
fault and the remedy. Nothing uses the network but `evaluate` and `encoder` with `download=True`.
Models, numpy and DataFrames are imported when they are first needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of_section
from bioretrieval_tui.catalog.models import SECTIONS, AnyEntry, Benchmark, Encoding, Model, Result
from bioretrieval_tui.errors import ModelError, NotFoundError, UsageError
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Reporter, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.encoding.encoder import Encoder
    from bioretrieval_tui.evaluation.metrics import Comparison
    from bioretrieval_tui.evaluation.runner import EvaluationReport, ModeReport
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.search.engine import SearchEngine
    from bioretrieval_tui.search.federated import Federation
    from bioretrieval_tui.search.types import Explanation, Hit, Query, SearchResult
    from bioretrieval_tui.shelf import Shelf

    Vectors = NDArray[np.float32]

Kind = Literal["papers", "models", "datasets", "benchmarks", "recipes", "timeline", "path"]
Backend = Literal["pandas", "polars", "pyarrow"]
BACKENDS: tuple[Backend, ...] = ("pandas", "polars", "pyarrow")
EMBEDDED = "all-minilm-l6-v2"
"""The catalogue's id of the model that comes with the program."""
Remark = Callable[[str], None]
"""Receives a line for the user, such as a note on an index."""


def _unheard(_: str) -> None:
    """No one hears remarks."""


# Catalogue and board --------------------------------------------------------------------------


def catalogue(*, board: bool = False, remark: Remark = _unheard) -> Catalogue:
    """The catalogue, with the user's overlays and models. board: with the models and scores of the
    public board. remark: hears of overlays that were left out. Raises CatalogueError: the
    catalogue, or the board, cannot be read."""
    from bioretrieval_tui.catalog.compiled import load

    loaded = load()
    for problem in loaded.problems:
        remark(problem)
    found = loaded.catalogue
    if board:
        from bioretrieval_tui.catalog.listing import load_listing

        found = load_listing(found)
    found.here, found.shelf = _is_here, _shelf
    if any((places().data / "models").glob("[!.]*")):
        from bioretrieval_tui.training.own_models import with_own_models

        found = with_own_models(found, remark)
    return found


# Asked by few lists, of which most would pay for the import.
def _is_here(entry: Model) -> bool:
    from bioretrieval_tui.encoding.model_files import entry_is_here

    return entry_is_here(entry)


def _shelf() -> Shelf:
    from bioretrieval_tui.shelf import kept_shelf

    return kept_shelf()


def entries(
    kind: Kind | None = None, where: str = "", *, sort: str = "", board: bool = False
) -> list[AnyEntry]:
    """Entries of the catalogue, as `list` prints them. kind: of its sections, None for all; where:
    a filter, as in "params<=500M licence:mit"; sort: a field; board: with the listed models.
    Raises FilterError, UsageError (no such kind or field), CatalogueError."""
    from bioretrieval_tui.catalog.fields import field_name, filtered, ordered

    if kind is not None and kind not in SECTIONS:
        raise UsageError(f"there is no kind '{kind}'", remedy=f"kinds: {', '.join(SECTIONS)}")
    found = catalogue(board=board)
    listed = found.listed if kind in (None, "models") else ()
    chosen: Sequence[AnyEntry] = (*(found.section(kind) if kind else found.entries), *listed)
    if where:
        chosen = filtered(chosen, where, found)
    if sort:
        chosen = ordered(chosen, field_name(sort), found)
    return list(chosen)


def results(benchmark: str | None = None, model: str | None = None) -> list[Result]:
    """Published scores, those of the board among them, each with its source. benchmark, model: ids
    of entries, hub ids or names; a suite stands for its members. Raises NotFoundError: there is no
    such entry; CatalogueError."""
    found = catalogue(board=True)
    scores: Iterable[Result] = found.results
    if benchmark is not None:
        suite = found.entry(benchmark)
        if not isinstance(suite, Benchmark):
            raise NotFoundError(f"'{suite.id}' is no benchmark", remedy="see br.entries")
        wanted = {suite.id, *suite.members}
        scores = (one for one in scores if one.benchmark in wanted)
    if model is not None:
        identifier = found.entry(model).id
        scores = (one for one in scores if one.model == identifier)
    return list(scores)


def frame(
    rows: Sequence[AnyEntry] | Sequence[Result] | Sequence[Hit], backend: Backend | None = None
) -> Any:
    """Entries, results or hits as a DataFrame, with the columns of `-f csv`. backend: "pandas",
    "polars" or "pyarrow"; None for the first of them that is installed. Raises UsageError: rows of
    several kinds, or none of these libraries is installed."""
    import narwhals as nw

    sheet = _sheet(rows)
    values = zip(*([getattr(cell, "value", cell) for cell in row] for row in sheet.rows),
                 strict=True) if len(sheet.rows) else ([] for _ in sheet.columns)  # fmt: skip
    columns = {one.key: list(cells) for one, cells in zip(sheet.columns, values, strict=True)}
    made = nw.from_dict(columns, backend=_backend(backend))
    return made.to_native()


def _backend(wanted: Backend | None) -> Backend:
    from importlib.util import find_spec

    if wanted is not None and wanted not in BACKENDS:
        raise UsageError(f"there is no backend {wanted!r}", remedy=f"use {', '.join(BACKENDS)}")
    for name in (wanted,) if wanted else BACKENDS:
        if find_spec(name) is not None:
            return name
    missing, first = wanted or "none of " + ", ".join(BACKENDS), wanted or BACKENDS[0]
    raise UsageError(f"{missing} is not installed", remedy=f"run: pip install {first}")


def _sheet(rows: Sequence[Any]) -> Sheet:
    from bioretrieval_tui.render.entries import entry_sheet, result_sheet
    from bioretrieval_tui.render.hits import hit_sheet
    from bioretrieval_tui.search.types import Hit

    kinds = {Hit if isinstance(one, Hit) else Result if isinstance(one, Result) else AnyEntry
             for one in rows}  # fmt: skip
    if len(kinds) > 1:
        raise UsageError("these rows are of several kinds", remedy="make a frame of each kind")
    if kinds == {Hit}:
        return hit_sheet(rows, several=any(hit.index for hit in rows))
    found = catalogue(board=True)
    if kinds == {Result}:
        return result_sheet(rows, found.names)
    types = {type(one) for one in rows}
    kind = next((kind_of_section(name) for name in SECTIONS if {SECTIONS[name]} == types), None)
    return entry_sheet(rows, found, kind=kind)


# Models ---------------------------------------------------------------------------------------


def model_recipe(
    model: str, find: Callable[[], Catalogue] = catalogue
) -> tuple[str, Encoding | None]:
    """Hub id or folder, and recipe, of a model: one trained here by its name, others by catalogue
    id, hub id or folder. find: reads the catalogue.

    The recipe is None for a folder and for the embedded model, which has its own. Raises
    NotFoundError: there is no such model; ModelError: its recipe or the place of its files is not
    known.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    if model == MODEL_ID:
        return MODEL_ID, None
    if (places().data / "models" / model).is_dir() and "/" not in model:
        from bioretrieval_tui.training.own_models import own_model

        if (own := own_model(model)) is not None:
            return str(own[0]), own[1].encoding
    found = find()
    entry = found.model_of_hub(model)
    if entry is None and model not in found.by_id and Path(model).expanduser().is_dir():
        return model, None
    try:
        entry = entry or found.entry_of(model, Model)
    except NotFoundError:
        from bioretrieval_tui.catalog.listing import load_listing

        # One of the board has no recipe; that is another fault than a name that no model has.
        listed = load_listing(found)
        same = (one for one in listed.listed if one.id == model.casefold())
        entry = listed.model_of_hub(model) or next(same, None)
        if entry is None:
            raise
    return (MODEL_ID, None) if MODEL_ID in entry.hub else hub_and_recipe(entry)


def hub_and_recipe(entry: Model) -> tuple[str, Encoding]:
    """Where the files of a model are, and how it encodes. Raises ModelError: it is not known."""
    if entry.encoding is None or entry.weights is None:
        unknown = f"the location of '{entry.id}'" if entry.encoding else f"how '{entry.id}' encodes"
        remedy = "add its encoding, with `model`, in an overlay"
        raise ModelError(f"{unknown} is not known", remedy=remedy)
    return entry.weights, entry.encoding


class TextEncoder:
    """A model that turns texts into vectors by its recipe in the catalogue.

    model: hub id or folder; recipe: prompts, pooling, lengths and the other choices of its authors;
    dimension: components of a vector; similarity: "cosine", "dot" or "l2", by which the vectors
    of queries and documents are compared; revision: commit of the hub, or the weights' checksum.
    """

    def __init__(self, encoder: Encoder, side: Literal["query", "document"]) -> None:
        self._encoder = encoder
        self.model, self.revision = encoder.model_id, encoder.revision
        self.recipe, self.similarity = encoder.recipe, encoder.similarity
        self.dimension = encoder.engine(side).shape.dimension

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """float32 (n, dimension), in the order of `texts`. instruction: replaces the recipe's own;
        recipes without one ignore it. Raises ModelError: the model gave values that are no
        numbers."""
        return self._encoder.plain_queries(_texts(texts), instruction=instruction)

    def encode_documents(
        self, documents: Sequence[str | tuple[str, str] | Document], *, reporter: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`: texts, pairs of title and text, or
        documents. A text of more tokens than the model reads is cut, as its authors do. Raises
        ModelError: the model gave values that are no numbers; also what `reporter` raises."""
        given = [_document(str(at), one) for at, one in enumerate(_texts(documents))]
        return self._encoder.plain_documents(given, reporter)


def _texts(given: Sequence[Any]) -> Sequence[Any]:
    if isinstance(given, str):
        raise UsageError("a single text is given", remedy="give a list of texts")
    return given


def _document(identifier: str, given: str | tuple[str, str] | Document) -> Document:
    from bioretrieval_tui.documents.document import Document

    if isinstance(given, Document):
        return given
    title, text = ("", given) if isinstance(given, str) else given
    return Document(identifier, title, text)


def encoder(
    model: str = EMBEDDED,
    *,
    side: Literal["query", "document"] = "document",
    device: str = "auto",
    download: bool = False,
    reporter: Reporter = silent,
) -> TextEncoder:
    """The encoder of a model: a catalogue id, hub id or folder. side: what is loaded now; where the
    authors have a model for each, the other is loaded when it is first used. device: auto, cpu,
    cuda, cuda:N, several as "cuda:0,cuda:1", or mps; download: fetch files that are missing. Raises
    NotFoundError: there is no such model; ModelError: its recipe is not known or not supported, or
    files are missing."""
    from bioretrieval_tui.encoding.device import pick
    from bioretrieval_tui.encoding.encoder_registry import load_encoder

    hub, recipe = model_recipe(model)
    if download:
        from bioretrieval_tui.encoding.model_files import fetch_needed

        fetch_needed(hub, recipe, reporter)
    # For queries alone the registry takes the processor; here they may be many.
    device = pick(device)
    return TextEncoder(load_encoder(hub, recipe, device=device, reporter=reporter, side=side), side)


# Indexes --------------------------------------------------------------------------------------


class Index:
    """One or several indexes, open for searching; a context manager. names: of indexes; none for
    the catalogue's own, which is brought up to date first. Hits of several are one ranking.

    device: where models run; encodes: False where only BM25 is used, so that no model is loaded;
    reporter: hears of loading; remark: of notes. Models load with the first query that needs them.
    Raises NotFoundError: there is no such index; IndexFault: it is damaged; ModelError.
    """

    def __init__(
        self,
        *names: str,
        device: str = "auto",
        encodes: bool = True,
        reporter: Reporter = silent,
        remark: Remark = _unheard,
    ) -> None:
        from bioretrieval_tui.index.layout import CATALOGUE
        from bioretrieval_tui.search.federated import Federation

        self._open = contextlib.ExitStack()
        self._reporter = reporter
        self.names = tuple(dict.fromkeys(names)) or (CATALOGUE,)
        with contextlib.ExitStack() as failing:
            failing.callback(self._open.close)
            one = partial(self._engine, device, encodes, remark)
            self.federation: Federation = Federation(self.names, one)
            failing.pop_all()

    def _engine(self, device: str, encodes: bool, remark: Remark, name: str) -> SearchEngine:
        from bioretrieval_tui.index.layout import CATALOGUE
        from bioretrieval_tui.search.engine import SearchEngine

        if name == CATALOGUE:
            from bioretrieval_tui.encoding.encoder_registry import load_encoder
            from bioretrieval_tui.search.catalogue_index import index_catalogue

            load = partial(load_encoder, device=device, reporter=self._reporter)
            if note := index_catalogue(load if encodes else None, self._reporter).note:
                remark(note)
        engine = SearchEngine.open(name, device=device, reporter=self._reporter, ready=False)
        return self._open.enter_context(contextlib.closing(engine))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._open.close()

    def __len__(self) -> int:
        """Documents of all indexes."""
        return sum(one.index.manifest.documents for one in self.federation.engines.values())

    def search(
        self,
        text: str,
        k: int = 10,
        *,
        mode: str = "hybrid",
        where: str = "",
        sort: str = "relevance",
    ) -> list[Hit]:
        """The best `k` hits of a query, best first. mode: "hybrid" (BM25 and dense), "dense" or
        "lexical" (BM25); where: a filter, as in "year:2019.. mesh:asthma"; sort: "relevance", or
        "date" for the newest of the top hits first. Raises UsageError, FilterError, ModelError,
        IndexFault."""
        from bioretrieval_tui.search.types import Query

        query = Query(text=text, k=k, mode=mode, where=where, order=sort)
        return list(self.result(query).hits)

    def result(self, query: Query) -> SearchResult:
        """The hits of a query with facets, counts and notes. Raises as `search`."""
        query = query.checked()
        if query.mode != "lexical":
            self.federation.load(self._reporter)
        return self.federation.search(query)

    def search_many(
        self,
        texts: Mapping[str, str] | Iterable[str],
        k: int = 10,
        *,
        mode: str = "hybrid",
        where: str = "",
    ) -> Iterator[tuple[str, list[Hit]]]:
        """The id and the hits of each query, in their order. texts: by id, or one after the other,
        numbered from 1. Queries are encoded in batches, so this is faster than `search` for each;
        memory holds two batches. Raises as `search`."""
        from bioretrieval_tui.search.batch import answers
        from bioretrieval_tui.search.types import Query

        named = texts.items() if isinstance(texts, Mapping) else (
            (str(number), text) for number, text in enumerate(texts, start=1)
        )  # fmt: skip
        asked = Query(text="any", k=k, mode=mode, where=where).checked()
        if asked.mode != "lexical":
            self.federation.load(self._reporter)
        queries = ((one, Query(text=text, k=k, mode=mode, where=where).checked())
                   for one, text in named)  # fmt: skip
        search = partial(self.federation.search, facets=False)
        return ((one, list(found.hits)) for one, found in answers(self.federation, queries, search))

    def explain(self, text: str, hits: Sequence[Hit], *, mode: str = "hybrid") -> list[Explanation]:
        """Why hits of a query were found: ranks, terms, the nearest sentence; in their order."""
        from bioretrieval_tui.search.types import Query

        return self.federation.explain(Query(text=text, mode=mode), hits)

    def similar(self, identifier: str, k: int = 10, *, where: str = "") -> list[Hit]:
        """The documents most similar to one of the first index. Raises NotFoundError: it has no
        such document."""
        return list(self._first.similar(identifier, k, where).hits)

    def document(self, identifier: str) -> Document:
        """The document of an id, or of another id of the same text. Raises NotFoundError."""
        for engine in self.federation.engines.values():
            if (found := engine.index.documents.find(identifier)) is not None:
                return found[1]
        names = " and ".join(self.names)
        raise NotFoundError(f"{names} has no document {identifier}", remedy="search shows ids")

    @property
    def _first(self) -> SearchEngine:
        return next(iter(self.federation.engines.values()))


def indexes() -> list[str]:
    """The names of the indexes on this machine, without those that evaluations made."""
    from bioretrieval_tui.index.registry import list_indexes

    return [one.name for one in list_indexes() if not one.cached]


def build(
    name: str,
    files: Sequence[str | Path],
    *,
    model: str = EMBEDDED,
    lexical: bool = False,
    device: str = "auto",
    reporter: Reporter = silent,
) -> Index:
    """Build the index `name` over files in any format that is read, folders or globs, and open it;
    an index of that name is replaced. model: as of `encoder`; lexical: for BM25 alone, nothing is
    encoded. Raises UsageError: an impossible name; NotFoundError: a file does not exist;
    CorpusError: one cannot be read, or none holds a document; IndexFault: another process writes
    this index, or the disk is full; ModelError. The index is then as it was."""
    from bioretrieval_tui.index.build import build_for_model

    paths = [str(one) for one in files]
    build_for_model(
        name, paths, *model_recipe(model), lexical=lexical, device=device, reporter=reporter
    )
    return Index(name, device=device, encodes=not lexical, reporter=reporter)


# Evaluations ----------------------------------------------------------------------------------


def evaluate(
    folder: str | Path,
    *,
    model: str | None = None,
    modes: Sequence[str] = ("dense", "lexical", "hybrid"),
    split: str | None = None,
    index: str | None = None,
    device: str = "auto",
    download: bool = False,
    reporter: Reporter = silent,
    remark: Remark = _unheard,
) -> EvaluationReport:
    """Evaluate a model, or an index, on a benchmark: a folder in BEIR's layout, Parquet of the hub,
    or a corpus with TREC's topics and qrels. Every mode is kept as a record, as of `eval`. The
    report has nDCG@10, AP@100, R@100, RR@10 and P@10 from 0 to 1, the latency of a query in
    milliseconds, and the published scores beside. Raises NotFoundError: there is no such folder,
    split or model; CorpusError: a line of it is malformed; UsageError: there is no such mode;
    ModelError: the model is not here; IndexFault: the index cannot be written."""
    from bioretrieval_tui.evaluation.runner import EvaluationRequest, evaluate_folder

    hub, recipe = (None, None) if model is None else model_recipe(model)
    asked = tuple("lexical" if one.casefold() == "bm25" else one for one in modes)
    request = EvaluationRequest(
        folder=str(folder), modes=asked, model=hub, recipe=recipe, split=split, index=index,
        device=device, download=download,
    )  # fmt: skip
    return evaluate_folder(request, reporter, remark)


def compare(first: str | ModeReport, second: str | ModeReport) -> Comparison:
    """Compare two evaluations of one benchmark query by query: modes of a report (`report.runs`),
    or ids of records (`eval --list`). The difference is of nDCG@10, second less first, with the p
    value of a paired randomisation test. Raises NotFoundError: there is no such record; UsageError:
    they are not of the same files."""
    from bioretrieval_tui.evaluation.runner import compare_records

    one, other = (given if isinstance(given, str) else given.record for given in (first, second))
    return compare_records(one, other)
