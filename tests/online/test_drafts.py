"""Drafts of entries: what is made of a page, and that the catalogue's own checks let it through."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import data_folder, load
from bioretrieval_tui.catalog.loader import apply_overlays, parse, read_folder
from bioretrieval_tui.catalog.models import Dataset, Model, Paper
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.drafts import (
    EntryDraft,
    checked,
    from_hub,
    from_paper,
    held,
    reference,
)

DAY = "2026-02-03"
PLACE = Path("catalog.d/new.yaml")
HOSTILE = "\x1b]0;owned\x07Birds\u202e: {a: [b, *c]} # \"quoted\" 'twice'\n- x: y"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(tmp_path_factory.mktemp("home")))
        return load().catalogue


def record(title: str = "BirdRank: Ranking birds", **more: object) -> Document:
    metadata: dict[str, object] = {
        "authors": ["Ann Bee", "Bo Sea"],
        "arxiv": "2601.01234",
        "year": 2026,
        "date": "2026-01-02",
        "doi": "10.1234/birds",
        "journal": "Acta Avium",
        **more,
    }
    abstract = str(metadata.pop("abstract", "We rank birds. It works well, e.g. for owls."))
    return Document("2601.01234", title, abstract, metadata)


def added(draft: EntryDraft) -> Paper | Model | Dataset:
    """The entry that the program would show, once the draft is kept as it is."""
    assert checked(draft.text.encode(), PLACE, data_folder(), {}) == []
    before, content = parse(read_folder(data_folder()))
    after, problems = apply_overlays(before, content, {PLACE: draft.text.encode()})
    assert problems == []
    entry = Catalogue(after).by_id[draft.id]
    assert isinstance(entry, Paper | Model | Dataset)
    assert entry.status == "unverified"
    assert entry.added == DAY
    return entry


def test_a_paper_of_arxiv(catalogue: Catalogue) -> None:
    entry = added(from_paper(record(), catalogue, day=DAY))
    assert isinstance(entry, Paper)
    assert (entry.id, entry.name, entry.title) == (
        "birdrank",
        "BirdRank",
        "BirdRank: Ranking birds",
    )
    assert (entry.arxiv, entry.doi, entry.year, entry.venue) == (
        "2601.01234",
        "10.1234/birds",
        2026,
        "Acta Avium",
    )
    assert entry.authors == ("Ann Bee", "Bo Sea")
    assert entry.links[0].url == "https://arxiv.org/abs/2601.01234"


def test_a_paper_of_pubmed(catalogue: Catalogue) -> None:
    document = Document(
        "123", "Owls at night.", "Owls see.", {"pmid": "123", "authors": ["Bee A"], "year": 1975}
    )
    entry = added(from_paper(document, catalogue, day=DAY))
    assert isinstance(entry, Paper)
    assert (entry.pmid, entry.title, entry.authors) == (123, "Owls at night.", ("Bee A",))
    # The catalogue holds years from 1990 on.
    assert entry.year is None


def test_a_model_and_a_data_set_of_the_hub(catalogue: Catalogue) -> None:
    answer = {
        "id": "org/Bird-Model",
        "pipeline_tag": "text-ranking",
        "createdAt": "2025-01-01T00:00:00Z",
        "gated": "manual",
        "cardData": {"license": "mit", "base_model": ["a/base"]},
        "safetensors": {"total": 109_000_000},
    }
    model = added(from_hub(reference("hub:org/Bird-Model"), answer, catalogue, day=DAY))
    assert isinstance(model, Model)
    assert (model.hub, model.role, model.licence, model.gated, model.params, model.base) == (
        ("org/Bird-Model",),
        "reranker",
        "mit",
        True,
        109_000_000,
        "a/base",
    )
    assert model.statuses == {"role": "unverified"}
    dataset = added(from_hub(reference("hub:datasets/org/birds"), {}, catalogue, day=DAY))
    assert isinstance(dataset, Dataset)
    assert dataset.links[0].url == "https://huggingface.co/datasets/org/birds"


@pytest.mark.parametrize("field", ["title", "abstract", "journal", "doi"])
def test_hostile_text_stays_text(field: str, catalogue: Catalogue) -> None:
    draft = from_paper(record(**{field: HOSTILE}), catalogue, day=DAY)
    assert "\x1b" not in draft.text
    assert "\u202e" not in draft.text
    entry = added(draft)
    assert isinstance(entry, Paper)
    if field == "title":
        assert entry.title.startswith("Birds: {a: [b, *c]} #")


@pytest.mark.parametrize(
    "answer",
    [
        {"cardData": [], "safetensors": 3, "createdAt": "x", "pipeline_tag": 4, "gated": None},
        {"cardData": {"base_model": [{}], "license": [3]}, "safetensors": {"total": -1}},
        {"createdAt": "0001-01-01", "tags": "license:mit"},
    ],
)
def test_invalid_fields_of_a_card_are_left_out_of_the_draft(
    answer: dict[str, object], catalogue: Catalogue
) -> None:
    entry = added(from_hub(reference("hub:org/strange"), answer, catalogue, day=DAY))
    assert isinstance(entry, Model)
    assert (entry.year, entry.params, entry.base) == (None, None, None)


def test_an_id_that_is_taken_gives_another(catalogue: Catalogue) -> None:
    taken = next(entry for entry in catalogue.entries if entry.id == "medcpt")
    draft = from_paper(record(title="MedCPT: anew"), catalogue, day=DAY)
    assert draft.id != taken.id
    assert draft.id not in catalogue.by_id
    added(draft)


def test_problems_of_a_draft_name_file_line_and_field(catalogue: Catalogue) -> None:
    draft = from_paper(record(), catalogue, day=DAY)
    text = draft.text.replace("year: 2026", "yeer: 2026").replace(
        "- birdrank-page\n", "- nowhere\n", 1
    )
    problems = checked(text.encode(), PLACE, data_folder(), {})
    assert {str(one.file) for one in problems} == {str(PLACE)}
    fields = {one.field: one for one in problems}
    lines = text.splitlines()
    assert "yeer" in fields
    assert lines[(fields["yeer"].line or 0) - 1].strip().startswith("yeer")


def test_an_invalid_overlay_beside_does_not_affect_the_draft(catalogue: Catalogue) -> None:
    draft = from_paper(record(), catalogue, day=DAY)
    other = {Path("catalog.d/aaa.yaml"): b"papers: 3"}
    assert checked(draft.text.encode(), PLACE, data_folder(), other) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arxiv:2310.12345", "arxiv:2310.12345"),
        ("arXiv:2310.12345v3", "arxiv:2310.12345"),
        ("pmid:123", "pmid:123"),
        ("hub:ncbi/MedCPT-Query-Encoder", "hub:ncbi/MedCPT-Query-Encoder"),
        ("hub:datasets/a/b", "hub:datasets/a/b"),
    ],
)
def test_references(text: str, name: str) -> None:
    assert str(reference(text)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "medcpt",
        "arxiv:",
        "arxiv:abc",
        "pmid:0",
        "pmid:12x",
        "hub:a",
        "hub:a/../b",
        "doi:10.1/x",
    ],
)
def test_an_unknown_reference_is_refused_with_the_known_forms(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        reference(text)
    assert "arxiv:2101.00001" in raised.value.line()


def test_works_of_the_catalogue_are_found(catalogue: Catalogue) -> None:
    paper = next(one for one in catalogue.of_type(Paper) if one.arxiv)
    model = next(one for one in catalogue.of_type(Model) if one.hub)
    assert held(catalogue, reference(f"arxiv:{paper.arxiv}")) is not None
    assert held(catalogue, reference(f"hub:{model.hub[0].upper()}")) is not None
    assert held(catalogue, reference(f"hub:datasets/{model.hub[0]}")) is None
    assert held(catalogue, reference("arxiv:9912.99999")) is None
