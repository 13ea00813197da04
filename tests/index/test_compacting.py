"""Compacting: the dead go, everything else is as it was, and what was made is made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_help import (
    build_items,
    deleted,
    feeding,
    held,
    matrix_of,
    of_hashing,
    path_of,
    record,
    tree,
    whole,
)

from bioretrieval_tui.documents.document import Document, Item
from bioretrieval_tui.errors import IndexFault, InterruptedByUser, NotFoundError
from bioretrieval_tui.index.build import BuildOutcome, add_to_index, compact_index
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import info, open_index
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress


def extend(*items: Item) -> BuildOutcome:
    """Add items at hand to `demo`, as `add_to_index` does with those of files."""
    return add_to_index("demo", feeding(items), of_hashing)


def documents_of(name: str) -> dict[str, Document]:
    index = open_index(name)
    dead = set(index.vectors.dead.tolist())
    found = {
        r.document.id: r.document for label, r in index.documents.records() if label not in dead
    }
    index.close()
    return found


def test_the_dead_go_and_the_rest_stays() -> None:
    first = build_items(
        "demo", *(record(f"d{n}", f"text {n}", f"title {n}", year=n) for n in range(30))
    )
    extend(*(record(f"d{n}", f"changed {n}") for n in range(5)), deleted("d29"))
    before, names = documents_of("demo"), held("demo")
    assert info("demo").dead_share == round(1 - 29 / 35, 4)
    steps: list[Progress] = []
    outcome = compact_index("demo", reporter=steps.append)
    manifest = outcome.manifest
    assert (manifest.documents, manifest.rows, len(manifest.segments)) == (29, 29, 1)
    assert documents_of("demo") == before
    assert held("demo") == names
    assert info("demo").dead_share == 0
    assert outcome.report.encoded == 0
    assert manifest.inputs == first.manifest.inputs
    assert (manifest.device, manifest.docs_per_second) == (
        first.manifest.device,
        open_index("demo").manifest.docs_per_second,
    )
    assert tree() == whole(manifest)
    assert verify_index("demo").ok
    assert {"linking", "saving"} <= {step.stage for step in steps}


def test_vectors_are_moved_bit_for_bit() -> None:
    build_items("demo", *(record(f"d{n}", f"text {n}") for n in range(50)))
    extend(deleted("d7"), record("d8", "other"))
    old, new = open_index("demo").manifest, None
    rows = matrix_of(old)
    expected = np.delete(rows, [7, 8], axis=0)
    new = compact_index("demo").manifest
    np.testing.assert_array_equal(matrix_of(new), expected)


def test_where_records_came_from_is_kept() -> None:
    build_items("demo", record("a", "one"), record("b", "two"))
    before = [one.place for _, one in open_index("demo").documents.records()]
    extend(deleted("a"), record("c", "three"))
    compact_index("demo")
    after = [one.place for _, one in open_index("demo").documents.records()]
    assert after == [before[1], before[0]]  # all of one file, none with a line


def test_aliases_follow_their_documents() -> None:
    build_items("demo", record("x", "gone"), record("a", "one"), record("b", "one"))
    extend(deleted("x"), record("c", "one"), record("d", "two"), record("e", "two"))
    before = held("demo")
    manifest = compact_index("demo").manifest
    assert (manifest.documents, manifest.aliases) == (2, 3)
    assert held("demo") == before
    store = open_index("demo").documents
    assert (store.aliases(0), store.aliases(1)) == (["b", "c"], ["e"])


def test_two_documents_that_came_to_say_the_same_stay_two() -> None:
    """Their aliases too must not go astray."""
    build_items("demo", record("a", "one", year=1), record("b", "two", year=2), record("z", "end"))
    extend(record("b", "one", year=3))
    extend(record("c", "one"))
    extend(record("d", "more"), deleted("z"))
    before, names = documents_of("demo"), held("demo")
    assert len(before) == 3
    compact_index("demo")
    assert documents_of("demo") == before
    assert held("demo") == names
    assert verify_index("demo").ok


def test_what_has_nothing_dead_is_made_anew_all_the_same() -> None:
    first = build_items("demo", record("a", "one"), record("b", "two")).manifest
    path_of(first, "graph.hnsw").write_bytes(b"ruin")
    second = compact_index("demo").manifest
    assert second.generation != first.generation
    assert held("demo") == {"a": "one", "b": "two"}
    assert verify_index("demo").ok


@pytest.mark.parametrize("file", ["documents.sqlite", "vectors.f16"])
@pytest.mark.parametrize("missing", [False, True])
def test_what_cannot_be_made_anew_is_not_guessed(built: Manifest, file: str, missing: bool) -> None:
    path = path_of(built, file)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if missing:
        path.unlink()
    else:
        path.write_bytes(data)
    with pytest.raises(IndexFault) as caught:
        compact_index("demo")
    assert file in caught.value.message
    assert "build the index again" in caught.value.line()


def test_there_must_be_an_index() -> None:
    with pytest.raises(NotFoundError):
        compact_index("demo")
    assert tree() == set()


def test_interrupted_at_every_step(built: Manifest) -> None:
    stages = set()
    for at in range(1, 60):
        left = [at]

        def stop(step: Progress, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptedByUser(f"at {step.stage}")

        try:
            compact_index("demo", reporter=stop)
        except InterruptedByUser as stopped:
            stages.add(stopped.message)
            assert tree() == whole(built)
        else:
            break
    # A stage that a fast machine finishes between two reports is not seen.
    seen = {"at linking", "at saving"}
    assert seen <= stages <= {*seen, "at reading", "at indexing"}
    assert len(held("demo")) == 300


TEXTS = ["", "one two", "three", "four five", "six"]
STEPS = st.lists(
    st.one_of(
        st.builds(record, st.sampled_from("abcdef"), st.sampled_from(TEXTS)),
        st.builds(deleted, st.sampled_from("abcdef")),
    ),
    max_size=5,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEPS, min_size=1, max_size=3))
def test_any_history_compacts_to_what_it_was(tmp_path: Path, additions: list[list[Item]]) -> None:
    model = {"keep": "always here"}
    build_items("demo", record("keep", "always here"))
    for items in additions:
        for item in items:
            if hasattr(item, "document"):
                if item.document.text:  # otherwise it is no document
                    model[item.document.id] = item.document.text
            else:
                model.pop(item.id, None)  # type: ignore[union-attr]
        extend(*items)
        assert held("demo") == model
        assert verify_index("demo").ok
    compact_index("demo")
    manifest = open_index("demo").manifest
    assert manifest.rows == manifest.documents
    assert held("demo") == model
    assert verify_index("demo").ok
    query = HashingEncoder().encode_queries(["one two"])[0]
    found = open_index("demo").vectors.search(query, 100)[0]
    assert sorted(found.tolist()) == list(range(manifest.rows))
