"""The table of corpus formats, their detection by content (then by file name), and the files that
the arguments of a call name."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from bioretrieval_tui.documents.document import Item, Place, Rejected
from bioretrieval_tui.documents.readers import (
    europepmc_json,
    jats,
    json_corpora,
    pubmed_xml,
    tables,
    tagged,
)
from bioretrieval_tui.documents.source import (
    STDIN,
    ReadOptions,
    SourceDamaged,
    SourceReader,
    reading_fault,
    text_of_head,
)
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class Format:
    """A corpus format.

    name: for `--format`; label: for readers; suffixes: of file names, without `.gz`; recognises:
    whether these first bytes (up to 64 kB, decompressed) are of this format, by content alone;
    read: the items of a source, in file order, bounded in memory; may raise SourceDamaged where a
    file breaks off, and CorpusError if it cannot be read at all.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[SourceReader, ReadOptions], Iterator[Item]]


_LINES = (".jsonl", ".ndjson")
_BEIR = Format("beir", "BEIR JSONL", _LINES, json_corpora.recognises_beir, json_corpora.read_beir)
_MEDLINE = Format(
    "medline",
    "MEDLINE text and PubMed NBIB",
    (".nbib", ".medline"),
    tagged.recognises_medline,
    tagged.read_medline,
)
_RIS = Format("ris", "RIS", (".ris",), tagged.recognises_ris, tagged.read_ris)
_CSV = Format("csv", "CSV", (".csv",), tables.recognises_csv, tables.read_csv)
_TSV = Format("tsv", "TSV", (".tsv", ".tab"), tables.recognises_tsv, tables.read_tsv)

FORMATS: tuple[Format, ...] = (
    Format("parquet", "Parquet", (".parquet",), tables.recognises_parquet, tables.read_parquet),
    Format(
        "pubmed-xml", "PubMed XML", (".xml",), pubmed_xml.recognises, pubmed_xml.read_pubmed_xml
    ),
    Format("jats", "JATS XML", (".nxml", ".xml"), jats.recognises, jats.read_jats),
    Format(
        "europepmc",
        "Europe PMC results",
        (".json", *_LINES),
        europepmc_json.recognises,
        europepmc_json.read_europepmc,
    ),
    Format(
        "medcpt-chunk",
        "MedCPT article chunk",
        (".json",),
        json_corpora.recognises_medcpt,
        json_corpora.read_medcpt,
    ),
    _BEIR,
    Format(
        "medrag", "MedRAG chunks", _LINES, json_corpora.recognises_medrag, json_corpora.read_medrag
    ),
    _MEDLINE,
    _RIS,
    Format("wos", "Web of Science text", (".ciw",), tagged.recognises_wos, tagged.read_wos),
    _CSV,
    _TSV,
)
"""All formats, in the order of detection: the most specific first."""

_NULS = 50
"""A file with a NUL in every so many characters is binary."""
_LINES_TRIED = 50
# For formats of lines or fields the name decides, so that a file with broken first records is
# still read: these are reported, and the others are kept.
_BELIEVED = {
    suffix: format_
    for format_ in (_BEIR, _MEDLINE, _RIS, _CSV, _TSV)
    for suffix in format_.suffixes
}

_FOREIGN = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive (or an Office document)"),
    (b"\x1f\x8b", "compressed with gzip twice"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html|<head|<body)", re.IGNORECASE | re.DOTALL
)


def by_name(name: str) -> Format:
    """The format of that name. Raises UsageError, which lists the names."""
    found = next((one for one in FORMATS if one.name == name), None)
    if found is None:
        raise UsageError(f"there is no format {name!r}", remedy=f"one of: {_names()}")
    return found


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case, without `.gz`."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix == ".gz" else path.suffix


def recognise(source: SourceReader) -> Format:
    """Detect the format of a file that is not read yet.

    Raises:
        CorpusError: the format is not known; the line says what the file seems to be.
    """
    head = source.head()
    suffix = "" if source.path is None else suffix_of(source.path.name)
    foreign = _foreign(head)
    if foreign is None:
        format_ = _by_content(head, suffix) or _BELIEVED.get(suffix)
        if format_ is not None:
            return format_
    raise CorpusError(
        f"{'stdin' if source.name == STDIN else source.name} is {foreign or _guess(head)},"
        f" not one of: {_names()}",
        remedy="name its format with --format if it is one of them",
    )


def _by_content(head: bytes, suffix: str) -> Format | None:
    if tables.is_pubmed_csv(head):
        return _CSV
    for format_ in FORMATS:
        if format_ not in (_CSV, _TSV) and format_.recognises(head):
            return format_
    # If the first record is broken, one of the next decides, if the name agrees.
    likely = [f for f in FORMATS if suffix in f.suffixes and f not in (_CSV, _TSV)]
    rest = head
    for _ in range(_LINES_TRIED if likely else 0):
        rest = rest.partition(b"\n")[2]
        for format_ in likely:
            if rest and format_.recognises(rest):
                return format_
    fitting = [format_ for format_ in (_CSV, _TSV) if format_.recognises(head)]
    named = [format_ for format_ in fitting if suffix in format_.suffixes]
    return next(iter(named or fitting), None)


