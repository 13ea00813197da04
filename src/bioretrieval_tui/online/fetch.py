"""Fetching the records of a query, or the works of a list of ids, into an index or a file.

`fetch` serves the command line and a job of the app alike. Arriving records are kept in a spool, so
that an interrupted fetch resumes; meanwhile an index encodes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online.searches import (
    SERVICE_OF,
    batches_of,
    batches_of_ids,
    documents_of,
    names_of,
    services_of,
)
from bioretrieval_tui.online.spool import (
    FORMAT,
    SERVICE_NAMES,
    FetchBatch,
    FetchRequest,
    FetchResult,
    QueryNote,
    Spool,
    SpoolState,
    WorkId,
)
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.intake import Intake
    from bioretrieval_tui.online.http import HttpClient


def fetch(
    request: FetchRequest,
    reporter: Reporter = silent,
    remark: Callable[[str], None] = lambda _: None,
    *,
    warn: Callable[[str], None] = lambda _: None,
    each: Callable[[Document], None] = lambda _: None,
    client: HttpClient | None = None,
) -> FetchResult:
    """Fetch the records of `request` and write them to its destination.

    remark: called with a sentence if an earlier run is resumed, and with the query as the service
    understood it; warn: called with what of the query it did not find or know, and before a long
    wait; each: called with every document, those of an earlier run first; client: opened for this
    fetch if None. An exception that leaves records to resume from carries a note that says so
    (PEP 678).

    Raises:
        OnlineError: a service fails, or the network is not allowed. UsageError: the destination
        is invalid. BioRetrievalError: nothing was found, or the file cannot be written.
        IndexFault, ModelError: of the index.
    """
    check_destination(request)
    from bioretrieval_tui.online.http import HttpClient

    with HttpClient() if client is None else contextlib.nullcontext(client) as opened:
        opened.remark = warn
        source, resumed = request.source, SpoolState(FORMAT, request.key)
        service = services_of(request.ids) if source == "ids" else SERVICE_NAMES[source]
        return _Fetch(request, opened, reporter, remark, warn, each, service, resumed).run()


def check_destination(request: FetchRequest) -> None:
    """Refuse an invalid destination, before the network is used. Raises UsageError for two of them,
    an invalid index, an existing file, or a missing folder."""
    if request.index is not None and request.output is not None:
        raise UsageError("--index and -o are two destinations", remedy="choose one of them")
    if request.output is not None:
        output = Path(request.output)
        if output.exists() and not _was_renamed(request, output):
            raise UsageError(f"{output} exists", remedy="name another file, or delete it")
        if not output.absolute().parent.is_dir():
            raise UsageError(f"the folder of {output} does not exist", remedy="create it first")
    if request.index is not None:
        from bioretrieval_tui.encoding.device import check_name as check_device
        from bioretrieval_tui.index.layout import check_own_name

        check_device(request.device)
        check_own_name(request.index)


def _was_renamed(request: FetchRequest, output: Path) -> bool:
    """Whether a run of this request was killed between the renaming of its complete file and its
    end: then the state is there still."""
    spool = Spool(Path(f"{output}.part"), request.key)
    with contextlib.suppress(BioRetrievalError, OSError):
        kept = None if request.restart or spool.path.exists() else spool.kept()
        return kept is not None and kept.over and kept.bytes == output.stat().st_size
    return False


@dataclass
class _Fetch:
    """One run of `fetch`. service: the names of the services; resumed: what an earlier run had
    kept; answered: keys of the ids with a record; records: kept so far; cautions: what the service
    said of the query, `found`: how many records it has in all."""

    request: FetchRequest
    client: HttpClient
    reporter: Reporter
    remark: Callable[[str], None]
    warn: Callable[[str], None]
    each: Callable[[Document], None]
    service: str
    resumed: SpoolState
    answered: set[tuple[str, str]] = field(default_factory=set)
    began: float = field(default_factory=time.perf_counter)
    records: int = 0
    cautions: dict[str, None] = field(default_factory=dict)
    found: int | None = None

    def run(self) -> FetchResult:
        request = self.request
        if request.index is not None:
            text = f"{request.index}\n{request.key}"
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            path = places().state / "fetch" / f"{request.index}-{digest}.jsonl"
        elif request.output is not None:
            path, output = Path(f"{request.output}.part"), Path(request.output)
            if output.exists() and _was_renamed(request, output):
                output.rename(path)  # to end as that run would have ended
        else:
            for _ in self._arriving(None):
                pass
            return self._result()
        with Spool(path, request.key, restart=request.restart) as spool:
            self.resumed, self.records = spool.state, spool.state.records
            self.found = self.resumed.mark.found
            for caution in self.resumed.cautions:
                self._note(QueryNote(caution))
            if self.records:
                self.remark(f"{self.records:,} records had arrived before; resuming behind them")
            outcome = None
            try:
                if request.index is not None:
                    outcome = self._indexed(request.index, spool)
                else:
                    for _ in itertools.chain(self._kept(spool), self._arriving(spool)):
                        pass
            except BaseException as error:
                with contextlib.suppress(BioRetrievalError, OSError):
                    kept = spool.kept()
                    if kept is not None and kept.records:
                        of = f" of {kept.mark.total:,}" if kept.mark.total else ""
                        arrived = f"{kept.mark.done:,}{of} records have arrived"
                        error.add_note(f"{arrived}; the same call resumes there")
                raise
            spool.move(None if request.output is None else Path(request.output))
            return self._result(outcome)

    def _kept(self, spool: Spool) -> Iterator[Document]:
        for document in spool.documents():
            self._take(document)
            yield document

    def _arriving(self, spool: Spool | None) -> Iterator[tuple[FetchBatch, Sequence[Document]]]:
        """Fetch what is missing; every batch is on disk before it is yielded. Raises
        BioRetrievalError if then there is no record at all."""
        request = self.request
        if not self.resumed.over:
            for batch in batches_of(self.client, request, self.resumed.mark, note=self._note):
                mark, self.found = batch.mark, batch.mark.found
                fresh = batch.documents if spool is None else spool.add(batch, self.cautions)
                for document in fresh:
                    self._take(document)
                self.records += len(fresh)
                done, total, came = mark.done, mark.total, mark.done - self.resumed.mark.done
                rate = came / max(time.perf_counter() - self.began, 1e-9) if came else None
                step = Progress("fetching", done, total, "records", rate=rate, note=self.service)
                self.reporter(step)
                yield batch, fresh
            if spool is not None:
                spool.finish()
        if not self.records:
            if request.source == "ids":
                unknown = f"no service knows any of the {len(request.ids):,} ids"
                raise BioRetrievalError(unknown, remedy="check them")
            since = f" since {request.since}" if request.since else ""
            nothing = BioRetrievalError(
                f"{self.service} has nothing for '{request.query[:100]}'{since}",
                remedy="try the query on its website" + (", or an earlier day" if since else ""),
            )
            for caution in self.cautions:
                nothing.add_note(caution)
            raise nothing

    def _note(self, said: QueryNote) -> None:
        """Tell what the service says of the query, each once."""
        if said.caution and said.caution not in self.cautions:
            self.cautions[said.caution] = None
            self.warn(said.caution)
        if said.reading:
            self.remark(f"{self.service} searched for: {said.reading}")

    def _indexed(self, name: str, spool: Spool) -> BuildOutcome:
        """Build or extend the index while records arrive."""
        from bioretrieval_tui.encoding.embedded import MODEL_ID
        from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
        from bioretrieval_tui.index.build import add_to_index, build_index
        from bioretrieval_tui.index.registry import index_names
        from bioretrieval_tui.index.vector_cache import known_facts

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

            for document in self._kept(spool):
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
            return add_to_index(name, feed, device=request.device, reporter=reporter)
        model = request.model or MODEL_ID
        outcome = build_index(
            name,
            feed,
            lambda: load_encoder(model, request.recipe, device=request.device, reporter=reporter),
            reporter=reporter,
            ids="pmid" if request.source == "pubmed" else None,
            facts=known_facts(model, request.recipe),
        )
        prepare_query_encoder(model, request.recipe, reporter=reporter)
        return outcome

    def _take(self, document: Document) -> None:
        if self.request.ids:
            self.answered |= names_of(document)
        self.each(document)

    def _result(self, outcome: BuildOutcome | None = None) -> FetchResult:
        return FetchResult(
            service=self.service,
            records=self.records,
            resumed=self.resumed.records,
            seconds=time.perf_counter() - self.began,
            absent=tuple(one for one in self.request.ids if one.key not in self.answered),
            output=self.request.output,
            index=self.request.index,
            documents=None if outcome is None else outcome.manifest.documents,
            changed=outcome is not None and outcome.changed,
            found=self.found,
            cautions=tuple(self.cautions),
        )


# Abstracts of the catalogue's papers ------------------------------------------------------------


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
