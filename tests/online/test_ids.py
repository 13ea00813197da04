"""Ids of works as people paste them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.ids import read_ids, work_id
from bioretrieval_tui.online.spool import WorkId

SICI = "10.1002/(SICI)1097-0258(19980815/30)17:15/16<1661::AID-SIM968>3.0.CO;2-2"


@pytest.mark.parametrize(
    ("word", "kind", "name"),
    [
        ("12345678", "pmid", "12345678"),
        ("PMID:12345678", "pmid", "12345678"),
        ("https://pubmed.ncbi.nlm.nih.gov/12345678/", "pmid", "12345678"),
        ("PMC123456", "pmcid", "PMC123456"),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC123456/", "pmcid", "PMC123456"),
        ("10.1000/a(b)c.d", "doi", "10.1000/a(b)c.d"),
        ("doi:10.1000/x.", "doi", "10.1000/x"),
        ("https://doi.org/10.1000%2Fx", "doi", "10.1000/x"),
        ("10.48550/arXiv.2101.00001", "arxiv", "2101.00001"),
        ("arXiv:2101.00001v3", "arxiv", "2101.00001"),
        ("2101.00001", "arxiv", "2101.00001"),
        ("cs.IR/0601001", "arxiv", "cs.IR/0601001"),
        ("https://arxiv.org/pdf/2101.00001v2.pdf", "arxiv", "2101.00001"),
        ("http://arxiv.org/abs/q-bio/0601001", "arxiv", "q-bio/0601001"),
        ("https://pubmed.ncbi.nlm.nih.gov/12345678/#affiliation-1", "pmid", "12345678"),
        ("https://pubmed.ncbi.nlm.nih.gov/?term=12345678&sort=date", "pmid", "12345678"),
        ("www.ncbi.nlm.nih.gov/pubmed/12345678?dopt=Abstract", "pmid", "12345678"),
        ("https://europepmc.org/article/MED/12345678", "pmid", "12345678"),
        ("12345678.0", "pmid", "12345678"),
        ("PMCID:123456", "pmcid", "PMC123456"),
        ("PMC123456.2", "pmcid", "PMC123456"),
        ("https://europepmc.org/articles/PMC123456", "pmcid", "PMC123456"),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC123456/pdf/x.pdf", "pmcid", "PMC123456"),
        ("https://doi.org/10.48550/arXiv.2101.00001.", "arxiv", "2101.00001"),
        (SICI, "doi", SICI),
        (f"<https://doi.org/{quote(SICI, safe='')}>", "doi", SICI),
        (f"(doi:{SICI}).", "doi", SICI),
        ("10.1016/0140-6736(91)91867-(B)", "doi", "10.1016/0140-6736(91)91867-(B)"),
        ("[10.1000/x(1)]", "doi", "10.1000/x(1)"),
        ("\u201c10.1000/x\u201d,", "doi", "10.1000/x"),
        ("https://onlinelibrary.wiley.com/doi/full/10.1002/sim.968", "doi", "10.1002/sim.968"),
        ("https://www.biorxiv.org/content/10.1101/2020.01.02.1v2.full.pdf", "doi",
         "10.1101/2020.01.02.1"),
    ],
)  # fmt: skip
def test_ids_as_people_write_them(word: str, kind: str, name: str) -> None:
    assert work_id(word) == WorkId(kind, name, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "word", ["0123", "1234567890", "PMCx", "10.1/x", "arXiv:21.1", "pmid:", "x", "https://x.org/1"]
)
def test_words_that_are_not_ids(word: str) -> None:
    assert work_id(word) is None


def test_a_file_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(
        b"\xef\xbb\xbfPMID\n12345, 12346\n# all of it\n\nwhat?\n2101.00001 # arXiv\n"
        b"12345 PMC7\n10.1/bad;10.1000/X\n10.1000/x\r\n\xff\n"
    )
    ids, unknown = read_ids(path)
    assert [(one.kind, one.name, one.line) for one in ids] == [
        ("pmid", "12345", 2),
        ("pmid", "12346", 2),
        ("arxiv", "2101.00001", 6),
        ("pmcid", "PMC7", 7),
        ("doi", "10.1000/X", 8),
    ]
    assert unknown == [(5, "what?"), (8, "10.1/bad"), (10, "\ufffd")]
    path.write_text("\n".join(str(n) for n in range(1, 100_010)))
    with pytest.raises(UsageError, match="more than 100,000"):
        read_ids(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("PMID: 123; PMCID: PMC1", ["123", "PMC1"]),
        ("doi: 10.1000/x. PMID: 123; PMCID: PMC1.", ["10.1000/x", "123", "PMC1"]),
        ("PMID- 123, PMC 45 and 7 moss", ["123", "PMC45", "7"]),
        (f"{SICI};{SICI[:-1]}3,77", [SICI, f"{SICI[:-1]}3", "77"]),
        (f"[{SICI}]\r\n<10.1000/y>\t'10.1000/z'", [SICI, "10.1000/y", "10.1000/z"]),
        ('"PMID","DOI"\n"123","10.1000/x"', ["123", "10.1000/x"]),
        ("1;2|3,,4", ["1", "2", "3", "4"]),
        ("\u200b10.1000/x\u200b\u00a0arXiv: 2101.00001v2", ["10.1000/x", "2101.00001"]),
        ("10.1175/1520(1996)077<0437:T>2.0.CO;2", ["10.1175/1520(1996)077<0437:T>2.0.CO;2"]),
    ],
)
def test_lists_as_people_paste_them(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(text.encode())
    ids, unknown = read_ids(path)
    assert [one.name for one in ids] == names
    assert [word for _, word in unknown] == (["moss"] if "moss" in text else [])
