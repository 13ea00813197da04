"""The board: read whole or in part, named where it is damaged, joined with the catalogue."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bioretrieval_tui.catalog.board import FILE, load_board, main_split
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import data_folder
from bioretrieval_tui.catalog.fields import TABLE, filtered
from bioretrieval_tui.catalog.listing import (
    SAME,
    disagreements,
    load_listing,
    places,
    slug,
    with_board,
)
from bioretrieval_tui.catalog.models import Benchmark, Content, Loaders, Model, Result, Subset
from bioretrieval_tui.errors import CatalogueError

COMMIT = "0" * 40
MODELS: list[dict[str, Any]] = [
    {"name": "lab/alpha", "params": 110_000_000, "max_tokens": 514, "licence": "mit",
     "released": "2025-03-01", "languages": ["en", "fr"], "type": "bi-encoder",
     "training_declared": True, "trained_on": ["Tests"], "open_weights": True},
    {"name": "lab/beta", "type": "late-interaction", "released": "2024-01-01"},
]  # fmt: skip
SCORES: list[list[Any]] = [
    ["Languages", "en", "all", 1, 0.5, "nDCG@10", 0, 1, None, 0, 0, ""],
    ["Languages", "fr", "all", 1, 0.3, "nDCG@10", 2, 0, None, 2, 0, ""],
    ["Languages", "fr", "skin", 1, 0.2, "nDCG@10", 0, 1, None, 0, 0, ""],
    ["Other", "default", "test", 0, 0.9, "nDCG@10", 0, 1, True, 0, 0, ""],
    ["Tests", "default", "test", 0, 0.50004, "nDCG@10", 0, 1, False, 1, 0, "elsewhere/Tests.json"],
    ["Tests", "default", "test", 1, 0.4, "nDCG@10", 1, 0, True, 0, 0, ""],
]


def written(folder: Path, *, head: dict[str, Any] | None = None, body: bytes | None = None) -> Path:
    """A board of these lines, with a right header unless told otherwise."""
    lines = [json.dumps(one) for one in (*MODELS, *SCORES)]
    text = ("\n".join(lines) + "\n").encode()
    origin = {"repository": "r", "commit": COMMIT, "licence": "CC0-1.0"}
    header = {
        "format": 1, "results": origin, "mteb": origin, "models": len(MODELS),
        "scores": len(SCORES), "revisions": ["", "abc1234"], "dataset_revisions": [COMMIT],
        "sha256": hashlib.sha256(text if body is None else body).hexdigest(), **(head or {}),
    }  # fmt: skip
    path = folder / FILE
    path.write_bytes(json.dumps(header).encode() + b"\n" + (text if body is None else body))
    return path


@pytest.fixture
def small() -> Catalogue:
    common: dict[str, Any] = {"summary": "A summary.", "sources": ("card",)}
    alpha = Model(id="alpha", name="Alpha", role="retriever", hub=("lab/Alpha",), max_tokens=512,
                  params=109_500_000, licence="MIT", **common)  # fmt: skip
    tests = Benchmark(id="tests", name="Tests", loaders=Loaders(mteb="Tests"), **common)
    languages = Benchmark(
        id="languages", name="Languages", averaged=True, loaders=Loaders(mteb="Languages"),
        subsets=(Subset(name="en"), Subset(name="fr")), **common,
    )  # fmt: skip
    parts = Benchmark(
        id="parts", name="Parts", loaders=Loaders(mteb="One, Other"),
        subsets=(Subset(name="first", task="One"), Subset(name="other", task="Other")), **common,
    )  # fmt: skip
    results = (
        Result(model="alpha", benchmark="tests", value=0.5, source="card"),
        Result(model="alpha", benchmark="parts", subset="other", value=0.7, source="card"),
    )
    return Catalogue(Content(entries=(alpha, tests, languages, parts), results=results, sources=()))


@pytest.fixture
def wide(small: Catalogue, tmp_path: Path) -> Catalogue:
    written(tmp_path)
    return with_board(small, load_board(tmp_path))


def result(catalogue: Catalogue, model: str, benchmark: str, subset: str | None = None) -> Result:
    (found,) = [
        one for one in catalogue.results
        if (one.model, one.benchmark, one.subset) == (model, benchmark, subset)
    ]  # fmt: skip
    return found


# Reading --------------------------------------------------------------------------------------


def test_it_is_read_whole_or_for_some_tasks(tmp_path: Path) -> None:
    written(tmp_path)
    whole = load_board(tmp_path)
    assert [one.name for one in whole.models] == ["lab/alpha", "lab/beta"]
    assert len(whole.scores) == len(SCORES)
    assert whole.path(whole.scores[0]) == "results/lab__beta/abc1234/Languages.json"
    assert whole.path(whole.scores[1]) == "results/lab__beta/external/Languages.json"
    assert whole.path(whole.scores[4]) == "elsewhere/Tests.json"
    assert whole.path(whole.scores[5]) == "results/lab__beta/no_revision_available/Tests.json"
    for tasks in (["Tests"], ["Languages", "Tests"], ["Other"], ["Nothing"], []):
        part = load_board(tmp_path, tasks)
        assert part.models == whole.models
        assert part.scores == tuple(one for one in whole.scores if one.task in tasks)


def damaged(edit: Any) -> bytes:
    lines = [json.dumps(one).encode() for one in (*MODELS, *SCORES)]
    found: bytes = edit(lines)
    return found


@pytest.mark.parametrize(
    ("edit", "line", "says"),
    [
        (lambda ls: b"\n".join(ls[:-2]) + b"\n", 7, "the file ends here, after 6 of 8 lines"),
        (lambda ls: b"\n".join(ls)[:-9], 8, "the file ends here"),
        (lambda ls: b"", 1, "the file ends here, after 0 of 8 lines"),
        (lambda ls: b"\n".join([*ls[:3], b"{", *ls[4:]]) + b"\n", 5, "cannot be read"),
        (lambda ls: b"\n".join([b"[]", *ls[1:]]) + b"\n", 2, "cannot be read"),
        (lambda ls: b"\n".join(ls).replace(b"0.9", b"1.9") + b"\n", 7, "cannot be read"),
        (lambda ls: b"\n".join(ls).replace(b"0.9", b"-0.9") + b"\n", 7, "out of range"),
        (lambda ls: b"\n".join(ls).replace(b"0.9", b"0.8") + b"\n", 1, "were edited"),
        (lambda ls: b"\n".join([*ls, b"[]"]) + b"\n", 10, "cannot be read"),
    ],
)
def test_a_file_that_was_cut_or_edited_is_named_with_its_line(
    tmp_path: Path, edit: Any, line: int, says: str
) -> None:
    written(tmp_path)
    head = (tmp_path / FILE).read_bytes().partition(b"\n")[0]
    (tmp_path / FILE).write_bytes(head + b"\n" + damaged(edit))
    with pytest.raises(CatalogueError) as caught:
        load_board(tmp_path)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert says in problem.message
    assert "make board" in problem.message


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"format": 2}, "has format 2, and this program reads 1: update it"),
        ({"format": 0}, "unknown format 0"),
        ({"format": "one"}, "is no header of the board"),
        ({"models": "many"}, "is no header of the board"),
    ],
)
def test_a_header_of_another_kind_is_named(tmp_path: Path, head: dict[str, Any], says: str) -> None:
    written(tmp_path, head=head)
    with pytest.raises(CatalogueError) as caught:
        load_board(tmp_path)
    assert says in caught.value.line()
    assert f"{FILE}:1" in caught.value.line()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\n", b"\xff\xfe", b"[" * 100_000],
    ids=["none", "empty", "line", "bytes", "deep"],
)
def test_what_is_no_board_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CatalogueError) as caught:
        load_board(tmp_path)
    assert FILE in caught.value.line()
    assert "\n" not in caught.value.line()


def test_a_right_checksum_over_wrong_lines_is_no_traceback(tmp_path: Path) -> None:
    for body in (b"", b"{}\n", b'{"name":"a"}\n{"name":"b"}\n[1]\n' * 3):
        written(tmp_path, body=body)
        with pytest.raises(CatalogueError):
            load_board(tmp_path)


@pytest.mark.parametrize(
    ("splits", "main"),
    [("test train", "test"), ("all dermatology", "all"), ("long standard", "standard"),
     ("dev", "dev"), ("long", "long")],
)  # fmt: skip
def test_the_split_of_a_task(splits: str, main: str) -> None:
    assert main_split(splits.split()) == main


# Joined with the catalogue --------------------------------------------------------------------


def test_a_curated_entry_wins_and_the_others_are_listed(wide: Catalogue) -> None:
    assert [one.id for one in wide.models] == ["alpha", "lab-beta"]
    beta = wide.listed[0]
    assert beta.status == "declared"
    assert (beta.name, beta.year, beta.hub) == ("beta", 2024, ("lab/beta",))
    assert wide.model_of_hub("lab/BETA") is beta
    assert wide.entry("lab/beta") is beta
    for name, expected in (("tier", "listed"), ("type", "late-interaction"), ("zero_shot", True)):
        assert TABLE.by_name[name].read(beta, wide) == expected
    assert TABLE.by_name["tier"].read(wide.models[0], wide) == "curated"


def test_where_they_disagree_both_are_known(wide: Catalogue) -> None:
    """109.5M and 110M are one number, MIT and mit one licence, 512 and 514 tokens are two."""
    alpha = wide.models[0]
    assert disagreements(alpha, wide.declared["alpha"]) == [("max_tokens", 514)]


def test_a_curated_score_wins_and_gains_what_the_board_knows(wide: Catalogue) -> None:
    same = result(wide, "alpha", "tests")
    assert (same.value, same.source) == (0.5, "card")
    assert (same.path, same.revision, same.others) == ("elsewhere/Tests.json", "abc1234", 1)
    assert same.zero_shot is False  # it was trained on it, by what is declared
    other = result(wide, "alpha", "parts", "other")
    assert (other.value, other.others, other.path) == (0.7, 1, None)
    assert other.zero_shot is True


def test_what_a_curated_entry_was_trained_on_counts_for_all_its_scores(
    small: Catalogue, tmp_path: Path
) -> None:
    MODELS[0]["trained_on"], before = [], MODELS[0]["trained_on"]
    try:
        written(tmp_path)
    finally:
        MODELS[0]["trained_on"] = before
    alpha = msgspec.structs.replace(small.models[0], trained_on=("parts",))
    entries = (alpha, *small.entries[1:])
    content = msgspec.structs.replace(small.content, entries=entries, results=())
    wide = with_board(Catalogue(content), load_board(tmp_path))
    assert result(wide, "alpha", "parts", "other").zero_shot is False
    assert result(wide, "alpha", "tests").zero_shot is False  # as the score itself says


def test_an_averaged_benchmark_has_a_mean_of_its_subsets(wide: Catalogue) -> None:
    whole = result(wide, "lab-beta", "languages")
    assert (whole.value, whole.kind, whole.others) == (0.4, "self-reported", 2)
    assert whole.note == "mean of 2 subsets"
    assert result(wide, "lab-beta", "languages", "fr skin").split == "skin"


def test_no_mean_without_all_subsets(small: Catalogue, tmp_path: Path) -> None:
    written(tmp_path)
    board = load_board(tmp_path)
    scores = tuple(one for one in board.scores if one.subset != "en")
    wide = with_board(small, msgspec.structs.replace(board, scores=scores))
    assert not [one for one in wide.results if one.benchmark == "languages" and not one.subset]


def test_main_splits_only(small: Catalogue, tmp_path: Path) -> None:
    written(tmp_path)
    wide = with_board(small, load_board(tmp_path), main_only=True)
    assert not [one for one in wide.results if one.split == "skin"]


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("language:fr", ["alpha-listed"]), ("type:late-interaction", ["lab-beta"]),
        ("released:2025..", ["alpha-listed"]), ("released<2025", ["lab-beta"]),
        ("released:2025-03", ["alpha-listed"]), ("released:2025-04..", []),
        ("tier:listed", ["alpha-listed", "lab-beta"]), ("zero-shot:no", ["alpha-listed"]),
        ("open_weights:yes licence:mit", ["alpha-listed"]), ("here:yes", ["lab-beta"]),
    ],
)  # fmt: skip
def test_filters_over_listed_models(
    small: Catalogue, tmp_path: Path, expression: str, ids: list[str]
) -> None:
    MODELS[0]["name"], before = "alpha (listed)", MODELS[0]["name"]
    try:
        written(tmp_path)
    finally:
        MODELS[0]["name"] = before
    wide = with_board(small, load_board(tmp_path))
    wide.here = lambda model: model.id == "lab-beta"
    assert [one.id for one in filtered(wide.listed, expression, wide)] == ids


@pytest.mark.parametrize(
    ("name", "made"),
    [("BAAI/bge-m3", "baai-bge-m3"), ("a/b_(dim=8)", "a-b-dim-8"), ("///", "model"),
     ("NovaSearch/stella_en_1.5B_v5", "novasearch-stella-en-1-5b-v5")],
)  # fmt: skip
def test_the_id_of_a_listed_model(name: str, made: str) -> None:
    assert slug(name) == made


# The board that is shipped --------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    from bioretrieval_tui.catalog.compiled import load

    return load_listing(load().catalogue)


def test_every_score_of_the_board_has_a_place(shipped: Catalogue) -> None:
    found = places(shipped.of_type(Benchmark))
    board = load_board(data_folder())
    assert {one.task for one in board.scores} <= found.keys()
    assert len(board.scores) > 12_000
    assert len({one.id for one in (*shipped.entries, *shipped.listed)}) == len(shipped.by_id)


def test_it_agrees_with_the_curated_scores_that_name_it(shipped: Catalogue) -> None:
    """A curated score from mteb's results is the board's, to the decimals that it has."""
    rows = [one for one in shipped.results if one.source == "mteb-results" and one.comparable]
    board = load_board(data_folder())
    curated = [one for one in rows if one.path is not None or one.note is None]
    assert len(curated) > 12_000
    names = {one.id for one in shipped.of_type(Model)}
    lost = [
        (one.model, one.benchmark, one.value) for one in shipped.content.results
        if one.source == "mteb-results" and one.comparable and one.path is None
        and one.model in names and shipped.declared.get(one.model) and not one.note
    ]  # fmt: skip
    assert lost == []
    assert board.header.format == 1
    assert SAME < 0.001
