"""Fetching the records of a query, or the works of a list of ids, into an index or a file.

`fetch` serves the command line and a job of the app alike. Arriving records are kept in a spool, so
that an interrupted fetch resumes; meanwhile an index encodes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from bioretrieval_tui.documents.document import Document, Item, Place, Record
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online import arxiv, europepmc, pubmed
from bioretrieval_tui.online.spool import (
    FORMAT,
    SERVICE_NAMES,
    FetchBatch,
    FetchRequest,
    IdKind,
    Mark,
    Spool,
    SpoolState,
    WorkId,
    batch_of,
    documents_of,
)
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.intake import Intake
    from bioretrieval_tui.online.http import HttpClient

MOST_IDS = 100_000
"""Ids of a file, at most."""
CHUNK = 200
"""Ids between two marks."""
_SEPARATORS = re.compile(r"[\s,;]+")
_SITE = r"(?:https?://)?(?:www\.|export\.|dx\.)?"
_URL = re.compile(rf"{_SITE}[a-z.]+\.(?:gov|org)/", re.IGNORECASE)
_NLM = rf"{_SITE}(?:[a-z]+\.)?ncbi\.nlm\.nih\.gov/"


def _form(prefix: str, name: str) -> re.Pattern[str]:
    return re.compile(f"(?:{prefix})?{name}", re.ASCII | re.IGNORECASE)


_FORMS: Mapping[IdKind, re.Pattern[str]] = {
    "pmid": _form(rf"pmid:|{_NLM}(?:pubmed/)?", r"([1-9]\d{0,8})"),
    "pmcid": _form(rf"pmcid:|{_NLM}(?:pmc/)?articles/", r"(?:PMC)?([1-9]\d{0,8})"),
    # Only arXiv knows its own DOIs.
    "arxiv": _form(
        rf"arxiv:|{_SITE}arxiv\.org/(?:abs|pdf|html)/|(?:doi:|{_SITE}doi\.org/)?10\.48550/arxiv\.",
        r"(\d{4}\.\d{4,5}|(?-i:[a-z-]+(?:\.[A-Z]{2})?)/\d{7})(?:v\d{1,3})?(?:\.pdf)?",
    ),
    "doi": _form(rf"doi:|{_SITE}doi\.org/", r"(10\.\d{4,9}/[!-~]{1,200})"),
}
"""Kind of id -> its forms (bare, after its kind, as a URL), tried in this order."""
SERVICE_OF: Mapping[IdKind, str] = {
    "pmid": "PubMed",
    "pmcid": "Europe PMC",
    "doi": "Europe PMC",
    "arxiv": "arXiv",
}
"""Kind of id -> the service that is asked for it, in this order."""


class FetchResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a fetch.

    service: names of the services; records: distinct records, those of earlier runs included;
    resumed: how many of them an earlier run had kept; seconds: of this run; absent: ids without a
    record; output: the file; index: name of the index, with its number of documents afterwards and
    whether it changed.
    """

    service: str
    records: int
    resumed: int = 0
    seconds: float = 0.0
    absent: tuple[WorkId, ...] = ()
    output: str | None = None
    index: str | None = None
    documents: int | None = None
    changed: bool = False

    def line(self) -> str:
        """The result in one sentence."""
        came = f"{self.records:,} records of {self.service}"
        if self.index is not None:
            now = f"has {self.documents or 0:,} documents" if self.changed else "is unchanged"
            return f"{came} fetched; the index {self.index} {now}"
        return came if self.output is None else f"{came} in {self.output}"


def fetch(
    request: FetchRequest,
    reporter: Reporter = silent,
    remark: Callable[[str], None] = lambda _: None,
    *,
    each: Callable[[Document], None] = lambda _: None,
    client: HttpClient | None = None,
) -> FetchResult:
    """Fetch the records of `request` and write them to its destination.

    remark: called with a sentence if an earlier run is resumed; each: called with every document,
    those of an earlier run first; client: opened for this fetch if None. An exception that leaves
    records to resume from carries a note that says so (PEP 678).

    Raises:
        OnlineError: a service fails, or the network is not allowed. UsageError: the destination
        is invalid. BioRetrievalError: nothing was found, or the file cannot be written.
        IndexFault, ModelError: of the index.
    """
    check_destination(request)
    with contextlib.ExitStack() as closing:
        if client is None:
            from bioretrieval_tui.online.http import HttpClient

            client = closing.enter_context(HttpClient())
        return _Fetch(request, client, reporter, remark, each).run()


