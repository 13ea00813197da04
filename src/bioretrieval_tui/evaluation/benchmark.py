"""A benchmark folder: a corpus, queries and judgements, in BEIR's layout, in Parquet as the model
hub has them, or TREC's topics and qrels beside a corpus of any format.

Reading ends at the first malformed record of queries or judgements, because the score of a
half-read file looks like any other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError

DEFAULT_SPLIT = "test"
_SHAPE = (
    "a benchmark holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not; or the same"
    " as Parquet, or as TREC has them"
)
_CORPUS = ("corpus", "documents", "docs", "collection", "metadata")
_QUERIES = ("queries", "topics", "query", "topic")
_QRELS = ("qrels", "data", "default")
"""Names of files and folders; datasets of the hub have their judgements in `data` or `default`."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_ENDINGS = (".gz", ".jsonl", ".json", ".tsv", ".csv", ".txt", ".parquet", ".qrels", ".qrel",
            ".trec", ".xml")  # fmt: skip


class Parts(msgspec.Struct, frozen=True):
    """The files of one benchmark and split. name: the folder's; splits: the names of all splits."""

    name: str
    corpus: tuple[Path, ...]
    queries: tuple[Path, ...]
    qrels: tuple[Path, ...]
    split: str
    splits: tuple[str, ...]


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`; of a plain and a gzipped file, the plain one. split:
    None for `test`, or for the only split. Raises NotFoundError: there is no such folder, file or
    split (the message names the splits); BioRetrievalError: the folder cannot be read."""
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        for names in (_CORPUS, _QUERIES):  # what is missing, before what is missing of it
            _part(folder, names, DEFAULT_SPLIT)
        found = _splits(folder)
        if not found:
            raise NotFoundError(f"{folder} has no judgements: no qrels/*.tsv", remedy=_SHAPE)
        wanted = split or (next(iter(found)) if len(found) == 1 else DEFAULT_SPLIT)
        if wanted not in found:
            raise NotFoundError(
                f"{folder} has no split {wanted}", remedy=f"its splits: {', '.join(sorted(found))}"
            )
        corpus, queries = (_part(folder, names, wanted) for names in (_CORPUS, _QUERIES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"the benchmark {folder} cannot be read: {reason}") from error
    name = folder.absolute().name or "benchmark"
    return Parts(name, corpus, queries, found[wanted], wanted, tuple(sorted(found)))


def _part(folder: Path, names: Sequence[str], split: str) -> tuple[Path, ...]:
    """The files of the corpus or the queries: one of BEIR, else those of a folder, else one of
    another format; only those of the split, where files are of splits."""
    for ending in (".jsonl", ".jsonl.gz"):
        if (found := folder / f"{names[0]}{ending}").is_file():
            return (found,)
    for name in names:
        if (folder / name).is_dir() and (inside := _files_below(folder / name)):
            of_split = [path for path in inside if _split_of(path) == split]
            return tuple(of_split or inside)
    for name in names:
        named = re.compile(rf"{name}(?:[._-].*)?", re.IGNORECASE)
        for path in _listed(folder):
            if named.fullmatch(path.name):
                return (path,)
    raise NotFoundError(f"{folder} is no benchmark: it has no {names[0]}.jsonl", remedy=_SHAPE)


def _splits(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of judgements by split."""
    found: dict[str, list[Path]] = {}
    beside = [path.name for path in folder.iterdir() if path.name.endswith(("-qrels", "_qrels"))]
    for name in (_QRELS[0], *sorted(beside), *_QRELS[1:]):
        if (folder / name).is_dir() and not found:
            _by_split(_files_below(folder / name), found)
    if not found:
        for path in _listed(folder):
            stem = _stem(path)
            rest = re.fullmatch(r"qrels?[._-]?(.*)|(.*)[._-]qrels?", stem, re.IGNORECASE)
            if rest or path.name.casefold().endswith((".qrels", ".qrel")):
                split = (rest[1] or rest[2] if rest else stem) or DEFAULT_SPLIT
                found.setdefault(split, []).append(path)
    return {split: tuple(paths) for split, paths in found.items()}


def _by_split(paths: Iterable[Path], found: dict[str, list[Path]]) -> None:
    for path in paths:
        known = found.setdefault(_split_of(path), [])
        # Of a plain and a gzipped file the plain one counts; shards are one split.
        if not known or _SHARD.search(_stem(path, shard=True)) or path.suffix == ".parquet":
            known.append(path)


def _split_of(path: Path) -> str:
    """The split of a file: `test.tsv`, `test-00000-of-00001.parquet` and `test/0000.parquet`."""
    stem = _stem(path)
    return path.parent.name if stem.isdigit() else stem


def _stem(path: Path, *, shard: bool = False) -> str:
    stem = path.name
    while stem.casefold().endswith(_ENDINGS):
        stem = stem.rpartition(".")[0]
    return stem if shard else _SHARD.sub("", stem)


def _files_below(folder: Path) -> list[Path]:
    """The files below a folder, sorted, plain ones before gzipped ones; only Parquet if there is
    any. Not `glob`, which passes over a folder that cannot be read."""
    files: list[Path] = []
    for path in _listed(folder, folders=True):
        files += _files_below(path) if path.is_dir() else [path]
    parquet = [path for path in files if path.suffix == ".parquet"]
    return sorted(parquet or files, key=lambda path: (path.suffix == ".gz", path))


def _listed(folder: Path, *, folders: bool = False) -> list[Path]:
    """The files that a folder holds and names openly, and its folders."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    wanted = [path for path in inside if path.is_file() or (folders and path.is_dir())]
    documented = ("readme", "license")
    return sorted(path for path in wanted if not path.name.casefold().startswith(documented))


class BenchmarkFolder(msgspec.Struct, frozen=True):
    """One split of a benchmark.

    queries: text by id, in the order of their files, only those with judgements; judgements: grade
    by query id and document id, of these queries; corpus_sums: SHA-256 of the corpus files as
    stored; sha256: of corpus, queries and judgements together; notes: remarks on the scores, one
    line each.
    """

    parts: Parts
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    corpus_sums: tuple[str, ...]
    sha256: str
    notes: tuple[str, ...] = ()

    def judged(self) -> list[str]:
        """The ids of all judged documents, each once, in the order of the judgements."""
        return list(dict.fromkeys(one for graded in self.judgements.values() for one in graded))


def read_benchmark(folder: Path, split: str | None = None) -> BenchmarkFolder:
    """The benchmark in `folder`; of the corpus only the checksum is read. split: None for `test`,
    or for the only split. Raises NotFoundError: no such folder, file or split; CorpusError: a line
    is malformed, a judged query has no text, or no judgement is of a known query."""
    parts = find_parts(folder, split)
    # Reads many formats, of which the list of jobs needs none.
    from bioretrieval_tui.evaluation.topics import read_judgements, read_queries

    asked = read_queries(*parts.queries)
    texts, named = asked.texts, parts.queries[0].name
    judged, again = read_judgements(*parts.qrels)
    kept = {name: text for name, text in texts.items() if name in judged}
    if not kept:
        raise CorpusError(
            f"{parts.qrels[0]} judges no query of {named}",
            remedy="are both of the same benchmark?",
        )
    for name, place in asked.blank.items():
        if name in kept:
            raise CorpusError(f"{place}: query {name!r} has no text")
    grades = {name: judged[name] for name in kept}
    sums, checksum = checksums(parts)
    every = [grade for graded in grades.values() for grade in graded.values()]
    high, low = sum(grade > 1 for grade in every), sum(grade < 1 for grade in every)
    irrelevant = sum(max(graded.values()) < 1 for graded in grades.values())
    unjudged, unknown = len(texts) - len(kept), len(judged) - len(kept)
    remarks = (
        (
            parts.split != DEFAULT_SPLIT and len(parts.splits) == 1,
            f"there is no split {DEFAULT_SPLIT}; {parts.split} is the only one",
        ),
        (unjudged, f"{_are(unjudged)} without a judgement in the split {parts.split}: not run"),
        (unknown, f"{_are(unknown)} judged but not in {named}: left out"),
        (
            irrelevant,
            f"{_are(irrelevant)} without a relevant document: scored 0, as trec_eval does",
        ),
        (again, f"{again}, with the same grade"),
        (high or low, f"judgements: {high:,} of grade 2 or more, {low:,} of grade 0 or less"),
        (asked.repeated, f"{asked.repeated}, with the same text"),
        (asked.asked, f"the queries are the element {asked.asked} of the topics"),
    )
    return BenchmarkFolder(
        parts=parts,
        queries=kept,
        judgements=grades,
        corpus_sums=tuple(sums[: len(parts.corpus)]),
        sha256=checksum,
        notes=tuple(text for holds, text in remarks if holds),
    )


def checksums(parts: Parts) -> tuple[list[str], str]:
    """SHA-256 of each file, those of the corpus first, and of all together. Raises CorpusError: a
    file cannot be read."""
    sums = []
    for path in (*parts.corpus, *parts.queries, *parts.qrels):
        try:
            sums.append(remembered_sha256(path))
        except OSError as error:
            raise reading_fault(str(path), error) from error
    return sums, hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _are(count: int) -> str:
    return "1 query is" if count == 1 else f"{count:,} queries are"
