"""The text index: BM25 by tantivy over the terms of this package's analyser.

tantivy stores one field of terms, with those of the title `TITLE_WEIGHT` times, so that the score
of a document is the sum over the query's terms of

    weight * idf * (k1 + 1) * tf / (tf + k1 * (1 - b + b * length / average length))

with one saturation over title and text (as in BM25F), k1 = 1.2, b = 0.75 and
idf = ln(1 + (N - n + 0.5) / (n + 0.5)) for n of N documents with the term. Lengths above 40 terms
are stored to about three binary digits. Deleted documents count in N, n and the average until
their segment is merged or the index is compacted.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.superscripts import powers_on_line
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.analysis import spans, tokens
from bioretrieval_tui.index.layout import ANALYSER, ENGINE, share_file
from bioretrieval_tui.index.manifest import COMPACT, TextFacts
from bioretrieval_tui.index.second_process import SAVES_FROM, SecondProcess, begin_together
from bioretrieval_tui.index.vector_matrix import Labels, existing

if TYPE_CHECKING:
    from tantivy import Query

TITLE_WEIGHT = 2
"""How often each term of a title counts; tuned, see `benchmarks/results/text_index.md`."""
MAX_QUERY_CHARACTERS = 200_000
MAX_QUERY_TERMS = 256
"""A longer query keeps the terms with the highest possible scores: the others hardly matter."""

_MEMORY = 64 * 2**20
"""Bytes of postings in memory before tantivy writes a segment."""
_FEW = 200
"""So few labels become a condition of the query; more are a filter on the top documents."""
_COSTLIER = 4
"""A label in a condition takes as long as so many of the top documents."""
_SPARE = 16
"""Documents beyond the `k` best that are looked at for ties."""
_READ_LOCK = ".tantivy-meta.lock"
"""tantivy creates this empty file wherever it opens an index, so it is part of the index."""
_WRITE_LOCK = ".tantivy-writer.lock"
_OS_ERROR = re.compile(r"\(os error (\d+)\)|code: (\d+)")

Scores = NDArray[np.float32]
Terms = Sequence[tuple[str, float]]
"""Terms as `analysis.tokens` gives them, each with its weight."""


def weighted_terms(query: str) -> list[tuple[str, float]]:
    """Each term of `query` with the number of its occurrences; powers as documents have them."""
    counted = Counter(tokens(powers_on_line(query[:MAX_QUERY_CHARACTERS])))
    return [(term, float(count)) for term, count in counted.items()]


def lines_of(texts: Sequence[tuple[str, str]]) -> list[str]:
    """The terms of titles and texts, between blanks."""
    return [" ".join(TITLE_WEIGHT * tokens(title) + tokens(text)) for title, text in texts]


class TextIndexWriter:
    """Writes a text index into a new folder, alone or as an extension of another one. base: the
    folder of the index to extend, whose segments, never changed in place, are shared by hard links
    where the file system has them; helpers: for the terms of many documents. All methods raise
    OSError where the disk is full, and IndexFault where what is extended is damaged."""

    def __init__(
        self, folder: Path, *, base: Path | None = None, helpers: Sequence[SecondProcess] = ()
    ) -> None:
        import tantivy

        folder.mkdir(parents=True)
        self._folder = folder
        self._tantivy = tantivy
        self._base = base
        self._helpers = helpers
        self._added = 0
        if base is not None:
            for path in base.iterdir():
                if path.name not in (_READ_LOCK, _WRITE_LOCK):
                    share_file(path, folder / path.name)
        with self._native():
            if base is None:
                schema = tantivy.SchemaBuilder()
                schema.add_unsigned_field("label", indexed=True, fast=True)
                schema.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
                self._index = tantivy.Index(schema.build(), path=str(folder))
            else:
                self._index = tantivy.Index.open(str(folder))
            # Otherwise a thread of tantivy reopens the folder some time after a commit.
            self._index.config_reader("manual")
            # With one thread, segments are the same on every run.
            self._writer: Any = self._index.writer(heap_size=_MEMORY, num_threads=1)

    def add(self, first_label: int, documents: Sequence[Document]) -> None:
        """Index `documents` under `first_label` and the labels after it."""
        self.begin(documents)(first_label)

    def begin(self, documents: Sequence[Document]) -> Callable[[int], None]:
        """Begin with the terms of documents; returns what indexes them under a first label."""
        texts = [(one.title, one.text) for one in documents]
        lines: Callable[[], list[str]] = partial(lines_of, texts)
        if self._helpers and self._added >= SAVES_FROM:
            lines = begin_together(self._helpers, lines_of, texts)
        self._added += len(texts)
        return lambda first_label: self._write(first_label, lines())

    def _write(self, first_label: int, lines: Sequence[str]) -> None:
        with self._native():
            for label, terms in enumerate(lines, start=first_label):
                row = self._tantivy.Document()
                row.add_unsigned("label", label)
                row.add_text("terms", _encodable(terms))
                self._writer.add_document(row)

    def finish(self, *, dead: Labels, documents: int, total: int) -> TextFacts:
        """Delete the labels `dead`, write everything and close. documents: how many must remain;
        total: all labels, with deleted ones."""
        with self._native():
            if len(dead):
                query, schema = self._tantivy.Query, self._index.schema
                gone = query.term_set_query(schema, "label", dead.tolist())
                self._writer.delete_documents_by_query(gone)
            self._writer.commit()
            self._writer.wait_merging_threads()
            self._writer = None
            self._index.reload()
            count = self._index.searcher().num_docs
        (self._folder / _WRITE_LOCK).unlink(missing_ok=True)
        (self._folder / _READ_LOCK).touch()
        if count != documents:
            raise IndexFault(
                f"the text index holds {count:,} documents, not {documents:,}",
                remedy="build the index again",
            )
        return TextFacts(analyser=ANALYSER, engine=ENGINE, labels=total, documents=count)

    @contextlib.contextmanager
    def _native(self) -> Iterator[None]:
        try:
            with _as_os_errors():
                yield
        except BaseException as error:
            # A panic has a type that cannot be imported and is no Exception.
            unknown = isinstance(error, OSError) and error.errno is None
            if self._base is None or not (unknown or type(error).__name__ == "PanicException"):
                raise
            said = " ".join(str(error.strerror if isinstance(error, OSError) else error).split())
            raise IndexFault(
                f"the text index cannot be extended: {said[:120]}",
                remedy=f"free the disk if it is full, else {COMPACT.format(self._base.parts[-3])}",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            # The folder is about to be deleted, so errors do not matter.
            with contextlib.suppress(ValueError):
                self._writer.rollback()
                self._writer.wait_merging_threads()
            self._writer = None


class TextIndex:
    """One text index, open for reading by any number of threads at a time.

    facts: what `TextIndexWriter.finish` returned. The caller has compared the SHA-256 of every
    file: tantivy checks only what it needs to open them. Everything raises IndexFault if the files
    are damaged, do not fit `facts`, or were made by another analyser or engine.
    """

    def __init__(self, folder: Path, facts: TextFacts, *, name: str) -> None:
        import tantivy

        self._tantivy = tantivy
        self.facts = facts
        self.name = name
        self._remedy = remedy = COMPACT.format(name)
        if (facts.analyser, facts.engine) != (ANALYSER, ENGINE):
            raise IndexFault(
                f"the text index of {name} was made by {facts.analyser} and {facts.engine},"
                f" this version reads {ANALYSER} and {ENGINE}",
                remedy=remedy,
            )
        with self._native():
            index = self._opened(folder)
            index.config_reader("manual")
            self._searcher = index.searcher()
            self._schema = index.schema
        if self._searcher.num_docs != facts.documents or facts.documents > facts.labels:
            raise IndexFault(
                f"the text index of {name} is damaged: it holds {self._searcher.num_docs:,}"
                f" documents, not {facts.documents:,}",
                remedy=remedy,
            )

    def search(
        self, query: str | Terms, k: int, allowed: Labels | None = None
    ) -> tuple[Labels, Scores]:
        """The `k` best documents for `query` and their scores, best first, ties by label.

        query: text, of which a repeated word counts again, or terms with weights, of which those
        above 0 count. Results have at least one term of the query, and are in `allowed` (any order,
        may contain labels that do not exist) unless it is None. A query of stop words only, or an
        empty one, finds nothing.
        """
        total, parsed = self.facts.documents, self._query(query)
        permitted = None if allowed is None else existing(allowed, self.facts.labels)
        k = min(k, total, total if permitted is None else len(permitted))
        if parsed is None or k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        limit, mask = k + _SPARE, None
        if permitted is not None:
            # The best allowed documents are expected among so many of the best of all.
            limit = int(1.5 * limit * self.facts.labels / len(permitted))
            mask = np.zeros(self.facts.labels, dtype=np.bool_)
            mask[permitted] = True
        while True:
            if permitted is not None and len(permitted) <= max(_FEW, limit // _COSTLIER):
                parsed, limit = self._within(parsed, permitted), k + _SPARE
                permitted = mask = None
            limit = min(limit, total)
            labels, scores = self._hits(parsed, limit)
            complete = len(labels) < limit or limit == total
            last = scores.min(initial=np.inf)
            if mask is not None:
                kept = mask[labels]
                labels, scores = labels[kept], scores[kept]
            order = np.lexsort((labels, -scores))[:k]
            # Ties go by label, so all documents with the last score must be seen.
            if complete or (len(order) == k and scores[order[-1]] > last):
                return labels[order], scores[order]
            limit *= 4

    def scores_of(self, query: str | Terms, labels: Labels) -> Scores:
        """The score of each of `labels` for `query`, in their order; 0 if the document has no term
        of the query or does not exist. query: as `search` takes it."""
        labels = np.asarray(labels, dtype=np.int64)
        parsed, wanted = self._query(query), existing(labels, self.facts.labels)
        if parsed is None or not len(wanted):
            return np.zeros(len(labels), np.float32)
        found, given = self._hits(self._within(parsed, wanted), len(wanted))
        known = np.zeros(len(wanted), np.float32)
        known[np.searchsorted(wanted, found)] = given
        places = np.minimum(np.searchsorted(wanted, labels), len(wanted) - 1)
        return np.where(wanted[places] == labels, known[places], np.float32(0))

    def explain(self, query: str, label: int) -> list[tuple[str, float]]:
        """The words of `query` that document `label` matches, as typed (the first of several with
        one term), each with its share of the score, which add up to 1, largest first."""
        typed: dict[str, str] = {}
        query = query[:MAX_QUERY_CHARACTERS]
        for term, start, end in spans(query):
            typed.setdefault(term, query[start:end])
        shares = dict.fromkeys(typed.values(), 0.0)
        for one in self._strongest(weighted_terms(query)):
            shares[typed[one[0]]] += float(self.scores_of([one], np.array([label]))[0])
        whole = sum(shares.values())
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return [(word, score / whole) for word, score in ordered if score > 0]

    def document_frequency(self, term: str) -> int:
        """The number of documents with a term (as `analysis.tokens` gives it)."""
        with self._native():
            return int(self._searcher.doc_freq("terms", _encodable(term)))

    def labels_with(self, term: str) -> Labels:
        """The documents with a term (as `analysis.tokens` gives it), ascending."""
        count = self.document_frequency(term)
        if not count:
            return np.zeros(0, np.int64)
        query = self._term(term, 1.0)
        asc = self._tantivy.Order.Asc
        with self._native():
            hits = self._searcher.search(
                query, count, False, order_by_field="label", order=asc
            ).hits
        return self._labels([hit[0] for hit in hits])

    def _opened(self, folder: Path) -> Any:
        try:
            return self._tantivy.Index.open(str(folder))
        except ValueError as error:
            if "Lockfile" not in str(error):
                raise
        # tantivy creates a lock file beside the files, which a read-only disk refuses.
        links = mkdtemp(prefix="bioretrieval-")
        weakref.finalize(self, shutil.rmtree, links, ignore_errors=True)
        for path in folder.iterdir():
            if path.name != _READ_LOCK:
                Path(links, path.name).symlink_to(path.absolute())
        return self._tantivy.Index.open(links)

    @contextlib.contextmanager
    def _native(self) -> Iterator[None]:
        """Turn errors and panics of tantivy, which mean damaged or missing files, into an
        IndexFault."""
        try:
            yield
        except BaseException as error:
            # A panic has a type that cannot be imported and is no Exception.
            damaged = isinstance(error, ValueError | FileNotFoundError)
            if damaged or type(error).__name__ == "PanicException":
                raise self._damaged() from error
            raise

    def _term(self, term: str, weight: float) -> Query:
        query = self._tantivy.Query
        found = query.term_query(self._schema, "terms", _encodable(term), "freq")
        return found if weight == 1.0 else query.boost_query(found, weight)

    def _query(self, query: str | Terms) -> Query | None:
        """The query of all terms with a weight; None if there are none."""
        strongest = self._strongest(weighted_terms(query) if isinstance(query, str) else query)
        if not strongest:
            return None
        should = self._tantivy.Occur.Should
        parts = [(should, self._term(term, weight)) for term, weight in strongest]
        return self._tantivy.Query.boolean_query(parts)

    def _strongest(self, terms: Terms) -> Terms:
        """Each term once, with the sum of its weights; of too many, the highest possible scores."""
        weights: dict[str, float] = {}
        for term, weight in terms:
            weights[term] = weights.get(term, 0.0) + weight
        found = [(term, weight) for term, weight in weights.items() if 0 < weight < math.inf]
        if len(found) <= MAX_QUERY_TERMS:
            return found
        total = self.facts.documents
        impacts = []
        for place, (term, weight) in enumerate(found):
            count = self.document_frequency(term)
            if count:
                idf = math.log1p(max(0.0, total - count + 0.5) / (count + 0.5))
                impacts.append((-weight * idf, place))
        return [found[place] for _, place in sorted(impacts)[:MAX_QUERY_TERMS]]

    def _within(self, query: Query, labels: Labels) -> Query:
        """`query` restricted to these labels; scores stay the same."""
        queries, occur = self._tantivy.Query, self._tantivy.Occur
        # One query for each label takes a third of the time of a term set query.
        each = [
            (occur.Should, queries.term_query(self._schema, "label", label))
            for label in labels.tolist()
        ]
        allowed = queries.const_score_query(queries.boolean_query(each), 0.0)
        return queries.boolean_query([(occur.Must, allowed), (occur.Must, query)])

    def _hits(self, query: Query, limit: int) -> tuple[Labels, Scores]:
        """The labels and scores of the `limit` best, equal scores in no certain order."""
        with self._native():
            hits = self._searcher.search(query, limit, False).hits
            labels = self._searcher.fast_field_values("label", [hit[1] for hit in hits])
        scores = np.fromiter((hit[0] for hit in hits), np.float32, len(hits))
        # tantivy adds the terms in varying order: scores that differ by rounding are made equal.
        bits = (scores.view(np.int32) + np.int32(32)) & np.int32(-64)
        return self._labels(labels), bits.view(np.float32)

    def _labels(self, stored: Sequence[Any]) -> Labels:
        """Labels as they are stored. Raises IndexFault if one is missing or of no document."""
        try:
            labels = np.array(stored, dtype=np.int64)
        except (TypeError, OverflowError) as error:
            raise self._damaged() from error
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.facts.labels:
            raise self._damaged()
        return labels

    def _damaged(self) -> IndexFault:
        return IndexFault(f"the text index of {self.name} is damaged", remedy=self._remedy)


def _encodable(text: str) -> str:
    """`text` with a question mark for each lone surrogate, which tantivy cannot store."""
    return text.encode("utf-8", "replace").decode()


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn the ValueError that tantivy raises for a failing disk into an OSError."""
    try:
        yield
    except ValueError as error:
        number = _OS_ERROR.search(str(error))
        if number is not None:
            code = int(number[1] or number[2])
            raise OSError(code, os.strerror(code)) from error
        raise OSError(None, f"the text index cannot be written: {error}") from error
