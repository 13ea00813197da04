"""What becomes of records: every one is counted once, and what is rejected says why and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from index_help import (
    build_items,
    deleted,
    never,
    record,
    write_deletions,
    write_records,
    write_texts,
)

from bioretrieval_tui.documents.document import Deleted, Document, Item, Place, Record, Rejected
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.intake import Intake, feed_documents, feed_files
from bioretrieval_tui.index.report import MOST_LISTED, Report

REFUSED = Rejected(Place("made.jsonl", line=3), "no id", "give it one")


def added_up(report: Report) -> bool:
    parts = report.kept + report.duplicates + report.merged + report.replaced + report.rejected
    return report.read == parts


def taken(tmp_path: Path, *items: Item, strict: bool = False) -> Intake:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        intake = Intake(writer, strict=strict)
        for item in items:
            intake.take(item)
        writer.finish()
    return intake


def shown(document: Document) -> str:
    return f"{document.title}{document.text}".strip()


def test_a_document_without_any_text_is_no_document(tmp_path: Path) -> None:
    report = taken(
        tmp_path, record("a", "one"), record("b", " \u200b\n", "-..."), record("c", "", "T")
    ).report
    assert (report.read, report.kept) == (2, 2)
    assert [one.reason for one in report.skipped] == ["document 'b' has neither a title nor a text"]


def test_records_of_one_work_are_paired(tmp_path: Path) -> None:
    fields = {"authors": ["Miller A"], "year": 2011, "doi": "10.1000/x"}
    same = [record(one, f"{one} text", "Herons eat newts", **fields) for one in ("a", "b")]
    for mode, kept, merged in (("report", 2, 0), ("merge", 1, 1), ("off", 2, 0)):
        with StoreWriter(tmp_path / f"{mode}.sqlite") as writer:
            intake = Intake(writer)
            writer.dedupe, writer.keeps_works = mode, True  # type: ignore[assignment]  # a literal
            for item in same:
                intake.take(item)
        report = intake.report
        assert (report.kept, report.merged, report.likely) == (kept, merged, int(mode == "report"))
        assert [(one.id, one.same_as, one.why) for one in report.pairs] == [
            ("b", "a", "same DOI")
        ] * (mode != "off")
        assert added_up(report)


def test_each_record_is_counted_once(tmp_path: Path) -> None:
    report = taken(
        tmp_path,
        record("a", "one"),
        record("a", "one"),
        record("b", "one"),
        record("a", "", "title alone"),
        record("c", " \n", "title alone"),
        REFUSED,
        deleted("c"),
        deleted("none"),
        record("d", "\ud800"),
    ).report
    assert report.read == 7
    assert (report.kept, report.duplicates, report.replaced) == (2, 2, 1)
    assert (report.rejected, report.deleted, report.without_abstract) == (2, 1, 2)
    assert added_up(report)
    assert report.rejections[0].reason == "no id"
    assert (report.rejections[0].file, report.rejections[0].line) == ("made.jsonl", 3)
    assert "surrogate" in report.rejections[1].reason


ITEMS = st.one_of(
    st.builds(record, st.sampled_from("abc"), st.sampled_from(["", "x", "y", "\ud800"])),
    st.builds(deleted, st.sampled_from("abc")),
    st.just(REFUSED),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ITEMS, max_size=12))
def test_counts_add_up_whatever_comes(tmp_path_factory: object, items: list[Item]) -> None:
    folder = tmp_path_factory.mktemp("counts")  # type: ignore[attr-defined]
    intake = taken(folder, *items)
    report = intake.report
    assert added_up(report)
    empty = [item for item in items if isinstance(item, Record) and not shown(item.document)]
    assert len(report.skipped) == len(empty)
    kinds = [type(item) for item in items if item not in empty]
    assert report.read == len(kinds) - kinds.count(Deleted)
    assert len(report.rejections) == report.rejected
    alive = intake.writer.rows - len(intake.writer.died)
    assert alive + intake.writer.aliases <= report.kept + report.duplicates + report.replaced


def test_what_may_be_rejected_by_others(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        intake = Intake(writer)
        intake.accept = lambda one: Rejected(one.place, "not wanted")
        assert intake.take(record("a", "x")) is False
        assert (writer.rows, intake.report.rejected) == (0, 1)
        intake.accept = lambda one: one
        assert intake.take(record("a", "x")) is True
        assert intake.take(record("a", "x")) is False
        assert intake.take(record("a", "y")) is True


@pytest.mark.parametrize("item", [REFUSED, record("a", "\udfff")], ids=["by the reader", "by us"])
def test_strict_stops_at_the_first_whoever_rejects_it(tmp_path: Path, item: Item) -> None:
    with pytest.raises(CorpusError) as caught:
        taken(tmp_path, record("b", "fine"), item, strict=True)
    assert caught.value.message.startswith("made.jsonl")
    assert caught.value.remedy is not None
    (tmp_path / "s.sqlite").unlink()
    assert taken(tmp_path, record("b", "fine"), item).report.rejected == 1


def test_the_step_comes_before_every_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        seen: list[int] = []
        monkeypatch.setattr(Intake, "step", lambda _: seen.append(writer.rows))
        intake = Intake(writer)
        for number in range(4):
            intake.take(record(str(number), f"t{number}"))
    assert seen == [0, 1, 2, 3]


def test_files_are_reported_one_by_one(tmp_path: Path) -> None:
    one = write_texts(tmp_path / "one.jsonl", {"1": "x", "2": "y", "3": "y"})
    two = write_records(tmp_path / "two.jsonl", [{"id": "1", "text": "new"}, {"text": "no id"}])
    gone = write_deletions(tmp_path / "gone.xml", "2")
    report = build_index("demo", [one, two, gone], HashingEncoder).report
    assert [(f.path, f.format) for f in report.files] == [
        (str(one), "beir"),
        (str(two), "beir"),
        (str(gone), "pubmed-xml"),
    ]
    assert [(f.read, f.kept, f.rejected) for f in report.files] == [(3, 2, 0), (2, 1, 1), (0, 0, 0)]
    assert [f.bytes for f in report.files] == [path.stat().st_size for path in (one, two, gone)]
    assert all(len(f.sha256) == 64 for f in report.files)
    assert added_up(report)
    assert (report.read, report.rejected, report.deleted) == (5, 1, 1)
    # 3 was another name of 2, and lives on: 1 and 3 are what there is.
    assert report.documents == 2


def test_the_report_of_a_build_that_failed(tmp_path: Path) -> None:
    path = write_records(
        tmp_path / "c.jsonl", [{"id": "1", "text": "x"}, {"text": "no id"}, {"id": "2"}]
    )
    report = Report()
    with pytest.raises(CorpusError) as caught:
        build_index("demo", [path], never, settings=ReadSettings(strict=True), report=report)
    assert caught.value.message.startswith(f"{path}:2: ")
    assert (report.read, report.kept, report.rejected) == (2, 1, 1)
    (one,) = report.files
    assert (one.read, one.kept, one.rejected) == (2, 1, 1)
    assert report.documents == 0


def test_reading_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [
        write_texts(tmp_path / f"{n}.jsonl", {f"{n}-{m}": f"{n} {m}" for m in range(50)})
        for n in range(4)
    ]
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        intake = Intake(writer)
        shares: list[float | None] = []
        monkeypatch.setattr(Intake, "step", lambda one: shares.append(one.share))
        feed_files(paths, ReadSettings())(intake)
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert 0 < known[0] <= 0.26
    assert intake.share == 1.0
    assert intake.file == str(paths[-1])
    assert [facts.documents for facts in intake.inputs] == [50] * 4


def test_a_format_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("PMID,Title\n7,Seven\n")
    settings = ReadSettings("csv", {"id": "PMID", "title": "Title"})
    report = build_index("demo", [path], HashingEncoder, settings=settings).report
    assert (report.kept, report.files[0].format) == (1, "csv")
    with pytest.raises(UsageError):
        build_index("demo", [path], never, settings=ReadSettings("no such format"))


def test_documents_at_hand(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        intake = Intake(writer)
        feed_documents([Document("a", "x"), Document("b", "", "\ud800")], "the catalogue")(intake)
    (one,) = intake.report.rejections
    assert (one.file, one.line) == ("the catalogue", 2)


def test_many_rejections_are_counted_and_the_first_listed() -> None:
    report = Report()
    for number in range(MOST_LISTED + 5):
        report.reject(Rejected(Place("f", offset=number), "bad"))
    assert (report.rejected, report.read) == (MOST_LISTED + 5, MOST_LISTED + 5)
    assert len(report.rejections) == MOST_LISTED
    assert (report.rejections[-1].offset, report.rejections[-1].line) == (MOST_LISTED - 1, None)


def test_the_line_names_what_there_is() -> None:
    assert Report().line() == "0 read, 0 kept"
    report = Report(read=12_000, kept=11_990, replaced=3, rejected=7, without_abstract=1)
    assert report.line() == ("12,000 read, 11,990 kept, 3 replaced, 1 without abstract, 7 rejected")


def test_the_report_as_json() -> None:
    report = build_items("demo", record("a", "one"), record("b", "one"), REFUSED).report
    found = json.loads(report.to_json())
    assert found["read"] == found["kept"] + found["duplicates"] + found["rejected"] == 3
    assert (found["documents"], found["encoded"]) == (1, 1)
    assert found["rejections"] == [{"file": "made.jsonl", "reason": "no id", "line": 3}]
    assert report.to_json().endswith(b"}\n")


# --- folders and settings


def test_a_folder_is_read_by_content_and_says_what_it_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    (folder / "sub").mkdir(parents=True)
    (folder / "pubmed.txt").write_text("PMID- 1\nOWN - NLM\nTI  - Herons\n")
    (folder / "savedrecs.txt").write_text("FN Clarivate\nVR 1.0\nPT J\nTI Newts\nER\nEF\n")
    (folder / "sub" / "zotero").write_text("TY  - JOUR\nTI  - Moss\nER  - \n")
    (folder / "README.txt").write_text("All of it, and more.\n")
    (folder / "LICENSE").write_text("MIT\n")
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n")
    (folder / "clean.py").write_text("import os, sys\n")
    (folder / "counts.csv").write_text("month,count\n1,2\n")
    (folder / "empty").write_text("")
    report = build_index("demo", [folder], HashingEncoder).report
    assert report.kept == 3
    assert {Path(one.path).name: one.format for one in report.files} == {
        "pubmed.txt": "medline", "savedrecs.txt": "wos", "zotero": "ris",
    }  # fmt: skip
    passed = {Path(one.file).name: one.reason for one in report.skipped}
    assert passed.keys() == {
        "README.txt", "LICENSE", "logo.png", "clean.py", "counts.csv", "empty",
    }  # fmt: skip
    assert report.passed_over == 6
    assert passed["README.txt"] == "text of another kind"
    assert "an image" in passed["logo.png"]
    assert "its columns are 'month', 'count'" in passed["counts.csv"]
    assert report.passed_over_line() == (
        f"passed over 6 files or lines that are no records: {folder}/LICENSE, {folder}/README.txt,"
        f" {folder}/clean.py, ...; --report FILE gives the reasons"
    )
    assert "6 passed over" in report.line()


def test_a_file_that_is_named_is_never_passed_over(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("All of it.\n")
    with pytest.raises(CorpusError, match="text of another kind"):
        build_index("demo", [tmp_path / "README.txt"], never)


def test_a_folder_without_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("All of it.\n")
    with pytest.raises(NotFoundError, match="1 files or lines were passed over, the first"):
        build_index("demo", [tmp_path], never)


def test_a_rejected_record_of_a_folder_stops_a_strict_build(tmp_path: Path) -> None:
    (tmp_path / "a.nbib").write_text("PMID- 1\nTI  - \n")
    with pytest.raises(CorpusError, match="neither a title"):
        build_index("demo", [tmp_path], never, settings=ReadSettings(strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ReadSettings(mapping={"title": "TI"}), "is medline, to which --map does not apply"),
        (ReadSettings("medline", delimiter=";"), "to which --delimiter does not apply"),
        (ReadSettings(encoding="base64"), "no text encoding 'base64'"),
    ],
)
def test_settings_that_do_not_apply_are_refused(
    tmp_path: Path, settings: ReadSettings, message: str
) -> None:
    (tmp_path / "a.nbib").write_text("PMID- 1\nTI  - Herons\n")
    with pytest.raises(UsageError, match=message):
        build_index("demo", [tmp_path], never, settings=settings)
