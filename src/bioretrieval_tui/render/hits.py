"""Found documents: the columns of a list, and the page of one.

The facts of a hit are described once (`hit_facts`): the app's page, the table and the column `why`
of `search --explain` show the same labels and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from msgspec.structs import asdict

from bioretrieval_tui.render.citation import Citation, address_of, doi_in, known_text, names_in
from bioretrieval_tui.render.page import (
    Fact,
    Group,
    Inline,
    Page,
    Prose,
    Text,
    fact,
    facts,
    plain,
    text,
)
from bioretrieval_tui.render.sheet import (
    Cell,
    Sheet,
    Shown,
    column,
    one_line,
    sheet_of,
    shortened,
)
from bioretrieval_tui.search.types import SCORE_MEANINGS, Explanation, Hit


def _warning(hit: Hit) -> str:
    # Not needed to draw the first page of the app, and slow to import.
    from bioretrieval_tui.documents.bibliography import warning_of

    return warning_of(hit.metadata)


def heading_of(hit: Hit, length: int = 80) -> str:
    """The title of a hit in a list, or the beginning of its text; says if it was retracted, or an
    expression of concern was published."""
    heading, warning = hit.title or shortened(hit.text, length), _warning(hit)
    said = heading[:24].strip("[ ").upper().startswith(warning)
    return heading if said else f"{warning}: {heading}"


def snippet_of(hit: Hit) -> str:
    """The beginning of the text, or of the passage that was found."""
    start = hit.passage[0] if hit.passage else 0
    return ("\u2026 " if start else "") + shortened(hit.text[start:])


def _title(hit: Hit) -> Cell:
    return Shown(hit.title or heading_of(hit), heading_of(hit), hit.url)


def _journal(hit: Hit) -> str | None:
    """The journal of a document, or the venue of a paper of the catalogue."""
    return known_text(hit.metadata, "journal") or known_text(hit.metadata, "venue") or None


_COLUMNS = (
    column("rank", align="right"),
    column("score", make=lambda hit: Shown(hit.score, f"{hit.score:.3f}"), align="right"),
    column("id", min_width=8),
    column("title", make=_title, weight=4, min_width=20),
    column("year", align="right"),
    column("text", make=lambda hit: Shown(hit.text, snippet_of(hit)), weight=4, min_width=30),
    column("url", data_only=True),
    column("doi", make=lambda hit: doi_in(hit.metadata) or None, data_only=True),
    column("pmid", data_only=True),
    column("authors", make=lambda hit: "; ".join(names_in(hit.metadata, "authors")) or None,
           data_only=True),
    column("journal", make=_journal, data_only=True),
    column("dense", make=attrgetter("scores.dense"), data_only=True),
    column("lexical", "BM25", attrgetter("scores.lexical"), data_only=True),
    column("rerank", "reranker", attrgetter("scores.rerank"), data_only=True),
)  # fmt: skip
_INDEX = column("index", make=lambda hit: Shown(hit.index, held_by(hit)), min_width=6)
_SCORED = frozenset(("score", "scores", "dense", "lexical", "rerank"))
"""Columns that the papers of a service do not have."""
_DETAILS = (
    ("book", "book"), ("editors", "editors"), ("publisher", "publisher"), ("trials", "trials"),
    ("data banks", "databanks"), ("MeSH", "mesh"), ("qualifiers", "mesh_qualifiers"),
    ("supplementary concepts", "supplementary"), ("substances", "substances"),
    ("affiliations", "affiliations"),
)  # fmt: skip
"""Labels and fields of metadata on a page, below the text."""
_MOST_VALUES = 12
"""Values of such a field that a page shows before it says how many there are."""
_MOST_TERMS = 8
_BAR = 16
_MOST_NAMED = 6
"""Authors that a page names before it says how many there are."""


# Facts and page -------------------------------------------------------------------------------


def hit_facts(hit: Hit, why: Explanation | None = None) -> tuple[Fact, ...]:
    """Why a hit was found: score and rank by each retriever, terms, nearest sentence. why: its
    explanation, if requested."""
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
        values = [
            text(
                one_line(word),
                Inline(f" {share:.0%} ", "dim"),  # of the BM25 score
                Inline("\u2501" * max(1, round(share * _BAR)), "gauge"),
            )
            for word, share in why.terms[:_MOST_TERMS]
        ]
        more = len(why.terms) - _MOST_TERMS
        values += [text(f"{more} more", role="faint")] if more > 0 else []
        found.append(Fact("terms", tuple(values), listed=True))
    if why is not None and why.passage is not None:
        start, end = why.passage
        sentence = text(Inline(f"\u201c{shortened(hit.text[start:end], 120)}\u201d", "dim"))
        nearness = (Inline(f" {why.nearness:.4f}", "dim"),) if why.nearness is not None else ()
        found.append(Fact("nearest", ((*sentence, *nearness),)))
    return tuple(found)


def held_by(hit: Hit) -> str:
    """The index of a hit of several indexes, and the others that hold it."""
    return ", ".join(filter(None, (hit.index, *hit.also)))


def why_found(hit: Hit, why: Explanation | None = None) -> tuple[Group, Group]:
    """Why a hit was found: rank and scores, one line above the text; terms and nearest sentence,
    known once it is explained."""
    found = hit_facts(hit, why)
    told = tuple(one for one in found if one.label in ("terms", "nearest"))
    ranked = facts(
        [("rank", str(hit.rank)), ("score", f"{hit.score:.3f}"), ("index", held_by(hit))],
        role="dim",
    )
    meaning = facts([(f"{hit.scored}:", SCORE_MEANINGS.get(hit.scored, ""))], role="faint")
    scores = (*ranked, *(one for one in found if one not in told), *meaning)
    return Group("", scores, "scores"), Group("Why this result", told)


def hit_page(hit: Hit, why: Explanation | None = None, *, scored: bool = True) -> Page:
    """The page of a document. scored: found by a search of an index, not by an online service."""
    title = one_line(hit.title) or shortened(hit.text) or hit.id
    parts = ("journal", "volume", "issue", "pages")
    journal, volume, issue, pages = (known_text(hit.metadata, part) for part in parts)
    # The known parts of `JAMA 296(23):2832-8`; nothing without a journal.
    numbers = volume + (f"({issue})" if issue else "") + (f":{pages}" if pages else "")
    source = journal and f"{journal} {numbers}".rstrip()
    names = [hit.id if title != hit.id else "", source, str(hit.year or "")]
    scores, reasons = why_found(hit, why) if scored else (Group("", ()), Group("", ()))
    people = hit.metadata.get("authors")
    named, more = "", 0
    if isinstance(people, list | tuple):
        named, more = ", ".join(map(str, people[:_MOST_NAMED])), len(people) - _MOST_NAMED
    authors = f"{named} and {more} more" if more > 0 else named
    corrections = [text(one) for one in _listed(hit, "corrections")]
    record = facts([("authors", authors)], role="dim")
    if corrections:
        record += (Fact("corrections", tuple(corrections), listed=True),)
    url = address_of(hit)
    link = (fact("page", Inline(url, "link", url)),) if url else ()
    return Page(
        title,
        byline=tuple(text(name) for name in names if name),
        badges=tuple(filter(None, (_warning(hit),))),
        sections=(
            Group("Record", record),
            scores,
            Prose("", tuple(_paragraphs(hit.text, why.passage if why else hit.passage))),
            reasons,
            Group("Details", tuple(_details(hit))),
            Group("", link, "links"),
        ),
    )


def _listed(hit: Hit, name: str) -> list[str]:
    """The values of a field of metadata, each on one line."""
    value = hit.metadata.get(name)
    return [one_line(str(one)) for one in (value if isinstance(value, list | tuple) else [value])
            if one not in (None, "")]  # fmt: skip


def _details(hit: Hit) -> Iterator[Fact]:
    for label, name in _DETAILS:
        values = _listed(hit, name)
        more = len(values) - _MOST_VALUES
        shown = [*values[:_MOST_VALUES], *([f"{more} more"] if more > 0 else [])]
        if shown:
            # A heading of MeSH may hold commas.
            yield fact(label, *shown, role="dim", listed=name == "affiliations", between="; ")


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
    several: bool = False,
    query: str | None = None,
) -> Sheet:
    """Hits in their order; scores keep all their digits for programs. reasons: explanations, one a
    hit; () for none. They take the place of the text. several: indexes, which are named; query: its
    id, of a query among many."""
    columns = [*_COLUMNS, _INDEX] if several else list(_COLUMNS)
    if query is not None:
        columns.insert(0, column("query", make=lambda _: query))
        return sheet_of(title, columns, hits, lambda hit: {"query": query, **_record(hit)})
    if not reasons:
        return sheet_of(title, columns, hits, _record, citations)
    why = {hit.key: one for hit, one in zip(hits, reasons, strict=True)}

    def told(hit: Hit) -> str:
        said = hit_facts(hit, why[hit.key])
        return "; ".join(f"{one.label} {', '.join(map(plain, one.values))}" for one in said)

    columns = [one for one in columns if one[0].key != "text"]
    columns.append(column("why", make=told, weight=3, min_width=24))

    def record(hit: Hit) -> dict[str, Any]:
        return _record(hit) | {"why": _reason(hit, why[hit.key])}

    return sheet_of(title, columns, hits, record, citations)


def paper_sheet(hits: Sequence[Hit], *, title: str, citations: Sequence[Citation] = ()) -> Sheet:
    """Papers of an online service, without scores; records have all metadata."""

    def record(hit: Hit) -> dict[str, Any]:
        known = {name: value for name, value in _record(hit).items() if name not in _SCORED}
        return {**known, "metadata": dict(hit.metadata)}

    columns = [one for one in _COLUMNS if one[0].key not in _SCORED]
    return sheet_of(title, columns, hits, record, citations)


def _record(hit: Hit) -> dict[str, Any]:
    plain_fields = ("rank", "id", "title", "text", "year", "url", "pmid", "score")
    found = {name: getattr(hit, name) for name in plain_fields} | {
        "doi": doi_in(hit.metadata) or None,
        "authors": names_in(hit.metadata, "authors"),
        "journal": _journal(hit),
        "scores": asdict(hit.scores),
    }
    return found | ({"index": hit.index, "also": list(hit.also)} if hit.index else {})


def _reason(hit: Hit, why: Explanation) -> dict[str, Any]:
    passage = None
    if why.passage is not None:
        start, end = why.passage
        sentence = hit.text[start:end]
        passage = {"start": start, "end": end, "text": sentence, "similarity": why.nearness}
    return {
        "terms": [{"word": word, "share": share} for word, share in why.terms],
        "ranks": {"dense": why.dense_rank, "lexical": why.lexical_rank},
        "passage": passage,
    }
