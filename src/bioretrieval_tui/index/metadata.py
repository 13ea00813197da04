"""The metadata of an index: columns from which filters, facets and dates are answered.

Metadata is kept in blocks of consecutive labels, each one file that is written once. A block
numbers the values of its fields, first by field and then by bytes, and holds

    values, value_starts   uint8, int64   UTF-8 of all values, and where value i begins
    forms, form_starts     uint8, int64   each value as filters compare it: forms, each after a \\n,
                                          and a mark before each word
    keys                   uint64         hash of each value as `=` compares it
    exact                  uint64         hash of each value as it is written
    labels, label_starts   uint32, int64  the documents of each value, from 0, ascending
    codes, code_starts     uint32, int64  the values of each document, ascending
    dates                  int32          year, and date as YYYYMMDD, 0 for unknown parts; -1: none

An addition writes the new documents as a block of their own, together with those of the last
blocks where these are smaller, so that the number of blocks stays small. Documents that are
deleted later stay in their block and are left out of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, pairwise
from operator import methodcaller
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import FilterError, IndexFault, UsageError
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.layout import VALUES, share_file
from bioretrieval_tui.index.manifest import COMPACT, FieldFacts, MetadataFacts
from bioretrieval_tui.index.mesh_conditions import exploded
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
from bioretrieval_tui.index.text_index import TextIndex
from bioretrieval_tui.index.vectors import Labels
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.query import Node, ast, parse
from bioretrieval_tui.query.schema import Interval
from bioretrieval_tui.util.folding import equal_key, fold, forms, inner_parts, needles, whole_words

Truths = NDArray[np.bool_]
Codes = NDArray[np.int64]

BUDGET = 192 * 2**20
"""Approximate bytes of memory for the block that is being gathered."""
MOST_READ = 20_000
"""Documents whose text is read for one phrase, at most."""

_SUFFIX = ".columns"
_MAGIC = b"bioretrieval columns 1\n"
_ALIGNMENT = 64
_POSTING_BYTES = 60  # 4 in the buffer; owner, code, key, sorted keys and order while written
_VALUE_BYTES = 600  # a text and its number; its bytes and forms while the block is written
_BATCH = 1_024
_READ_AT_ONCE = 500
_SHORT = 3
"""Strings of so few bytes are found by numpy: they occur nearly everywhere."""
_REMEMBERED = 16
_AGAIN = "build the index again"
_MARK = "\x1f"
_WORD_START = re.compile(r"(?<![^\W_])(?=[^\W_])")
_ARRAYS = "values value_starts forms form_starts keys exact labels label_starts codes code_starts"
_TYPES = "|u1 <i8 |u1 <i8 <u8 <u8 <u4 <i8 <u4 <i8"
_KINDS = {**dict(zip(_ARRAYS.split(), _TYPES.split(), strict=True)), "dates": "<i4"}


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head of a block. first: its first label; fields: distinct values of each field, in order
    of names; left_out: keys with too many values; full: whether there were more keys than are read;
    closed: whether the block reached its memory budget; lengths: of each array."""

    first: int
    rows: int
    fields: dict[str, int]
    left_out: tuple[str, ...]
    full: bool
    closed: bool
    lengths: dict[str, int]


