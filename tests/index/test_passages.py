"""Documents with several vectors: built, searched, extended, compacted and built again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import deleted, feeding, no_encoder, path_of, record

from bioretrieval_tui.documents.document import Document, Item
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.passages import RECORD, Passages
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.index.verify import verify_index

WORDS = "heron newt moss owl pond wall frog toad reed lake duck swan crane stork".split()


class WindowEncoder(HashingEncoder):
    """Reads four words at a time."""

    max_tokens = 4

    def windows(self, document: Document) -> list[tuple[int, int]]:
        words = document.text.split()
        starts = range(0, max(1, len(words) - 1), 3)
        found = []
        for start in starts:
            begin = len(" ".join(words[:start])) + (start > 0)
            found.append((begin, begin + len(" ".join(words[start : start + 4]))))
        return found if len(found) > 1 else [(0, len(document.text))]


def hashing_windows(*_: object, **__: object) -> WindowEncoder:
    return WindowEncoder(dimension=64)


LONG = record("long", " ".join(WORDS))
SHORT = [record(word, word) for word in ("heron", "swan", "gull")]
OTHER = record("other", " ".join(reversed(WORDS)))


def built(*items: Item, passages: bool = True) -> Manifest:
    return build_index("demo", feeding(items), hashing_windows, passages=passages).manifest  # type: ignore[arg-type]  # has no Shape


@contextmanager
def opened(*, exact_below: int | None = None) -> Iterator[OpenIndex]:
    with closing(open_index("demo")) as index:
        if exact_below is not None:
            index.__dict__["vectors"] = VectorStore(
                index.manifest, layout.index_folder("demo"), exact_below=exact_below
            )
        yield index


def nearest(index: OpenIndex, query: str, k: int = 9) -> dict[str, float]:
    (vector,) = hashing_windows().encode_queries([query])
    labels, scores = index.vectors.search(vector, k)
    assert len(set(labels.tolist())) == len(labels)
    assert np.allclose(scores, index.vectors.similarities(vector, labels), atol=1e-3)
    assert np.all(np.diff(scores) <= 1e-6)
    return dict(zip(index.documents.ids(labels.tolist()), scores.tolist(), strict=True))


@pytest.mark.parametrize("exact_below", [None, 0])
def test_the_best_passage_counts(exact_below: int | None) -> None:
    manifest = built(*SHORT, LONG, OTHER)
    assert (manifest.documents, manifest.passages, manifest.longer) == (5, True, 2)
    assert manifest.vectors == 3 + 2 * 5
    with opened(exact_below=exact_below) as index:
        found = nearest(index, "crane stork")
        assert [*found][:2] == ["long", "other"] or [*found][:2] == ["other", "long"]
        assert len(found) == 5
        assert nearest(index, "crane stork", 1).keys() <= {"long", "other"}
        (vector,) = hashing_windows().encode_queries(["crane stork"])
        label, _ = index.documents.find("long") or (0, None)
        span = index.vectors.best_passage(vector, label)
        assert span is not None
        assert " ".join(WORDS)[slice(*span)] == "crane stork"
        short, _ = index.documents.find("swan") or (0, None)
        assert index.vectors.best_passage(vector, short) is None
        # A filter keeps documents, not passages.
        labels, _ = index.vectors.search(vector, 5, np.array([label, short]))
        assert labels.tolist() == [label, short]
        # The first vector of a document is that of its beginning.
        whole = hashing_windows().encode_documents([LONG.document])[0]
        assert np.allclose(index.vectors.beginnings(np.array([label]))[0], whole, atol=1e-3)
    assert verify_index("demo").ok


def test_without_passages_nothing_changes() -> None:
    manifest = built(*SHORT, LONG, passages=False)
    assert not manifest.passages
    assert not any(layout.PASSAGES in name for name in manifest.files)
    with opened() as index:
        assert index.vectors.passages is None
        assert index.vectors.count == 4


def test_adding_replacing_and_compacting() -> None:
    built(*SHORT, LONG)
    more = feeding([OTHER, record("long", " ".join(WORDS[:8])), deleted("swan")])
    outcome = add_to_index("demo", more, hashing_windows)  # type: ignore[arg-type]  # has no Shape
    assert outcome.manifest.passages
    assert outcome.manifest.vectors == 3 + 5 + 5 + 3
    with opened() as index:
        before = nearest(index, "crane stork")
        assert "swan" not in before
        assert next(iter(before)) == "other"
    assert verify_index("demo").ok
    # Only deletions: the new segment is empty.
    assert add_to_index("demo", feeding([deleted("gull")]), no_encoder).changed  # type: ignore[arg-type]
    manifest = compact_index("demo").manifest
    assert (manifest.documents, manifest.vectors) == (3, 1 + 5 + 3)
    with opened() as index:
        after = nearest(index, "crane stork")
        assert after == {name: score for name, score in before.items() if name != "gull"}
    assert verify_index("demo").ok


def test_building_again_encodes_nothing() -> None:
    built(*SHORT, LONG)
    again = build_index("demo", feeding([LONG, *SHORT]), hashing_windows, passages=True)  # type: ignore[arg-type]
    assert again.report.encoded == 0
    plain = build_index("demo", feeding([LONG, *SHORT]), hashing_windows)  # type: ignore[arg-type]
    assert plain.report.encoded == 0
    assert not plain.manifest.passages
    split = build_index("demo", feeding([LONG, *SHORT]), hashing_windows, passages=True)  # type: ignore[arg-type]
    assert split.report.encoded == 4


def test_a_title_too_long_to_be_one_hides_no_text(encoder: Encoder) -> None:
    text = " ".join(f"Herons ate {number} newts." for number in range(300))
    spans = encoder.windows(Document("a", "On herons", text))
    assert spans[0][0] == 0 < spans[1][0] < spans[0][1]
    assert spans[-1][1] == len(text)
    long = encoder.windows(Document("a", "On herons and newts. " * 60, text))
    # The first is the document, of which the model reads the title; the others are its whole text.
    assert long[0] == long[1]
    assert long[1][0] == 0
    assert long[-1][1] == len(text)


@pytest.mark.parametrize("labels", [[0, 0, 2], [1, 0], [0, 1, 2, 3], [-1, 0, 1], [5]])
def test_tables_of_other_documents_are_refused(labels: list[int]) -> None:
    table = np.zeros(len(labels), RECORD)
    table["label"] = labels
    with pytest.raises(IndexFault, match="not those of the documents"):
        Passages([table], 3)


def test_a_damaged_table_is_told() -> None:
    manifest = built(*SHORT, LONG)
    path = path_of(manifest, layout.PASSAGES)
    path.write_bytes(path.read_bytes()[:-1])
    assert not verify_index("demo").ok
    with pytest.raises(IndexFault), opened() as index:
        _ = index.vectors
