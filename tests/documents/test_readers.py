"""Properties of every reader: any bytes, any damage, any cut, blocks of any size."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_help import documents, promises_kept, read_in_blocks, read_nameless

from bioretrieval_tui.documents.detect import FORMATS, by_name
from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.errors import CorpusError

NUMBERS = range(1, 5)


def pubmed(number: int) -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{number}</PMID><Article><Journal><JournalIssue>"
        f"<PubDate><MedlineDate>1998 Dec</MedlineDate></PubDate></JournalIssue></Journal>"
        f"<ArticleTitle>T <i>é</i>{number}</ArticleTitle><Abstract><AbstractText Label='AIM'>A"
        "<mml:math><mml:mfrac><mml:mi>1</mml:mi></mml:mfrac></mml:math></AbstractText></Abstract>"
        "<AuthorList><Author><LastName>X</LastName><ForeName>Y Z</ForeName></Author></AuthorList>"
        "</Article><MeshHeadingList><MeshHeading><DescriptorName MajorTopicYN='Y'>H"
        "</DescriptorName></MeshHeading></MeshHeadingList></MedlineCitation></PubmedArticle>\n"
    )


def jats(number: int) -> str:
    return (
        f"<article><front><article-meta><article-id pub-id-type='pmid'>{number}</article-id>"
        f"<title-group><article-title>T &eacute; {number}</article-title></title-group>"
        "<contrib-group><contrib><name><surname>X</surname><given-names>Y</given-names></name>"
        "</contrib></contrib-group><pub-date pub-type='collection'><year>2001</year></pub-date>"
        "<abstract><sec><title>Aim</title><p>A<alternatives><tex-math>$x$</tex-math>"
        "</alternatives></p></sec></abstract>"
        "</article-meta></front></article>\n"
    )


def endnote(number: int) -> str:
    return (
        f"<record><rec-number>{number}</rec-number><ref-type name='Journal Article'>17</ref-type>"
        "<contributors><authors><author><style face='normal'>X, Y</style></author></authors>"
        f"</contributors><titles><title><style>T &eacute; </style><style face='superscript'>"
        f"{number}</style></title></titles><accession-num>ABC-2000{number}</accession-num></record>\n"
    )


def europepmc(number: int) -> str:
    authors = {"author": [{"fullName": "X Y"}]}
    record = {"id": str(number), "source": "MED", "title": "<i>T</i>", "authorList": authors}
    return json.dumps({**record, "journalInfo": {"volume": 1}, "keywordList": {}})


MEDCPT = {str(n): {"d": "2006", "t": "T", "a": "é", "m": "mice!|"} for n in NUMBERS}

# Of each format: a head, records, a tail, and what ends a record.
SEEDS: dict[str, tuple[str, list[str], str, bytes]] = {
    "pubmed-xml": ("<PubmedArticleSet>\n", list(map(pubmed, NUMBERS)), "</PubmedArticleSet>",
                   b"</PubmedArticle>"),
    "jats": ("<pmc-articleset>\n", list(map(jats, NUMBERS)), "</pmc-articleset>", b"</article>"),
    "endnote-xml": ("<xml><records>", list(map(endnote, NUMBERS)), "</records></xml>",
                    b"</record>"),
    "europepmc-xml": (
        "<responseWrapper><resultList>",
        [f"<result><id>{n}</id><source>MED</source><title>T &eacute;</title></result>\n"
         for n in NUMBERS],
        "</resultList></responseWrapper>", b"</result>"),
    "europepmc": ('{"hitCount": 4, "resultList": {"result": [',
                  [", ".join(map(europepmc, NUMBERS))], "]}}", b'"keywordList": {}}'),
    "medcpt-chunk": ("", [json.dumps(MEDCPT)], "", b'mice!|"}'),
    "beir": ("", [f'{{"_id": "{n}", "text": "é\\u0041"}}\n' for n in NUMBERS], "", b"}\n"),
    "medrag": ("", [f'{{"id": {n}, "content": "é"}}\n' for n in NUMBERS], "", b"}\n"),
    "medline": ("", [f"PMID- {n}\nTI  - é\n      more\nMH  - *A\n\n" for n in NUMBERS], "",
                b"\n\n"),
    "ris": ("", [f"TY  - JOUR\nTI  - é {n}\nmore\nER  - \n" for n in NUMBERS], "", b"ER  - \n"),
    "wos": ("FN ISI\nVR 1.0\n", [f"PT J\nTI é {n}\n   more\nER\n" for n in NUMBERS], "EF",
            b"ER\n"),
    "ovid": ("<1. >\nVN  - O\n", [f"TI  - é {n}\nmore\n\n<{n}. >\nVN  - O\n" for n in NUMBERS], "",
             b"VN  - O\n"),
    "refer": ("", [f"%0 Book\n%T é {n}\nmore\n%A X, Y\n\n" for n in NUMBERS], "%0", b"\n\n%0"),
    "refworks": ("", [f"RT Book\nT1 é {n}\nmore\n\n" for n in NUMBERS], "RT", b"\n\nRT"),
    "bibtex": ("@string{p = {P}}\n", [f"@book{{k{n}, title = {{é {n}}},\n publisher = p}}\n"
                                      for n in NUMBERS], "", b"}\n"),
    "csl-json": ("[", [", ".join(f'{{"type": "book", "title": "é {n}", "DOI": "10.1000/{n}"}}'
                                 for n in NUMBERS)], "]", b'"}'),
    "json": ("", [f'{{"doi": "10.1000/{n}", "title": "é"}}\n' for n in NUMBERS], "", b"}\n"),
    "csv": ("id,title\n", [f'{n},"é {n}"\n' for n in NUMBERS], "", b'"\n'),
    "tsv": ("id\ttitle\n", [f"{n}\té {n}\n" for n in NUMBERS], "", b"\n"),
}  # fmt: skip
READ_ALONE = ("pubmed-xml", "jats", "beir", "medrag")
"""Formats in which damage reaches the records where it stands alone."""

SIGNS = [b"\0", b"x", b'"', b",", b"\t", b"\r\n", b"\xff", b" "]

each_format = pytest.mark.parametrize("name", SEEDS)


def whole_of(name: str) -> bytes:
    head, records, tail, _ = SEEDS[name]
    return (head + "".join(records) + tail).encode()


def read(data: bytes, name: str, block: int = 0) -> list[Item] | str:
    """The items of a file, or the line that refuses all of it."""
    try:
        if block:
            return read_in_blocks(data, by_name(name), block)
        return read_nameless(data, by_name(name))
    except CorpusError as error:
        return error.line().partition(": ")[2]


def test_every_format_that_is_text_has_a_seed() -> None:
    assert {*FORMATS} - {"parquet"} == set(SEEDS)
    for name in SEEDS:
        assert by_name(name).recognises(whole_of(name))
        assert len(documents(read_nameless(whole_of(name), by_name(name)))) == len(NUMBERS)


@each_format
@settings(max_examples=60)
@given(data=st.binary(max_size=200), block=st.integers(1, 300), parts=st.data())
def test_any_bytes(name: str, data: bytes, block: int, parts: st.DataObject) -> None:
    pieces = whole_of(name).replace(b"\n", b"\n\0").replace(b">", b">\0").split(b"\0")
    soup = parts.draw(st.lists(st.sampled_from([*pieces, *SIGNS]), max_size=20))
    header = SEEDS[name][0].encode()
    for whole in (data, header + data, header + b"".join(soup)):
        found = read(whole, name)
        assert read(whole, name, block) == found
        if isinstance(found, str):
            assert "\n" not in found
        else:
            promises_kept(found, empty=name == "beir")
        assert isinstance(by_name(name).recognises(whole), bool)


@each_format
@settings(max_examples=60)
@given(
    share=st.floats(0, 1),
    put=st.binary(max_size=120),
    taken=st.integers(0, 30),
    block=st.integers(1, 300),
)
def test_damage_gives_records_and_refusals(
    name: str, share: float, put: bytes, taken: int, block: int
) -> None:
    whole = whole_of(name)
    at = int(share * len(whole))
    damaged = whole[:at] + put + whole[at + taken :]
    found = read(damaged, name)
    assert read(damaged, name, block) == found
    if isinstance(found, str):
        return
    promises_kept(found, empty=name == "beir")
    if name in READ_ALONE and at > 4:  # the first bytes decide on the charset of everything
        before, after = (documents(read_nameless(data, by_name(name))) for data in (whole, damaged))
        kept = [document for document in before if document in after]
        # 29 bytes are the end of one line of MedRAG, the next one, and the line feed behind that.
        assert len(kept) >= len(before) - 3


@each_format
@settings(max_examples=40)
@given(share=st.floats(0, 1))
def test_a_cut_keeps_what_was_complete(name: str, share: float) -> None:
    whole = whole_of(name)
    first = len(SEEDS[name][0].encode())
    cut = first + int(share * (len(whole) - first))
    complete = whole[first:cut].count(SEEDS[name][3])
    kept = read_nameless(whole[:cut], by_name(name))
    assert kept[:complete] == read_nameless(whole, by_name(name))[:complete]
    assert complete <= len(kept) <= complete + 2
