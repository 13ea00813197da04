"""Fields that several readers share: names, plain text, headings, numbers, corrections."""

from __future__ import annotations

from typing import Any

import pytest

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    accessions,
    correction,
    document,
    is_retracted,
    mesh_of,
    without_markup,
    without_notices,
)
from bioretrieval_tui.documents.person_names import people, short_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Kaya, Şule", "Kaya Ş"),
        ("李, 小明", "李 小明"),
        ("김, 철수", "김 철수"),
        ("Иванов, Иван Петрович", "Иванов ИП"),
        ("Taskinen M. R.", "Taskinen MR"),  # no group: only whole words tell one
        ("Forcella, Ann", "Forcella A"),
        ("Task Force on Ponds, Rome", "Task Force on Ponds, Rome"),
        ("Centre for Ponds, Rome", "Centre for Ponds, Rome"),
    ],
)
def test_names_of_persons_and_groups(written: str, name: str) -> None:
    assert short_name(written) == name


def test_headings_with_qualifiers_and_stars() -> None:
    headings = ["Asthma/genetics/*therapy", "*Telomere", "Humans", "Asthma/genetics", "Mice/"]
    assert mesh_of(headings) == {
        "mesh": ["Asthma", "Telomere", "Humans", "Mice"],
        "mesh_major": ["Asthma", "Telomere"],
        "mesh_qualifiers": ["Asthma/genetics", "Asthma/therapy"],
    }


@pytest.mark.parametrize(
    ("number", "trials", "banks"),
    [
        ("ClinicalTrials.gov/NCT00000419", ["NCT00000419"], []),
        ("ISRCTN/ISRCTN12345678", ["ISRCTN12345678"], []),
        ("EudraCT/2004-000446-20", ["2004-000446-20"], []),
        ("JapicCTI/JapicCTI-101234", ["JapicCTI-101234"], []),
        ("NTR/NL1234", ["NL1234"], []),
        ("NCT00000419", ["NCT00000419"], []),
        ("GENBANK/AF123456", [], ["GENBANK/AF123456"]),
        ("PDB/1ABC", [], ["PDB/1ABC"]),
        ("", [], []),
    ],
)
def test_accession_numbers(number: str, trials: list[str], banks: list[str]) -> None:
    assert accessions([number, number]) == {"trials": trials, "databanks": banks}