class _BlockWriter:
    """Writes documents, which come in order of their labels from `first` on, as blocks."""

    def __init__(self, folder: Path, first: int, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._first = first
        self._extras: set[str] = set()
        self._left_out: set[str] = set()
        self._full = False
        self._clear()

    def _clear(self) -> None:
        self._fields: dict[str, dict[str, int]] = {}
        self._values = 0
        self._codes = array("I")
        self._counts = array("I")
        self._dates = array("i")
        self._used = 0

    def add(self, document: Document | None) -> None:
        """Add the next document, None for a deleted one. Raises OSError if a full block cannot be
        written."""
        before = len(self._codes)
        if document is None:
            self._dates.extend((-1, -1))
        else:
            self._dates.extend(when(document))
            for field, text in pairs(document):
                code = self._fields[field].get(text) if field in self._fields else None
                if code is None:
                    code = self._code(field, text)
                if code is not None:
                    self._codes.append(code)
        self._counts.append(len(self._codes) - before)
        self._used += (len(self._codes) - before) * _POSTING_BYTES
        if self._used >= self._budget:
            self.flush(closed=True)

    def _code(self, field: str, text: str) -> int | None:
        """The number of a new value within this block, in order of appearance; None: left out."""
        values = self._fields.get(field)
        if values is None:
            if field not in STANDARD:
                if field in self._left_out:
                    return None
                if field not in self._extras and len(self._extras) == MOST_EXTRAS:
                    self._full = True
                    return None
                self._extras.add(field)
            values = self._fields[field] = {}
        if len(values) >= MOST_VALUES and field not in STANDARD:
            self._left_out.add(field)
            # Its codes stay in the buffer; they are dropped when the block is written.
            del self._fields[field]
            return None
        code = values[text] = self._values
        self._values += 1
        self._used += _VALUE_BYTES + 2 * len(text)
        return code

    def flush(self, *, closed: bool) -> None:
        """Write the documents that were added since the last block, if any. Raises OSError."""
        if not self._counts:
            return
        names = sorted(name for name, values in self._fields.items() if values)
        texts: list[str] = []
        numbers: list[int] = []
        for values in (self._fields[name] for name in names):
            ordered = sorted(values)  # as their bytes in UTF-8 are ordered
            texts += ordered
            numbers += map(values.__getitem__, ordered)
        total, rows = len(texts), len(self._counts)
        ranks = np.full(self._values, -1, dtype=np.int64)
        ranks[numbers] = np.arange(total)
        written = list(map(_encoded, texts))
        shown: list[bytes] = []
        keys: list[bytes] = []
        for text in texts:
            some, key = _compared(text)
            shown.append(some)
            keys.append(key)
        codes = ranks[np.frombuffer(self._codes, dtype=np.uint32)]
        owners = np.repeat(np.arange(rows), np.frombuffer(self._counts, dtype=np.uint32))
        # One integer a posting: one sort orders all of them and removes duplicates.
        joined = np.sort((owners * max(1, total) + codes)[codes >= 0])
        joined = joined[np.diff(joined, prepend=-1) > 0]
        owners, codes = np.divmod(joined, max(1, total))
        order = np.argsort(codes, kind="stable")
        arrays: dict[str, NDArray[Any]] = {
            "values": np.frombuffer(b"".join(written), dtype=np.uint8),
            "value_starts": _starts(written),
            "forms": np.frombuffer(b"".join(shown), dtype=np.uint8),
            "form_starts": _starts(shown),
            "keys": _hashes(keys),
            "exact": _hashes(written),
            "labels": owners[order],
            "label_starts": np.searchsorted(codes[order], np.arange(total + 1)),
            "codes": codes,
            "code_starts": np.searchsorted(owners, np.arange(rows + 1)),
            "dates": np.frombuffer(self._dates, dtype=np.int32),
        }
        header = _Header(
            first=self._first,
            rows=rows,
            fields={name: len(self._fields[name]) for name in names},
            left_out=tuple(sorted(self._left_out)),
            full=self._full,
            closed=closed,
            lengths={name: len(arrays[name]) for name in _KINDS},
        )
        # Magic, length of the header, header as JSON, then the arrays, each aligned.
        head = msgspec.json.encode(header)
        with (self._folder / f"block-{self._first:010d}{_SUFFIX}").open("wb") as out:
            out.write(_MAGIC + len(head).to_bytes(8, "little") + head)
            for name, kind in _KINDS.items():
                out.write(bytes(-out.tell() % _ALIGNMENT))
                out.write(np.ascontiguousarray(arrays[name], dtype=kind).data)
        self._first += rows
        self._clear()


def _starts(parts: list[bytes]) -> Labels:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


_encoded: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")
_digest = partial(hashlib.blake2b, digest_size=8)


def _compared(text: str) -> tuple[bytes, bytes]:
    """The forms of a value, each after a line break, which no form contains, and what `=`
    compares."""
    words = fold(text).split()
    key = "".join(words)
    if "-" in key or "_" in key:
        return _marked("\n".join(("", *forms(text, inner=True)))), _encoded(equal_key(text))
    if not key.isalnum():
        return _marked("\n".join(("", " ".join(words), *inner_parts(text)))), _encoded(key)
    # Names and numbers, most of all values: where their words begin is known.
    shown = f"\n{_MARK}" + f" {_MARK}".join(words)
    for part in inner_parts(text):
        shown += f"\n{_MARK}{part}"
    return _encoded(shown), _encoded(key)


def _marked(folded: str) -> bytes:
    """Folded text with a mark, which it never contains, before each word, so that the beginning
    of a word is found by a search for bytes."""
    return _encoded(_WORD_START.sub(_MARK, folded))


def _hashes(parts: Iterable[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join([one.digest() for one in map(_digest, parts)]), dtype="<u8")


def _damaged(problem: str, remedy: str) -> IndexFault:
    return IndexFault(f"the metadata of the index is damaged: {problem}", remedy=remedy)


@contextlib.contextmanager
def _reading(remedy: str) -> Iterator[None]:
    """Turn what numpy and decoding raise for altered bytes into an IndexFault."""
    try:
        yield
    except (OSError, ValueError, LookupError, OverflowError, msgspec.DecodeError) as error:
        raise _damaged(f"it cannot be read ({error})", remedy) from error


class _Block:
    """One block, mapped. arrays: by name, see the module; spans: first code and end of each field.
    Raises IndexFault if it is damaged."""

    def __init__(self, path: Path, remedy: str) -> None:
        self._remedy = remedy
        self.arrays: dict[str, NDArray[Any]] = {}
        with _reading(remedy):
            # A plain view: slicing np.memmap itself costs far more.
            data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
            at = len(_MAGIC) + 8
            magic, size = data[: len(_MAGIC)].tobytes(), data[len(_MAGIC) : at].tobytes()
            head = data[at : at + int.from_bytes(size, "little")].tobytes()
            self.header = header = msgspec.json.decode(head, type=_Header)
            at += len(head)
            for name, kind in _KINDS.items():
                at += -at % _ALIGNMENT
                end = at + header.lengths[name] * np.dtype(kind).itemsize
                self.arrays[name] = data[at:end].view(kind)
                at = end
        self.first, self.rows = header.first, header.rows
        arrays, values = self.arrays, len(self.arrays["keys"])
        ends = [0, *accumulate(header.fields.values())]
        columns = {"value": values, "form": values, "label": values, "code": self.rows}
        starts = [(arrays[f"{name}_starts"], arrays[f"{name}s"], columns[name]) for name in columns]
        if not (
            magic == _MAGIC
            and at == len(data)
            and all(len(first) == count + 1 for first, _, count in starts)
            and all(first[0] == 0 and first[-1] == len(column) for first, column, _ in starts)
            and all(np.all(first[1:] >= first[:-1]) for first, _, _ in starts)
            and len(arrays["codes"]) == len(arrays["labels"])
            and len(arrays["exact"]) == values == ends[-1]
            and len(arrays["dates"]) == 2 * self.rows
        ):
            raise _damaged(f"{path.name} is not whole", remedy)
        self.spans = dict(zip(header.fields, pairwise(ends), strict=True))

    def span(self, field: str) -> tuple[int, int]:
        """The first code of a field and the end of its codes; (0, 0) for one without values."""
        return self.spans.get(field, (0, 0))

    def having(self, field: str) -> Truths:
        """Which rows have a value of a field, (rows,)."""
        return self.with_codes(np.arange(*self.span(field)))

    def with_codes(self, codes: Codes) -> Truths:
        """Which rows have one of these values, (rows,)."""
        found = np.zeros(self.rows, dtype=np.bool_)
        if len(codes):
            starts = self.arrays["label_starts"]
            found[self.arrays["labels"][_ranges(starts[codes], starts[codes + 1])]] = True
        return found

    def beginning(self, field: str, text: str) -> Codes:
        """Codes of the values in which a word begins with `text`."""
        first, end = self.span(field)
        starts = self.arrays["form_starts"][first : end + 1]
        held = self.arrays["forms"][int(starts[0]) : int(starts[-1])]
        found = [np.zeros(0, dtype=np.int64)]
        for needle in needles(text):
            places = _occurrences(held, _marked(needle)) + starts[0]
            # Where a value ends and the next begins, a place belongs to the next.
            codes = np.searchsorted(starts, places, side="right")
            found.append(codes[np.flatnonzero(np.diff(codes, prepend=-1))] - 1 + first)
        return np.concatenate(found)

    def equal(self, field: str, text: str) -> Codes:
        """Codes of the values that equal `text`, ignoring separators and case."""
        first, end = self.span(field)
        wanted = equal_key(text)
        near = np.flatnonzero(self.arrays["keys"][first:end] == _hashes([_encoded(wanted)]))
        fit = [code for code in (near + first).tolist() if equal_key(self.text(code)) == wanted]
        return np.array(fit, dtype=np.int64)

    def text(self, code: int) -> str:
        return self._bytes("value", code).decode("utf-8", "surrogatepass")

    def intact(self, code: int) -> bool:
        """Whether forms and hashes of a value belong to its text."""
        text = self.text(code)
        shown, key = _compared(text)
        hashes = [self.arrays[name][code] for name in ("keys", "exact")]
        return self._bytes("form", code) == shown and bool(
            np.all(_hashes([key, _encoded(text)]) == hashes)
        )

    def codes_of(self, row: int) -> list[tuple[str, int]]:
        """Field and code of all values of a row."""
        start, end = (int(at) for at in self.arrays["code_starts"][row : row + 2])
        codes = self.arrays["codes"][start:end]
        found = []
        for field in self.spans:
            first, beyond = self.span(field)
            mine = codes[(codes >= first) & (codes < beyond)]
            found += [(field, code) for code in mine.tolist()]
        return found

    def counted(self, rows: Labels, field: str) -> tuple[Codes, Labels]:
        """The codes of a field that these rows have, ascending, and how many have each."""
        first, end = self.span(field)
        starts, ends = (self.arrays["code_starts"][rows + more] for more in (0, 1))
        codes = self.arrays["codes"][_ranges(starts, ends)].astype(np.int64)
        codes = codes[(codes >= first) & (codes < end)]
        if end - first > 4 * len(rows):
            return np.unique(codes, return_counts=True)
        counts = np.bincount(codes - first)
        found = np.flatnonzero(counts)
        return found + first, counts[found]

    def _bytes(self, what: str, code: int) -> bytes:
        start, end = (int(at) for at in self.arrays[f"{what}_starts"][code : code + 2])
        data: bytes = self.arrays[f"{what}s"][start:end].tobytes()
        return data


def _occurrences(held: NDArray[np.uint8], needle: bytes) -> Labels:
    if len(needle) <= _SHORT:
        fit = held[: len(held) - len(needle) + 1] == needle[0]
        for offset in range(1, len(needle)):
            fit &= held[offset : offset + len(fit)] == needle[offset]
        return np.flatnonzero(fit)
    data = held.tobytes()
    places = []
    at = data.find(needle)
    while at >= 0:
        places.append(at)
        at = data.find(needle, at + 1)
    return np.array(places, dtype=np.int64)


def _ranges(starts: Labels, ends: Labels) -> Labels:
    """All places from each start to below its end, one after the other."""
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))


