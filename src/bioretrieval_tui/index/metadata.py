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

import hashlib
import os
import re
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import FilterError, IndexFault, UsageError
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.layout import share_file
from bioretrieval_tui.index.manifest import FieldFacts, MetadataFacts
from bioretrieval_tui.index.metadata_fields import (
    MOST_EXTRAS,
    MOST_VALUES,
    VERSION,
    YEAR,
    is_extra,
    pairs,
    schema_of,
    when,
)
from bioretrieval_tui.index.text_index import TextIndex
from bioretrieval_tui.index.vectors import Labels
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.query import Node, parse
from bioretrieval_tui.query.ast import (
    All,
    Compares,
    Everything,
    Flag,
    Has,
    Matches,
    Not,
    Phrase,
    Word,
)
from bioretrieval_tui.query.ast import (
    Any as AnyOf,
)
from bioretrieval_tui.util.folding import equal_key, forms, needles, whole_words

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
_SEARCHED_AT_ONCE = 16 * 2**20
_COUNTED_AT_ONCE = 50_000
_SHORT = 3
"""Strings of so few bytes are found by numpy: they occur nearly everywhere."""
_REMEMBERED = 16
_REMEDY = "run: bioretrieval-tui index compact {}"
_MARK = "\x1f"
_WORD_START = re.compile(r"(?<![^\W_])(?=[^\W_])")
_KINDS = {
    "values": "|u1",
    "value_starts": "<i8",
    "forms": "|u1",
    "form_starts": "<i8",
    "keys": "<u8",
    "exact": "<u8",
    "labels": "<u4",
    "label_starts": "<i8",
    "codes": "<u4",
    "code_starts": "<i8",
    "dates": "<i4",
}


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head of a block.

    first: its first label; fields: distinct values of each field, in order of names; left_out:
    keys with too many values; full: whether there were more keys than are read; closed: whether
    the block reached its memory budget; lengths: of each array.
    """

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
        """Add the next document, None for a deleted one; raises OSError if a block is full and
        cannot be written."""
        before = len(self._codes)
        if document is None:
            self._dates.extend((-1, -1))
        else:
            self._dates.extend(when(document))
            for field, text in pairs(document):
                code = self._code(field, text)
                if code is not None:
                    self._codes.append(code)
        self._counts.append(len(self._codes) - before)
        self._used += (len(self._codes) - before) * _POSTING_BYTES
        if self._used >= self._budget:
            self.flush(closed=True)

    def _code(self, field: str, text: str) -> int | None:
        """The number of a value within this block, in order of appearance; None: left out."""
        values = self._fields.get(field)
        if values is None:
            if is_extra(field):
                if field in self._left_out:
                    return None
                if field not in self._extras and len(self._extras) == MOST_EXTRAS:
                    self._full = True
                    return None
                self._extras.add(field)
            values = self._fields[field] = {}
        code = values.get(text)
        if code is None:
            if len(values) >= MOST_VALUES and is_extra(field):
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
        ranks = np.full(self._values, -1, dtype=np.int64)
        texts: list[bytes] = []
        compared: list[bytes] = []
        keys: list[int] = []
        for name in names:
            values = self._fields[name]
            for text in sorted(values, key=_encoded):
                ranks[values[text]] = len(texts)
                texts.append(_encoded(text))
                compared.append(_compared(text))
                keys.append(_hash(_encoded(equal_key(text))))
        total, rows = len(texts), len(self._counts)
        codes = ranks[np.frombuffer(self._codes, dtype=np.uint32)]
        owners = np.repeat(np.arange(rows), np.frombuffer(self._counts, dtype=np.uint32))
        # One integer a posting: one sort orders all of them and removes duplicates.
        joined = np.unique((owners * max(1, total) + codes)[codes >= 0])
        owners, codes = np.divmod(joined, max(1, total))
        order = np.argsort(codes, kind="stable")
        arrays: dict[str, NDArray[Any]] = {
            "values": np.frombuffer(b"".join(texts), dtype=np.uint8),
            "value_starts": _starts(texts),
            "forms": np.frombuffer(b"".join(compared), dtype=np.uint8),
            "form_starts": _starts(compared),
            "keys": np.array(keys, dtype=np.uint64),
            "exact": np.fromiter(map(_hash, texts), np.uint64, total),
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
            out.flush()
            os.fsync(out.fileno())
        self._first += rows
        self._clear()


def _starts(parts: list[bytes]) -> Labels:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _compared(text: str) -> bytes:
    """The forms of a value, each after a line break, which no form contains."""
    return _marked("\n".join(("", *forms(text, inner=True))))


def _marked(folded: str) -> bytes:
    """Folded text with a mark, which it never contains, before each word, so that the beginning
    of a word is found by a search for bytes."""
    return _encoded(_WORD_START.sub(_MARK, folded))


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _damaged(problem: str, remedy: str) -> IndexFault:
    return IndexFault(f"the metadata of the index is damaged: {problem}", remedy=remedy)


class _Block:
    """One block, mapped. Raises IndexFault, on opening and by all methods, where it is damaged.

    arrays: by name, see the module; spans: first code and end of each field; years: int32 (rows,),
    -1 where unknown.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._remedy = remedy
        self._checked: set[str] = set()
        try:
            # A plain view: slicing np.memmap itself costs far more.
            data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
            begin = len(_MAGIC) + 8
            if data[: len(_MAGIC)].tobytes() != _MAGIC:
                raise self.damaged("the header is altered")
            size = int.from_bytes(data[len(_MAGIC) : begin].tobytes(), "little")
            self.header = msgspec.json.decode(data[begin : begin + size].tobytes(), type=_Header)
            self.arrays: dict[str, NDArray[Any]] = {}
            at = begin + size
            for name, kind in _KINDS.items():
                at += -at % _ALIGNMENT
                end = at + self.header.lengths.get(name, 0) * np.dtype(kind).itemsize
                if not at <= end <= len(data):
                    raise self.damaged(f"{path.name} is cut off")
                self.arrays[name] = data[at:end].view(kind)
                at = end
        except FileNotFoundError:
            raise
        except (OSError, ValueError, msgspec.DecodeError, OverflowError) as error:
            raise self.damaged(f"{path.name} cannot be read") from error
        if at != len(data):
            raise self.damaged(f"{path.name} has too many bytes")
        self.first, self.rows = self.header.first, self.header.rows
        arrays, values = self.arrays, len(self.arrays["keys"])
        for name, count, column in (
            ("value_starts", values, "values"),
            ("form_starts", values, "forms"),
            ("label_starts", values, "labels"),
            ("code_starts", self.rows, "codes"),
        ):
            starts = arrays[name]
            if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != len(arrays[column]):
                raise self.damaged(f"{name} do not fit {column}")
        ends = [0, *accumulate(self.header.fields.values())]
        if (
            len(arrays["codes"]) != len(arrays["labels"])
            or len(arrays["exact"]) != values
            or len(arrays["dates"]) != 2 * self.rows
            or ends[-1] != values
        ):
            raise self.damaged("its columns have different lengths")
        self.spans = dict(zip(self.header.fields, pairwise(ends), strict=True))
        self.years: NDArray[np.int32] = arrays["dates"][0::2]

    def damaged(self, problem: str) -> IndexFault:
        """The error of a block that cannot be read."""
        return _damaged(problem, self._remedy)

    def span(self, field: str) -> tuple[int, int]:
        """The first code of a field and the end of its codes, checked on first use; (0, 0) for a
        field that the block does not have."""
        first, end = self.spans.get(field, (0, 0))
        if field not in self._checked:
            for name in ("value_starts", "form_starts", "label_starts"):
                starts = self.arrays[name][first : end + 1]
                if starts[0] < 0 or not np.all(starts[1:] >= starts[:-1]):
                    raise self.damaged(f"{name} are not ascending")
            self._checked.add(field)
        return first, end

    def having(self, field: str) -> Truths:
        """Which rows have a value of a field, (rows,)."""
        return self.with_codes(np.arange(*self.span(field)))

    def with_codes(self, codes: Codes) -> Truths:
        """Which rows have one of these values, (rows,)."""
        found = np.zeros(self.rows, dtype=np.bool_)
        if len(codes):
            starts = self.arrays["label_starts"]
            rows = self.arrays["labels"][_ranges(starts[codes], starts[codes + 1])]
            if rows.max(initial=0) >= self.rows:
                raise self.damaged("labels are out of range")
            found[rows] = True
        return found

    def beginning(self, field: str, text: str) -> Codes:
        """Codes of the values in which a word begins with `text`."""
        place, end = self.span(field)
        starts = self.arrays["form_starts"]
        found: list[Codes] = []
        while place < end:
            until = int(np.searchsorted(starts, starts[place] + _SEARCHED_AT_ONCE, "right")) - 1
            until = min(end, max(place + 1, until))
            held = self.arrays["forms"][int(starts[place]) : int(starts[until])]
            # Where a value ends and the next begins, a place belongs to the next.
            for needle in needles(text):
                places = _occurrences(held, _marked(needle)) + starts[place]
                codes = np.searchsorted(starts[place : until + 1], places, side="right")
                found.append(codes[np.flatnonzero(np.diff(codes, prepend=-1))] - 1 + place)
            place = until
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def equal(self, field: str, text: str) -> Codes:
        """Codes of the values that equal `text`, ignoring separators and case."""
        first, end = self.span(field)
        wanted = equal_key(text)
        near = np.flatnonzero(self.arrays["keys"][first:end] == np.uint64(_hash(_encoded(wanted))))
        fit = [code for code in (near + first).tolist() if equal_key(self.text(code)) == wanted]
        return np.array(fit, dtype=np.int64)

    def text(self, code: int) -> str:
        """The value with this code."""
        return self._bytes("value", code).decode("utf-8", "surrogatepass")

    def intact(self, code: int) -> bool:
        """Whether forms and hashes of a value belong to its text."""
        text = self.text(code)
        return (
            self._bytes("form", code) == _compared(text)
            and int(self.arrays["keys"][code]) == _hash(_encoded(equal_key(text)))
            and int(self.arrays["exact"][code]) == _hash(_encoded(text))
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
        width = end - first
        total = np.zeros(width, dtype=np.int64) if width <= 4 * len(rows) else None
        kept = [np.zeros(0, dtype=np.int64)]
        for start in range(0, len(rows), _COUNTED_AT_ONCE):
            some = rows[start : start + _COUNTED_AT_ONCE]
            starts, ends = (self.arrays["code_starts"][some + more] for more in (0, 1))
            if np.any((ends < starts) | (starts < 0) | (ends > len(self.arrays["codes"]))):
                raise self.damaged("code_starts are not ascending")
            codes = self.arrays["codes"][_ranges(starts, ends)].astype(np.int64)
            codes = codes[(codes >= first) & (codes < end)]
            if total is None:
                kept.append(codes)
            else:
                total += np.bincount(codes - first, minlength=width)
        if total is not None:
            found = np.flatnonzero(total)
            return found + first, total[found]
        return np.unique(np.concatenate(kept), return_counts=True)

    def _bytes(self, what: str, code: int) -> bytes:
        start, end = (int(at) for at in self.arrays[f"{what}_starts"][code : code + 2])
        data: bytes = self.arrays[f"{what}s"][start:end].tobytes()
        try:
            data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self.damaged(f"{what}s are not UTF-8") from error
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
    if len(starts) == 1:
        return np.arange(int(starts[0]), int(ends[0]))
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
) -> MetadataFacts:
    """Write the metadata of all rows of `store` into the new folder `out`.

    base: folder and facts of the metadata of the store's first rows, whose blocks are shared;
    those of another version are not used. dead: labels that no filter may find. New documents
    are read once, in order; memory holds `budget` bytes of their values and a few bytes a row.

    Raises:
        IndexFault: documents or base are damaged. OSError: the disk is full. Whatever `reporter`
            raises.
    """
    out.mkdir(parents=True)
    first, left_out = 0, set[str]()
    if base is not None and base[1].version == VERSION:
        folder, facts = base
        left_out |= set(facts.left_out)
        paths, first = sorted(folder.glob(f"*{_SUFFIX}")), facts.labels
        while paths:
            header = _Block(paths[-1], "build the index again").header
            if header.closed or header.rows > 2 * (store.rows - first):
                break
            first = header.first
            paths.pop()
        for path in paths:
            share_file(path, out / path.name)
    alive = np.ones(store.rows, dtype=np.bool_)
    alive[dead] = False
    writer = _BlockWriter(out, first, budget)
    label = first
    for documents in store.batches(_BATCH, first):
        reporter(Progress("linking", label, store.rows, unit="documents", note="fields"))
        for document in documents:
            writer.add(document if alive[label] else None)
            label += 1
    writer.flush(closed=False)
    return _facts(_open_blocks(out, store.rows, "build the index again"), alive, left_out)