@pytest.mark.parametrize(
    ("kind", "source", "pmid", "expected"),
    [
        ("RetractionIn", "Lancet. 2010;375:445", "20137807",
         "Retraction in PMID 20137807: Lancet. 2010;375:445"),
        ("RIN", "Lancet. 2010;375:445. doi: 10.1/a. PMID: 20137807", "",
         "Retraction in PMID 20137807: Lancet. 2010;375:445. doi: 10.1/a"),
        ("Retraction in", "Lancet. 2010.", "", "Retraction in: Lancet. 2010"),
        ("retraction-forward", "doi 10.1/a", "", "Retraction in: doi 10.1/a"),
        ("retracted-article", "", "5", "Retraction of PMID 5"),
        ("CorrectedandRepublishedFrom", "J", "5", "Corrected and republished from PMID 5: J"),
        ("ExpressionOfConcernFor", "J", "5", "Expression of concern for PMID 5: J"),
        ("corrected-article", "J", "", "Erratum for: J"),
        ("EIN", "J. PMID: 7 [x]", "", "Erratum in: J. PMID: 7 [x]"),
        ("Cites", "J", "5", ""),
        ("CommentIn", "J", "5", ""),
    ],
)  # fmt: skip
def test_corrections(kind: str, source: str, pmid: str, expected: str) -> None:
    assert correction(kind, source, pmid) == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"types": ["Journal Article", "Retracted Publication"]}, True),
        ({"types": "Retracted Publication"}, True),
        ({"corrections": ["Retraction in PMID 5"]}, True),
        ({"corrections": ["Retracted and republished in: J"]}, True),
        ({"types": ["Retraction of Publication"], "corrections": ["Retraction of PMID 5"]}, False),
        ({"corrections": ["Partial retraction in PMID 5", "Erratum in PMID 5"]}, False),
        ({"types": None, "corrections": 5}, False),
        ({"is_retracted": True}, True),
        ({"retracted": "no"}, False),
        ({}, False),
    ],
)
def test_retracted(metadata: dict[str, Any], expected: bool) -> None:
    assert is_retracted(metadata) is expected


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Taskinen, M.-R.", "Taskinen MR"),
        ("St. Pierre, A.", "St. Pierre A"),
        ("U.S. Preventive Services Task Force", "U.S. Preventive Services Task Force"),
        ("Department of Health, UK", "Department of Health, UK"),
        ("de la Cruz-Vega, María José", "de la Cruz-Vega MJ"),
        ("Wang Y 3rd", "Wang Y 3rd"),
        ("Ada Miller", "Ada Miller"),
        ("Zhang Wei", "Zhang Wei"),
        ("UK Biobank", "UK Biobank"),
        ("[Anonymous]", "[Anonymous]"),
        ("Herbert H. Clark", "Clark HH"),
        ("Ada B Miller", "Miller AB"),
        ("Ludwig M. van Beethoven", "van Beethoven LM"),
        ("A Miller", "Miller A"),
        ("Lee Y-T", "Lee YT"),
        ("Lee, Y-T", "Lee YT"),
        ("da Silva Jr., J. A.", "da Silva JA Jr"),
        ("da Silva Jr. J.", "da Silva J Jr"),
        ("Miller Jr, A.B.", "Miller AB Jr"),
        ("Miller A., Jr.", "Miller A Jr"),
        ("Miller III, A.", "Miller A III"),
        ("Nordheim, E. V. [Author]", "Nordheim EV"),
        ("Lai, Zhen (57193)", "Lai Z"),
        ("Wesenbeeck, B. K. van", "van Wesenbeeck BK"),
        ("Berg, Jan van den", "van den Berg J"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a <b and c> d <0.5 x<y>z", "a <b and c> d <0.5 x<y>z"),
        ("<jats:title>Abstract</jats:title><jats:p>A</jats:p>", "A"),
        ("<jats:title>Aim</jats:title><jats:p>A</jats:p>", "Aim A"),
        ("AT&T; R&D &nosuch; &copy", "AT&T; R&D &nosuch; &copy"),
        ("&lt;p&gt;A&lt;/p&gt;&lt;p class='x'&gt;B&lt;/p&gt;", "A B"),
        ("<mml:math><mml:mi>x</mml:mi></mml:math>&#x3b1;&nbsp;b<!-- no -->", "x\u03b1 b"),
        ("IL-6<sup>hi</sup> 10<jats:sup>-3</jats:sup> CO<inf>2</inf>", "IL-6^hi 10^-3 CO2"),
    ],
)
def test_markup(text: str, plain: str) -> None:
    assert without_markup(text) == plain


@pytest.mark.parametrize(
    ("paragraphs", "text"),
    [
        (["No abstract available.", "[No abstract available]", "N/A"], ""),
        (["Abstract not available", "Abstract available from the publisher."], ""),
        (["No abstract bias was found: we searched five databases for abstracts of trials."] * 2,
         "No abstract bias was found: we searched five databases for abstracts of trials."),
        (["Herons eat\u2026", "Herons eat newts."], "Herons eat newts."),
        (["A.", "B.", "A."], "A. B."),
        (["Abstract: Herons."], "Herons."),
        (["Abstract thinking in herons."], "Abstract thinking in herons."),
    ],
)  # fmt: skip
def test_abstracts(paragraphs: list[str], text: str) -> None:
    assert abstract_of(paragraphs) == text


@pytest.mark.parametrize(
    ("title", "types"),
    [
        ("RETRACTED: Herons", ["Retracted Publication"]),
        ("[RETRACTED] Herons", ["Retracted Publication"]),
        ("RETRACTED ARTICLE: Herons", ["Retracted Publication"]),
        ("Retracted article: Herons", ["Retracted Publication"]),
        ("Retracted papers and what became of them", None),
        ("Retraction: Herons", None),
    ],
)
def test_titles_of_retracted_works(title: str, types: list[str] | None) -> None:
    assert document("1", title, "", {}).metadata.get("types") == types