def write_metadata(
    out: Path,
    store: DocumentStore,
    *,
    base: tuple[Path, MetadataFacts] | None,
    dead: Labels,
    reporter: Reporter = silent,
    budget: int = BUDGET,
    second: SecondProcess | None = None,
) -> MetadataFacts:
    """Write the metadata of all rows of `store` into the new folder `out`.

    base: folder and facts of the metadata of the store's first rows, whose blocks are shared; those
    of another version are not used. dead: labels that no filter may find. New documents are read
    once, in order; memory holds `budget` bytes of their values and a few bytes a row. second: for
    the later half of many. Raises IndexFault if documents or base are damaged, OSError for a full
    disk.
    """
    out.mkdir(parents=True)
    first, left_out = 0, set[str]()
    if base is not None and base[1].version == VALUES:
        folder, facts = base
        left_out |= set(facts.left_out)
        paths, first = sorted(folder.glob(f"*{_SUFFIX}")), facts.labels
        while paths:
            header = _Block(paths[-1], _AGAIN).header
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
    with _reading(_AGAIN):
        return _facts(_open_blocks(out, store.rows, _AGAIN), alive, left_out)


def _write_blocks(
    out: Path,
    stores: Sequence[Path],
    first: int,
    alive: Truths,
    budget: int,
    reporter: Reporter = silent,
) -> None:
    """Write the rows from label `first` on, as many as `alive` tells of."""
    writer, rows = _BlockWriter(out, first, budget), len(alive)
    with contextlib.closing(DocumentStore(stores)) as store:
        documents = chain.from_iterable(store.batches(_BATCH, first))
        for row, (document, lives) in enumerate(zip(documents, alive.tolist(), strict=False)):
            if row % _BATCH == 0:
                reporter(Progress("linking", row, rows, unit="documents", note="fields"))
            writer.add(document if lives else None)
    writer.flush(closed=False)


