"""Found documents: the columns of a list, the page of one, and the works among them to cite.

The facts of a hit are described once (`hit_facts`): the app's page, the table and the column `why`
of `search --explain` show the same labels and values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render import latex
from bioretrieval_tui.render.citation import (
    Citation,
    ascii_word,
    citable,
    cite_entry,
    filled,
    telling_word,
)
from bioretrieval_tui.render.page import Fact, Group, Inline, Page, Prose, Text, fact, plain, text
from bioretrieval_tui.render.sheet import (
    Cell,
    Column,
    Each,
    Figure,
    Linked,
    Sheet,
    one_line,
    shortened,
)
from bioretrieval_tui.search.types import Explanation, Hit
from bioretrieval_tui.terminal.clean import safe_url

_COLUMNS = (
    Column("rank", "rank", "right"),
    Column("score", "score", "right"),
    Column("id", "id", min_width=8),
    Column("title", "title", weight=4, min_width=20),
    Column("year", "year", "right"),
    Column("text", "text", weight=4, min_width=30),
    Column("url", "url", data_only=True),
    Column("dense", "dense", data_only=True),
    Column("lexical", "BM25", data_only=True),
    Column("rerank", "reranker", data_only=True),
)
_SCORED = frozenset(("score", "scores", "dense", "lexical", "rerank"))
"""Columns that the papers of a service do not have."""
_WHY = Column("why", "why", weight=3, min_width=24)
_EXPLAINED = (*(column for column in _COLUMNS if column.key != "text"), _WHY)
_MOST_TERMS = 8
_BAR = 16
_MOST_NAMED = 6
"""Authors that a page names before it says how many there are."""
_MOST_CITED = 200
_INITIALS = re.compile(
    r"(?P<family>.+?),? (?P<initials>[A-Z](?:[A-Z-]{0,4}))(?: (?P<rank>Jr|Sr|2nd|3rd|[IV]+))?"
)


def mode_name(mode: str) -> str:
    """A mode of search as it is shown: hybrid, dense, BM25."""
    return "BM25" if mode == "lexical" else mode


# Facts and page -------------------------------------------------------------------------------


def hit_facts(hit: Hit, why: Explanation | None = None) -> tuple[Fact, ...]:
    """Why a hit was found: score and rank by each retriever, terms, nearest sentence.

    why: its explanation, if requested.
    """
    scores, told = hit.scores, why.scores if why else hit.scores
    retrievers = (
        ("dense", told.dense if scores.dense is None else scores.dense, ".4f",
         why.dense_rank if why else None),
        ("BM25", told.lexical if scores.lexical is None else scores.lexical, ".2f",
         why.lexical_rank if why else None),
        ("reranker", scores.rerank, ".4f", None),
    )  # fmt: skip
    found = [
        fact(label, f"{score:{form}}" + (f" #{rank}" if rank is not None else ""), role="dim")
        for label, score, form, rank in retrievers
        if score is not None
    ]
    if why is not None and why.terms:
        values: list[Text] = [_term(*term) for term in why.terms[:_MOST_TERMS]]
        more = len(why.terms) - _MOST_TERMS
        values += [text(f"{more} more", role="faint")] if more > 0 else []
        found.append(Fact("terms", tuple(values), listed=True))
    if why is not None and why.passage is not None:
        start, end = why.passage
        sentence = text(Inline(f"\u201c{shortened(hit.text[start:end], 120)}\u201d", "dim"))
        nearness = (Inline(f" {why.nearness:.4f}", "dim"),) if why.nearness is not None else ()
        found.append(Fact("nearest", ((*sentence, *nearness),)))
    return tuple(found)


def _term(word: str, share: float) -> Text:
    """A term of the query with its share of the BM25 score."""
    bar = "\u2501" * max(1, round(share * _BAR))
    return text(one_line(word), Inline(f" {share:.0%} ", "dim"), Inline(bar, "gauge"))


def hit_page(hit: Hit, why: Explanation | None = None, *, scored: bool = True) -> Page:
    """The page of a document. scored: found by a search of an index, not by an online service."""
    title = one_line(hit.title)
    names = [title and hit.id, _journal(hit.metadata), str(hit.year or "")]
    ranked = (
        fact("rank", str(hit.rank), role="dim"),
        fact("score", f"{hit.score:.3f}", role="dim"),
    )
    reasons = (*ranked, *hit_facts(hit, why)) if scored else ()
    url = _address(hit)
    link = (fact("page", Inline(url, "link", url)),) if url else ()
    return Page(
        title or hit.id,
        byline=tuple(text(name) for name in names if name),
        sections=(
            Group("Record", _record_facts(hit)),
            Prose("", tuple(_paragraphs(hit.text, why.passage if why else None))),
            Group("Why this result", reasons),
            Group("", link, "links"),
        ),
    )


def _record_facts(hit: Hit) -> tuple[Fact, ...]:
    people = hit.metadata.get("authors")
    if not isinstance(people, list | tuple) or not people:
        return ()
    named = ", ".join(str(one) for one in people[:_MOST_NAMED])
    more = len(people) - _MOST_NAMED
    return (fact("authors", f"{named} and {more} more" if more > 0 else named, role="dim"),)


def _journal(known: Mapping[str, Any]) -> str:
    """The known parts of `JAMA 296(23):2832-8`; "" without a journal."""
    names = ("journal", "volume", "issue", "pages")
    journal, volume, issue, pages = (_known(known, name) for name in names)
    numbers = volume + (f"({issue})" if issue else "") + (f":{pages}" if pages else "")
    return f"{journal} {numbers}".rstrip() if journal else ""


def _paragraphs(whole: str, passage: tuple[int, int] | None) -> Iterator[Text]:
    """The text, a line a paragraph; `passage` is (start, end) of the sentence to mark."""
    start, end = passage or (len(whole), len(whole))
    at = 0
    for part in whole.splitlines(keepends=True):
        cut = [min(max(place - at, 0), len(part)) for place in (start, end)]
        pieces = (part[: cut[0]], part[cut[0] : cut[1]], part[cut[1] :])
        roles = ("document", "passage", "document")
        yield tuple(
            Inline(piece.rstrip("\r\n"), role)
            for piece, role in zip(pieces, roles, strict=True)
            if piece
        )
        at += len(part)


# Sheets ---------------------------------------------------------------------------------------


def hit_sheet(
    hits: Sequence[Hit],
    *,
    title: str = "Search results",
    citations: Sequence[Citation] = (),
    reasons: Sequence[Explanation] = (),
) -> Sheet:
    """Hits in their order; scores keep all their digits for programs.

    reasons: explanations, one a hit; () for none.
    """
    if not reasons:
        return Sheet(title, _COLUMNS, Each(_row, hits), Each(_record, hits), citations)
    both = list(zip(hits, reasons, strict=True))
    return Sheet(
        title, _EXPLAINED, Each(_explained_row, both), Each(_explained_record, both), citations
    )


def paper_sheet(hits: Sequence[Hit], *, title: str, citations: Sequence[Citation] = ()) -> Sheet:
    """Papers of an online service, without scores; records have all metadata."""
    kept = [at for at, column in enumerate(_COLUMNS) if column.key not in _SCORED]

    def row(hit: Hit) -> tuple[Cell, ...]:
        cells = _row(hit)
        return tuple(cells[at] for at in kept)

    def record(hit: Hit) -> dict[str, Any]:
        known = {name: value for name, value in _record(hit).items() if name not in _SCORED}
        return {**known, "metadata": dict(hit.metadata)}

    columns = tuple(_COLUMNS[at] for at in kept)
    return Sheet(title, columns, Each(row, hits), Each(record, hits), citations)


def _row(hit: Hit) -> tuple[Cell, ...]:
    heading = hit.title or shortened(hit.text, 80)
    return (
        hit.rank,
        Figure(hit.score, f"{hit.score:.3f}"),
        hit.id,
        Linked(heading, hit.url, data=hit.title) if hit.url else heading,
        hit.year,
        Figure(hit.text, shortened(hit.text)),
        hit.url,
        hit.scores.dense,
        hit.scores.lexical,
        hit.scores.rerank,
    )


def _record(hit: Hit) -> dict[str, Any]:
    plain_fields = ("rank", "id", "title", "text", "year", "url", "score")
    return {name: getattr(hit, name) for name in plain_fields} | {
        "scores": asdict(hit.scores),
    }


def _explained_row(both: tuple[Hit, Explanation]) -> tuple[Cell, ...]:
    hit, why = both
    cells = _row(hit)
    at = [column.key for column in _COLUMNS].index("text")
    said = (f"{one.label} {', '.join(map(plain, one.values))}" for one in hit_facts(hit, why))
    return (*cells[:at], *cells[at + 1 :], "; ".join(said))


def _explained_record(both: tuple[Hit, Explanation]) -> dict[str, Any]:
    hit, why = both
    passage = None
    if why.passage is not None:
        start, end = why.passage
        sentence = hit.text[start:end]
        passage = {"start": start, "end": end, "text": sentence, "similarity": why.nearness}
    return _record(hit) | {
        "why": {
            "terms": [{"word": word, "share": share} for word, share in why.terms],
            "ranks": {"dense": why.dense_rank, "lexical": why.lexical_rank},
            "passage": passage,
        }
    }


# Citations ------------------------------------------------------------------------------------


def hit_citations(hits: Sequence[Hit], catalogue: Catalogue | None = None) -> tuple[Citation, ...]:
    """The hits that can be cited. catalogue: the hits are its entries, which are cited instead."""
    if catalogue is None:
        return tuple(cite_hit(hit) for hit in hits if citable_hit(hit))
    entries = [catalogue.by_id[hit.id] for hit in hits if hit.id in catalogue.by_id]
    return tuple(cite_entry(entry) for entry in entries if citable(entry))


def citable_hit(hit: Hit) -> bool:
    """Whether a reader can find the work: it has a title, and a year or an address."""
    return bool(one_line(hit.title)) and (hit.year is not None or _address(hit) is not None)


def cite_hit(hit: Hit) -> Citation:
    """A document as a work to cite: an article where the journal is known, else `misc`."""
    known = hit.metadata
    journal = _known(known, "journal")
    people = _people(known.get("authors"))
    address = _address(hit)
    fields = [
        ("title", latex.title(hit.title)),
        ("author", latex.authors(people)),
        ("journal", latex.escape(journal)),
        ("year", str(hit.year or "")),
        ("volume", latex.escape(_known(known, "volume"))),
        ("number", latex.escape(_known(known, "issue"))),
        ("pages", latex.escape(_known(known, "pages").replace("-", "--"))),
        ("doi", latex.address(_known(known, "doi"))),
        ("pmid", latex.escape(_known(known, "pmid"))),
        ("url", latex.address(address) if address else ""),
    ]
    surname = ascii_word(people[0].strip("{}").partition(",")[0]) if people else ""
    key = f"{surname}{hit.year or ''}{telling_word(hit.title)}" or ascii_word(hit.id) or "document"
    return Citation(key, "article" if journal else "misc", filled(fields))


def _people(authors: Any) -> tuple[str, ...]:
    """Names in the form of BibTeX; the name of a group in braces."""
    if isinstance(authors, str):
        authors = re.split(r"\s*;\s*", authors)
    if not isinstance(authors, list | tuple):
        return ()
    names = []
    for author in authors[:_MOST_CITED]:
        name = one_line(str(author))
        found = _INITIALS.fullmatch(name)
        if found:
            initials = " ".join(f"{letter}." for letter in found["initials"] if letter != "-")
            rank = f", {found['rank']}" if found["rank"] else ""
            name = f"{found['family']}{rank}, {initials}"
        elif " " in name and "," not in name:
            name = f"{{{name}}}"
        if name:
            names.append(name)
    if len(authors) > _MOST_CITED:
        names.append("others")
    return tuple(names)


def _address(hit: Hit) -> str | None:
    return safe_url(hit.url) if hit.url else None


def _known(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    return one_line(str(value)) if isinstance(value, str | int) else ""
