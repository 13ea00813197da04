"""An index of the first edition: recognised, told what to do, and brought over without encoding.

`index-format-3.tar.xz` was written by commit a8f6ba6: twelve documents, then an addition that
replaced one and brought another, encoded by the hashing encoder with four dimensions.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import matrix_of, never, no_encoder, write_records

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.layout import index_folder, indexes_folder
from bioretrieval_tui.index.manifest import FORMAT, Manifest, encode_manifest, read_manifest, seal
from bioretrieval_tui.index.registry import info, list_indexes, manifest_of, open_index
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress

ARCHIVE = Path(__file__).with_name("index-format-3.tar.xz")


@pytest.fixture
def old(home: Path) -> Manifest:
    """The index `first` of format 3, in this home."""
    indexes_folder().mkdir(parents=True)
    with tarfile.open(ARCHIVE) as archive:
        # Python has filters from 3.11.4 on.
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(indexes_folder(), **safely)  # noqa: S202 - an archive of our own
    return read_manifest(index_folder("first"))


def found(expression: str, query: str) -> tuple[list[str], list[str]]:
    """Ids that a filter and a query find."""
    index = open_index("first")
    filtered = index.documents.ids(index.fields.select(index.fields.parse(expression)).tolist())
    ranked = index.documents.ids(index.lexical.search(query, 3)[0].tolist())
    index.close()
    return sorted(filtered), ranked


def test_an_old_index_is_recognised_and_one_line_says_what_to_do(old: Manifest) -> None:
    assert (old.format, old.documents, old.rows) == (3, 13, 14)
    with pytest.raises(IndexFault) as caught:
        open_index("first")
    line = caught.value.line()
    assert "older format 3" in line
    assert "bioretrieval-tui index compact first" in line
    assert "\n" not in line
    for one in (*list_indexes(), info("first")):
        assert one.status.startswith("outdated: ")
        assert one.documents == 13
    faults = [check for check in verify_index("first").checks if not check.ok]
    assert [check.what for check in faults] == ["text index"]
    assert faults[0].remedy == "run: bioretrieval-tui index compact first"


def test_compacting_brings_it_over_with_its_vectors(old: Manifest) -> None:
    alive = np.delete(matrix_of(old), 3, axis=0)
    steps: list[Progress] = []
    outcome = compact_index("first", reporter=steps.append)
    assert outcome.manifest.format == FORMAT
    assert outcome.report.encoded == 0
    stages = {step.stage for step in steps}
    assert "indexing" in stages
    assert "encoding" not in stages
    np.testing.assert_array_equal(matrix_of(outcome.manifest), alive)
    assert outcome.manifest.inputs == old.inputs
    assert verify_index("first").ok
    assert info("first").status == "ok"
    assert found("year:2002..2004 OR year:2024", "metformin replaces") == (
        ["d2", "d3", "d4"],
        ["d3", "new"],
    )


def test_an_addition_brings_it_over_first(old: Manifest, tmp_path: Path) -> None:
    again = write_records(
        tmp_path / "again.jsonl",
        [{"id": "new", "title": "new one", "text": "metformin again", "metadata": {"year": 2025}}],
    )
    outcome = add_to_index("first", [again], no_encoder)
    assert outcome.manifest.format == FORMAT
    assert (outcome.manifest.documents, len(outcome.manifest.segments)) == (13, 2)
    assert found("year:2025", "metformin again")[0] == ["new"]
    assert verify_index("first").ok


def test_a_build_uses_its_vectors(old: Manifest, tmp_path: Path) -> None:
    again = write_records(
        tmp_path / "again.jsonl", [{"id": "other", "title": "new one", "text": "metformin again"}]
    )

    class Idle(HashingEncoder):
        def encode_documents(self, *_: object, **__: object) -> np.ndarray:
            return never()  # type: ignore[return-value]

    outcome = build_index("first", [again], lambda: Idle(dimension=4))
    assert (outcome.manifest.format, outcome.report.encoded) == (FORMAT, 0)
    assert manifest_of("first").documents == 1


def test_an_index_of_format_2_is_brought_over_too(old: Manifest) -> None:
    folder = index_folder("first")
    files = {path: facts for path, facts in old.files.items() if "/fields/" not in path}
    older = seal(msgspec.structs.replace(old, format=2, fields=None, files=files))
    data = encode_manifest(older)
    assert b'"fields"' not in data
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(IndexFault, match="older format 2"):
        open_index("first")
    assert compact_index("first").report.encoded == 0
    assert found("journal:bmj", "metformin")[1] == ["d3", "new"]


def test_manifests_whose_format_does_not_fit_are_damaged(old: Manifest) -> None:
    for changes in ({"format": 2}, {"fields": None}):
        wrong = seal(msgspec.structs.replace(old, **changes))
        (index_folder("first") / "manifest.json").write_bytes(encode_manifest(wrong))
        with pytest.raises(IndexFault, match="manifest is damaged"):
            open_index("first")


def test_terms_of_another_analyser_are_brought_over_by_an_addition(
    old: Manifest, tmp_path: Path
) -> None:
    manifest = compact_index("first").manifest
    text = msgspec.structs.replace(manifest.lexical, analyser="biomedical-english-0")
    other = seal(msgspec.structs.replace(manifest, lexical=text))
    (index_folder("first") / "manifest.json").write_bytes(encode_manifest(other))
    with pytest.raises(IndexFault, match="another version has made its text index"):
        open_index("first")
    gone = write_records(
        tmp_path / "a.jsonl", [{"id": "d1", "title": "", "text": "metformin again"}]
    )
    add_to_index("first", [gone], lambda *_, **__: HashingEncoder(dimension=4))
    assert verify_index("first").ok


def test_metadata_of_an_earlier_version_are_read_again_by_compacting(old: Manifest) -> None:
    manifest = compact_index("first").manifest
    assert manifest.fields is not None
    fields = msgspec.structs.replace(manifest.fields, version="metadata-1")
    other = seal(msgspec.structs.replace(manifest, fields=fields))
    (index_folder("first") / "manifest.json").write_bytes(encode_manifest(other))
    with pytest.raises(IndexFault, match="another version has made its metadata") as caught:
        open_index("first")
    assert "bioretrieval-tui index compact first" in caught.value.line()
    assert info("first").status.startswith("outdated: another version has made its metadata; run")
    compact_index("first")
    assert verify_index("first").ok
    assert found("-is:retracted year:2024", "replaces")[0] == ["d3"]
