"""Hard negatives: what guards keep out, and the rankings that are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.index.build import build_for_model
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import silent
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.hyperparameters import RunSettings
from bioretrieval_tui.training.negatives import Mined, mine

TEXTS = {
    "best": "statin statin muscle muscle",
    "answer": "statin muscle pain in trials",
    "copy": "Statin-MUSCLE  pain in trials",
    "near": "statin and muscle in mice",
    "far": "statin in a trial of the heart",
    "other": "genes of the liver",
}
QUERY = "statin muscle pain"


@pytest.fixture
def index(tmp_path: Path, home: Path) -> Iterator[Federation]:
    path = tmp_path / "corpus.jsonl"
    rows = (json.dumps({"_id": name, "text": text}) for name, text in TEXTS.items())
    path.write_text("\n".join(rows) + "\n")
    how = ReadSettings(dedupe="off")
    build_for_model("mine", [str(path)], embedded.MODEL_ID, lexical=True, settings=how)
    found = Federation(["mine"], lambda name: SearchEngine.open(name, ready=False))
    yield found
    for engine in found.engines.values():
        engine.close()


def mined(index: Federation, **given: object) -> Mined:
    settings = RunSettings(**({"negatives_by": "lexical", "negatives_each": 9} | given))
    example = Example("1", QUERY, Document("answer", "", TEXTS["answer"]))
    return mine([example], index, settings, silent)


def names(found: Mined) -> list[str]:
    return [document.id for document in found.examples[0].negatives]


def test_answers_and_their_copies_are_no_negatives(index: Federation) -> None:
    found = mined(index)
    assert set(names(found)) == {"best", "near", "far"}
    assert found.kept_out["positives"] == 1
    assert found.kept_out["copies of a positive"] == 1
    assert (found.found, found.lacking) == (1, 0)


def test_what_scores_near_the_answer_is_kept_out(index: Federation) -> None:
    ranked = names(mined(index))
    left = [names(mined(index, negatives_margin=margin)) for margin in (0.01, 0.4, 0.7, 0.99)]
    assert all(one == [name for name in ranked if name in one] for one in left)
    sizes = [len(ranked), *map(len, left)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (3, 0)
    assert len(set(sizes)) > 2  # some scores are between
    none = mined(index, negatives_margin=0.99)
    assert (none.lacking, none.kept_out["scores"]) == (1, 4)  # the copy too


def test_ranks_and_numbers(index: Federation) -> None:
    ranked = names(mined(index))
    assert names(mined(index, negatives_each=1)) == ranked[:1]
    assert len(names(mined(index, negatives_first=3))) < len(ranked)


def test_rankings_are_kept(index: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mined(index)
    assert len(list((places().cache / "negatives").glob("*.json"))) == 1

    def searched(*_: object) -> None:
        raise AssertionError("it is searched again")

    monkeypatch.setattr(Federation, "rank", searched)
    assert mined(index) == first
    (kept,) = (places().cache / "negatives").glob("*.json")
    kept.write_text("{")
    with pytest.raises(AssertionError, match="searched again"):
        mined(index)


def test_negatives_that_are_given_come_first(index: Federation) -> None:
    given = Document("given", "", "not this")
    example = Example("1", QUERY, Document("answer", "", TEXTS["answer"]), (given,))
    settings = RunSettings(negatives_by="lexical", negatives_each=2)
    (found,) = mine([example], index, settings, silent).examples
    assert found.negatives[0].id == "given"
    assert len(found.negatives) == 2