def _facts(blocks: list[_Block], alive: Truths, left_out: set[str]) -> MetadataFacts:
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
        if len(np.unique(np.concatenate(exact))) > MOST_VALUES:
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


def _open_blocks(folder: Path, total: int, remedy: str) -> list[_Block]:
    with _reading(remedy):
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
    blocks = [_Block(path, remedy) for path in paths]
    firsts = [0, *accumulate(block.rows for block in blocks)]
    if firsts != [*(block.first for block in blocks), total]:
        raise _damaged(f"its blocks do not hold {total:,} documents", remedy)
    return blocks


def _dates(blocks: list[_Block]) -> NDArray[np.int32]:
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
        documents: DocumentStore,
    ) -> None:
        self._remedy = remedy = COMPACT.format(text.name)
        if facts.version != VALUES:
            raise IndexFault(
                f"the metadata of index {text.name} was made by {facts.version}, this version reads"
                f" {VALUES}",
                remedy=remedy,
            )
        self.facts = facts
        self._blocks = _open_blocks(folder, facts.labels, remedy)
        self._alive = np.ones(facts.labels, dtype=np.bool_)
        self._alive[dead] = False
        self._text = text
        self._documents = documents
        self._found: dict[Node, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()
        with _reading(remedy):
            self._dates = _dates(self._blocks)
            self.schema = schema_of(facts.names)

    def parse(self, expression: str) -> Node:
        """The syntax tree of a filter over these fields, with conditions on MeSH exploded where its
        headings were fetched. Raises FilterError if its syntax is wrong,
        or it names a field that no document has, or words that are not indexed."""
        node = parse(expression, self.schema)
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
        return exploded(node)

    def select(self, node: Node) -> Labels:
        """The labels of the documents that fit and are not deleted, int64 (n,), ascending. Raises
        UsageError for a phrase that may occur in more documents than can be read."""
        with _reading(self._remedy):
            fit = self._remembered(node, lambda one: self._fitting(one, self._alive))
        return np.flatnonzero(fit & self._alive)

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
        with _reading(self._remedy):
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
        named.sort(key=lambda one: (-one[1], _encoded(one[0])))
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
        with _reading(self._remedy):
            return [(name, block.text(code)) for name, code in block.codes_of(row) if name in known]

    def _row(self, label: int) -> tuple[_Block, int]:
        (found,) = [one for one in self._blocks if 0 <= label - one.first < one.rows]
        return found, label - found.first

    def check(self, sampled: int = 100) -> str | None:
        """What is wrong with the metadata, or None: values and dates of a sample of documents are
        compared, some are looked up by their values, and those with each field are counted."""
        with _reading(self._remedy):
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

    def _fitting_rows(self, block: _Block, node: Node) -> Truths:
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
