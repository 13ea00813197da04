"""Metadata through the life of an index: adding, deleting, compacting, older formats, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest
from index_help import build_items, deleted, feeding, of_hashing, path_of, record

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.index.build import add_to_index, compact_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import FileFacts, Manifest, encode_manifest, seal
from bioretrieval_tui.index.metadata_blocks import _KINDS, MetadataBlock
from bioretrieval_tui.index.metadata_fields import MOST_EXTRAS, MOST_VALUES
from bioretrieval_tui.index.registry import info, manifest_of, open_index
from bioretrieval_tui.index.verify import verify_index

Answer = TypeVar("Answer")
FILE = "block-0000000000.columns"


def extend(*items: Item) -> Manifest:
    """Add items at hand to `demo`, as `add_to_index` does with those of files."""
    return add_to_index("demo", feeding(items), of_hashing).manifest


def ids(expression: str) -> list[str]:
    """The ids of what a filter finds."""
    index = open_index("demo")
    fields = index.fields
    found = fields.select(fields.parse(expression))
    assert not np.isin(found, index.vectors.dead).any()
    names = [document.id for document in index.documents.get(found.tolist())]
    index.close()
    return sorted(names)


def made() -> Manifest:
    return build_items(
        "demo",
        *(
            record(f"d{n}", f"text {n}", f"title {n}", journal=f"J {n % 3}", year=2000 + n,
                   mesh=["Mice", f"M{n}"], design="cohort" if n % 2 else "trial")
            for n in range(12)
        ),
    ).manifest  # fmt: skip


def test_what_is_added_replaced_and_deleted() -> None:
    made()
    extend(
        record("d1", "changed", "title", journal="New", year=1990),
        record("d2", "text 2", "title 2", journal="Only metadata", year=1991),
        deleted("d3"),
        record("e", "extra", "", journal="J 0", design="case"),
    )
    everything = sorted(["e", *(f"d{n}" for n in range(12) if n != 3)])
    for _ in range(2):
        assert ids("") == everything
        assert ids("journal:new") == ["d1"]
        assert ids('journal="only metadata"') == ["d2"]
        assert ids("journal=j0") == ["d0", "d6", "d9", "e"]
        assert ids("year<2000") == ["d1", "d2"]
        assert ids("mesh=m3,m1,m11") == ["d11"]
        assert ids("-has:mesh") == ["d1", "d2", "e"]
        assert ids("design:case") == ["e"]
        assert ids("design:cohort") == ["d11", "d5", "d7", "d9"]
        assert ids("title -year>=2005") == ["d0", "d1", "d2", "d4"]
        facts = manifest_of("demo").fields
        assert facts is not None
        held = {one.name: one.documents for one in facts.fields}
        assert (held["mesh"], held["design"], held["id"]) == (9, 10, 12)
        assert facts.dated == 11
        assert verify_index("demo").ok
        compact_index("demo")


def test_several_additions_give_what_one_build_gives() -> None:
    items = [
        record(f"d{n:02}", f"text {n}", journal=f"J {n % 4}", authors=f"A{n % 5} B, C D")
        for n in range(30)
    ]
    build_items("demo", *items[:10])
    for start in (10, 20):
        manifest = extend(*items[start : start + 10])
    whole = build_items("other", *items).manifest
    assert manifest.fields == whole.fields
    added, built = (path_of(one, FILE).read_bytes() for one in (manifest, whole))
    assert added == built


def test_large_blocks_are_shared_and_small_ones_written_together() -> None:
    build_items("demo", *(record(f"d{n}", f"text {n}", journal=f"J {n % 4}") for n in range(40)))
    before = path_of(manifest_of("demo"), FILE).stat().st_ino
    for start in (40, 41, 42):
        extend(record(f"d{start}", f"text {start}", journal="J 1"))
    found = sorted(path for path in manifest_of("demo").files if path.endswith(".columns"))
    assert [path[-18:] for path in found] == ["0000000000.columns", "0000000040.columns"]
    assert path_of(manifest_of("demo"), FILE).stat().st_ino == before
    assert len(ids("journal=j1")) == 13
    assert verify_index("demo").ok


def test_a_key_that_came_to_have_too_many_values_is_no_field() -> None:
    build_items("demo", *(record(f"a{n}", f"a {n}", lot=n) for n in range(MOST_VALUES)))
    assert "lot" in (info("demo").fields or ())
    facts = extend(record("b", "b", lot="another")).fields
    assert facts is not None
    assert facts.left_out == ("lot",)
    # Nor does it come back in parts: the older documents would be missing.
    facts = extend(record("c", "c", lot="more")).fields
    assert facts is not None
    assert "lot" not in facts.names
    # Compacting looks at all of them again.
    extend(*(deleted(f"a{n}") for n in range(10)))
    facts = compact_index("demo").manifest.fields
    assert facts is not None
    assert "lot" in facts.names
    assert len(ids("has:lot")) == MOST_VALUES - 8


def test_a_key_of_which_not_all_was_read_is_no_field() -> None:
    keys = {f"key{n:03}": "x" for n in range(MOST_EXTRAS)}
    build_items("demo", record("a", "text", **keys, zlast="never read"))
    facts = extend(record("b", "more", zlast="read now", key001="y")).fields
    assert facts is not None
    assert facts.full
    assert "zlast" not in facts.names
    assert ids("has:key001") == ["a", "b"]


def test_a_build_of_deletions_alone() -> None:
    made()
    extend(deleted("d0"), deleted("d1"))
    assert ids("journal=j1") == ["d10", "d4", "d7"]
    assert ids("mesh:m0") == []
    assert verify_index("demo").ok


def test_a_file_cut_flipped_and_missing() -> None:
    manifest, name = made(), FILE
    path = path_of(manifest, name)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[-1] ^= 4
    for harm, said in ((data[:-3], f"{name} has "), (bytes(flipped), f"{name} was altered")):
        path.write_bytes(harm)
        with pytest.raises(IndexFault) as caught:
            open_index("demo")
        assert said in caught.value.line()
        assert not verify_index("demo").ok
    path.unlink()
    with pytest.raises(IndexFault, match=f"{name} is missing"):
        open_index("demo")
    compact_index("demo")
    assert ids("journal=j1") == ["d1", "d10", "d4", "d7"]
    assert verify_index("demo").ok


def resealed(manifest: Manifest, path: Path) -> None:
    """Let the checksums fit what was altered: what no checksum can tell."""
    name = path.relative_to(index_folder("demo")).as_posix()
    facts = {name: FileFacts(path.stat().st_size, sha256_of(path))}
    changed = seal(msgspec.structs.replace(manifest, files={**manifest.files, **facts}))
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(changed))


def attempt(ask: Callable[[], Answer]) -> tuple[Answer | None, str]:
    """The answer, or the one line that stands for it. Whatever else is raised is a defect."""
    try:
        return ask(), ""
    except BioRetrievalError as error:
        return None, error.line()


@pytest.mark.parametrize("name", _KINDS)
@pytest.mark.parametrize("value", [0x00, 0xFF, 0x7F])
def test_nonsense_with_a_matching_checksum(name: str, value: int) -> None:
    """Whatever an array holds: one line or an answer, and verifying sees it."""
    manifest = made()
    path = path_of(manifest, FILE)
    array = MetadataBlock(path, "").arrays[name]
    data = bytearray(path.read_bytes())
    at = data.index(array.tobytes())
    data[at : at + array.nbytes] = bytes([value]) * array.nbytes
    path.write_bytes(data)
    resealed(manifest, path)
    assert not verify_index("demo").ok
    index, line = attempt(lambda: open_index("demo"))
    if index is None:
        assert "is damaged" in line
    else:
        fields = index.fields
        for ask in (
            lambda: fields.select(fields.parse("journal:j OR mesh=mice -year:2004 has:design")),
            lambda: fields.facets(np.arange(12), "journal"),
            lambda: fields.facets(np.arange(12), "year"),
            lambda: fields.dates(np.arange(12)),
            lambda: fields.values_of(11),
        ):
            _, line = attempt(ask)
            assert line == "" or "index compact demo" in line
        index.close()
    _, line = attempt(lambda: extend(record("e", "extra", journal="J 1")))
    assert "\n" not in line
    compact_index("demo")
    assert verify_index("demo").ok


@pytest.mark.parametrize("size", [0, 10, 30, 200, -1])
def test_a_cut_block_with_a_matching_checksum(size: int) -> None:
    manifest = made()
    path = path_of(manifest, FILE)
    path.write_bytes(path.read_bytes()[:size])
    resealed(manifest, path)
    with pytest.raises(IndexFault) as caught:
        open_index("demo")
    assert "metadata of the index is damaged" in caught.value.line()
    assert "index compact demo" in caught.value.line()
    assert not verify_index("demo").ok
