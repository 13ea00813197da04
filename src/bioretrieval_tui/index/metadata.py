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
blocks where these are smaller, so that the number of blocks stays small. Documents that died later
stay in their block and are left out of answers.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
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
from bioretrieval_tui.query.matcher import Recent
from bioretrieval_tui.util.folding import equal_key, forms, needles, whole_words

Labels = NDArray[np.int64]
Truths = NDArray[np.bool_]
Codes = NDArray[np.int64]

BUDGET = 192 * 2**20
"""Bytes that a block takes up in memory while it is gathered, about."""
MOST_READ = 20_000
"""Documents whose text is read for one phrase."""

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
"""Needles of so few bytes are found by numpy: they occur nearly everywhere."""
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
    """The head of a block: its first label and rows, the distinct values of each field in order
    of names, keys that have too many, whether there were more keys than are read, whether the
    block was closed because it was large, and the length of each array."""

    first: int
    rows: int
    fields: dict[str, int]
    left_out: tuple[str, ...]
    full: bool
    closed: bool
    lengths: dict[str, int]


class BlockWriter:
    """Takes documents in order of their labels and leaves blocks in `folder`."""

    def __init__(self, folder: Path, first: int, *, budget: int = BUDGET) -> None:
        """`first`: the label of the first document; `folder` is there."""
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
        """The next document; None for one that is dead.

        Raises:
            OSError: a block was due and could not be written.
        """
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
            self._flush(closed=True)

    def finish(self) -> None:
        """Write what is left. Raises OSError."""
        if self._counts:
            self._flush(closed=False)

    def _code(self, field: str, text: str) -> int | None:
        """The number of a value within this block, in the order of coming; None: left out."""
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
                # Its codes stay in the buffer until the block is written, and go then.
                del self._fields[field]
                return None
            code = values[text] = self._values
            self._values += 1
            self._used += _VALUE_BYTES + 2 * len(text)
        return code

    def _flush(self, *, closed: bool) -> None:
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
        counts = np.frombuffer(self._counts, dtype=np.uint32)
        codes = ranks[np.frombuffer(self._codes, dtype=np.uint32)]
        owners = np.repeat(np.arange(rows, dtype=np.int64), counts)
        # One integer a posting, so that one sort orders all and shows what came twice.
        joined = np.unique((owners * max(1, total) + codes)[codes >= 0])
        owners, codes = joined // max(1, total), joined % max(1, total)
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
        _write_block(self._folder / f"block-{self._first:010d}{_SUFFIX}", header, arrays)
        self._first += rows
        self._clear()


def _write_block(path: Path, header: _Header, arrays: dict[str, NDArray[Any]]) -> None:
    """One file: magic, length of the header, header as JSON, then the arrays, each aligned."""
    head = msgspec.json.encode(header)
    with path.open("wb") as out:
        out.write(_MAGIC + len(head).to_bytes(8, "little") + head)
        for name, kind in _KINDS.items():
            out.write(bytes(-out.tell() % _ALIGNMENT))
            out.write(np.ascontiguousarray(arrays[name], dtype=kind).data)
        out.flush()
        os.fsync(out.fileno())


def _starts(parts: list[bytes]) -> Labels:
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _compared(text: str) -> bytes:
    """The forms of a value, each after a line break, which no form holds."""
    return _marked("\n".join(("", *forms(text, inner=True))))


def _marked(folded: str) -> bytes:
    """Folded text with a mark, which it does not hold, before each word: whether a word begins
    so is then a search for bytes."""
    return _encoded(_WORD_START.sub(_MARK, folded))


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


