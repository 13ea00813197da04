"""How many documents are longer than the model reads: counted once, kept, and said everywhere."""

from __future__ import annotations

import json

import msgspec
import pytest
from hashing_encoder import HashingEncoder
from index_help import deleted, feeding, of_hashing, record

from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.index import layout, registry
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.manifest import encode_manifest, read_manifest, seal
from bioretrieval_tui.index.report import Report, longer_line
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts
from bioretrieval_tui.render.indexes import index_page

LONG = "word " * 300
RECORDS = [record(str(n), f"{n} {LONG}" if n % 3 == 0 else f"{n} short") for n in range(10)]
"""Four of ten are longer than the 256 words that the hashing encoder reads."""


def longer(name: str = "demo") -> int | None:
    found = registry.info(name)
    assert found.status == "ok"
    return found.longer


def build(items: list[Item], report: Report | None = None) -> None:
    build_index("demo", feeding(items), HashingEncoder, report=report)


def test_the_report_the_manifest_and_the_page_name_them() -> None:
    report = Report()
    build([*RECORDS, record("twin", f"0 {LONG}")], report)
    assert (report.longer, report.max_tokens) == (4, 256)
    assert json.loads(report.to_json())["longer"] == longer() == 4
    pairs = dict(index_page(registry.info("demo")).pairs())
    assert pairs["long documents"].startswith("4 documents are longer than the 256 tokens that")


def test_the_count_follows_additions_deletions_and_compacting() -> None:
    build(RECORDS)
    news = [deleted("0"), record("3", "now short"), record("1", LONG), record("new", f"x {LONG}")]
    report = Report()
    add_to_index("demo", feeding(news), of_hashing, report=report)
    assert report.longer == longer() == 4
    compact_index("demo")
    assert longer() == 4
    unchanged = Report()
    add_to_index("demo", feeding([record("1", LONG)]), of_hashing, report=unchanged)
    assert (unchanged.longer, unchanged.max_tokens) == (4, 256)


class Stopping(HashingEncoder):
    """Fails at its second window."""

    calls = 0

    def encode_documents(self, *given):  # type: ignore[no-untyped-def]
        Stopping.calls += 1
        if Stopping.calls == 2:
            raise OSError("the disk is full")
        return super().encode_documents(*given)


def test_vectors_of_an_unfinished_build_keep_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.index.build.WINDOW", 4)
    Stopping.calls = 0
    with pytest.raises(Exception, match="disk"):
        build_index("demo", feeding(RECORDS), Stopping)
    report = Report()
    build(RECORDS, report)
    assert (report.encoded, report.longer) == (6, 4)


def test_a_lexical_index_in_between_keeps_it() -> None:
    build(RECORDS)
    build_index("demo", feeding(RECORDS), Vectoriser(embedded_facts()))
    assert longer() is None
    report = Report()
    build(RECORDS, report)
    assert (report.encoded, report.longer) == (0, 4)


def test_what_an_older_version_did_not_count_is_not_said() -> None:
    """Its vectors are reused without reading the texts again, so the count stays unknown."""
    build(RECORDS)
    folder = layout.index_folder("demo")
    old = read_manifest(folder)
    bare = msgspec.structs.replace(old, longer=None, max_tokens=None)
    files = {name: one for name, one in old.files.items() if not name.endswith(layout.LONGER)}
    bare = seal(msgspec.structs.replace(bare, files=files))
    (folder / layout.MANIFEST).write_bytes(encode_manifest(bare))
    (folder / old.path(layout.LONGER)).unlink()
    report = Report()
    add_to_index("demo", feeding([record("new", LONG)]), of_hashing, report=report)
    assert report.longer is longer() is None
    assert "long documents" not in dict(index_page(registry.info("demo")).pairs())


@pytest.mark.parametrize(
    ("count", "reads", "said"),
    [
        (None, 256, None),
        (0, 256, None),
        (1, 256, "1 document is longer than the 256 tokens that the model reads"),
        (2_000, 8_192, "2,000 documents are longer than the 8,192 tokens that the model reads"),
        (2, None, "2 documents are longer than the million characters that the model reads"),
    ],
)
def test_the_sentence(count: int | None, reads: int | None, said: str | None) -> None:
    found = longer_line(count, reads)
    assert found is said is None or (found or "").partition(";")[0] == said
