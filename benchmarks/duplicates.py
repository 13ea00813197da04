"""Duplicates across sources: precision and recall over 171,549 real citations of PubMed.

    python -m benchmarks.duplicates [--keep] [--quick]

Recall: each record of a sample is written again as another database exports it, as RIS, and read by
our reader: without its PMID; with its DOI in capitals, in another field, or not at all; the title
in another case, without its full stop or with markup; initials with points; the journal missing in
one of ten; the year of the online version in one of ten. Precision: the corpus holds 900 records
that share their title with others (guidelines in several journals, corrections, updated reviews);
a pair counts as right only if its PMID is the same, so that two PMIDs of one DOI count as wrong.
For the second table all DOIs are removed too, so that titles alone decide.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.filters import citations
from benchmarks.measuring import Report
from bioretrieval_tui.documents.detect import by_name, items
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store_writer import StoreWriter

SAMPLE = 20_000
_YEAR = re.compile(r"\d{4}")


def pubmed(quick: bool) -> list[Document]:
    """The citations as documents of a reader."""
    found = []
    for row in citations():
        known = row["metadata"]
        assert isinstance(known, dict)
        if known.get("unparsed"):
            continue
        fields = {
            "pmid": row["_id"],
            "authors": str(known["authors"]).rstrip(".").split(", "),
            "journal": known["journal"],
            "year": int(known["year"]),
            "doi": known.get("doi"),
        }
        found.append(Document(str(row["_id"]), str(row["title"]), "", fields))
    return found[:SAMPLE] if quick else found


def as_ris(document: Document, style: int, chance: random.Random) -> str:
    """A record as another database writes it."""
    known, title = document.metadata, document.title
    if style == 1:
        title = title.rstrip(".").title()
    elif style == 2:
        title = title.upper() if chance.random() < 0.2 else title.rstrip(".").replace("-", "\u2013")
    elif chance.random() < 0.3:
        first, _, rest = title.partition(" ")
        title = f"<i>{first}</i> {rest}".replace("&", "&amp;")
    year = known["year"] + (chance.random() < 0.1)
    lines = ["TY  - JOUR", f"TI  - {title}"]
    for name in known["authors"]:
        family, _, letters = name.rpartition(" ")
        pointed = ".".join(letters) + "."
        lines.append(f"AU  - {family or name}, {letters if style == 1 else pointed}")
    lines.append(f"PY  - {year}")
    if style != 2 or chance.random() < 0.7:
        lines.append(f"T2  - {known['journal']}")
    doi = known["doi"]
    if doi and style == 0:
        lines.append(f"DO  - {doi.upper()}")
    elif doi and chance.random() < 0.5:
        lines.append(f"UR  - https://doi.org/{doi}" if style == 1 else f"M3  - doi: {doi}")
    return "\n".join([*lines, "ER  - ", ""])


def read_ris(text: str) -> Iterator[Document]:
    with SourceReader(None, data=text.encode(), name="other.ris") as source:
        for item in items(source, by_name("ris"), ReadSettings()):
            if isinstance(item, Record):
                yield item.document


def bare(document: Document, *names: str) -> Document:
    """The document without these fields."""
    kept = {key: value for key, value in document.metadata.items() if key not in names}
    return Document(document.id, document.title, document.text, kept)


def matched(documents: Iterable[Document]) -> list[tuple[str, str, str]]:
    """Id, id of the stored document, and reason, for each record that the store pairs."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder, StoreWriter(Path(folder, "s.sqlite")) as writer:
        writer.dedupe, writer.keeps_works = "report", True
        for document in documents:
            writer.add(Record(document, Place("records")))
            if writer.twin is not None:
                pairs.append((document.id, *writer.twin))
    return pairs


def table(
    report: Report,
    known: list[Document],
    others: list[tuple[str, Document]],
    strip: tuple[str, ...],
) -> None:
    """Pair all records, and print precision and recall."""
    # Ids that say nothing of the PMID or the DOI, so that only the fields decide.
    first = [Document(f"p{one.id}", *_rest(bare(one, "pmid", *strip))) for one in known]
    second = [Document(f"o{number}-{one.id}", *_rest(bare(one, *strip))) for number, one in others]
    started = time.process_time()
    pairs = matched([*first, *second])
    took = time.process_time() - started
    origin = {one.id: one.id.rpartition("-")[2].lstrip("p") for one in (*first, *second)}
    right = [pair for pair in pairs if origin[pair[0]] == origin[pair[1]]]
    found = {pair[0] for pair in right if pair[0].startswith("o")}
    wrong = [pair for pair in pairs if origin[pair[0]] != origin[pair[1]]]
    within = sum(pair[0].startswith("p") for pair in wrong)
    reasons = Counter(pair[2] for pair in right)
    report.table(
        ("records", "pairs named", "right", "precision", "recall", "wrong within PubMed",
         "processor us a record"),
        [(
            f"{len(first) + len(second):,}", f"{len(pairs):,}", f"{len(right):,}",
            f"{len(right) / len(pairs):.4f}", f"{len(found) / len(second):.4f}", f"{within:,}",
            f"{1e6 * took / (len(first) + len(second)):.0f}",
        )],
    )  # fmt: skip
    report.say(", ".join(f"{why}: {count:,}" for why, count in reasons.most_common()))
    report.say()
    for pair in wrong[:10] if "--wrong" in sys.argv else ():
        print(pair)


def _rest(document: Document) -> tuple[str, str, Mapping[str, Any]]:
    return document.title, document.text, document.metadata


def main() -> None:
    report = Report("Duplicates across sources")
    quick = "--quick" in sys.argv
    known = pubmed(quick)
    chance = random.Random(7)
    sample = chance.sample(known, min(SAMPLE, len(known)) // (10 if quick else 1))
    others = []
    for number, one in enumerate(sample):
        (document,) = read_ris(as_ris(one, number % 3, chance))
        others.append((one.id, document))
    named = [
        (f"{number}", Document(pmid, *_rest(one))) for number, (pmid, one) in enumerate(others)
    ]
    report.say(f"{len(known):,} citations, {len(named):,} of them a second time in three styles.")
    report.say()
    table(report, known, named, ())
    report.say("Without any DOI:")
    report.say()
    table(report, known, named, ("doi",))
    report.keep("duplicates")


if __name__ == "__main__":
    main()