def _foreign(head: bytes) -> str | None:
    """What a file is that no reader can read, if its first bytes show it."""
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = text_of_head(head[:4096])
    if _HTML.match(text):
        return "an HTML page"
    # A single NUL is a fault of the record that holds it, and reported there.
    if text.count("\0") > len(text) // _NULS:
        return "binary data"
    return None


def _guess(head: bytes) -> str:
    text = text_of_head(head).lstrip()
    if not text:
        return "empty"
    if text.startswith("<"):
        return "XML of another kind" if text.startswith("<?xml") else "markup of another kind"
    return "JSON of another kind" if text[0] in "{[" else "text of another kind"


def _names() -> str:
    return ", ".join(format_.name for format_ in FORMATS)


_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_NO_DOCUMENTS = frozenset({"queries.jsonl", "queries.jsonl.gz", "qrels"})
_SUFFIXES = frozenset(suffix for format_ in FORMATS for suffix in format_.suffixes)


def resolve(inputs: Sequence[str | os.PathLike[str]]) -> list[Path | None]:
    """Find the files that `inputs` name, in order; None stands for stdin ("-").

    A folder with `corpus.jsonl` (BEIR) is that file; another one is all files in and below it
    with the suffix of a format, sorted, without hidden ones and BEIR's queries and qrels. A name
    that is no file but a pattern (`*`, `?`, `[...]`, `**`) is its matches, sorted.

    Raises:
        NotFoundError: a file does not exist, or a pattern or folder gives no file.
        CorpusError: an input is named twice, is not a regular file, or cannot be read.
    """
    files: list[Path | None] = []
    seen: set[tuple[int, int] | None] = set()
    for given in inputs:
        for path in _named(os.fspath(given)):
            key = None if path is None else _key(_look(path))
            if key in seen:
                shown = STDIN if path is None else str(path)
                raise CorpusError(f"{shown} is named twice", remedy="name every input once")
            seen.add(key)
            files.append(path)
    return files


def _named(given: str) -> list[Path | None]:
    if given == STDIN:
        return [None]
    path = Path(given)
    if glob.has_magic(given) and not _is_there(path):
        return [*_matches(given)]
    found = _look(path)
    if stat.S_ISDIR(found.st_mode):
        return [*_within(path)]
    return [_regular(path, found)]


def _matches(pattern: str) -> list[Path]:
    try:
        paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    except (OSError, ValueError) as error:
        raise reading_fault(pattern, error) from error
    found = [(path, _look(path)) for path in paths if _is_there(path)]
    # "data/**" matches folders beside the files within them; folders count only without files.
    files = [_regular(path, info) for path, info in found if not stat.S_ISDIR(info.st_mode)]
    if not files:
        files = [file for path, _ in found for file in _within(path)]
    if not files:
        raise NotFoundError(f"nothing matches {pattern}")
    return files


def _within(folder: Path) -> list[Path]:
    """The files of a folder, sorted; each folder and file once, so that link cycles end."""
    for name in _CORPUS:
        if (folder / name).is_file():
            return [folder / name]
    files: list[Path] = []
    seen = {_key(_look(folder))}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_cannot_list):
        wanted = [Path(root, name) for name in sorted(folders) if _is_wanted(name)]
        folders[:] = [path.name for path in wanted if _is_new(path, seen)]
        wanted = [Path(root, name) for name in names if _is_wanted(name)]
        files += [path for path in wanted if suffix_of(path.name) in _SUFFIXES]
    regular = [path for path in sorted(files) if _is_there(path) and path.is_file()]
    if not regular:
        raise NotFoundError(
            f"{folder} holds no corpus", remedy="name a file, or a folder with files of a format"
        )
    return [path for path in regular if _is_new(path, seen)]


def _cannot_list(error: OSError) -> None:
    raise reading_fault(str(error.filename), error) from error


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and name not in _NO_DOCUMENTS


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    key = _key(_look(path))
    is_new = key not in seen
    seen.add(key)
    return is_new


def _is_there(path: Path) -> bool:
    """Whether it exists; a link that is broken or in a cycle does not."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _look(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        raise reading_fault(str(path), error) from error


def _regular(path: Path, info: os.stat_result) -> Path:
    if not stat.S_ISREG(info.st_mode):
        raise CorpusError(f"{path} is not a regular file", remedy="pipe it in and name it -")
    return path


def _key(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def items(source: SourceReader, format_: Format, options: ReadOptions) -> Iterator[Item]:
    """Yield all items of a source; if the file breaks off, the last one says so.

    Raises:
        CorpusError: the file cannot be read, or changed meanwhile.
    """
    try:
        yield from format_.read(source, options)
    except SourceDamaged as error:
        place = Place(source.name, offset=error.offset)
        yield Rejected(place, error.message, error.remedy)
