"""An entry as a page: what the detail pane shows, with letters for its links and relations."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    Dataset,
    Encoding,
    Model,
    Paper,
    Recipe,
    Result,
    Side,
    Step,
)
from bioretrieval_tui.tui.markdown import inline
from bioretrieval_tui.tui.spans import LABEL, PaintedPage, status_mark
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.util.formatting import count, figure, short

Page = PaintedPage


def entry_page(entry: AnyEntry, catalogue: Catalogue, *, away: bool = False) -> Page:
    """The page of one entry. `away`: shown outside its list, so the first jump leads there."""
    kind = kind_of(entry)
    related = ((entry,) if away else ()) + catalogue.related(entry.id)
    related = related[: len(ascii_lowercase)]
    links = entry.links[: len(ascii_lowercase)]
    lines: list[Line] = [
        line(Span(entry.name, f"{kind}.strong")),
        line(*_byline(entry, kind)),
        line(),
        line(*inline(entry.summary)),
    ]
    lines += _step(entry) if isinstance(entry, Step) else ()
    facts = list(_facts(entry))
    if facts:
        lines += [line(), *facts]
    links_at = len(lines) + 1
    if links:
        lines.append(line())
        for letter, link in zip(ascii_lowercase, links, strict=False):
            url = Span(_short_url(link.url), "link", link.url)
            lines.append(line(Span(f"{letter} {link.label}  ", "dim"), url, hang=4))
    jumps_at = len(lines) + 1
    if related:
        lines.append(line())
        for letter, other in zip(ascii_lowercase, related, strict=False):
            label = f"{letter} {kind_of(other)}"
            lines.append(
                line(Span(f"{label:<{LABEL}}", "dim"), Span(other.name, kind_of(other)), hang=LABEL)
            )
    lines += _results(entry, catalogue)
    if isinstance(entry, Model) and entry.encoding:
        lines += [line(), line(Span("Encoding recipe", "header")), *_encoding(entry.encoding)]
    lines += _notes(entry, catalogue)
    return Page(
        tuple(lines),
        tuple((link.label, link.url) for link in links),
        tuple(other.id for other in related),
        links_at=links_at,
        jumps_at=jumps_at,
    )


def _byline(entry: AnyEntry, kind: str) -> list[Span]:
    parts = [kind, *([str(entry.year)] if entry.year else []), entry.id]
    spans = [Span("  ".join(parts), "dim")]
    if entry.status != "confirmed":
        spans.append(Span(f"  {entry.status}", "warn"))
    return spans


def _short_url(url: str) -> str:
    return url.removeprefix("https://").removeprefix("http://").rstrip("/")


def _facts(entry: AnyEntry) -> Iterator[Line]:
    for label, field, value in _fields(entry):
        if value:
            yield fact(label, value, entry.statuses.get(field, "confirmed"))
    for item in entry.facts:
        yield fact(item.label, item.value, item.status)
    if entry.tags:
        yield fact("tags", " ".join(entry.tags), "confirmed")


def fact(label: str, value: str, status: str = "confirmed") -> Line:
    """A label in its column and a value that wraps beside it; long labels take their own room."""
    gap = " " * max(1, LABEL - len(label))
    return line(Span(label, "dim"), gap, *inline(value), status_mark(status), hang=LABEL)


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _fields(entry: AnyEntry) -> Iterator[tuple[str, str, str]]:
    """(label, field, value) of the typed fields of an entry."""
    if isinstance(entry, Paper):
        if entry.title != entry.name:
            yield "title", "title", entry.title
        authors = [a if a != "others" else "and others" for a in entry.authors]
        yield "authors", "authors", ", ".join(authors)
        yield "venue", "venue", entry.venue or ""
        yield "arXiv", "arxiv", entry.arxiv or ""
        yield "DOI", "doi", entry.doi or ""
        yield "PMID", "pmid", str(entry.pmid or "")
    elif isinstance(entry, Model):
        size = short(entry.params)
        yield "role", "role", entry.role
        yield "parameters", "params", f"{entry.encoders} x {size}" if entry.encoders > 1 else size
        yield "dimension", "dimension", count(entry.dimension)
        yield "max tokens", "max_tokens", count(entry.max_tokens)
        yield "architecture", "architecture", entry.architecture or ""
        yield "base", "base", entry.base or ""
        yield "hub", "hub", ", ".join(entry.hub)
        yield "licence", "licence", entry.licence or ""
        yield "gated", "gated", _yes(entry.gated)
        yield "trained on", "trained_on", ", ".join(entry.trained_on)
    elif isinstance(entry, Dataset):
        yield "use", "use", entry.use
        yield "size", "size", entry.size or ""
        yield "records", "records", count(entry.records)
        yield "hub", "hub", ", ".join(entry.hub)
        yield "licence", "licence", entry.licence or ""
        yield "gated", "gated", _yes(entry.gated)
        yield "released", "available", "" if entry.available else "never"
    elif isinstance(entry, Benchmark):
        yield from _benchmark_fields(entry)
    elif isinstance(entry, Recipe):
        yield "method", "method", entry.method
        yield "parameters", "params", short(entry.params)
        yield "base", "base", entry.base or ""
        yield "data", "data", entry.data or ""
        yield "objective", "objective", entry.objective or ""
        yield "negatives", "negatives", entry.negatives or ""
        yield "best result", "best", entry.best or ""


def _benchmark_fields(entry: Benchmark) -> Iterator[tuple[str, str, str]]:
    yield "task", "task", entry.task or ""
    yield "domain", "domain", entry.domain or ""
    yield "metric", "metric", entry.metric or ""
    yield "queries", "queries", count(entry.queries)
    yield "documents", "documents", count(entry.documents)
    positives = f" ({count(entry.positives)} positive)" if entry.positives else ""
    yield "judgements", "judgements", count(entry.judgements) + positives
    yield "pairs", "pairs", count(entry.pairs)
    yield "scale", "scale", entry.scale or ""
    splits = ", ".join(f"{name} {count(size)}" for name, size in entry.splits.items())
    yield "splits", "splits", splits
    parts = "; ".join(
        f"{s.name} {count(s.queries)} x {count(s.documents)}".replace("  ", " ")
        for s in entry.subsets
    )
    yield "parts", "subsets", parts
    yield "members", "members", ", ".join(entry.members)
    loaders = entry.loaders
    yield "mteb", "loaders", loaders.mteb or ""
    yield "ir_datasets", "loaders", loaders.ir_datasets or ""
    yield "hub", "loaders", loaders.hub or ""
    yield "zip", "loaders", loaders.zip or ""
    yield "md5", "loaders", loaders.md5 or ""
    yield "licence", "licence", entry.licence or ""
    yield "access", "access", entry.access or ""


def _step(entry: Step) -> list[Line]:
    lines: list[Line] = [line()]
    lines += [line(Span(f" {command} ", "command"), hang=4) for command in entry.commands]
    if entry.expect:
        lines += [line(), line(Span("Expect  ", "dim"), entry.expect, hang=8)]
    return lines


def result_marks(result: Result) -> Span:
    """Marks behind a figure, in words: what keeps it from being taken at face value."""
    words = []
    if result.zero_shot is False:
        words.append("trained on it")
    if result.status != "confirmed":
        words.append(result.status)
    if not result.comparable:
        words.append("not comparable")
    if not words:
        return Span("")
    weak = result.status == "unverified" or not result.comparable or result.zero_shot is False
    return Span("  " + ", ".join(words), "warn" if weak else "faint")


def _results(entry: AnyEntry, catalogue: Catalogue) -> list[Line]:
    if not isinstance(entry, Model | Benchmark):
        return []
    results = catalogue.results_of(entry.id)
    if not results:
        return []
    own = isinstance(entry, Model)
    role = "benchmark" if own else "model"
    lines = [line(), line(Span("Published figures", "header"))]
    order = sorted(results, key=lambda r: (r.subset or "", r.metric, -r.value))
    if own:
        order = results
    for result in order:
        other = catalogue.names.get(result.benchmark if own else result.model, "?")
        subset = f" {result.subset}" if result.subset else ""
        text = f"{figure(result.value):>7} "
        lines.append(
            line(Span(text, "strong"), Span(other + subset, role),
                 Span(f"  {result.metric}", "faint"), result_marks(result), hang=8)
        )  # fmt: skip
    return lines


def _encoding(recipe: Encoding) -> Iterator[Line]:
    def known(field: str) -> str:
        return "unverified" if field in recipe.unverified else "confirmed"

    yield fact("type", f"{recipe.type}, evidence grade {recipe.grade}")
    if recipe.library:
        yield fact("library", recipe.library, known("library"))
    for name, side in (("query", recipe.query), ("document", recipe.document)):
        if side:
            yield fact(name, _side(side), known(name))
    for label, value, field in (
        ("pooling", recipe.pooling, "pooling"),
        ("normalise", _yes(recipe.normalise), "normalise"),
        ("similarity", recipe.similarity, "similarity"),
        ("append", recipe.append, "append"),
        ("padding", recipe.padding_side, "padding_side"),
        ("token types", "left out" if recipe.token_type_ids is False else "", "token_type_ids"),
        ("requires", recipe.requires, "requires"),
        ("precomputed", recipe.precomputed, "precomputed"),
        ("instruction", recipe.instruction, "instruction"),
    ):
        if value:
            yield fact(label, value, known(field))
    for benchmark, text in recipe.instructions.items():
        yield fact(benchmark, text)
    if recipe.check:
        starts = ", ".join(f"{v:.4f}" for v in recipe.check.starts)
        yield fact("check", f"{recipe.check.side} '{recipe.check.text}' starts {starts}")
    if recipe.note:
        yield fact("note", recipe.note)
    for trap in recipe.traps:
        yield line(Span("trap", "warn"), " " * (LABEL - 4), trap, hang=LABEL)


def _side(side: Side) -> str:
    parts = []
    if side.model:
        parts.append(side.model)
    if side.pair:
        parts.append(f"pair {side.pair[0]} | {side.pair[1]}")
    if side.template:
        parts.append(side.template.replace("\n", "\\n"))
    if side.adapter:
        parts.append(f"adapter {side.adapter}")
    if side.max_length:
        parts.append(f"{side.max_length} tokens")
    return "; ".join(parts)


def _notes(entry: AnyEntry, catalogue: Catalogue) -> Iterator[Line]:
    if entry.notes:
        yield line()
        yield line(Span("Notes", "header"))
    for note in entry.notes:
        mark = Span("corrected  ", "warn") if note.corrects else Span("note  ", "dim")
        source = catalogue.sources.get(note.source)
        origin = Span(f"  [{source.id if source else note.source}]", "faint")
        yield line(mark, *inline(note.text), origin, hang=2)
    yield line()
    yield line(Span("Sources", "header"))
    for identifier in entry.sources:
        source = catalogue.sources.get(identifier)
        if source:
            yield line(Span(source.text, "dim", source.url), hang=2)