def check_destination(request: FetchRequest) -> None:
    """Refuse an invalid destination, before the network is used.

    Raises:
        UsageError: two destinations, an invalid index, an existing file, or a missing folder.
    """
    if request.index is not None and request.output is not None:
        raise UsageError("--index and -o are two destinations", remedy="choose one of them")
    if request.output is not None:
        output = Path(request.output)
        if output.exists():
            raise UsageError(f"{output} exists", remedy="name another file, or delete it")
        if not output.absolute().parent.is_dir():
            raise UsageError(f"the folder of {output} does not exist", remedy="create it first")
    if request.index is not None:
        from bioretrieval_tui.encoding.device import check_name as check_device
        from bioretrieval_tui.index.layout import CATALOGUE, check_name

        check_device(request.device)
        if check_name(request.index) == CATALOGUE:
            raise UsageError(
                f"the index '{CATALOGUE}' is made from the catalogue itself",
                remedy="choose another name",
            )


def spool_path(request: FetchRequest) -> Path | None:
    """The file that keeps the records of a request until the fetch is complete; None without a
    destination."""
    if request.index is not None:
        text = f"{request.index}\n{request.key}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return places().state / "fetch" / f"{request.index}-{digest}.jsonl"
    return None if request.output is None else Path(f"{request.output}.part")


def batches_of(
    client: HttpClient,
    request: FetchRequest,
    mark: Mark | None = None,
    *,
    today: date | None = None,
) -> Iterator[FetchBatch]:
    """Yield the batches of a request after `mark`; today: in UTC, for PubMed. Raises OnlineError
    where a service fails."""
    if request.source == "ids":
        return batches_of_ids(client, request.ids, mark)
    if request.source == "pubmed":
        # By day of entry into PubMed, since the day of publication may lie far ahead.
        day = today or datetime.now(UTC).date()
        return pubmed.batches(client, request, mark, today=day)
    search = europepmc.batches if request.source == "europepmc" else arxiv.batches
    return search(client, request, mark)


