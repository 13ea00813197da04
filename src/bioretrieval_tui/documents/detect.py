"""The table of corpus formats, their detection by content (then by file name), and the files that
the arguments of a call name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath
from typing import cast

import msgspec

from bioretrieval_tui.documents.document import (
    Deleted,
    Document,
    Item,
    Place,
    Record,
    RecordFault,
    Rejected,
    Skipped,
)
from bioretrieval_tui.documents.source import (
    STDIN,
    Format,
    ReadSettings,
    SourceDamaged,
    SourceReader,
    reading_fault,
    text_of_head,
    without_blanks,
)
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError

_READERS = {
    "parquet": "tables.PARQUET", "pubmed-xml": "pubmed_xml.PUBMED_XML", "jats": "jats.JATS",
    "endnote-xml": "endnote_xml.ENDNOTE_XML", "europepmc-xml": "europepmc_xml.EUROPEPMC_XML",
    "europepmc": "json_corpora.EUROPEPMC", "medcpt-chunk": "json_corpora.MEDCPT",
    "csl-json": "json_corpora.CSL", "beir": "json_corpora.BEIR", "medrag": "json_corpora.MEDRAG",
    "ris": "ris.RIS", "ovid": "ovid.OVID", "medline": "medline.MEDLINE",
    "wos": "web_of_science.WOS", "refer": "refer.REFER", "refworks": "refer.REFWORKS",
    "bibtex": "bibtex.BIBTEX", "json": "json_corpora.JSON", "csv": "tables.CSV",
    "tsv": "tables.TSV",
}  # fmt: skip
"""Where each format's reader is, which is imported when files are read; in the order of detection:
the most specific first."""
FORMATS = tuple(_READERS)
"""The names of all formats."""
_TABLES = ("csv", "tsv")
# For formats of lines or fields the name decides, so that a file with broken first records is
# still read: these are reported, and the others are kept.
_BELIEVED = ("beir", "ovid", "medline", "ris", "wos", "refer", "bibtex", *_TABLES)
_DEFAULTS = ReadSettings()
_NULS = 50
"""A file with a NUL in every so many characters is binary."""
_LINES_TRIED = 50

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


_FOR_READING = {
    r"\A\W*1[.:]\s.{20,6000}?\bPMID: ?\d": ("PubMed", "save it with the format PubMed (NBIB)"),
    r"\A\W*(?:Record: ?1\s+)?(?:Title|Authors?):\s.{9,6000}?^(?:Accession Num|Database:)": (
        "EBSCO",
        "export it as RIS (Direct Export in RIS Format)",
    ),
    r"^Document 1 of \d+\s*$|^ProQuest document ID:": ("ProQuest", "save it as RIS"),
}
"""Text of databases that is not meant for programs, and the export to choose instead."""


class UnknownFormatError(CorpusError):
    """A file is of none of the formats; `seems`: what it seems to be."""

    def __init__(self, message: str, seems: str, remedy: str | None) -> None:
        super().__init__(message, remedy=remedy)
        self.seems = seems


def by_name(name: str) -> Format:
    """The format of that name. Raises UsageError, which lists the names."""
    if name not in _READERS:
        raise UsageError(f"there is no format {name!r}", remedy=f"one of: {', '.join(FORMATS)}")
    module, _, constant = _READERS[name].partition(".")
    found = getattr(import_module(f"bioretrieval_tui.documents.readers.{module}"), constant)
    return cast("Format", found)


@cache
def formats(*, tables: bool) -> tuple[Format, ...]:
    """The formats of tables, or all others, in the order of detection."""
    return tuple(by_name(name) for name in FORMATS if (name in _TABLES) == tables)


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case, without `.gz`."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix == ".gz" else path.suffix


def recognise(source: SourceReader, settings: ReadSettings = _DEFAULTS) -> Format:
    """Detect the format of a file that is not read yet. Raises CorpusError if it is not known; the
    line says what the file seems to be."""
    head = source.head()
    if (parquet := by_name("parquet")).recognises(head):
        return parquet
    head = without_blanks(head)
    seems = _foreign(head)
    if seems is None:
        suffix = "" if source.path is None else suffix_of(source.path.name)
        format_ = _chosen(head, settings) or _by_content(head, suffix)
        text = text_of_head(head).lstrip()
        if format_ is None or format_.name in _TABLES:
            for pattern, (maker, way) in _FOR_READING.items():
                if re.search(pattern, text, re.DOTALL | re.MULTILINE):
                    what = f"text of {maker} for people to read"
                    raise UnknownFormatError(
                        f"{source.name} is {what}", f"it is {what}: {way}", way
                    )
        format_ = format_ or _believed(suffix)
        if format_ is not None:
            return format_
        kinds = {"<?xml": "XML", "<": "markup", "{": "JSON", "[": "JSON", "": "text"}
        kind = next(kind for mark, kind in kinds.items() if text.startswith(mark))
        seems = f"{kind} of another kind" if text else "empty"
    name = "stdin" if source.name == STDIN else source.name
    what = f"{name} is {seems}, not one of: {', '.join(FORMATS)}"
    remedy: str | None = "name its format with --format if it is one of them"
    if seems == "empty":
        what, remedy = f"{name} is empty", None
    if "--encoding" in seems:
        what, remedy = f"{name} is {seems.partition(' (')[0]}", seems.partition("try ")[2][:-1]
    if "Office" in seems:
        remedy = "save a spreadsheet as CSV, unpack an archive, or name its format with --format"
    raise UnknownFormatError(what, seems, remedy)


def _chosen(head: bytes, settings: ReadSettings) -> Format | None:
    """The format that settings are for, or None: JSON with a mapping, a table with a delimiter."""
    if settings.mapping and text_of_head(head).lstrip()[:1] in ("{", "["):
        return by_name("json")
    sure = formats(tables=False)
    is_sure = settings.delimiter is None or any(one.recognises(head) for one in sure)
    return None if is_sure else by_name("csv")


def applies(format_: Format, settings: ReadSettings, name: str) -> None:
    """Raise UsageError if a setting is given that the format of the file `name` does not have."""
    for option, given in (("map", settings.mapping), ("delimiter", settings.delimiter)):
        if given and option not in format_.takes:
            able = ", ".join(name for name in FORMATS if option in by_name(name).takes)
            what = f"{name} is {format_.name}, to which --{option} does not apply"
            raise UsageError(what, remedy=f"it is for {able}: read other files without it")
    if settings.encoding is not None and format_.name == "parquet":
        what = f"{name} is parquet, to which --encoding does not apply"
        raise UsageError(what, remedy="its texts are UTF-8: read it without the option")


def _by_content(head: bytes, suffix: str) -> Format | None:
    likely, rest = formats(tables=False), head
    for _ in range(1 + _LINES_TRIED):
        for format_ in likely:
            if rest and format_.recognises(rest):
                return format_
        # If the first record is broken, one of the next decides, if the name agrees.
        likely = tuple(format_ for format_ in likely if suffix in format_.suffixes)
        rest = rest.partition(b"\n")[2]
    fitting = [format_ for format_ in formats(tables=True) if format_.recognises(head)]
    fitting.sort(key=lambda format_: suffix not in format_.suffixes)
    return fitting[0] if fitting else None


def _believed(suffix: str) -> Format | None:
    return next((one for one in map(by_name, _BELIEVED) if suffix in one.suffixes), None)


def _foreign(head: bytes) -> str | None:
    """What a file is that no reader can read, if its first bytes show it."""
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive"
    wide = head[:4096]
    for order, letters, nuls in (("le", wide[::2], wide[1::2]), ("be", wide[1::2], wide[::2])):
        if nuls.count(0) * 5 > len(nuls) * 4 > 8 and letters.count(0) * 5 < len(letters):
            return f"text in UTF-16 without a byte order mark (try --encoding utf-16-{order})"
    text = text_of_head(head[:4096])
    if _HTML.match(text):
        return "an HTML page"
    # A single NUL is a fault of the record that holds it, and reported there.
    if text.count("\0") > len(text) // _NULS:
        return "binary data"
    return None


def items(source: SourceReader, format_: Format, settings: ReadSettings) -> Iterator[Item]:
    """Yield all items of a source; if the file breaks off, the last one says so. Raises CorpusError
    if it cannot be read, or changed meanwhile."""
    try:
        for place, record in format_.records(source, settings):
            if isinstance(record, Skipped):
                yield record
                continue
            try:
                if isinstance(record, RecordFault):
                    raise record
                made = format_.document(record)
            except RecordFault as fault:
                yield Rejected(place, fault.reason, fault.remedy or format_.shape)
            else:
                yield Record(made, place) if isinstance(made, Document) else Deleted(made, place)
    except SourceDamaged as error:
        yield Rejected(Place(source.name, offset=error.offset), error.message, error.remedy)


_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_OF_BENCHMARK = "queries and judgements of a benchmark are no documents"
_NO_DOCUMENTS = frozenset({"queries.jsonl", "queries.jsonl.gz", "qrels"})
_QUESTIONS = ("queries", "qrels")
"""Names of these in a benchmark, without endings."""
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp")
_COPIES = (".bak", ".orig", ".old", ".swp")


class Inputs(msgspec.Struct):
    """The files that the arguments of a call name.

    files: in order; None stands for stdin; found: those of folders, which need not be corpora;
    skipped: what was passed over in folders, with the reason.
    """

    files: list[Path | None] = []
    found: set[Path] = set()
    skipped: list[Skipped] = []


def resolve(inputs: Sequence[str | os.PathLike[str]]) -> Inputs:
    """Find the files that `inputs` name ("-" is stdin).

    A folder with `corpus.jsonl` (BEIR) is that file, one with `corpus` and queries (Parquet of the
    model hub) is what is in `corpus`; another one is all files in and below it,
    sorted, without hidden ones, unfinished downloads, copies of editors, and BEIR's queries and
    qrels. A name that is no file but a pattern (`*`, `?`, `[...]`, `**`) is its matches, sorted.

    Raises NotFoundError if a file does not exist, or a pattern or folder gives no file; CorpusError
    if an input is named twice, is not a regular file, or cannot be read.
    """
    found = Inputs()
    seen: set[tuple[int, int] | None] = set()
    for given in inputs:
        for path in [None] if given == STDIN else _named(os.fspath(given), found):
            key = None if path is None else _key(path)
            if key in seen:
                shown = STDIN if path is None else str(path)
                raise CorpusError(f"{shown} is named twice", remedy="name every input once")
            seen.add(key)
            found.files.append(path)
    return found


def _named(given: str, into: Inputs) -> list[Path]:
    # Unlike those of Path, these raise nothing for names that cannot be.
    if not glob.has_magic(given) or os.path.exists(given):  # noqa: PTH110
        path = Path(given)
        is_folder = os.path.isdir(given)  # noqa: PTH112
        return _within(path, into) if is_folder else [_file(path)]
    try:
        names = sorted(glob.glob(given, recursive=True))  # noqa: PTH207
    except (OSError, ValueError) as error:
        raise reading_fault(given, error) from error
    paths = [Path(name) for name in names if os.path.exists(name)]  # noqa: PTH110
    # "data/**" matches folders beside the files within them; folders count only without files.
    files = [_file(path) for path in paths if not path.is_dir()]
    files = files or [file for path in paths for file in _within(path, into)]
    if not files:
        raise NotFoundError(f"nothing matches {given}")
    return files


def _within(folder: Path, into: Inputs) -> list[Path]:
    """The files of a folder, sorted; each folder and file once, so that link cycles end."""
    corpus = next((folder / name for name in _CORPUS if (folder / name).is_file()), None)
    if corpus is None and (folder / "corpus").is_dir() and _has_questions(folder):
        corpus = folder / "corpus"
    seen = {_key(folder)}

    def skip(path: Path, reason: str) -> None:
        into.skipped.append(Skipped(Place(str(path)), reason))

    def is_new(path: Path) -> bool:
        key = _key(path)
        if key in seen:
            skip(path, "it is read under another name")
        known = key in seen
        seen.add(key)
        return not known

    def is_wanted(path: Path) -> bool:
        reason = _unwanted(path.name)
        if corpus is not None and path.name.partition(".")[0] in _QUESTIONS:
            return False  # as expected of a benchmark
        if reason is None and corpus is not None and corpus not in (path, *path.parents):
            reason = f"the folder is a benchmark, whose documents are in {corpus.name}"
        if reason is not None:
            skip(path, reason)
        return reason is None

    files: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_cannot_list):
        below = (Path(root, name) for name in sorted(folders))
        folders[:] = [path.name for path in below if is_wanted(path) and is_new(path)]
        for path in filter(is_wanted, (Path(root, name) for name in sorted(names))):
            # Links may be broken or in a cycle.
            if path.is_file():
                files.append(path)
            else:
                skip(path, "it is not a regular file")
    files = list(filter(is_new, sorted(files)))
    if not files:
        remedy = "name a file, or a folder with files of a format"
        raise NotFoundError(f"{folder} holds no corpus", remedy=remedy)
    into.found.update(path for path in files if path != corpus)
    return files


def _has_questions(folder: Path) -> bool:
    """Whether there are queries beside a corpus, as in folders of the model hub."""
    return any((folder / name).exists() for name in (*_QUESTIONS, "queries.jsonl"))


def _unwanted(name: str) -> str | None:
    """Why a file or folder of that name holds no documents, or None."""
    if name.startswith("."):
        return "it is hidden"
    if name in _NO_DOCUMENTS:
        return _OF_BENCHMARK
    if name.lower().endswith(_UNFINISHED):
        return "it is an unfinished download"
    if name.endswith("~") or name.lower().endswith(_COPIES):
        return "it is a copy that an editor keeps"
    return None


def _cannot_list(error: OSError) -> None:
    raise reading_fault(str(error.filename), error) from error


def _key(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except (OSError, ValueError) as error:
        raise reading_fault(str(path), error) from error
    return info.st_dev, info.st_ino


def _file(path: Path) -> Path:
    if _key(path) and not path.is_file():
        raise CorpusError(f"{path} is not a regular file", remedy="pipe it in and name it -")
    return path
