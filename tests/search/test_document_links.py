"""Links and years from metadata; a bare number is nobody's page."""

from __future__ import annotations

from typing import Any

import pytest

from bioretrieval_tui.documents.bibliography import document_pmid, document_url, document_year
from bioretrieval_tui.documents.document import Document


@pytest.mark.parametrize(
    ("identifier", "metadata", "url"),
    [
        ("4983", {}, None),
        ("1", {"pmid": 33017109}, "https://pubmed.ncbi.nlm.nih.gov/33017109/"),
        ("1", {"PMID": " 33017109 "}, "https://pubmed.ncbi.nlm.nih.gov/33017109/"),
        ("1", {"pmid": "33017109; DROP"}, None),
        ("1", {"pmid": True}, None),
        ("1", {"pmid": "0123"}, None),
        ("PMC101395", {}, "https://pmc.ncbi.nlm.nih.gov/articles/PMC101395/"),
        ("1", {"doi": "10.1111/ane.13338"}, "https://doi.org/10.1111/ane.13338"),
        ("1", {"doi": "https://doi.org/10.1/x"}, None),
        ("1", {"doi": "https://doi.org/10.1234/x"}, "https://doi.org/10.1234/x"),
        ("1", {"doi": "10.1234/<a>?b#c"}, "https://doi.org/10.1234/%3Ca%3E%3Fb%23c"),
        ("1", {"doi": None}, None),
        ("1", {"arxiv": "2307.00589v2"}, "https://arxiv.org/abs/2307.00589v2"),
        ("1", {"arxiv": "cs/0112017"}, "https://arxiv.org/abs/cs/0112017"),
        ("1", {"arxiv": "../x"}, None),
        ("1", {"url": "https://example.org/a", "pmid": 5}, "https://example.org/a"),
        ("1", {"url": "javascript:alert(1)"}, None),
        ("1", {"url": "file:///etc/passwd"}, None),
        ("1", {"url": "https://"}, None),
        ("1", {"url": "https://[x"}, None),
        ("1", {"url": "https://example.org/\x1b]8;;"}, None),
        ("1", {"url": "https://example.org/a b"}, None),
        ("1", {"url": "https://exämple.org/"}, None),
        ("1", {"url": ["https://example.org/"]}, None),
    ],
)
def test_url(identifier: str, metadata: dict[str, Any], url: str | None) -> None:
    assert document_url(Document(identifier, metadata=metadata)) == url


def test_ids_are_pmids_only_where_the_index_says_so() -> None:
    document = Document("21645374")
    assert document_url(document) is None
    assert (document_pmid(document), document_pmid(document, "pmid")) == (None, "21645374")
    assert document_pmid(Document("MED-10", metadata={"PMID": 7}), "pmid") == "7"
    assert document_url(document, "pmid") == "https://pubmed.ncbi.nlm.nih.gov/21645374/"
    assert document_url(Document("MED-10"), "pmid") is None


@pytest.mark.parametrize(
    ("metadata", "year"),
    [
        ({}, None),
        ({"year": 2020}, 2020),
        ({"year": "2020"}, 2020),
        ({"year": True}, None),
        ({"year": 20205}, None),
        ({"date": "2019-03-05"}, 2019),
        ({"pubdate": "Winter 1998-1999"}, 1998),
        ({"year": None, "date": "2001"}, 2001),
        ({"year": "unknown"}, None),
    ],
)
def test_year(metadata: dict[str, Any], year: int | None) -> None:
    assert document_year(metadata) == year