class _Fetch:
    """One run of `fetch`."""

    def __init__(
        self,
        request: FetchRequest,
        client: HttpClient,
        reporter: Reporter,
        remark: Callable[[str], None],
        each: Callable[[Document], None],
    ) -> None:
        self.request = request
        self.client = client
        self.reporter = reporter
        self.remark = remark
        self.each = each
        source = request.source
        self.service = services_of(request.ids) if source == "ids" else SERVICE_NAMES[source]
        self.nothing = _nothing_found(request, self.service)
        self.answered: set[tuple[str, str]] = set()
        self.began = time.perf_counter()
        self.resumed = SpoolState(FORMAT, request.key)

    def run(self) -> FetchResult:
        """Fetch and store the records."""
        request, path = self.request, spool_path(self.request)
        if path is None:
            records = 0
            for batch in batches_of(self.client, request):
                for document in batch.documents:
                    self._take(document)
                records += len(batch.documents)
                self._report(batch.mark)
            if not records:
                raise self.nothing
            return self._result(records)
        with (
            Spool(path, request.key, restart=request.restart) as spool,
            self._noting_what_is_kept(spool),
        ):
            self.resumed = spool.state
            if self.resumed.records:
                self.remark(
                    f"{self.resumed.records:,} records had arrived before; resuming behind them"
                )
            outcome = None
            if request.index is not None:
                outcome = self._indexed(request.index, spool)
            else:
                for document in spool.documents():
                    self._take(document)
                for _ in self._arriving(spool):
                    pass
            result = self._result(spool.state.records, outcome)
            spool.move(None if request.output is None else Path(request.output))
            return result

    def _arriving(self, spool: Spool) -> Iterator[tuple[FetchBatch, list[Document]]]:
        """Fetch what the spool lacks; every batch is on disk before it is yielded. Raises
        BioRetrievalError if then there is no record at all."""
        if not spool.state.over:
            for batch in batches_of(self.client, self.request, spool.state.mark):
                fresh = spool.add(batch)
                for document in fresh:
                    self._take(document)
                self._report(batch.mark)
                yield batch, fresh
            spool.finish()
        if not spool.state.records:
            raise self.nothing

    def _indexed(self, name: str, spool: Spool) -> BuildOutcome:
        """Build or extend the index while records arrive."""
        from bioretrieval_tui.encoding.embedded import MODEL_ID
        from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
        from bioretrieval_tui.index.build import add_from, build_from, encoder_factory_of
        from bioretrieval_tui.index.registry import index_names

        request, reporter = self.request, self.reporter
        # The build reports its own progress.
        self.reporter = silent

        def feed(intake: Intake) -> None:
            """Take the records of earlier runs, then the arriving ones."""
            # A cancelled build must also end the waiting for the service.
            self.client.step = intake.step
            intake.file = self.service
            numbers = itertools.count(1)

            def take(document: Document) -> None:
                intake.take(Record(document, Place(self.service, line=next(numbers))))

            for document in spool.documents():
                self._take(document)
                take(document)
            for batch, fresh in self._arriving(spool):
                for rejected in batch.rejected:
                    intake.take(rejected)
                for document in fresh:
                    take(document)
                if batch.mark.total:
                    intake.share = min(1.0, batch.mark.done / batch.mark.total)
            intake.share = 1.0

        if name in index_names():
            factory_of = encoder_factory_of(request.device, reporter)
            return add_from(name, feed, factory_of, reporter=reporter)
        model = request.model or MODEL_ID
        outcome = build_from(
            name,
            feed,
            lambda: load_encoder(model, request.recipe, device=request.device, reporter=reporter),
            reporter=reporter,
            ids="pmid" if request.source == "pubmed" else None,
        )
        prepare_query_encoder(model, request.recipe, reporter=reporter)
        return outcome

    def _take(self, document: Document) -> None:
        if self.request.ids:
            self.answered |= names_of(document)
        self.each(document)

    def _report(self, mark: Mark) -> None:
        """Report progress, with the rate of this run alone."""
        seconds, came = time.perf_counter() - self.began, mark.done - self.resumed.mark.done
        rate = came / seconds if came and seconds > 0 else None
        self.reporter(
            Progress("fetching", mark.done, mark.total, "records", rate=rate, note=self.service)
        )

    def _result(self, records: int, outcome: BuildOutcome | None = None) -> FetchResult:
        return FetchResult(
            service=self.service,
            records=records,
            resumed=self.resumed.records,
            seconds=time.perf_counter() - self.began,
            absent=tuple(one for one in self.request.ids if one.key not in self.answered),
            output=self.request.output,
            index=self.request.index,
            documents=None if outcome is None else outcome.manifest.documents,
            changed=outcome is not None and outcome.changed,
        )

    @contextlib.contextmanager
    def _noting_what_is_kept(self, spool: Spool) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            kept = None
            with contextlib.suppress(BioRetrievalError, OSError):
                kept = spool.kept()
            if kept is not None and kept.records and error is not self.nothing:
                of = f" of {kept.mark.total:,}" if kept.mark.total else ""
                error.add_note(
                    f"{kept.mark.done:,}{of} records have arrived; the same call resumes there"
                )
            raise


def _nothing_found(request: FetchRequest, service: str) -> BioRetrievalError:
    if request.source == "ids":
        return BioRetrievalError(
            f"no service knows any of the {len(request.ids):,} ids", remedy="check them"
        )
    since = f" since {request.since}" if request.since else ""
    return BioRetrievalError(
        f"{service} has nothing for '{request.query[:100]}'{since}",
        remedy="try the query on its website" + (", or an earlier day" if since else ""),
    )


# Ids of works ---------------------------------------------------------------------------------


def read_ids(path: Path | None) -> tuple[tuple[WorkId, ...], list[tuple[int, str]]]:
    """Read the ids of a file, or of stdin if None: one or several a line; # begins a comment.

    Returns the ids, each once and in order, and (line, text) of all that is not an id.

    Raises:
        NotFoundError, CorpusError: it cannot be read. UsageError: it has too many.
    """
    found: dict[tuple[str, str], WorkId] = {}
    unknown: list[tuple[int, str]] = []
    with SourceReader(path) as source:
        for number, line in source.lines(2**16):
            if line is None:
                unknown.append((number, "a line of more than 64 kB"))
                continue
            text = line.decode("utf-8", "replace").removeprefix("\ufeff")
            if number == 1 and text.strip().casefold() in ("pmid", "id", "ids", "doi", "pmids"):
                continue  # the heading of a column
            for word in filter(None, _SEPARATORS.split(re.sub(r"(?:^|\s)#.*", "", text))):
                one = work_id(word, number)
                if one is None:
                    unknown.append((number, word))
                else:
                    found.setdefault(one.key, one)
            if len(found) > MOST_IDS:
                raise UsageError(
                    f"the file holds more than {MOST_IDS:,} ids",
                    remedy="split it, or fetch a query",
                )
    return tuple(found.values()), unknown


