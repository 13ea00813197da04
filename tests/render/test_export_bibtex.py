"""BibTeX as a parser written from BibTeX's own rules reads it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Link, Model, Paper
from bioretrieval_tui.render import citation
from bioretrieval_tui.render.citation import (
    Citation,
    bibliography,
    bibtex_fields,
    citable,
    cite,
    cite_entry,
)
from bioretrieval_tui.render.entries import entry_sheet
from bioretrieval_tui.render.formats import render
from bioretrieval_tui.render.sheet import one_line

Parsed = list[tuple[str, str, dict[str, str]]]


def parse(text: str) -> Parsed:
    """Entries as (type, key, fields). Like BibTeX it counts braces and knows no backslash."""
    found: Parsed = []
    place = 0
    while head := re.compile(r"\s*@([a-z]+)\{([A-Za-z0-9:_-]+),\n").match(text, place):
        place = head.end()
        fields: dict[str, str] = {}
        while field := re.compile(r"  ([A-Za-z]+) = \{").match(text, place):
            depth, end = 1, field.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            assert field[1] not in fields
            fields[field[1]] = text[field.end() : end - 1]
            assert text[end : end + 2] == ",\n"
            place = end + 2
        assert text[place : place + 2] == "}\n"
        place += 2
        found.append((head[1], head[2], fields))
    assert text[place:].strip() == "", f"left over: {text[place:][:80]!r}"
    return found


COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textbraceleft{}": "{",
    r"\textbraceright{}": "}",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    **{f"\\{char}": char for char in "&%$#_"},
}


def typeset(value: str) -> str:
    """The characters that LaTeX prints; fails on one that it would act on instead."""
    tokens = re.findall(r"\\text[a-z]+\{\}|\\.|[^\\]", value, re.DOTALL)
    assert "".join(tokens) == value
    printed = []
    for token in tokens:
        assert token not in tuple("&%$#_~^"), f"unescaped {token}"
        printed.append(COMMANDS[token] if len(token) > 1 else token.strip("{}") and token)
    return "".join(printed)


TEXTS = st.text() | st.text(alphabet="\\{}&%$#_~^ ABab-:'\"@,\n", max_size=30)


@given(TEXTS)
def test_escaped_text_prints_as_it_was(text: str) -> None:
    assert typeset(citation.escape(text)) == one_line(text)
    ((_, _, fields),) = parse(
        "".join(bibliography([Citation("k", "misc", "T", fields=(("note", text),))]))
    )
    assert fields.get("note", "") == citation.escape(text)


@given(TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode()))
def test_titles_print_as_they_were(text: str) -> None:
    assert typeset(citation.latex_title(text)) == unicodedata.normalize("NFC", one_line(text))


@given(st.lists(TEXTS, max_size=4).map(tuple))
@example(("Smith and Sons", "{A and B}", "others", "others"))
def test_authors_stay_as_many_as_they_are(names: tuple[str, ...]) -> None:
    names = tuple(name for name in names if one_line(name))
    joined = citation.latex_authors(names)
    depth, outside = 0, ""
    for char in joined:
        depth += {"{": 1, "}": -1}.get(char, 0)
        outside += char if not depth else "x"
    assert depth == 0
    assert len(outside.split(" and ")) == max(1, len(names))


@given(TEXTS)
def test_addresses_cannot_leave_their_field(text: str) -> None:
    found = citation.latex_address(text)
    assert not set(found) & set("{}\\ \n")
    assert found.isascii()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("BioBERT: a pre-trained model", "{BioBERT}: a pre-trained model"),
        (
            "Domain-Specific Language Model Pretraining",
            "Domain-Specific Language Model Pretraining",
        ),
        ("COVID-19 in Wuhan: what we know", "{COVID}-19 in {Wuhan}: what we know"),
        ("Text on code: The first steps for all", "Text on code: The first steps for all"),
        ("Qwen3 Embedding: Advancing Text", "{Qwen3} Embedding: Advancing Text"),
        ("Vitamin D and A Trial of Bread", "Vitamin {D} and A Trial of Bread"),
        ("Fish & {chips} 100%", r"Fish \& \textbraceleft{}chips\textbraceright{} 100\%"),
        ("", ""),
    ],
)
def test_capitals_in_titles(title: str, expected: str) -> None:
    assert citation.latex_title(title) == expected


def paper(**fields: object) -> Paper:
    given = {"id": "an-id", "name": "N", "summary": "s", "sources": ("x",), "title": "A Title"}
    return Paper(**{**given, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("venue", "kind", "fields"),
    [
        (
            "Bioinformatics 39(11)",
            "article",
            {"journal": "Bioinformatics", "volume": "39", "number": "11"},
        ),
        ("Bioinformatics", "article", {"journal": "Bioinformatics"}),
        ("Bioinformatics 2020", "article", {"journal": "Bioinformatics", "year": "2020"}),
        ("TMLR 2022", "article", {"journal": "TMLR", "year": "2022"}),
        (
            "J Biomed Inform 126, 2022",
            "article",
            {"journal": "J Biomed Inform", "volume": "126", "year": "2022"},
        ),
        (
            "npj Digital Medicine 4:68",
            "article",
            {"journal": "npj Digital Medicine", "volume": "4", "pages": "68"},
        ),
        ("AAAI 2026 (oral)", "inproceedings", {"booktitle": "AAAI 2026", "year": "2026"}),
        ("SIGIR Forum 54(1)", "article", {"journal": "SIGIR Forum", "volume": "54"}),
        ("Transactions of the ACL", "article", {"journal": "Transactions of the ACL"}),
        ("npj Digital Medicine", "article", {"journal": "npj Digital Medicine"}),
        ("EMNLP 2020", "inproceedings", {"booktitle": "EMNLP 2020", "year": "2020"}),
        ("BioNLP@ACL 2019", "inproceedings", {"booktitle": "BioNLP@ACL 2019"}),
        ("Findings of NAACL 2022", "inproceedings", {"booktitle": "Findings of NAACL 2022"}),
        ("NeurIPS 2021 D&B", "inproceedings", {"booktitle": r"NeurIPS 2021 D\&B", "year": "2021"}),
        ("preprint", "misc", {}),
        ("medRxiv preprint", "misc", {"howpublished": "medRxiv preprint"}),
        (None, "misc", {}),
    ],
)
def test_the_venue_decides_the_type(venue: str | None, kind: str, fields: dict[str, str]) -> None:
    citation = cite(paper(venue=venue, year=2019))
    assert citation.type == kind
    found = dict(bibtex_fields(citation))
    assert {name: found.get(name) for name in fields} == fields
    assert found["year"] == fields.get(
        "year", re.sub(r"^.*(20\d\d).*$|.*", r"\1", venue or "") or "2019"
    )


@pytest.mark.parametrize(
    ("authors", "title", "key"),
    [
        (("Jinhyuk Lee", "others"), "BioBERT: a pre-trained model", "lee2020biobert"),
        (("Lee, Jinhyuk",), "The BioBERT", "lee2020biobert"),
        (("François Rémy",), "C-Pack: more", "remy2020cpack"),
        (("Øystein Łoś",), "On Evaluation", "los2020evaluation"),
        (("{NLM Team}",), "A for the", "nlm2020"),
        (("李明",), "Title", "an-id"),
        (("others",), "Title", "an-id"),
        ((), "Title", "an-id"),
    ],
)
def test_keys(authors: tuple[str, ...], title: str, key: str) -> None:
    assert cite(paper(authors=authors, title=title, year=2020)).key == key


def test_statuses_are_noted() -> None:
    assert "note" not in dict(bibtex_fields(cite(paper())))
    assert dict(bibtex_fields(cite(paper(status="unverified"))))["note"] == "unverified"
    noted = cite(paper(statuses={"venue": "unverified", "arxiv": "secondary", "doi": "unverified"}))
    assert dict(bibtex_fields(noted))["note"] == "unverified: venue, doi"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        (
            {"links": (Link(label="l", url="https://a.example/{x}", type="site"),)},
            "https://a.example/%7Bx%7D",
        ),
        ({"links": (Link(label="l", url="javascript:alert(1)", type="site"),)}, None),
        ({"acl": "2022.x-1.1", "doi": "10.1/x"}, "https://aclanthology.org/2022.x-1.1/"),
        ({"doi": "10.1234/x", "arxiv": "2001.00001"}, "https://doi.org/10.1234/x"),
        ({"arxiv": "2001.00001"}, "https://arxiv.org/abs/2001.00001"),
        ({"pmid": 12}, "https://pubmed.ncbi.nlm.nih.gov/12/"),
        ({}, None),
    ],
)
def test_the_address_of_a_paper(fields: dict[str, object], url: str | None) -> None:
    assert dict(bibtex_fields(cite(paper(**fields)))).get("url") == url


def test_a_model_is_cited_by_its_hub_page() -> None:
    model = Model(
        id="m", name="M", role="encoder", summary="s", sources=("x",), hub=("some_lab/M_1",)
    )
    assert bibtex_fields(cite_entry(model)) == (
        ("title", "M"),
        ("author", r"{some\_lab}"),
        ("howpublished", r"\url{https://huggingface.co/some_lab/M_1}"),
    )


def test_what_has_no_address_is_not_cited(catalogue: Catalogue) -> None:
    for name in ("words", "train-alpha", "evolution-alpha", "step-1"):
        assert not citable(catalogue.entry(name))
        with pytest.raises(ValueError, match=name):
            cite_entry(catalogue.entry(name))


def test_every_sheet_parses(catalogue: Catalogue) -> None:
    sheet = entry_sheet(catalogue.entries, catalogue)
    parsed = parse("".join(render(sheet, "bibtex")))
    assert len(parsed) == len([entry for entry in catalogue.entries if citable(entry)]) == 8
    assert len({key for _, key, _ in parsed}) == 8


def test_keys_are_unique_and_twins_are_written_once() -> None:
    works = [
        Citation(key, "misc", "T", fields=(("note", str(i)),))
        for i, key in enumerate(["k", "K", "k", "kb"])
    ]
    keys = [key for _, key, _ in parse("".join(bibliography([*works, works[0]])))]
    assert keys == ["k", "Kb", "kc", "kbb"]
    many = [Citation("k", "misc", "T", fields=(("note", str(i)),)) for i in range(60)]
    keys = [key for _, key, _ in parse("".join(bibliography(many)))]
    assert len(set(keys)) == 60
