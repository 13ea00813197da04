"""An identifier as the query finds its document first; facets keep the values that a filter left
out; warnings stand before the title."""

from __future__ import annotations

from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, record

from bioretrieval_tui.documents.bibliography import warning_of
from bioretrieval_tui.documents.identity import identifiers_of
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.query.ast import Everything, without_field
from bioretrieval_tui.render.hits import heading_of, hit_page
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Hit, Query
from bioretrieval_tui.tui.facets import clause_in, toggled_clause

RECORDS = [
    record(
        str(1000 + n),
        "statins and muscle pain" if n % 2 else "aspirin and headache",
        f"Trial {n}",
        doi=f"10.1000/Abc.{n}",
        pmcid=f"PMC{n + 70}",
        trials=[f"NCT{n:08d}"],
        year=2000 + n % 4,
        journal=("Lancet", "JAMA", "Gut, the journal")[n % 3],
    )
    for n in range(24)
]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchEngine:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    build_index("demo", feeding(RECORDS), HashingEncoder)
    return SearchEngine(open_index("demo"), HashingEncoder())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("31295471", {"pmid": "31295471"}),
        (" PMID: 123 ", {"pmid": "123"}),
        ("pmc7070.1", {"pmcid": "PMC7070"}),
        ("nct00000003", {"trial": "NCT00000003"}),
        ("10.1000/ABC.7", {"doi": "10.1000/abc.7"}),
        ("https://doi.org/10.1000/abc.7", {"doi": "10.1000/abc.7"}),
        ("doi: 10.1000/abc.7", {"doi": "10.1000/abc.7"}),
        ("statins", {}),
        ("compare 10.1000/abc.7", {}),
        ("NCT00000003 NCT00000004", {}),
        ("", {}),
    ],
)
def test_a_text_that_is_an_identifier(text: str, names: dict[str, str]) -> None:
    assert identifiers_of(text) == names


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    "query", ["1007", "PMID 1007", "10.1000/ABC.7", "doi:10.1000/abc.7", "PMC77", "nct00000007"]
)
def test_an_identifier_finds_its_document_first(
    engine: SearchEngine, query: str, mode: str
) -> None:
    answer = engine.search(Query(text=query, mode=mode, k=5))
    assert answer.hits[0].id == "1007"
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    assert len({hit.id for hit in answer.hits}) == len(answer.hits)
    assert answer.hits[0].score == max(hit.score for hit in answer.hits)
    assert answer.note is None


def test_a_filter_rules_over_an_identifier(engine: SearchEngine) -> None:
    answer = engine.search(Query(text="1007", where="year:2000"))
    assert "1007" not in {hit.id for hit in answer.hits}


def test_a_number_that_names_nothing_is_a_query(engine: SearchEngine) -> None:
    assert engine.search(Query(text="99", mode="lexical")).hits == ()


def test_facets_keep_the_other_values_of_a_filtered_field(engine: SearchEngine) -> None:
    def counts(where: str) -> dict[str, dict[str, int]]:
        answer = engine.search(Query(text="statins", mode="lexical", where=where, k=50))
        return {facet.field: dict(facet.counts) for facet in answer.facets}

    free, narrow = counts(""), counts("year:2001")
    assert free["year"] == narrow["year"] == {"2003": 6, "2001": 6}
    assert narrow["journal"] == {"Gut, the journal": 2, "JAMA": 2, "Lancet": 2}
    both = counts("year:2001 journal=Lancet")
    assert both["year"] == {"2003": 2, "2001": 2}
    assert both["journal"] == narrow["journal"]
    # A condition that is not required by itself is left as it is.
    assert counts("year:2001 OR journal=none")["year"] == {"2001": 6}


def test_conditions_that_a_filter_loses(engine: SearchEngine) -> None:
    parse = engine.index.fields.parse
    assert isinstance(without_field(parse("year:2001"), "year"), Everything)
    assert without_field(parse("year:2001 pain"), "year") == parse("pain")
    kept = parse("-year:2001 pain")
    assert without_field(kept, "year") is kept


@pytest.mark.parametrize(
    ("where", "clause", "then"),
    [
        ("", "year:2019", "year:2019"),
        ("year:2019", "year:2020", "year:2019,2020"),
        ("year:2019,2020", "year:2019", "year:2020"),
        ("year:2020", "year:2020", ""),
        ("pain year:2020 pmcid=x", "year:2020", "pain pmcid=x"),
        ('journal="Gut, the journal"', "journal=JAMA", 'journal="Gut, the journal",JAMA'),
        ('journal=JAMA,"Gut, the journal"', 'journal="Gut, the journal"', "journal=JAMA"),
        ("pmcid:PMC71", "pmcid=PMC72", "pmcid:PMC71 pmcid=PMC72"),
        ("year:2019..", "year:2018", "year:2019..,2018"),
        ("-year:2019", "year:2019", "-year:2019 year:2019"),
        ("a OR b", "year:2019", "(a OR b) year:2019"),
    ],
)
def test_values_of_a_field_are_alternatives(
    engine: SearchEngine, where: str, clause: str, then: str
) -> None:
    assert toggled_clause(where, clause, engine.index.fields.schema) == then
    added = len(then) > len(where)
    assert (clause_in(where, clause), clause_in(then, clause)) == (not added, added)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, ""),
        ({"retracted": "yes"}, "RETRACTED"),
        ({"corrections": ["Retraction in PMID 5: Gut"]}, "RETRACTED"),
        ({"corrections": ["Erratum in PMID 5"]}, ""),
        ({"corrections": ["Expression of concern in PMID 5: Gut"]}, "EXPRESSION OF CONCERN"),
        ({"corrections": ["Expression of concern for PMID 5"]}, ""),
        ({"corrections": "Partial retraction in: Gut. 2020"}, "PARTLY RETRACTED"),
        ({"corrections": ["Expression of concern in X", "Retraction in Y"]}, "RETRACTED"),
    ],
)
def test_warnings(metadata: dict[str, object], said: str) -> None:
    hit = Hit(1, "5", "A trial", "text", 2020, None, 1.0, metadata=metadata)
    assert warning_of(metadata) == said
    assert heading_of(hit) == (f"{said}: A trial" if said else "A trial")
    assert hit_page(hit).badges == ((said,) if said else ())
