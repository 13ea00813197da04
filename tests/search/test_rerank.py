"""A cross-encoder's scores order the hits that it read, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import InterruptedByUser
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.search.engine import reranked
from bioretrieval_tui.search.types import Hit, Scores


class ByLength:
    """Longer texts are better; one step a document. (Real ones: tests/encoding.)"""

    model_id = "test/length"
    revision = "sha256:0"
    recipe_hash = "0"
    device = "cpu"

    def scores(
        self, query: str, documents: Sequence[Document], progress: Reporter = silent
    ) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        for done in range(len(documents)):
            progress(Progress("reranking", done, len(documents)))
        return np.array([len(document.text) for document in documents], dtype=np.float32)


def hits(*texts: str) -> list[Hit]:
    """One hit a text, in this order."""
    return [
        Hit(rank, f"d{rank}", "", text, None, None, 1 / rank, Scores(dense=1 / rank))
        for rank, text in enumerate(texts, start=1)
    ]


def test_hits_are_sorted_by_the_cross_encoder_and_ties_keep_their_order() -> None:
    found = reranked("q", hits("aa", "b", "cccc", "dd"), ByLength())
    assert [hit.id for hit in found] == ["d3", "d1", "d4", "d2"]
    assert [hit.rank for hit in found] == [1, 2, 3, 4]
    assert [hit.score for hit in found] == [4, 2, 2, 1]
    assert [hit.scores.rerank for hit in found] == [4, 2, 2, 1]
    assert found[0].scores.dense == pytest.approx(1 / 3)


def test_hits_that_are_not_read_follow_in_their_order() -> None:
    found = reranked("q", hits("a", "bb", "cccccc"), ByLength(), most=2)
    assert [hit.id for hit in found] == ["d2", "d1", "d3"]
    assert (found[2].rank, found[2].scores.rerank) == (3, None)


def test_no_hits_give_no_hits() -> None:
    assert reranked("q", [], ByLength()) == ()


def test_reranking_can_be_cancelled() -> None:
    def stop(step: Progress) -> None:
        if step.done == 2:
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        reranked("q", hits("a", "b", "c", "d"), ByLength(), reporter=stop)