class _Block:
    """One block, mapped. Raises IndexFault, on opening and by all methods, where it is damaged."""

    def __init__(self, path: Path, remedy: str) -> None:
        self._remedy = remedy
        self._checked: set[str] = set()
        try:
            mapped = np.memmap(path, dtype=np.uint8, mode="r")
            # A plain view: slices of np.memmap itself cost far more than the slicing.
            data = np.asarray(mapped)
            begin = len(_MAGIC) + 8
            if data[: len(_MAGIC)].tobytes() != _MAGIC:
                raise self.damaged("the header is altered")
            size = int.from_bytes(data[len(_MAGIC) : begin].tobytes(), "little")
            self.header = msgspec.json.decode(data[begin : begin + size].tobytes(), type=_Header)
            self.arrays, end = self._views(data, begin + size)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, msgspec.DecodeError, OverflowError) as error:
            raise self.damaged(f"{path.name} cannot be read") from error
        if end != len(data):
            raise self.damaged(f"{path.name} is cut or has bytes too many")
        self._check_ends()
        self.first, self.rows = self.header.first, self.header.rows
        self.spans: dict[str, tuple[int, int]] = {}
        start = 0
        for name, count in self.header.fields.items():
            self.spans[name] = (start, start + count)
            start += count
        if start != len(self.arrays["keys"]):
            raise self.damaged("its fields do not fit its values")

    def damaged(self, problem: str) -> IndexFault:
        """The error of a block that cannot be answered from."""
        return IndexFault(f"the metadata of the index is damaged: {problem}", remedy=self._remedy)

    def _views(self, data: NDArray[np.uint8], at: int) -> tuple[dict[str, NDArray[Any]], int]:
        """The arrays as views of the file, and where the last of them ends."""
        views: dict[str, NDArray[Any]] = {}
        for name, kind in _KINDS.items():
            at += -at % _ALIGNMENT
            end = at + self.header.lengths.get(name, 0) * np.dtype(kind).itemsize
            if not at <= end <= len(data):
                raise self.damaged("it is cut")
            views[name] = data[at:end].view(kind)
            at = end
        return views, at

    def _check_ends(self) -> None:
        arrays, values = self.arrays, len(self.arrays["keys"])
        for name, count, end in (
            ("value_starts", values, len(arrays["values"])),
            ("form_starts", values, len(arrays["forms"])),
            ("label_starts", values, len(arrays["labels"])),
            ("code_starts", self.header.rows, len(arrays["codes"])),
        ):
            starts = arrays[name]
            if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != end:
                raise self.damaged(f"{name} do not fit their neighbours")
        if (
            len(arrays["codes"]) != len(arrays["labels"])
            or len(arrays["exact"]) != values
            or len(arrays["dates"]) != 2 * self.header.rows
        ):
            raise self.damaged("its columns do not fit one another")

    @property
    def years(self) -> NDArray[np.int32]:
        """The year of each row, int32 (rows,), -1 where it is not known."""
        years: NDArray[np.int32] = self.arrays["dates"][0::2]
        return years

    def span(self, field: str) -> tuple[int, int]:
        """The codes of a field, from and to, checked when it is first asked for; an empty range
        for a field that the block does not have."""
        first, end = self.spans.get(field, (0, 0))
        if field not in self._checked:
            for name in ("value_starts", "form_starts", "label_starts"):
                starts = self.arrays[name][first : end + 1]
                if starts[0] < 0 or not np.all(starts[1:] >= starts[:-1]):
                    raise self.damaged(f"{name} run backwards")
            self._checked.add(field)
        return first, end

    def having(self, codes: Codes) -> Labels:
        """The rows with one of these values, in no order, with repeats."""
        if not len(codes):
            return np.zeros(0, dtype=np.int64)
        starts = self.arrays["label_starts"]
        found = self.arrays["labels"][_ranges(starts[codes], starts[codes + 1])]
        if len(found) and int(found.max()) >= self.rows:
            raise self.damaged("labels lead out of it")
        return found.astype(np.int64)

    def beginning(self, field: str, text: str) -> Codes:
        """Codes of the values in which a word begins with `text`, ascending."""
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
        if len(found) == 1:
            return found[0]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def equal(self, field: str, text: str) -> Codes:
        """Codes of the values that are `text`, separators and case apart, ascending."""
        first, end = self.span(field)
        wanted = equal_key(text)
        near = np.flatnonzero(self.arrays["keys"][first:end] == np.uint64(_hash(_encoded(wanted))))
        fit = [code for code in (near + first).tolist() if equal_key(self.text(code)) == wanted]
        return np.array(fit, dtype=np.int64)

    def text(self, code: int) -> str:
        """The value with this code."""
        return self._bytes("value", code).decode("utf-8", "surrogatepass")

    def intact(self, code: int) -> bool:
        """Whether a value is compared by what it says."""
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
            if (
                np.any(ends < starts)
                or np.any(starts < 0)
                or np.any(ends > len(self.arrays["codes"]))
            ):
                raise self.damaged("code_starts run backwards")
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
            raise self.damaged(f"{what}s hold no text") from error
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
    those of another version are not used. dead: labels that no filter is to find. New documents
    are read once, in order; memory holds `budget` bytes of their values and a few bytes a row.

    Raises:
        IndexFault: documents or base are damaged. OSError: the disk is full. Whatever `reporter`
            raises.
    """
    out.mkdir(parents=True)
    kept: list[Path] = []
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
        kept = paths
    for path in kept:
        share_file(path, out / path.name)
    gone = frozenset(dead[dead >= first].tolist())
    writer = BlockWriter(out, first, budget=budget)
    label = first
    for documents in store.batches(_BATCH, first):
        reporter(Progress("linking", label, store.rows, unit="documents", note="fields"))
        for document in documents:
            writer.add(None if label in gone else document)
            label += 1
    writer.finish()
    return _facts(out, dead, store.rows, left_out)


def _facts(folder: Path, dead: Labels, total: int, left_out: set[str]) -> MetadataFacts:
    """What the blocks of `folder` hold together; `left_out`: keys that are not fields already.

    A key of which the value of any document was not read cannot be a field: filters would answer
    wrongly.
    """
    blocks = _open_blocks(folder, total, "build the index again")
    alive = np.ones(total, dtype=np.bool_)
    alive[dead] = False
    own = {name for block in blocks for name in block.spans if is_extra(name)}
    left_out = left_out.union(*(block.header.left_out for block in blocks))
    for block in blocks:
        if block.header.full:
            own &= set(block.spans)
    own -= left_out
    for name in sorted(own):
        if sum(end - start for start, end in (block.span(name) for block in blocks)) > MOST_VALUES:
            values = set[int]()
            for block in blocks:
                start, end = block.span(name)
                values.update(block.arrays["exact"][start:end].tolist())
            if len(values) > MOST_VALUES:
                left_out.add(name)
    own -= left_out
    full = any(block.header.full for block in blocks) or len(own) > MOST_EXTRAS
    own = set(sorted(own)[:MOST_EXTRAS])
    names = own | {name for block in blocks for name in block.spans if not is_extra(name)}
    fields = []
    for name in sorted(names):
        count = 0
        for block in blocks:
            found = np.zeros(block.rows, dtype=np.bool_)
            found[block.having(np.arange(*block.span(name)))] = True
            count += int(np.count_nonzero(found & alive[block.first : block.first + block.rows]))
        fields.append(FieldFacts(name=name, documents=count))
    dated = sum(
        int(np.count_nonzero((block.years >= 0) & alive[block.first : block.first + block.rows]))
        for block in blocks
    )
    return MetadataFacts(
        version=VERSION,
        labels=total,
        fields=tuple(fields),
        dated=dated,
        left_out=tuple(sorted(left_out)),
        full=full,
    )


def _open_blocks(folder: Path, total: int, remedy: str) -> list[_Block]:
    """All blocks in order of their labels, from 0 to below `total`."""
    blocks = [_Block(path, remedy) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    label = 0
    for block in blocks:
        if block.first != label:
            break
        label += block.rows
    if label != total:
        raise IndexFault(
            f"the metadata of the index is damaged: its blocks do not hold {total:,} documents",
            remedy=remedy,
        )
    return blocks


class MetadataIndex:
    """The metadata of an index, open for reading. Any number of threads may ask at a time.

    schema: the fields that some document of this index has.

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

        name: what the remedy calls the index; dead: labels that no filter finds; text and
        documents: what bare words and phrases are looked up in.
        """
        remedy = _REMEDY.format(name)
        if facts.version != VERSION:
            raise IndexFault(
                f"the metadata of index {name} was made by {facts.version}, this version reads"
                f" {VERSION}",
                remedy=remedy,
            )
        self._facts = facts
        self._blocks = _open_blocks(folder, facts.labels, remedy)
        self._dead = dead
        self._text = text
        self._documents = documents
        self._found: Recent[Node, NDArray[np.uint8]] = Recent(_REMEMBERED)
        self._lock = threading.Lock()
        try:
            self.schema = schema_of(facts.names)
        except ValueError as error:
            raise IndexFault(
                "the metadata of the index is damaged: its fields are none", remedy=remedy
            ) from error

    @property
    def facts(self) -> MetadataFacts:
        """What the manifest says of the metadata."""
        return self._facts

    def parse(self, expression: str) -> Node:
        """The syntax tree of a filter over these fields.

        Raises:
            FilterError: it is wrong, names a field that no document has, or looks for words that
                are not indexed.
        """
        node = parse(expression, self.schema)
        for sought in _sought(node):
            if not tokens(sought.text):
                raise FilterError(
                    f'"{sought.text}" is not looked for: it is too common, or no word',
                    expression=expression,
                    column=max(0, expression.find(sought.text)),
                    remedy="leave it out",
                )
        return node

    def select(self, node: Node) -> Labels:
        """The labels of the living documents that fit, int64 (n,), ascending.

        Raises:
            UsageError: a phrase may stand in more documents than can be read.
        """
        return np.flatnonzero(self._remembered(node, self._living))

    def forget(self) -> None:
        """Drop the remembered results, so that the next filter is evaluated again."""
        with self._lock:
            self._found = Recent(_REMEMBERED)

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
        # Blocks number their values each on its own, so they are added up by hash.
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
        if len(unique) > most:
            least = np.partition(totals, len(totals) - most)[len(totals) - most]
            near = np.flatnonzero(totals >= least)
        else:
            near = np.arange(len(unique))
        named = [
            (_encoded(text), text, int(totals[at]))
            for at in near.tolist()
            for text in [parts[joined[at] % len(parts)][0].text(int(joined[at]) // len(parts))]
        ]
        named.sort(key=lambda one: (-one[2], one[0]))
        return [(text, count) for _, text, count in named[:most]]

    def dates(self, labels: Labels) -> Labels:
        """The dates of these documents, int64 (n,), as YYYYMMDD; unknown parts are 0, and -1 is
        no date at all."""
        found = np.full(len(labels), -1, dtype=np.int64)
        for block in self._blocks:
            mine = (labels >= block.first) & (labels < block.first + block.rows)
            found[mine] = block.arrays["dates"][1::2][labels[mine] - block.first]
        return found

    def values_of(self, label: int) -> list[tuple[str, str]]:
        """All that is known of one document: field and value, in order; the year left out."""
        block, row = self._row(label)
        known = {one.name for one in self._facts.fields}
        return [(name, block.text(code)) for name, code in block.codes_of(row) if name in known]

    def _row(self, label: int) -> tuple[_Block, int]:
        """The block of a label, and its row there."""
        (found,) = [one for one in self._blocks if 0 <= label - one.first < one.rows]
        return found, label - found.first

    def check(self, store: DocumentStore, sampled: int = 100) -> str | None:
        """What is wrong with the metadata, or None.

        Values and dates of a sample of documents are compared with the documents; some are looked
        up by what they hold; and for every field the documents that have it are counted.
        """
        alive = np.setdiff1d(np.arange(store.rows, dtype=np.int64), self._dead, assume_unique=True)
        labels = alive[:: max(1, len(alive) // sampled)]
        names = {one.name for one in self._facts.fields}
        documents = store.get(labels.tolist())
        for number, (label, document) in enumerate(zip(labels.tolist(), documents, strict=True)):
            block, row = self._row(label)
            due = {pair for pair in pairs(document) if pair[0] in names}
            if set(self.values_of(label)) != due:
                return f"document {label} has other values than the index says"
            if not all(block.intact(code) for _, code in block.codes_of(row)):
                return f"values of document {label} are not compared by what they say"
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
        for one in self._facts.fields:
            count = len(self.select(Has(one.name)))
            if count != one.documents:
                return f"{count:,} documents have {one.name}, not {one.documents:,}"
        dated = len(self.select(Has(YEAR.name)))
        if dated != self._facts.dated:
            return f"{dated:,} documents have a year, not {self._facts.dated:,}"
        return None

    def _split(self, labels: Labels) -> Iterator[tuple[_Block, Labels]]:
        """Ascending labels by block, as rows of it; blocks without any are left out."""
        for block in self._blocks:
            start, end = np.searchsorted(labels, (block.first, block.first + block.rows))
            if end > start:
                yield block, labels[start:end] - block.first

    def _living(self, node: Node) -> Truths:
        alive = np.ones(self._facts.labels, dtype=np.bool_)
        alive[self._dead] = False
        return alive & self._fitting(node, alive)

    def _fitting(self, node: Node, within: Truths) -> Truths:
        """Which documents fit; only what it says of those `within` counts. Phrases cost most, so
        they come last and read only what the rest has left."""
        match node:
            case Everything():
                return np.ones(self._facts.labels, dtype=np.bool_)
            case Not(inner):
                return ~self._fitting(inner, within)
            case All(nodes):
                for part in sorted(nodes, key=_reads_text):
                    within = within & self._fitting(part, within)
                return within
            case AnyOf(nodes):
                found = np.zeros(self._facts.labels, dtype=np.bool_)
                for part in sorted(nodes, key=_reads_text):
                    found |= self._fitting(part, within & ~found)
                return found
            case Phrase(text):
                return self._phrase(text, within)
            case Word(text):
                return self._with_terms(list(dict.fromkeys(tokens(text))))
            case Flag(field, value):
                # The one yes-or-no field says yes or nothing, so that no is all the rest.
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
            case Compares(_, _, intervals):
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
            case Has(field):
                found[block.having(np.arange(*block.span(field)))] = True
            case Matches(field, operator, values):
                test = block.equal if operator == "=" else block.beginning
                for value in values:
                    found[block.having(test(field, value))] = True
            case _:
                raise TypeError(f"{node!r} does not suit its field")
        return found

    def _with_terms(self, terms: list[str]) -> Truths:
        """Documents that have all of these terms in title or text."""
        found = np.ones(self._facts.labels, dtype=np.bool_)
        for term in terms:
            having = np.zeros(self._facts.labels, dtype=np.bool_)
            having[self._text.labels_with(term)] = True
            found &= having
        return found

    def _phrase(self, text: str, within: Truths) -> Truths:
        """Documents in whose title or text these words stand in this order, none cut."""
        terms = list(dict.fromkeys(tokens(text)))
        # A digit may belong to the name before the phrase ("type 2 diabetes"), and be no term.
        safe = [term for term in terms if term.isalpha()] or terms
        candidates = np.flatnonzero(within & self._with_terms(safe))
        if len(candidates) > MOST_READ:
            raise UsageError(
                f'the phrase "{text}" may stand in {len(candidates):,} documents, more than can'
                " be looked at",
                remedy="write the words without quotes, or add a condition that leaves fewer",
            )
        found = np.zeros(self._facts.labels, dtype=np.bool_)
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
            packed = self._found.peek(node)
        if packed is None:
            truths = make(node)
            with self._lock:
                self._found.get(node, lambda _: np.packbits(truths))
            return truths
        return np.unpackbits(packed, count=self._facts.labels).view(np.bool_)


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
    """Whether documents must be read to answer it."""
    return any(isinstance(sought, Phrase) for sought in _sought(node))