def _facts(blocks: list[_Block], alive: Truths, left_out: set[str]) -> MetadataFacts:
    """The facts of all blocks together; `left_out`: keys that are already not fields.

    A key cannot be a field if its value was not read for some document: filters would be wrong.
    """
    own = {name for block in blocks for name in block.spans if is_extra(name)}
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
    names |= {name for block in blocks for name in block.spans if not is_extra(name)}
    living = [alive[block.first : block.first + block.rows] for block in blocks]

    def count(fit: Callable[[_Block], Truths]) -> int:
        parts = zip(blocks, living, strict=True)
        return sum(int(np.count_nonzero(fit(block) & mine)) for block, mine in parts)

    return MetadataFacts(
        version=VERSION,
        labels=len(alive),
        fields=tuple(
            FieldFacts(name=name, documents=count(partial(_Block.having, field=name)))
            for name in sorted(names)
        ),
        dated=count(lambda block: block.years >= 0),
        left_out=tuple(sorted(left_out)),
        full=full,
    )


def _open_blocks(folder: Path, total: int, remedy: str) -> list[_Block]:
    """All blocks in order of their labels, from 0 to below `total`."""
    blocks = [_Block(path, remedy) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    firsts = [0, *accumulate(block.rows for block in blocks)]
    if firsts != [*(block.first for block in blocks), total]:
        raise _damaged(f"its blocks do not hold {total:,} documents", remedy)
    return blocks


class MetadataIndex:
    """The metadata of an index, open for reading by any number of threads at a time.

    facts: what the manifest says of it; schema: the fields that some document has.

    Raises (on construction and by all methods):
        IndexFault: the files are damaged, or were made by another version.
    """

    def __init__(
        self,
        folder: Path,
        facts: MetadataFacts,
        *,
        name: str,
        dead: Labels,
        text: TextIndex,
        documents: DocumentStore,
    ) -> None:
        """Map the blocks of `folder`; `facts` is what `write_metadata` returned.

        name: of the index, for the remedy; dead: labels that no filter finds; text and documents:
        where bare words and phrases are looked up.
        """
        remedy = _REMEDY.format(name)
        if facts.version != VERSION:
            raise IndexFault(
                f"the metadata of index {name} was made by {facts.version}, this version reads"
                f" {VERSION}",
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
        try:
            self.schema = schema_of(facts.names)
        except ValueError as error:
            raise _damaged("its field names are not valid", remedy) from error

    def parse(self, expression: str) -> Node:
        """The syntax tree of a filter over these fields.

        Raises:
            FilterError: its syntax is wrong, or it names a field that no document has, or words
                that are not indexed.
        """
        node = parse(expression, self.schema)
        for sought in _sought(node):
            if not tokens(sought.text):
                raise FilterError(
                    f'"{sought.text}" has no searchable terms',
                    expression=expression,
                    column=max(0, expression.find(sought.text)),
                    remedy="leave it out",
                )
        return node

    def select(self, node: Node) -> Labels:
        """The labels of the documents that fit and are not deleted, int64 (n,), ascending.

        Raises:
            UsageError: a phrase may occur in more documents than can be read.
        """
        fit = self._remembered(node, lambda one: self._fitting(one, self._alive))
        return np.flatnonzero(fit & self._alive)

    def forget(self) -> None:
        """Clear the cache of results."""
        with self._lock:
            self._found.clear()

    def facets(self, labels: Labels, field: str, most: int = 20) -> list[tuple[str, int]]:
        """How many of these documents have each value of a field, at most `most` values.

        The most frequent come first, equal ones in order of the value; years come newest first.
        A field that no document has gives none.
        """
        labels = np.sort(np.asarray(labels, dtype=np.int64))
        known = self.schema.find(field)
        if known is None or not len(labels) or most <= 0:
            return []
        if known.name == YEAR.name:
            years = Counter[int]()
            for block, rows in self._split(labels):
                found, counts = np.unique(block.years[rows], return_counts=True)
                years.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
            newest = sorted((pair for pair in years.items() if pair[0] >= 0), reverse=True)
            return [(str(year), count) for year, count in newest[:most]]
        # Each block numbers its values on its own, so counts are added up by hash.
        hashes, sizes, places = [], [], []
        parts = list(self._split(labels))
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
        found = np.full(len(labels), -1, dtype=np.int64)
        for block in self._blocks:
            mine = (labels >= block.first) & (labels < block.first + block.rows)
            found[mine] = block.arrays["dates"][1::2][labels[mine] - block.first]
        return found

    def values_of(self, label: int) -> list[tuple[str, str]]:
        """Field and value of all metadata of one document, in order, without the year."""
        block, row = self._row(label)
        known = {one.name for one in self.facts.fields}
        return [(name, block.text(code)) for name, code in block.codes_of(row) if name in known]

    def _row(self, label: int) -> tuple[_Block, int]:
        """The block of a label, and the row there."""
        (found,) = [one for one in self._blocks if 0 <= label - one.first < one.rows]
        return found, label - found.first

    def check(self, store: DocumentStore, sampled: int = 100) -> str | None:
        """What is wrong with the metadata, or None.

        Values and dates of a sample of documents are compared with the documents, some documents
        are looked up by their values, and the documents with each field are counted.
        """
        alive = np.flatnonzero(self._alive)
        labels = alive[:: max(1, len(alive) // sampled)]
        names = {one.name for one in self.facts.fields}
        documents = store.get(labels.tolist())
        for number, (label, document) in enumerate(zip(labels.tolist(), documents, strict=True)):
            block, row = self._row(label)
            due = {pair for pair in pairs(document) if pair[0] in names}
            if set(self.values_of(label)) != due:
                return f"document {label} has other values than the index says"
            if not all(block.intact(code) for _, code in block.codes_of(row)):
                return f"values of document {label} do not fit their forms and hashes"
            missing = {name for name, _ in pairs(document) if not is_extra(name)} - names
            if missing:
                return f"document {label} has a field that the index lacks: {min(missing)}"
            if tuple(block.arrays["dates"][2 * row : 2 * row + 2].tolist()) != when(document):
                return f"document {label} has another date than the index says"
            if number < sampled // 10:
                for name, text in sorted(due):
                    if name in ("id", "journal", "mesh", "date") and label not in self.select(
                        Matches(name, "=", (text,))
                    ):
                        return f"document {label} is not found by its {name}"
        said = [(one.name, one.documents) for one in self.facts.fields]
        for name, expected in (*said, (YEAR.name, self.facts.dated)):
            count = len(self.select(Has(name)))
            if count != expected:
                return f"{count:,} documents have {name}, not {expected:,}"
        return None

    def _split(self, labels: Labels) -> Iterator[tuple[_Block, Labels]]:
        """Ascending labels by block, as its rows; blocks without any are left out."""
        for block in self._blocks:
            start, end = np.searchsorted(labels, (block.first, block.first + block.rows))
            if end > start:
                yield block, labels[start:end] - block.first

    def _fitting(self, node: Node, within: Truths) -> Truths:
        """Which documents fit, right for those `within` only. Phrases cost most, so they come
        last and read only the documents that the other conditions leave."""
        match node:
            case Everything():
                return np.ones(self.facts.labels, dtype=np.bool_)
            case Not(inner):
                return ~self._fitting(inner, within)
            case All(nodes):
                for part in sorted(nodes, key=_reads_text):
                    within = within & self._fitting(part, within)
                return within
            case AnyOf(nodes):
                found = np.zeros(self.facts.labels, dtype=np.bool_)
                for part in sorted(nodes, key=_reads_text):
                    found |= self._fitting(part, within & ~found)
                return found
            case Phrase(text):
                return self._phrase(text, within)
            case Word(text):
                return self._with_terms(tokens(text))
            case Flag(field, value):
                # The only boolean field is stored as yes or not at all.
                yes = self._remembered(Has(field), self._condition)
                return yes if value else ~yes
            case Compares():
                return self._condition(node)
            case _:
                return self._remembered(node, self._condition)

    def _condition(self, node: Node) -> Truths:
        return np.concatenate([self._fitting_rows(block, node) for block in self._blocks])

    def _fitting_rows(self, block: _Block, node: Node) -> Truths:
        """Which rows of a block fit a condition on one field."""
        found = np.zeros(block.rows, dtype=np.bool_)
        match node:
            case Has(YEAR.name):
                return block.years >= 0
            case Has(field):
                return block.having(field)
            case Compares(_, intervals):
                years = block.years
                for one in intervals:
                    fit = years >= 0
                    if one.low is not None:
                        low = float(one.low)
                        fit &= (years > low) if one.low_open else (years >= low)
                    if one.high is not None:
                        high = float(one.high)
                        fit &= (years < high) if one.high_open else (years <= high)
                    found |= fit
            case Matches(field, operator, values):
                test = block.equal if operator == "=" else block.beginning
                for value in values:
                    found |= block.with_codes(test(field, value))
            case _:
                raise TypeError(f"{node!r} does not suit its field")
        return found

    def _with_terms(self, terms: list[str]) -> Truths:
        """Documents that have all of these terms in title or text."""
        found = np.ones(self.facts.labels, dtype=np.bool_)
        for term in set(terms):
            having = np.zeros(self.facts.labels, dtype=np.bool_)
            having[self._text.labels_with(term)] = True
            found &= having
        return found

    def _phrase(self, text: str, within: Truths) -> Truths:
        """Documents with these whole words in this order in title or text."""
        terms = tokens(text)
        # A digit may belong to the name before the phrase ("type 2 diabetes"), and be no term.
        safe = [term for term in terms if term.isalpha()] or terms
        candidates = np.flatnonzero(within & self._with_terms(safe))
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
                found[label] = any(
                    whole_words(form, needle)
                    for field in (document.title, document.text)
                    for form in forms(field)
                    for needle in wanted
                )
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


def _sought(node: Node) -> Iterator[Word | Phrase]:
    match node:
        case Word() | Phrase():
            yield node
        case Not(inner):
            yield from _sought(inner)
        case All(nodes) | AnyOf(nodes):
            for part in nodes:
                yield from _sought(part)


def _reads_text(node: Node) -> bool:
    return any(isinstance(sought, Phrase) for sought in _sought(node))