@pytest.mark.parametrize(
    "metadata",
    [{"types": ["Retraction of Publication"]}, {"corrections": ["Retraction of PMID 5: J"]}],
)
def test_a_notice_with_the_title_of_the_work_is_not_retracted(metadata: dict[str, Any]) -> None:
    assert not is_retracted(document("1", "Retracted: Herons", "", metadata).metadata)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Silva Jr. J., Souza A.", ["Silva J Jr", "Souza A"]),
        ("Li W., Silva J., Jr., Souza A.", ["Li W", "Silva J Jr", "Souza A"]),
        ("Miller, Ada, Berg, Otto", ["Miller A", "Berg O"]),
        ("Miller, Ada B., Berg, Otto", ["Miller AB", "Berg O"]),
        ("Miller, A. B., Berg, O., & Li, W.", ["Miller AB", "Berg O", "Li W"]),
        ("Miller, A., Jr., Berg, O.", ["Miller A Jr", "Berg O"]),
        ("A. Miller, O. Berg", ["Miller A", "Berg O"]),
        ("A. Miller, O. Berg, and W. Li", ["Miller A", "Berg O", "Li W"]),
        ("Ada B. Miller, Otto H. Berg", ["Miller AB", "Berg OH"]),
        ("Ada Miller and Otto Berg", ["Miller A", "Berg O"]),
        ("Ada Miller, Otto Berg, Bo Ek", ["Miller A", "Berg O", "Ek B"]),
        (
            "Ludwig van Beethoven; Maria de la Cruz; Al Ek Jr.; Pond Study Group",
            ["van Beethoven L", "de la Cruz M", "Ek A Jr", "Pond Study Group"],
        ),
        ("Z Lai, SY Shi", ["Lai Z", "Shi SY"]),
        ("Miller A., Berg O., Pond Study Group", ["Miller A", "Berg O", "Pond Study Group"]),
        ("Ada Miller; Berg, Otto", ["Ada Miller", "Berg O"]),
        ("Wei Miller; Berg OP", ["Wei Miller", "Berg OP"]),
        ("\u674e \u5c0f\u660e; \u738b \u4f1f", ["\u674e \u5c0f\u660e", "\u738b \u4f1f"]),
        ("Garcia Lopez, Maria Jose", ["Garcia Lopez MJ"]),
        ("Department of Health, New York", ["Department of Health, New York"]),
        ("Health and Safety Executive", ["Health and Safety Executive"]),
        ("VAN DYKE, MARY B", ["VAN DYKE MB"]),
        pytest.param("A." * 20_000 + ", B C", ["A." * 500], id="much text of points"),
        ("Miller A, Berg O.P.", ["Miller A", "Berg OP"]),
        ("Miller, A. and Berg, O. P.", ["Miller A", "Berg OP"]),
        ("A ba-bai-ke-re, M. M.", ["A ba-bai-ke-re MM"]),
        ("Miller AB & Berg O", ["Miller AB", "Berg O"]),
        ("Barnes and Noble", ["Barnes and Noble"]),
        ("Miller, Ada; ; Berg, Otto;", ["Miller A", "Berg O"]),
        ("Miller A, et al.", ["Miller A"]),
        ("Smith AB Jr, Doe J", ["Smith AB Jr", "Doe J"]),
    ],
)
def test_lines_of_several_names(line: str, names: list[str]) -> None:
    assert people([line]) == names


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Ada Miller, Otto Berg", ["Miller A", "Berg O"]),
        ("Ada Miller, O. Berg", ["Miller A", "Berg O"]),
        ("Garcia Lopez, Maria J.", ["Garcia Lopez MJ"]),
        ("van der Berg, Jan Willem", ["van der Berg JW"]),
        ("Smith, John, MD", ["Smith J"]),
    ],
)
def test_two_names_in_a_cell(line: str, names: list[str]) -> None:
    assert people([line], cell=True) == names


@pytest.mark.parametrize(
    ("notice", "is_one"),
    [
        ("\u00a9 2020 The Author(s)", True),
        ("\u00a9 2020 The Authors. Ponds published by Pond Press on behalf of Birds.", True),
        ("(C) 2011 Elsevier B.V. All rights reserved.", True),
        ("Copyright 2018 Elsevier B.V., All rights reserved.", True),
        ("Copyright (c) 2018, Pond Press.", True),
        ("Crown Copyright \u00a9 2010 Published by Pond Press.", True),
        ("(PsycINFO Database Record (c) 2019 APA, all rights reserved)", True),
        ("(PsycTests Database Record (c) 2020 APA, all rights reserved) (journal abstract)", True),
        ("[ABSTRACT FROM AUTHOR]", True),
        ("[PUBLICATION ABSTRACT]", True),
        ("Copyright of Ponds is the property of X and its content may not be copied or so.", True),
        ("They were (a) birds, (b) newts, (c) 2010 herons.", False),
        ("Copyright law of 2010 matters.", False),
        ("Copyright of texts is the property of nobody.", False),
    ],
)
@pytest.mark.parametrize("between", [" ", "\n", ""])
def test_notices_of_rights_are_no_text(notice: str, is_one: bool, between: str) -> None:
    text = f"Herons ate newts.{between}{notice}"
    assert without_notices(text) == ("Herons ate newts." if is_one else text)
