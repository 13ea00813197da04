"""Filters on MeSH, with its headings fetched and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_help import build_items, record

from bioretrieval_tui.documents.mesh import keep_mesh, mesh_path
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.mesh_conditions import exploded, offers
from bioretrieval_tui.index.metadata import MetadataIndex
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.query import ast
from mesh_sample import DESCRIPTORS


@pytest.fixture
def fields(home: Path) -> MetadataIndex:
    build_items(
        "demo",
        record("a", "one", mesh=["Neoplasms", "Humans"], mesh_major=["Neoplasms"]),
        record("b", "two", mesh=["Small Cell Lung Carcinoma"]),
        record("c", "four", mesh=["Lung Diseases"], mesh_major=["Lung Diseases"]),
        record("d", "five", mesh=["Cysts"], mesh_major=["Cysts"]),
        record("e", "six", mesh=["Cancer Survivors"]),
    )
    return open_index("demo").fields


def found(fields: MetadataIndex, expression: str) -> str:
    return "".join("abcde"[label] for label in fields.select(fields.parse(expression)))


FILTERS = [
    # expression, with headings, without
    ("mesh:neoplasms", "abd", "a"),
    ("mesh:cancer", "abde", "e"),
    ("topic:cancer", "abde", "e"),
    ('mesh="Neoplasms"', "a", "a"),
    ('mesh:"lung diseases"', "bc", "c"),
    ("-mesh:neoplasms", "ce", "bcde"),
    ("major:neoplasms", "ad", "a"),
    ("mesh:cyst,humans", "ad", "ad"),
    ("mesh:neoplasms -mesh:cyst", "ab", "a"),
    ("mesh:lung OR major:cyst", "bcd", "bcd"),
    ("mesh:neopl*", "a", "a"),
    ("cancer", "", ""),
]


@pytest.mark.parametrize("fetched", [True, False])
def test_conditions_find_narrower_headings(
    fields: MetadataIndex, fetched: bool, tmp_path: Path
) -> None:
    if fetched:
        (tmp_path / "desc2026.xml").write_text(DESCRIPTORS)
        keep_mesh(tmp_path / "desc2026.xml", "desc2026.xml", "2026-07-01")
    for expression, with_headings, without in FILTERS:
        expected = with_headings if fetched else without
        assert found(fields, expression) == expected, expression


def test_only_conditions_on_mesh_read_the_headings(home: Path) -> None:
    mesh_path().parent.mkdir(parents=True, exist_ok=True)
    mesh_path().write_bytes(b"damaged")
    for node in (ast.Word("cancer"), ast.Matches("mesh", "=", ("Neoplasms",)), ast.Has("mesh")):
        assert exploded(node) is node
    with pytest.raises(BioRetrievalError, match="cannot be read"):
        exploded(ast.All((ast.Word("x"), ast.Not(ast.Matches("mesh", ":", ("cancer",))))))


LUNG = "Lung Neoplasms C04.588.894.797.520, C08.381.540, C08.785.520"


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("mesh:neo", [
            "mesh:Neoplasms Neoplasms C04",
            "mesh:Neoplasms-by-Site Neoplasms by Site C04.588",
            f'mesh:"Neoplasms, Lung" Neoplasms, Lung: {LUNG}',
        ]),
        ("year:2020 -major:canc", [
            "year:2020 -major:Cancer Cancer: Neoplasms C04",
            f"year:2020 -major:Cancer-of-Lung Cancer of Lung: {LUNG}",
        ]),
        ('mesh:"lung d', ['mesh:"Lung Diseases" Lung Diseases C08.381']),
        ("mesh:lung-d", ["mesh:Lung-Diseases Lung Diseases C08.381"]),
        ("(mesh=cyst,male", ["(mesh=cyst,Male Male"]),
        ("mesh:", []),
        ("mesh:cyst ", []),
        ("keyword:neo", []),
        ("neo", []),
    ],
)  # fmt: skip
def test_what_a_begun_condition_may_go_on_with(
    home: Path, tmp_path: Path, begun: str, expected: list[str]
) -> None:
    assert offers(begun) == []
    (tmp_path / "desc2026.xml").write_text(DESCRIPTORS)
    keep_mesh(tmp_path / "desc2026.xml", "desc2026.xml", "2026-07-01")
    assert [f"{one.text} {one.described}" for one in offers(begun)] == expected
