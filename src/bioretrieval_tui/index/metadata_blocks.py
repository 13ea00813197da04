"""The blocks that hold the metadata of an index: columns of values, each one file.

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
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, pairwise
from operator import methodcaller
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.metadata_fields import (
    MOST_EXTRAS,
    MOST_VALUES,
    STANDARD,
    numbered,
    pairs,
)
from bioretrieval_tui.index.vector_matrix import Labels
from bioretrieval_tui.util.folding import equal_key, fold, forms, inner_parts, needles

Truths = NDArray[np.bool_]
Codes = NDArray[np.int64]

SUFFIX = ".columns"
_MAGIC = b"bioretrieval columns 1\n"
_ALIGNMENT = 64
_POSTING_BYTES = 60  # 4 in the buffer; owner, code, key, sorted keys and order while written
_VALUE_BYTES = 600  # a text and its number; its bytes and forms while the block is written
_SHORT = 3
"""Strings of so few bytes are found by numpy: they occur nearly everywhere."""
_MARK = "\x1f"
_WORD_START = re.compile(r"(?<![^\W_])(?=[^\W_])")
_ARRAYS = "values value_starts forms form_starts keys exact labels label_starts codes code_starts"
_TYPES = "|u1 <i8 |u1 <i8 <u8 <u8 <u4 <i8 <u4 <i8"
_ALNUM = np.array([chr(code).isalnum() and code < 128 for code in range(256)])
_KINDS = {**dict(zip(_ARRAYS.split(), _TYPES.split(), strict=True)), "dates": "<i4"}


class MetadataHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class MetadataBlockWriter:
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
        before, date = len(self._codes), None
        if document is not None:
            for field, text in pairs(document):
                if field == "date":
                    date = text
                code = self._fields[field].get(text) if field in self._fields else None
                if code is None:
                    code = self._code(field, text)
                if code is not None:
                    self._codes.append(code)
        self._dates.extend(numbered(date))
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
        written = list(map(utf8, texts))
        shown, keys = _all_compared(texts)
        exact = _hashes(written)
        hashes = exact.copy()
        others = [at for at, key in enumerate(keys) if key != written[at]]
        hashes[others] = _hashes([keys[at] for at in others])
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
            "keys": hashes,
            "exact": exact,
            "labels": owners[order],
            "label_starts": np.searchsorted(codes[order], np.arange(total + 1)),
            "codes": codes,
            "code_starts": np.searchsorted(owners, np.arange(rows + 1)),
            "dates": np.frombuffer(self._dates, dtype=np.int32),
        }
        header = MetadataHeader(
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
        with (self._folder / f"block-{self._first:010d}{SUFFIX}").open("wb") as out:
            out.write(_MAGIC + len(head).to_bytes(8, "little") + head)
            for name, kind in _KINDS.items():
                out.write(bytes(-out.tell() % _ALIGNMENT))
                out.write(np.ascontiguousarray(arrays[name], dtype=kind).data)
        self._first += rows
        self._clear()


def _starts(parts: list[bytes]) -> Labels:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


utf8: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")
_digest = partial(hashlib.blake2b, digest_size=8)


def _all_compared(texts: list[str]) -> tuple[list[bytes], list[bytes]]:
    """`_compared` of each text, of most in a few calls for all of them."""
    if not texts:
        return [], []
    data = utf8("\n".join(texts))
    codes = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if len(ends) != len(texts) - 1:  # a value of several lines
        data, odd = b"\n" * (len(texts) - 1), np.arange(len(texts))
    else:
        odd = np.searchsorted(ends, _uneven(codes))
    low = data.lower()
    words = np.pad(_ALNUM[np.frombuffer(low, dtype=np.uint8)], (1, 0))
    starts = np.flatnonzero(words[1:] & ~words[:-1])
    marked = np.insert(np.frombuffer(low, dtype=np.uint8), starts, ord(_MARK)).tobytes()
    shown = [b"\n" + one for one in marked.split(b"\n")]
    keys = low.replace(b" ", b"").split(b"\n")
    for at in set(odd.tolist()):
        shown[at], keys[at] = _compared(texts[at])
    return shown, keys


def _uneven(codes: NDArray[np.uint8]) -> Labels:
    """Places in lines of text that have more than one form or key at a glance: letters beyond
    ASCII, hyphens, blanks that are not single, capitals within words."""
    codes = np.concatenate(([ord("\n")], codes, [ord("\n")] * 2))
    blank = (codes == ord(" ")) | (codes == ord("\n"))
    large, small = ((codes >= ord(a)) & (codes <= ord(z)) for a, z in ("AZ", "az"))
    odd = ~blank & (
        (codes <= ord(" ")) | (codes >= 127) | (codes == ord("-")) | (codes == ord("_"))
    )
    odd[:-1] |= small[:-1] & large[1:]
    odd[:-2] |= large[:-2] & large[1:-1] & small[2:]
    odd[:-2] |= blank[:-2] & blank[1:-1]
    odd[1:-1] |= blank[:-2] & blank[1:-1]
    return np.flatnonzero(odd[1:-2])


def _compared(text: str) -> tuple[bytes, bytes]:
    """The forms of a value, each after a line break, which no form contains, and what `=`
    compares."""
    words = fold(text).split()
    key = "".join(words)
    if "-" in key or "_" in key:
        return _marked("\n".join(("", *forms(text, inner=True)))), utf8(equal_key(text))
    if not key.isalnum():
        return _marked("\n".join(("", " ".join(words), *inner_parts(text)))), utf8(key)
    # Names and numbers, most of all values: where their words begin is known.
    shown = f"\n{_MARK}" + f" {_MARK}".join(words)
    for part in inner_parts(text):
        shown += f"\n{_MARK}{part}"
    return utf8(shown), utf8(key)


def _marked(folded: str) -> bytes:
    """Folded text with a mark, which it never contains, before each word, so that the beginning
    of a word is found by a search for bytes."""
    return utf8(_WORD_START.sub(_MARK, folded))


def _hashes(parts: Iterable[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join([one.digest() for one in map(_digest, parts)]), dtype="<u8")


def _damaged(problem: str, remedy: str) -> IndexFault:
    return IndexFault(f"the metadata of the index is damaged: {problem}", remedy=remedy)


@contextlib.contextmanager
def reading_blocks(remedy: str) -> Iterator[None]:
    """Turn what numpy and decoding raise for altered bytes into an IndexFault."""
    try:
        yield
    except (OSError, ValueError, LookupError, OverflowError, msgspec.DecodeError) as error:
        raise _damaged(f"it cannot be read ({error})", remedy) from error


class MetadataBlock:
    """One block, mapped. arrays: by name, see the module; spans: first code and end of each field.
    Raises IndexFault if it is damaged."""

    def __init__(self, path: Path, remedy: str) -> None:
        self._remedy = remedy
        self.arrays: dict[str, NDArray[Any]] = {}
        with reading_blocks(remedy):
            # A plain view: slicing np.memmap itself costs far more.
            data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
            at = len(_MAGIC) + 8
            magic, size = data[: len(_MAGIC)].tobytes(), data[len(_MAGIC) : at].tobytes()
            head = data[at : at + int.from_bytes(size, "little")].tobytes()
            self.header = header = msgspec.json.decode(head, type=MetadataHeader)
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
        near = np.flatnonzero(self.arrays["keys"][first:end] == _hashes([utf8(wanted)]))
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
            np.all(_hashes([key, utf8(text)]) == hashes)
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


def open_blocks(folder: Path, total: int, remedy: str) -> list[MetadataBlock]:
    with reading_blocks(remedy):
        paths = sorted(folder.glob(f"*{SUFFIX}"))
    blocks = [MetadataBlock(path, remedy) for path in paths]
    firsts = [0, *accumulate(block.rows for block in blocks)]
    if firsts != [*(block.first for block in blocks), total]:
        raise _damaged(f"its blocks do not hold {total:,} documents", remedy)
    return blocks
