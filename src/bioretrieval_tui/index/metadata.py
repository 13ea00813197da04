"""The metadata of an index: columns from which filters, facets and dates are answered.

Metadata is kept in blocks of consecutive labels (`metadata_blocks`). An addition writes the new
documents as a block of their own, together with those of the last blocks where these are smaller,
so that the number of blocks stays small. Documents that are deleted later stay in their block and
are left out of results.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.store import Documents, DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.errors import FilterError, IndexFault, UsageError
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.layout import VALUES, share_file
from bioretrieval_tui.index.manifest import COMPACT, FieldFacts, MetadataFacts
from bioretrieval_tui.index.mesh_conditions import exploded
from bioretrieval_tui.index.metadata_blocks import (
    SUFFIX,
    MetadataBlock,
    MetadataBlockWriter,
    Truths,
    open_blocks,
    reading_blocks,
    utf8,
)
from bioretrieval_tui.index.metadata_fields import (
    MOST_EXTRAS,
    MOST_VALUES,
    STANDARD,
    YEAR,
    pairs,
    schema_of,
    when,
)
from bioretrieval_tui.index.second_process import SAVES_FROM, SecondProcess
from bioretrieval_tui.index.shelf_conditions import ShelfConditions
from bioretrieval_tui.index.text_index import TextIndex
from bioretrieval_tui.index.vector_matrix import Labels
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.query import Node, Schema, ast, parse
from bioretrieval_tui.query.schema import Interval
from bioretrieval_tui.util.folding import forms, needles, whole_words

BUDGET = 192 * 2**20
"""Approximate bytes of memory for the block that is being gathered."""
MOST_READ = 20_000
"""Documents whose text is read for one phrase, at most."""

_EARLY = 20_000
"""Documents of a block that is written while others are still read: about those that fill the
memory of a block, where they have few fields."""
_BATCH = 1_024
_READ_AT_ONCE = 500
_REMEMBERED = 16
_AGAIN = "build the index again"


class EarlyBlocks:
    """Writes blocks into the new folder `out` of documents that `writer`, of a new index, has
    already, while it is given others; `end`: the label after the last that is written."""

    def __init__(self, out: Path, writer: StoreWriter, second: SecondProcess) -> None:
        out.mkdir(parents=True)
        self._out, self._writer, self._second = out, writer, second
        self.end = 0

    def follow(self, end: int) -> None:
        """Write a block if so many documents below label `end` are in none. Raises as `StoreWriter`
        does, and OSError for a full disk."""
        if end - self.end >= _EARLY:
            rows = self._writer.fields(self.end, _EARLY)
            self._second.begin(_write_early, self._out, self.end, rows)
            self._second.end()
            self.end += len(rows)


def _write_early(out: Path, first: int, rows: list[tuple[str, bool, bytes] | None]) -> None:
    """Write blocks of rows of `StoreWriter.fields`."""
    writer, decoder = MetadataBlockWriter(out, first, BUDGET // 2), msgspec.json.Decoder()
    for row in rows:
        if row is None:
            writer.add(None)
        else:
            name, has_text, metadata = row
            writer.add(Document(name, text="." * has_text, metadata=decoder.decode(metadata)))
    writer.flush(closed=True)


def write_metadata(
    out: Path,
    store: DocumentStore,
    *,
    base: tuple[Path, MetadataFacts] | None,
    dead: Labels,
    reporter: Reporter = silent,
    budget: int = BUDGET,
    second: SecondProcess | None = None,
    first: int = 0,
) -> MetadataFacts:
    """Write the metadata of all rows of `store` into the folder `out`.

    base: folder and facts of the metadata of the store's first rows, whose blocks are shared; those
    of another version are not used. dead: labels that no filter may find. New documents are read
    once, in order; memory holds `budget` bytes of their values and a few bytes a row. second: for
    the later half of many. first: the label before which all are in early blocks. Raises IndexFault
    if documents or base are damaged, OSError for a full disk.
    """
    out.mkdir(parents=True, exist_ok=True)
    left_out = set[str]()
    if base is not None and base[1].version == VALUES:
        folder, facts = base
        left_out |= set(facts.left_out)
        paths, first = sorted(folder.glob(f"*{SUFFIX}")), facts.labels
        while paths:
            header = MetadataBlock(paths[-1], _AGAIN).header
            if header.closed or header.rows > 2 * (store.rows - first):
                break
            first = header.first
            paths.pop()
        for path in paths:
            share_file(path, out / path.name)
    alive = np.ones(store.rows, dtype=np.bool_)
    alive[dead] = False
    paths = [one.path for one in store.segments]
    if second is None or store.rows - first < SAVES_FROM:
        _write_blocks(out, paths, first, alive[first:], budget, reporter)
    else:
        middle = (first + store.rows) // 2
        second.begin(_write_blocks, out, paths, middle, alive[middle:], budget // 2)
        _write_blocks(out, paths, first, alive[first:middle], budget // 2, reporter)
        second.end()
    with reading_blocks(_AGAIN):
        return _facts(open_blocks(out, store.rows, _AGAIN), alive, left_out)


def _write_blocks(
    out: Path,
    stores: Sequence[Path],
    first: int,
    alive: Truths,
    budget: int,
    reporter: Reporter = silent,
) -> None:
    """Write the rows from label `first` on, as many as `alive` tells of."""
    writer, rows = MetadataBlockWriter(out, first, budget), len(alive)
    with contextlib.closing(DocumentStore(stores)) as store:
        documents = chain.from_iterable(store.batches(_BATCH, first))
        for row, (document, lives) in enumerate(zip(documents, alive.tolist(), strict=False)):
            if row % _BATCH == 0:
                reporter(Progress("linking", row, rows, unit="documents", note="fields"))
            writer.add(document if lives else None)
    writer.flush(closed=False)


def _facts(blocks: list[MetadataBlock], alive: Truths, left_out: set[str]) -> MetadataFacts:
    """The facts of all blocks together; `left_out`: keys that are already not fields. A key cannot
    be a field if its value was not read for some document: filters would be wrong."""
    own = {name for block in blocks for name in block.spans if name not in STANDARD}
    left_out = left_out.union(*(block.header.left_out for block in blocks))
    for block in blocks:
        if block.header.full:
            own &= set(block.spans)
    own -= left_out
    for name in own:
        exact = [block.arrays["exact"][slice(*block.span(name))] for block in blocks]
        values = np.sort(np.concatenate(exact))  # np.unique imports numpy.ma
        if np.count_nonzero(values[1:] != values[:-1]) >= MOST_VALUES:
            left_out.add(name)
    own -= left_out
    full = any(block.header.full for block in blocks) or len(own) > MOST_EXTRAS
    names = set(sorted(own)[:MOST_EXTRAS])
    names |= {name for block in blocks for name in block.spans if name in STANDARD}

    def count(name: str) -> int:
        having = np.concatenate([block.having(name) for block in blocks])
        return int(np.count_nonzero(having & alive))

    return MetadataFacts(
        version=VALUES,
        labels=len(alive),
        fields=tuple(FieldFacts(name=name, documents=count(name)) for name in sorted(names)),
        dated=int(np.count_nonzero((_dates(blocks)[:, 0] >= 0) & alive)),
        left_out=tuple(sorted(left_out)),
        full=full,
    )


def _dates(blocks: list[MetadataBlock]) -> NDArray[np.int32]:
    """Year and date of every row, int32 (rows, 2), -1 where unknown."""
    return np.concatenate([block.arrays["dates"] for block in blocks]).reshape(-1, 2)


class MetadataIndex:
    """The metadata of an index, open for reading by any number of threads at a time.

    facts: what `write_metadata` returned; dead: labels that no filter finds; text, documents: where
    bare words and phrases are looked up; schema: the fields that some document has. Everything
    raises IndexFault if the files are damaged, or were made by another version.
    """

    def __init__(
        self,
        folder: Path,
        facts: MetadataFacts,
        dead: Labels,
        text: TextIndex,
        documents: Documents,
    ) -> None:
        self._remedy = remedy = COMPACT.format(text.name)
        if facts.version != VALUES:
            raise IndexFault(
                f"the metadata of index {text.name} was made by {facts.version}, this version reads"
                f" {VALUES}",
                remedy=remedy,
            )
        self.facts = facts
        self._blocks = open_blocks(folder, facts.labels, remedy)
        self._alive = np.ones(facts.labels, dtype=np.bool_)
        self._alive[dead] = False
        self._text = text
        self._documents = documents
        self._shelf = ShelfConditions(text.name, facts.names, documents)
        self._found: dict[Node, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()
        with reading_blocks(remedy):
            self._dates = _dates(self._blocks)
            self.schema = schema_of(facts.names)

    def parse(self, expression: str) -> Node:
        """The syntax tree of a filter over these fields, see `parsed`."""
        return parsed(expression, self.schema, self._shelf)

    def select(self, node: Node) -> Labels:
        """The labels of the documents that fit and are not deleted, int64 (n,), ascending. Raises
        UsageError for a phrase that may occur in more documents than can be read."""
        with reading_blocks(self._remedy):
            fit = self._remembered(node, lambda one: self._fitting(one, self._alive))
        return np.flatnonzero(fit & self._alive)

    def first(self, node: Node, most: int) -> list[int]:
        """The first labels of `select`."""
        found: list[int] = self.select(node)[:most].tolist()
        return found

    def among(self, labels: Labels, kept: Labels) -> Labels:
        """Those of `labels` that are in `kept`, in their order."""
        return labels[np.isin(labels, kept)]

    def facets(self, labels: Labels, field: str, most: int = 20) -> list[tuple[str, int]]:
        """How many of these documents have each value of a field: the `most` frequent, equal ones
        in order of the value; years newest first. A field that no document has gives none."""
        known = self.schema.find(field)
        labels = np.sort(np.asarray(labels, dtype=np.int64))
        parts = []  # the labels by block, as its rows
        for block in self._blocks:
            start, end = np.searchsorted(labels, (block.first, block.first + block.rows))
            if end > start:
                parts.append((block, labels[start:end] - block.first))
        if known is None or not parts or most <= 0:
            return []
        if known.name == YEAR.name:
            years, counts = np.unique(self._dates[labels, 0], return_counts=True)
            newest = [*zip(years.tolist(), counts.tolist(), strict=True)][::-1]
            return [(str(year), count) for year, count in newest if year >= 0][:most]
        with reading_blocks(self._remedy):
            # Each block numbers its values on its own, so counts are added up by hash.
            hashes, sizes, places = [], [], []
            for number, (block, rows) in enumerate(parts):
                codes, counts = block.counted(rows, known.name)
                hashes.append(block.arrays["exact"][codes])
                sizes.append(counts)
                places.append(codes * len(parts) + number)
            unique, first, group = np.unique(
                np.concatenate(hashes), return_index=True, return_inverse=True
            )
            totals = np.bincount(group, weights=np.concatenate(sizes), minlength=len(unique))
            joined = np.concatenate(places)[first]
            # All values that tie with the last one due must be seen before the text decides.
            least = np.sort(totals)[-most:].min(initial=len(labels))
            named = []
            for at in np.flatnonzero(totals >= least).tolist():
                code, number = divmod(int(joined[at]), len(parts))
                named.append((parts[number][0].text(code), int(totals[at])))
        named.sort(key=lambda one: (-one[1], utf8(one[0])))
        return named[:most]

    def dates(self, labels: Labels) -> Labels:
        """The dates of these documents, int64 (n,), as YYYYMMDD; 0 for unknown parts, and -1 for
        no date."""
        found: Labels = self._dates[labels, 1].astype(np.int64)
        return found

    def values_of(self, label: int) -> list[tuple[str, str]]:
        """Field and value of all metadata of one document, in order, without the year."""
        block, row = self._row(label)
        known = {one.name for one in self.facts.fields}
        with reading_blocks(self._remedy):
            return [(name, block.text(code)) for name, code in block.codes_of(row) if name in known]

    def _row(self, label: int) -> tuple[MetadataBlock, int]:
        (found,) = [one for one in self._blocks if 0 <= label - one.first < one.rows]
        return found, label - found.first

    def check(self, sampled: int = 100) -> str | None:
        """What is wrong with the metadata, or None: values and dates of a sample of documents are
        compared, some are looked up by their values, and those with each field are counted."""
        with reading_blocks(self._remedy):
            alive = np.flatnonzero(self._alive)
            labels = alive[:: max(1, len(alive) // sampled)]
            names = {one.name for one in self.facts.fields}
            documents = self._documents.get(labels.tolist())
            for number, (label, document) in enumerate(
                zip(labels.tolist(), documents, strict=True)
            ):
                block, row = self._row(label)
                due = {pair for pair in pairs(document) if pair[0] in names}
                if set(self.values_of(label)) != due:
                    return f"document {label} has other values than the index says"
                if not all(block.intact(code) for _, code in block.codes_of(row)):
                    return f"values of document {label} do not fit their forms and hashes"
                missing = {name for name, _ in pairs(document) if name in STANDARD} - names
                if missing:
                    return f"document {label} has a field that the index lacks: {min(missing)}"
                if tuple(self._dates[label].tolist()) != when(document):
                    return f"document {label} has another date than the index says"
                if number < sampled // 10:
                    for name, text in sorted(due):
                        if name in ("id", "journal", "mesh", "date") and label not in self.select(
                            ast.Matches(name, "=", (text,))
                        ):
                            return f"document {label} is not found by its {name}"
            said = [(one.name, one.documents) for one in self.facts.fields]
            for name, expected in (*said, (YEAR.name, self.facts.dated)):
                count = len(self.select(ast.Has(name)))
                if count != expected:
                    return f"{count:,} documents have {name}, not {expected:,}"
            return None

    def _fitting(self, node: Node, within: Truths) -> Truths:
        """Which documents fit, right for those `within` only. Phrases cost most, so they come
        last and read only the documents that the other conditions leave."""
        match node:
            case ast.Everything():
                return np.ones(self.facts.labels, dtype=np.bool_)
            case ast.Not(inner):
                return ~self._fitting(inner, within)
            case ast.All(nodes):
                for part in sorted(nodes, key=_reads_text):
                    within = within & self._fitting(part, within)
                return within
            case ast.Any(nodes):
                found = np.zeros(self.facts.labels, dtype=np.bool_)
                for part in sorted(nodes, key=_reads_text):
                    found |= self._fitting(part, within & ~found)
                return found
            case ast.Phrase(text):
                return self._phrase(text, within)
            case ast.Word(text):
                return self._with_terms(tokens(text))
            case ast.Flag(field, value):
                # A boolean field is stored as yes or not at all.
                yes = self._remembered(ast.Has(field), self._condition)
                return yes if value else ~yes
            case ast.Has(YEAR.name):
                return self._dates[:, 0] >= 0
            case ast.Compares(_, intervals):
                return self._between(intervals)
            case _:
                return self._remembered(node, self._condition)

    def _between(self, intervals: Sequence[Interval]) -> Truths:
        """Documents whose year is in one of these intervals."""
        years = self._dates[:, 0]
        found = np.zeros(len(years), dtype=np.bool_)
        for one in intervals:
            above = (np.greater if one.low_open else np.greater_equal)(years, one.low or 0)
            high = np.inf if one.high is None else one.high
            found |= above & (np.less if one.high_open else np.less_equal)(years, high)
        return found & (years >= 0)

    def _condition(self, node: Node) -> Truths:
        return np.concatenate([self._fitting_rows(block, node) for block in self._blocks])

    def _fitting_rows(self, block: MetadataBlock, node: Node) -> Truths:
        """Which rows of a block fit a condition on one field."""
        match node:
            case ast.Has(field):
                return block.having(field)
            case ast.Matches(field, operator, values):
                test = block.equal if operator == "=" else block.beginning
                return block.with_codes(np.concatenate([test(field, value) for value in values]))
        raise TypeError(f"{node!r} does not suit its field")

    def _with_terms(self, terms: list[str]) -> Truths:
        """Documents that have all of these terms in title or text."""
        if not terms:
            return np.ones(self.facts.labels, dtype=np.bool_)
        found = np.concatenate([self._text.labels_with(term) for term in set(terms)])
        having: Truths = np.bincount(found, minlength=self.facts.labels) == len(set(terms))
        return having

    def _phrase(self, text: str, within: Truths) -> Truths:
        """Documents with these whole words in this order in title or text."""
        terms = tokens(text)
        # A digit may belong to the name before the phrase ("type 2 diabetes"), and be no term.
        safe = [term for term in terms if term.isalpha()] or terms
        candidates = np.flatnonzero(within & self._alive & self._with_terms(safe))
        if len(candidates) > MOST_READ:
            raise UsageError(
                f'the phrase "{text}" may occur in {len(candidates):,} documents, more than the'
                f" {MOST_READ:,} that can be read",
                remedy="write the words without quotes, or add a condition that leaves fewer",
            )
        found = np.zeros(self.facts.labels, dtype=np.bool_)
        wanted = needles(text)
        for start in range(0, len(candidates), _READ_AT_ONCE):
            labels = candidates[start : start + _READ_AT_ONCE]
            for label, document in zip(labels, self._documents.get(labels.tolist()), strict=True):
                known = (*forms(document.title), *forms(document.text))
                found[label] = any(whole_words(form, one) for form in known for one in wanted)
        return found

    def _remembered(self, node: Node, make: Callable[[Node], Truths]) -> Truths:
        with self._lock:
            packed = self._found.get(node)
        if packed is None:
            truths = make(node)
            with self._lock:
                while len(self._found) >= _REMEMBERED:
                    del self._found[next(iter(self._found))]
                self._found[node] = np.packbits(truths)
            return truths
        return np.unpackbits(packed, count=self.facts.labels).view(np.bool_)


def parsed(expression: str, schema: Schema, shelf: ShelfConditions) -> Node:
    """The syntax tree of a filter over the fields of an index, with conditions on MeSH exploded
    where its headings were fetched, and those on the shelf as conditions on documents. Raises
    FilterError if its syntax is wrong, or it names a field that no document has, or words that are
    not indexed."""
    node = parse(expression, schema)
    for sought in _sought(node):
        # A phrase is looked up in the text itself, a word by its terms.
        letters = any(map(str.isalnum, sought.text))
        if not (tokens(sought.text) or (letters and isinstance(sought, ast.Phrase))):
            raise FilterError(
                f'"{sought.text}" has no searchable terms',
                expression=expression,
                column=max(0, expression.find(sought.text)),
                remedy="leave it out",
            )
    return shelf.applied(exploded(node))


def _sought(node: Node) -> Iterator[ast.Word | ast.Phrase]:
    match node:
        case ast.Word() | ast.Phrase():
            yield node
        case ast.Not(inner):
            yield from _sought(inner)
        case ast.All(nodes) | ast.Any(nodes):
            for part in nodes:
                yield from _sought(part)


def _reads_text(node: Node) -> bool:
    return any(isinstance(sought, ast.Phrase) for sought in _sought(node))
