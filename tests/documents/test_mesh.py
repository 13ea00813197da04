"""The headings of MeSH: read from NLM's form, kept, found by name, term and place."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bioretrieval_tui.documents.mesh import Mesh, keep_mesh, kept_mesh, mesh_path
from bioretrieval_tui.errors import BioRetrievalError
from mesh_sample import DESCRIPTORS, HEADINGS

ALL_NEOPLASMS = ["Neoplasms", "Cysts", "Lung Neoplasms", "Neoplasms by Site",
                 "Small Cell Lung Carcinoma"]  # fmt: skip


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    file = tmp_path / "desc2026.gz"
    file.write_bytes(gzip.compress(DESCRIPTORS.encode()))
    return keep_mesh(file, file.name, "2026-07-01")


def test_what_is_read_is_what_is_kept(mesh: Mesh) -> None:
    kept = kept_mesh()
    assert kept is not None
    assert (kept.source, kept.day, len(kept)) == ("desc2026.gz", "2026-07-01", 7)
    assert list(kept.headings()) == list(mesh.headings())
    found = {one.name: (one.trees, one.terms) for one in kept.headings()}
    assert found == {name: (trees, terms) for name, trees, terms in HEADINGS}


@pytest.mark.parametrize(
    ("term", "narrower"),
    [
        ("Neoplasms", ALL_NEOPLASMS),
        ("CANCER", ALL_NEOPLASMS),
        ("lung-cancer", ["Lung Neoplasms", "Small Cell Lung Carcinoma"]),
        ("Lung Diseases", ["Lung Diseases", "Lung Neoplasms", "Small Cell Lung Carcinoma"]),
        ("cyst", ["Cysts"]),
        ("males", ["Male"]),
        ("lung", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_term_finds_its_heading_and_those_below(
    mesh: Mesh, term: str, narrower: list[str] | None
) -> None:
    heading = mesh.heading(term)
    assert (heading and mesh.narrower(heading)) == narrower


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("neo", [("Neoplasms", "Neoplasms"), ("Neoplasms by Site", "Neoplasms by Site"),
                 ("Lung Neoplasms", "Neoplasms, Lung")]),
        ("canc", [("Neoplasms", "Cancer"), ("Lung Neoplasms", "Cancer of Lung")]),
        ("LUNG N", [("Lung Neoplasms", "Lung Neoplasms")]),
        ("x", []),
    ],
)  # fmt: skip
def test_headings_that_begin_so(mesh: Mesh, text: str, found: list[tuple[str, str]]) -> None:
    assert [(heading.name, term) for heading, term in mesh.begun(text, 5)] == found
    assert mesh.begun(text, 1) == mesh.begun(text, 5)[:1]


def test_another_file_replaces_nothing(mesh: Mesh, tmp_path: Path) -> None:
    data = gzip.compress(DESCRIPTORS.encode())
    for number, (wrong, why) in enumerate(
        [
            (data[:-100], "cut off"),
            (DESCRIPTORS.replace("</DescriptorRecord>", "", 1).encode(), "not closed"),
            (b"<html><body>Sign in</body></html>", "no MeSH headings"),
            (b"", "no MeSH headings"),
        ]
    ):
        file = tmp_path / f"wrong{number}"
        file.write_bytes(wrong)
        with pytest.raises(BioRetrievalError, match=why):
            keep_mesh(file, "desc2027.gz", "2026-07-02")
    kept = kept_mesh()
    assert kept is not None
    assert (kept.source, len(kept)) == ("desc2026.gz", len(mesh))


def test_no_file_and_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    assert kept_mesh() is None
    mesh_path().parent.mkdir(parents=True)
    for data in (b"", b"[1]", b"bioretrieval mesh 2\tdesc\tday\nNeoplasms\n", b"\xff\t\t\n"):
        mesh_path().write_bytes(data)
        with pytest.raises(BioRetrievalError, match="cannot be read") as caught:
            kept_mesh()
        assert "fetch mesh" in str(caught.value.remedy)