def work_id(word: str, line: int = 1) -> WorkId | None:
    """Parse an id: bare, with its kind before a colon, or as a URL; None for anything else."""
    word = word.strip("\"'<>()[]{}").rstrip(".,;")
    if _URL.match(word):
        word = unquote(word).partition("?")[0].rstrip("/")
    for kind, form in _FORMS.items():
        if found := form.fullmatch(word):
            return WorkId(kind, f"{'PMC' if kind == 'pmcid' else ''}{found[1]}", line)
    return None


def batches_of_ids(
    client: HttpClient, ids: Sequence[WorkId], mark: Mark | None = None
) -> Iterator[FetchBatch]:
    """Yield the works of `ids` after `mark`, service by service and so in another order. Raises
    OnlineError where a service fails."""
    mark = mark or Mark()
    chunks = [
        part[start : start + CHUNK]
        for service in dict.fromkeys(SERVICE_OF.values())
        for part in ([one for one in ids if SERVICE_OF[one.kind] == service],)
        for start in range(0, len(part), CHUNK)
    ]
    first = int(mark.cursor.get("chunk", "0"))
    for number, chunk in enumerate(chunks[first:], start=first + 1):
        items = _asked_for(client, chunk)
        mark = Mark({"chunk": str(number)}, mark.done + len(chunk), len(ids))
        yield batch_of(items, mark)


def services_of(ids: Sequence[WorkId]) -> str:
    """The names of the services that are asked for `ids`, as part of a sentence."""
    kinds = {one.kind for one in ids}
    names = list(dict.fromkeys(name for kind, name in SERVICE_OF.items() if kind in kinds))
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def names_of(document: Document) -> set[tuple[str, str]]:
    """The ids of a document, as `WorkId.key` gives them."""
    fields = ((kind, document.metadata.get(kind)) for kind in SERVICE_OF)
    return {(kind, str(value).casefold()) for kind, value in fields if value}


def _asked_for(client: HttpClient, chunk: Sequence[WorkId]) -> list[Item]:
    names = [one.name for one in chunk]
    if chunk[0].kind == "pmid":
        return list(pubmed.by_ids(client, names))
    if chunk[0].kind == "arxiv":
        found = arxiv.by_ids(client, names).values()
        return [Record(one.document, Place(arxiv.NAME)) for one in found]
    fields = [("DOI" if one.kind == "doi" else "PMCID", one.name) for one in chunk]
    wanted = {one.key for one in chunk}
    # A search for ids also finds records that only mention them.
    return [
        item
        for item in europepmc.by_ids(client, fields)
        if not isinstance(item, Record) or names_of(item.document) & wanted
    ]


# Abstracts of the catalogue's papers ------------------------------------------------------------


def paper_ids(catalogue: Catalogue) -> dict[str, WorkId]:
    """The id by which each paper is requested, by entry id; papers without one are left out."""
    from bioretrieval_tui.catalog.models import Paper

    found: dict[str, WorkId] = {}
    for paper in catalogue.of_type(Paper):
        # The records of PubMed are the most complete, those of arXiv the most certain.
        for value in (paper.pmid, paper.arxiv, paper.doi):
            if one := work_id(str(value or "")):
                found.setdefault(paper.id, one)
    return found


def abstracts_of(
    client: HttpClient, papers: Mapping[str, WorkId]
) -> Iterator[tuple[str, str, str]]:
    """Yield entry id, abstract and origin of each paper that has an abstract, as they arrive.
    Raises OnlineError where a service fails."""
    wanted = {one.key: entry for entry, one in papers.items()}
    for document in documents_of(batches_of_ids(client, list(papers.values()))):
        for name in names_of(document) & wanted.keys():
            if document.text.strip():
                yield wanted[name], document.text, SERVICE_OF[papers[wanted[name]].kind]
